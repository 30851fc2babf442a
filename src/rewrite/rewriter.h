// Rules as data: a rule is a row {name, pattern, replacement}; its name is an equation. Patterns
// are values, so that a tester can build random graphs from them and compare both sides.
#pragma once

#include <functional>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace vitrify {

/// One fired rule or pass decision, for `--explain`.
struct Decision {
  std::string pass, rule;
  std::vector<std::string> where;  ///< origins: the user's nodes
  std::string effect;              ///< what came out: "conv{…}"
};
using Trace = std::vector<Decision>;
/// The effect of a decision that was left out because its name is switched off.
inline constexpr std::string_view kLeftOut = "left out";

/// What a pass is told besides its graph.
struct PassContext {
  std::string pass;
  Trace* trace = nullptr;  ///< may be null
  std::vector<std::string> disabled_rules;
  int64_t fold_budget = int64_t{64} << 20;  ///< bytes that folding may add in all
  /// Floats that the backend has fast kernels for; smaller ones are widened to one of them.
  std::vector<DType> computing_types{DType::kFloat32};
  void decide(std::string rule, std::vector<std::string> where, std::string effect) const {
    if (trace) trace->push_back({pass, std::move(rule), std::move(where), std::move(effect)});
  }
  /// That a rule would have fired there; said once.
  void leave_out(std::string_view rule, std::vector<std::string> where) const;
};

/// What testers of rules draw from.
using Rng = std::mt19937_64;
/// f32 in steps of 1/250 in [-2, 2).
Tensor random_floats(Rng& random, Dims dims);

/// A tree over values. A leaf accepts any value (or only constants); a node accepts ops.
struct Pattern {
  enum class Leaf : uint8_t { kNode, kAny, kConstant };
  Leaf leaf = Leaf::kNode;
  std::string_view name;                   ///< what a match calls the value; "" for none
  std::function<bool(const Op&)> accepts;  ///< of a node
  std::function<Op(Rng&)> sample;          ///< how the tester builds the node
  std::vector<Pattern> inputs;             ///< of a node; must match one to one
  bool commutes = false;                   ///< the two inputs may be swapped
  bool shared = false;     ///< other users do not matter (the node is duplicated or kept)
  float constant = 0;      ///< of a kConstant leaf with `is_scalar`: its value
  bool is_scalar = false;  ///< a kConstant leaf of one element equal to `constant`

  Pattern as(std::string_view n) && {
    name = n;
    return std::move(*this);
  }
  Pattern keep() && {
    shared = true;
    return std::move(*this);
  }
};

// The words that patterns are written with.
Pattern any(std::string_view name);
Pattern constant(std::string_view name);
/// A constant of one element: v, or within 1e-6 relative of it where v is no half of an integer.
Pattern scalar(float v);
Pattern unary(UnaryKind kind, Pattern x);
Pattern binary(BinaryKind kind, Pattern a, Pattern b);
inline Pattern add(Pattern a, Pattern b) {
  return binary(BinaryKind::kAdd, std::move(a), std::move(b));
}
inline Pattern sub(Pattern a, Pattern b) {
  return binary(BinaryKind::kSub, std::move(a), std::move(b));
}
inline Pattern mul(Pattern a, Pattern b) {
  return binary(BinaryKind::kMul, std::move(a), std::move(b));
}
inline Pattern div(Pattern a, Pattern b) {
  return binary(BinaryKind::kDiv, std::move(a), std::move(b));
}
inline Pattern pow(Pattern a, Pattern b) {
  return binary(BinaryKind::kPow, std::move(a), std::move(b));
}
/// A node of op struct T that `accepts`, built by `sample` in tests.
template <class T>
Pattern op(std::vector<Pattern> inputs, std::function<T(Rng&)> sample,
           std::function<bool(const T&)> accepts = {}) {
  Pattern p;
  p.inputs = std::move(inputs);
  p.sample = [sample](Rng& r) { return Op(sample(r)); };
  p.accepts = [accepts](const Op& o) {
    const T* t = o.as<T>();
    return t && (!accepts || accepts(*t));
  };
  return p;
}

class Match;
/// Builds the right-hand side; returns no value to decline. May check types through the match.
using Replacement = ValueId (*)(Match&);

/// Input types that a rule wants for its leaves in tests; empty: random broadcastable f32 shapes.
using Sampler = std::function<std::map<std::string_view, Tensor>(Rng&)>;

struct Rule {
  std::string_view name;  ///< an equation: "relu(conv(x, w)) -> conv(x, w){relu}"
  Pattern pattern;
  Replacement replacement;
  Sampler sampler = {};
};

/// True for the rule's name and for its left-hand side.
bool is_named(const Rule& rule, std::string_view name);

/// A match under way or made: values by name, and the builder to write the right-hand side with.
class Match {
 public:
  Match(GraphBuilder& builder, ValueId root) : builder_(builder), root_(root) {}
  ValueId operator[](std::string_view name) const;
  /// The op of the named node.
  template <class T>
  const T& op(std::string_view name) const {
    return *builder_.node((*this)[name]).op.as<T>();
  }
  const Tensor& constant(std::string_view name) const {
    return *builder_.constant_of((*this)[name]);
  }
  const Type& type(std::string_view name) const { return builder_.type((*this)[name]); }
  const Type& type(ValueId v) const { return builder_.type(v); }
  ValueId root() const { return root_; }
  /// Whether v has the root's type, so that what is matched between them does not broadcast it.
  /// Types of unknown rank prove it only when no constant that was met has axes.
  bool is_of_root_type(ValueId v) const;
  GraphBuilder& builder() { return builder_; }
  /// Adds a node whose origins are those of all matched nodes.
  ValueId add(Op op, std::vector<ValueId> inputs);
  ValueId unary(UnaryKind kind, ValueId x, double alpha = 0, double beta = 0) {
    return add(Unary{kind, alpha, beta}, {x});
  }
  ValueId binary(BinaryKind kind, ValueId a, ValueId b) { return add(Binary{kind}, {a, b}); }

  std::map<std::string_view, ValueId> values;
  std::vector<ValueId> nodes;  ///< all matched nodes

 private:
  GraphBuilder& builder_;
  ValueId root_;
};

/// Counts how many consumers each value of the graph under construction has or will have.
class UseCounts {
 public:
  int operator[](ValueId v) const {
    auto at = counts_.find(v);
    return at == counts_.end() ? 0 : at->second;
  }
  void add(ValueId v, int n) { counts_[v] += n; }

 private:
  std::map<ValueId, int> counts_;
};

/// Tries to match `pattern` at `root`. Inner nodes that are not `shared` must have one use.
bool match(const Pattern& pattern, ValueId root, const UseCounts& uses, Match& m);

/// Walks the graph forward, trying the rules at every node in order, until nothing fires or
/// `rounds` are over. Records a decision for each rule that fires; disabled rules are left out.
Graph apply_rules(const Graph& graph, std::span<const Rule> rules, const PassContext& context,
                  int rounds = 8);

/// The walk that passes of other kinds use, with use counts kept: `visit(builder, old node, map,
/// uses)`.
using CountedVisit =
    std::function<void(GraphBuilder&, int32_t, std::map<ValueId, ValueId>&, UseCounts&)>;
Graph rewrite_counted(const Graph& graph, const CountedVisit& visit);

/// "conv_1, relu_1": origins for a decision.
std::vector<std::string> origins_of(const GraphBuilder& builder, const std::vector<ValueId>& nodes);

}  // namespace vitrify
