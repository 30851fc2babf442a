#include "ops/guards.h"

#include <set>

#include "base/error.h"
#include "ops/table.h"

namespace vitrify {

namespace {

/// A node as it looks with the values of some symbols known.
class BoundNode {
 public:
  BoundNode(const Graph& graph, const Node& node, const Bindings& symbols)
      : graph_(graph), node_(node), symbols_(symbols), op_(node.op) {}

  void check() {
    op_.substitute_dims([&](const Dim& d) { return bind(d); });
    for (ValueId v : node_.inputs) {
      types_.push_back(v.valid() ? bind(graph_.type(v)) : Type{});
      facts_.push_back(v.valid() ? bind(graph_.fact(v)) : Fact{});
    }
    if (!symbolic_) return;
    std::vector<KnownInput> inputs;
    for (size_t i = 0; i < types_.size(); ++i)
      inputs.push_back(node_.inputs[i].valid()
                           ? KnownInput{&types_[i], &facts_[i], graph_.constant(node_.inputs[i])}
                           : KnownInput{});
    int64_t next_symbol = graph_.next_symbol;
    const Inferred inferred =
        infer(op_, std::move(inputs), int(node_.types.size()), nullptr, &next_symbol);
    for (size_t o = 0; o < node_.types.size() && o < inferred.types.size(); ++o)
      compare(inferred.types[o], bind(node_.types[o]));
    if (auto* region = op_.as<Region>()) check_region(*region->graph);
  }

  /// "n = 4, m = 5": the symbols that the node's shapes hold.
  std::string values() const {
    std::string text;
    for (const auto& name : used_)
      if (auto at = symbols_.find(name); at != symbols_.end())
        text += cat(text.empty() ? "" : ", ", name, " = ", at->second);
    return text;
  }

 private:
  Dim bind(const Dim& d) {
    if (d.is_constant()) return d;
    symbolic_ = true;
    d.collect_symbols(used_);
    return d.substitute([&](const std::string& name) {
      auto at = symbols_.find(name);
      return at == symbols_.end() ? Dim::symbol(name) : Dim(at->second);
    });
  }
  Type bind(const Type& type) {
    Type bound = type;
    if (bound.has_rank())
      for (Dim& d : *bound.shape) d = bind(d);
    return bound;
  }
  Fact bind(const Fact& fact) {
    Fact bound = fact;
    if (bound)
      for (Dim& d : *bound) d = bind(d);
    return bound;
  }

  /// The nodes of a region, at the extents that its inputs give to the symbols inside.
  void check_region(const Graph& region) const {
    Bindings inside;
    for (size_t i = 0; i < region.inputs.size(); ++i) {
      const Type& wanted = region.type(region.inputs[i].value);
      if (!wanted.has_rank() || !types_[i].has_rank()) continue;
      bool fits = wanted.shape->size() == types_[i].shape->size();
      for (size_t a = 0; fits && a < wanted.shape->size(); ++a) {
        const Dim &d = (*wanted.shape)[a], &given = (*types_[i].shape)[a];
        if (!given.is_constant()) continue;
        if (d.is_symbol())
          fits = inside.emplace(d.symbol_name(), given.value()).first->second == given.value();
        else if (d.is_constant())
          fits = d == given;
      }
      require(fits, "input ", i, " of a region is ", types_[i].str(), ", must be ", wanted.str());
    }
    for (size_t n = 0; n < region.nodes.size(); ++n) check_guards(region, int32_t(n), inside);
  }

  /// What the rule says now, and what it said of the symbols.
  void compare(const Type& now, const Type& said) const {
    if (!now.has_rank() || !said.has_rank()) return;
    bool same = now.shape->size() == said.shape->size();
    for (size_t a = 0; same && a < said.shape->size(); ++a) {
      const Dim &x = (*now.shape)[a], &y = (*said.shape)[a];
      same = !x.is_constant() || !y.is_constant() || x == y;
    }
    if (same) return;
    std::string types;
    for (const Type& t : types_) types += (types.empty() ? "" : ", ") + t.str();
    fail(op_.label(), "(", types, ") gives ", now.str(), " where the model expects ", said.str());
  }

  const Graph& graph_;
  const Node& node_;
  const Bindings& symbols_;
  Op op_;
  std::vector<Type> types_;
  std::vector<Fact> facts_;
  std::set<std::string> used_;
  bool symbolic_ = false;
};

}  // namespace

void check_guards(const Graph& graph, int32_t index, const Bindings& symbols) {
  const Node& node = graph.nodes[size_t(index)];
  if (node.op.is<Input>() || node.op.is<Constant>()) return;
  BoundNode bound(graph, node, symbols);
  try {
    bound.check();
  } catch (const Error& e) {
    const std::string values = bound.values(),
                      hint = values.empty() ? "" : cat(" (", values, ": give inputs that fit)");
    throw Error(e.kind(), e.message() + hint,
                e.origin().empty() && !node.origins.empty() ? node.origins.front() : e.origin());
  }
}

}  // namespace vitrify
