// Graph: an immutable list of nodes in topological order. A pass walks one graph forward into a new
// GraphBuilder, which infers types, verifies and shares equal nodes.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/digest.h"
#include "ir/op.h"

namespace vitrify {

/// An output of a node; `node` -1 is "no value" (an optional input left out).
struct ValueId {
  int32_t node = -1;
  int32_t output = 0;
  bool valid() const { return node >= 0; }
  auto operator<=>(const ValueId&) const = default;
};

/// What is known of a small integer tensor (rank 0 or 1, at most 1,024 elements) before any run.
using Fact = std::optional<std::vector<Dim>>;
/// Its values, where all are constants.
std::optional<std::vector<int64_t>> known_ints(const Fact& fact);
/// The tensor of that type, where its shape and all elements are known.
std::optional<Tensor> known_tensor(const Type& type, const Fact& fact);

struct Node {
  Op op;
  std::vector<ValueId> inputs;
  std::vector<Type> types;           ///< of each output
  std::vector<Fact> facts;           ///< of each output
  std::vector<std::string> origins;  ///< the ONNX nodes that this node came from, sorted
};
/// Where an error lies: the user's node or, for one that no node gave, the op.
std::string place_of(const Node& node);

struct NamedValue {
  std::string name;
  ValueId value;
};

/// A recurrent pair: after a run, `output` becomes the next run's `input`; both have one type.
struct StatePair {
  std::string input, output;
};

struct Graph {
  std::string name;
  std::vector<Node> nodes;
  std::vector<NamedValue> inputs;  ///< their nodes hold Input ops, in order
  std::vector<NamedValue> outputs;
  std::vector<StatePair> states;
  std::map<ValueId, std::string> value_names;  ///< the user's names, for taps and messages
  std::map<ValueId, Ints>
      onnx_permutations;      ///< value's axes → the user's layout, where they differ
  int64_t next_symbol = 0;    ///< the next fresh symbol's number
  int64_t next_constant = 0;  ///< the next derived constant's id

  const Node& node(ValueId v) const { return nodes[size_t(v.node)]; }
  const Type& type(ValueId v) const { return nodes[size_t(v.node)].types[size_t(v.output)]; }
  const Fact& fact(ValueId v) const { return nodes[size_t(v.node)].facts[size_t(v.output)]; }
  /// The tensor of a Constant node, or null.
  const Tensor* constant(ValueId v) const;
};

/// For every node, the (consumer node, input index) pairs of each of its outputs; graph outputs are
/// not counted. `users[node][output]`.
struct Use {
  int32_t node, input;
};
std::vector<std::vector<std::vector<Use>>> collect_uses(const Graph& graph);
/// True per node: some graph output or impure node needs it.
std::vector<bool> live_nodes(const Graph& graph);

/// Structure and constants' ids, not names: equal digests mean the same computation.
Digest digest(const Graph& graph);

/// Text: one line a node, `%3 = conv{…}(%1, %2) : f32[…]  # origin`. See docs/text-form.md.
std::string print(const Graph& graph);
/// Reads `print`'s text back (constants by id from `constants`; small literal ones are inline). For
/// tests and tools. Throws a user error naming the line.
Graph parse_graph(std::string_view text, const std::vector<ConstantRef>& constants = {});

/// How the builder infers a node; installed by ops/ (the table of shape rules lies above ir/).
struct Inferred {
  std::vector<Type> types;
  std::vector<Fact> facts;
};
class GraphBuilder;
using InferFn = Inferred (*)(const GraphBuilder&, const Op&, const std::vector<ValueId>& inputs,
                             int outputs, const Node* like, int64_t* next_symbol);
using PureFn = bool (*)(const Op&);

class GraphBuilder {
 public:
  /// `infer` and `pure` come from ops/table.h; use `make_builder()` there.
  GraphBuilder(InferFn infer, PureFn pure) : infer_(infer), pure_(pure) {}
  /// Takes over name, states and counters, so that fresh symbols and ids stay unique.
  void continue_from(const Graph& old);

  /// Adds a graph input. Names are unique; user error otherwise.
  ValueId input(const std::string& name, Type type);
  ValueId constant(ConstantRef data);
  /// A constant with the next free id; `name` is the initializer's, if it is one.
  ValueId constant(Tensor tensor, std::string name = {});
  /// Infers, verifies and shares. `outputs`: how many the caller needs (0: as many as the op has).
  /// `like`: the node of the old graph that this copies, whose fresh symbols are then kept.
  /// Returns the first output; the others are {node, 1} …. Throws a user error that names shapes,
  /// types and, through `origins`, the user's nodes.
  ValueId add(Op op, std::vector<ValueId> inputs, std::vector<std::string> origins = {},
              int outputs = 0, const Node* like = nullptr);
  void output(const std::string& name, ValueId value);

  const Node& node(ValueId v) const { return graph_.node(v); }
  const Type& type(ValueId v) const { return graph_.type(v); }
  const Fact& fact(ValueId v) const { return graph_.fact(v); }
  /// The tensor of a Constant node, or null (also for no value).
  const Tensor* constant_of(ValueId v) const;
  int64_t fresh_constant_id() { return graph_.next_constant++; }
  /// From here on the symbol means `known` in every op's fields: a rewrite has found out an extent
  /// that only a run was to tell, and the node that would have told it is gone.
  void learn(const std::string& symbol, Dim known) { learned_[symbol] = std::move(known); }
  Graph& graph() { return graph_; }  ///< for names, states and permutations
  const Graph& graph() const { return graph_; }
  /// Drops dead nodes (inputs stay), and gives the graph away.
  Graph finish();

 private:
  InferFn infer_;
  PureFn pure_;
  Graph graph_;
  std::unordered_multimap<uint64_t, int32_t> shared_;  // hash of (op, inputs) → node
  std::unordered_map<int64_t, int32_t> constants_;     // id → node
  std::map<std::string, Dim> learned_;
};

/// Copies `node` of an old graph into `builder`, its inputs mapped through `map` (old → new), and
/// records its outputs there.
void copy_node(GraphBuilder& builder, const Graph& old, int32_t node,
               std::map<ValueId, ValueId>& map);
/// What every pass does around its own walk: inputs first, then `visit(node)` for each live node in
/// order (which must fill `map` for all outputs that are used), then outputs, names and
/// permutations.
Graph rewrite_graph(
    const Graph& old, GraphBuilder builder,
    const std::function<void(GraphBuilder&, int32_t, std::map<ValueId, ValueId>&)>& visit);

}  // namespace vitrify
