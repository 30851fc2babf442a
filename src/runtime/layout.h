// Layout: what follows from a graph and its plan before shapes are known.
//
// Values are numbered flat (all outputs of node 0, then of node 1 …). A value is in one of the
// storages below, or an alias of its parent; roots are values that are nobody's alias.
#pragma once

#include <set>

#include "backend/tactic.h"
#include "runtime/plan.h"

namespace vitrify {

enum class Storage : uint8_t {
  kNone,      ///< nobody computes or reads it
  kArena,     ///< the context's arena
  kConstant,  ///< the engine's weights
  kInput,     ///< the caller's buffer
  kOutput,    ///< the context's buffer of a graph output
  kFact,      ///< small integers, written when the symbols in them are known
  kDynamic,   ///< allocated while running: sequences, strings, extents that only a run tells
};
std::string_view name(Storage storage);

struct Lifetime {
  int32_t first = INT32_MAX, last = -1;  ///< steps, inclusive
};

struct Layout {
  std::vector<int32_t> first_value;   ///< per node and one past the end: flat numbers
  std::vector<ValueId> values;        ///< flat number → value
  std::vector<Storage> storage;       ///< per value; of an alias: its root's
  std::vector<int32_t> parent, root;  ///< per value; parent -1: none; root: itself if no alias
  std::vector<int32_t> alias;         ///< per value: index into plan.aliases, or -1
  std::vector<Lifetime> lifetime;     ///< per root
  std::vector<int32_t> step_of;       ///< per node: its step, or -1
  std::vector<bool> late;             ///< per step: bound while running
  std::vector<int32_t> segments;      ///< first step of each segment
  std::vector<std::vector<int32_t>> release;  ///< per step: dynamic values that nobody reads later
  std::vector<int32_t> static_facts;          ///< kFact values known once inputs are bound
  std::vector<std::vector<int32_t>> late_facts;  ///< per segment: kFact values known when it starts
  std::vector<int32_t>
      output_root;  ///< per graph output: the root that is its buffer, or -1: copied
  std::vector<int32_t> output_of_root;  ///< per value: the other way round, or -1
  std::set<std::string> input_symbols;

  int32_t flat(ValueId v) const { return first_value[size_t(v.node)] + v.output; }
};

/// Nodes that have to run or give leaves so that the outputs and the symbols in them are known.
std::vector<bool> needed_nodes(const Graph& graph);
/// True for a node whose needed outputs are all known as facts (or a constant or input): it is no
/// step.
bool is_leaf(const Node& node);
/// Nodes that have to be steps, unless they are views or concats that aliases make vanish.
std::vector<int32_t> step_nodes(const Graph& graph);
/// True when `symbols` hold all symbols of a tensor type of known rank that a plain buffer can
/// hold (no strings).
bool is_plain(const Type& type, const std::set<std::string>& symbols);
std::set<std::string> input_symbols(const Graph& graph);
/// Symbols of a type, and of an op (its Dim fields and bodies).
void collect_symbols(const Type& type, std::set<std::string>& out);
void collect_symbols(const Op& op, std::set<std::string>& out);

/// True for ops whose result is input 0's bytes under other extents.
bool is_reshape(const Op& op);
/// The node's inputs and outputs as tactics see them; keeps what a NodeView refers to.
struct NodeInfo {
  NodeInfo(const Graph& graph, int32_t node);
  std::vector<Type> inputs;
  std::vector<const Tensor*> constants;
  std::vector<Fact> facts;
  const Node* node;
  NodeView view() const { return {node->op, inputs, node->types, constants, facts}; }
};

/// Checks every alias against the graph: that something allows it, and that no value is overwritten
/// while it is still read. `layout` has its first part (numbers, steps, parents) done. Throws a
/// user error.
void verify_aliases(const Graph& graph, const Plan& plan, const Layout& layout);

/// Throws a user error when the plan does not fit the graph: a missing or doubled step, an alias
/// that nothing allows.
Layout make_layout(const Graph& graph, const Plan& plan);

}  // namespace vitrify
