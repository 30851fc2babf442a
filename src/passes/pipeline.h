// The passes in order. Each is a function Graph → Graph in its own file; the runner times it,
// traces it, and leaves it out when its name is disabled.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "rewrite/rewriter.h"

namespace vitrify {

struct PassRow {
  std::string_view name;  ///< a verb phrase: "fold_constants"
  Graph (*run)(const Graph&, const PassContext&);
  std::string_view about;  ///< one line for --help and docs
};
std::span<const PassRow> pass_table();
/// Whether something of that name can be left out whole.
bool is_pass(std::string_view name);
/// What the builder does after the passes, and is switched off as they are.
inline constexpr std::string_view kAddAliases = "add_aliases";

struct PipelineOptions {
  bool enabled = true;  ///< false: the graph stays as imported
  /// Rules by name or left-hand side. A name of another decision ("conv, relu -> conv{relu}")
  /// leaves out what decides so: the pass, of aliases the alias.
  std::vector<std::string> disabled_passes, disabled_rules;
  int64_t fold_budget = int64_t{64} << 20;              ///< bytes
  std::vector<DType> computing_types{DType::kFloat32};  ///< as PassContext has them
  Trace* trace = nullptr;
  /// Called after every pass ("imported" first): for `inspect --graph STAGE` and timing.
  std::function<void(std::string_view pass, const Graph&, double milliseconds)> after;
};

/// With what the environment switches off. Throws a user error on names that nothing has; whether
/// some decision has a name with an arrow that is no rule's, only the decisions tell.
PipelineOptions with_knobs(PipelineOptions options);
/// Throws a user error when such a name is of no decision that was left out, or only of decisions
/// that cannot be.
void check_left_out(const PipelineOptions& options, const Trace& trace);

Graph run_pipeline(Graph graph, const PipelineOptions& options);
/// Runs one pass, and adds to the trace what it changed without a decision of its own.
Graph run_pass(const PassRow& row, const Graph& graph, const PipelineOptions& options);

// The passes.
Graph fold_constants_early(const Graph&, const PassContext&);   // fold_constants.cpp
Graph fold_constants(const Graph&, const PassContext&);         // fold_constants.cpp
Graph simplify(const Graph&, const PassContext&);               // simplify.cpp
Graph recognize_activations(const Graph&, const PassContext&);  // recognize_activations.cpp
Graph recognize_norms(const Graph&, const PassContext&);        // recognize_norms.cpp
Graph recognize_attention(const Graph&, const PassContext&);    // recognize_attention.cpp
Graph fold_affine(const Graph&, const PassContext&);            // fold_affine.cpp
Graph merge_siblings(const Graph&, const PassContext&);         // merge_siblings.cpp
Graph widen_halves(const Graph&, const PassContext&);           // widen_halves.cpp
Graph push_transposes(const Graph&, const PassContext&);        // push_transposes.cpp
Graph fuse_epilogues(const Graph&, const PassContext&);         // fuse_epilogues.cpp
Graph fuse_regions(const Graph&, const PassContext&);           // fuse_regions.cpp
Graph fuse_pointwise(const Graph&, const PassContext&);         // fuse_pointwise.cpp

// The rules of the rule-driven passes, for the rule tester.
std::span<const Rule> simplify_rules();
std::span<const Rule> activation_rules();
std::span<const Rule> norm_rules();
std::span<const Rule> affine_rules();
std::span<const Rule> sibling_rules();
std::span<const Rule> attention_rules();

/// The result of a pure node whose inputs are constants, as a constant that keeps its recipe.
ConstantRef folded(GraphBuilder& builder, const Node& node);  // fold_constants.cpp
/// The plain nodes that a node with a body, or the nodes that a region, stands for; returns the
/// values of its outputs (of a body: output 0). Other ops are copied.
std::vector<ValueId> emit_split(GraphBuilder& builder, const Node& node,
                                const std::vector<ValueId>& inputs);  // split.cpp
/// Splits every fused node for which `wanted` holds: used when no fast tactic takes it, or its
/// parts are faster.
Graph split_nodes(const Graph& graph, const std::function<bool(const Node&)>& wanted);

}  // namespace vitrify
