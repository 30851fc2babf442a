#include "passes/pipeline.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/knobs.h"
#include "passes/explain_changes.h"

namespace vitrify {

namespace {
constexpr PassRow kPasses[] = {
    {"fold_constants", fold_constants_early,
     "computes what depends on constants alone, within a size budget"},
    {"simplify", simplify,
     "removes identities and merges neighbours that undo or repeat each other"},
    {"recognize_activations", recognize_activations,
     "finds SiLU, GELU, hard-swish, clip … in their pieces"},
    {"recognize_norms", recognize_norms, "finds layer norm, RMS norm and softmax in their pieces"},
    {"push_transposes", push_transposes,
     "moves transposes through the graph until they cancel: channels-last inside"},
    {"fold_aligned_constants", fold_constants_early,
     "computes the constants that transposes were pushed into"},
    {"fold_affine", fold_affine, "folds per-channel scales and shifts (batch norm) into weights"},
    {"merge_siblings", merge_siblings, "adds up convolutions of the same input into one"},
    {"recognize_attention", recognize_attention,
     "finds scaled dot-product attention in its pieces"},
    {"widen_halves", widen_halves,
     "computes in f32 what the model has in f16 and bf16, where those have no fast kernels"},
    {"fold_affine_again", fold_affine, "folds the scales of what was widened"},
    {"fold_constants_again", fold_constants, "computes what the rewrites made constant"},
    {"simplify_again", simplify, "cleans up after the rewrites"},
    {"fuse_epilogues", fuse_epilogues,
     "runs bias, activation and residual on the result tile of the op before"},
    {"fuse_regions", fuse_regions, "runs a convolution and the pool that reads it as one step"},
    {"fuse_pointwise", fuse_pointwise, "runs chains of pointwise ops as one loop"},
};

std::string list_passes() {
  std::string names;
  for (const PassRow& row : kPasses) names += cat(row.name, ", ");
  return cat(names, kAddAliases);
}

bool is_rule(const std::string& name) {
  for (auto rules : {simplify_rules(), activation_rules(), norm_rules(), affine_rules(),
                     sibling_rules(), attention_rules()})
    for (const Rule& rule : rules)
      if (is_named(rule, name)) return true;
  return false;
}

bool has_name(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void check_pass_name(const std::string& name) {
  require(is_pass(name), "there is no pass '", name, "' to leave out: the passes are ",
          list_passes());
}
void check_rule_name(const std::string& name) {
  require(is_rule(name) || name.find(" -> ") != std::string::npos, "there is no rule or pass '",
          name,
          "' to leave out: rules are named as `vitrify build --explain` names them, the passes "
          "are ",
          list_passes());
}

/// Checks the names, and adds those of the variable.
void add_names(Knob which, void (*check)(const std::string&), std::vector<std::string>& names) {
  for (const std::string& name : names) check(name);
  for (std::string& name : knob_list(which)) {
    try {
      check(name);
    } catch (const Error& e) {
      throw Error(e.kind(), e.message(), std::string(knob_table()[size_t(which)].name));
    }
    names.push_back(std::move(name));
  }
}
}  // namespace

PipelineOptions with_knobs(PipelineOptions options) {
  add_names(Knob::kDisablePasses, check_pass_name, options.disabled_passes);
  add_names(Knob::kDisableRules, check_rule_name, options.disabled_rules);
  return options;
}

void check_left_out(const PipelineOptions& options, const Trace& trace) {
  if (!options.enabled) return;
  for (const std::string& name : options.disabled_rules) {
    if (is_rule(name)) continue;
    const Decision* kept = nullptr;
    bool left_out = false;
    for (const Decision& d : trace) {
      if (d.rule != name) continue;
      d.effect == kLeftOut ? void(left_out = true) : void(kept = &d);
    }
    if (kept) fail("'", name, "' is a decision of '", kept->pass, "', which cannot be left out");
    require(left_out, "there is no rule '", name,
            "' to leave out, nor does a pass decide so in this model: rules are named as `vitrify "
            "build --explain` names them");
  }
}

std::span<const PassRow> pass_table() { return kPasses; }

bool is_pass(std::string_view name) {
  return name == kAddAliases ||
         std::ranges::any_of(kPasses, [&](const PassRow& row) { return row.name == name; });
}

Graph run_pass(const PassRow& row, const Graph& graph, const PipelineOptions& options) {
  Trace own;
  Trace& trace = options.trace ? *options.trace : own;
  const bool traces = options.trace || !options.disabled_rules.empty();
  const size_t first = trace.size();
  Graph after =
      row.run(graph, {std::string(row.name), traces ? &trace : nullptr, options.disabled_rules,
                      options.fold_budget, options.computing_types});
  if (!traces) return after;
  explain_changes(graph, after, row.name, trace, first);
  Trace left;
  for (size_t i = first; i < trace.size(); ++i) {
    const Decision& d = trace[i];
    if (has_name(options.disabled_rules, d.rule) && d.effect != kLeftOut &&
        std::ranges::none_of(left, [&](const Decision& l) { return l.rule == d.rule; }))
      left.push_back({d.pass, d.rule, d.where, std::string(kLeftOut)});
  }
  if (left.empty()) return after;
  trace.resize(first);
  trace.insert(trace.end(), left.begin(), left.end());
  return graph;
}

Graph run_pipeline(Graph graph, const PipelineOptions& given) {
  const PipelineOptions options = with_knobs(given);
  if (options.after) options.after("imported", graph, 0);
  if (!options.enabled) return graph;
  for (const PassRow& row : kPasses) {
    if (has_name(options.disabled_passes, std::string(row.name))) continue;
    auto start = std::chrono::steady_clock::now();
    graph = run_pass(row, graph, options);
    std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
    if (options.after) options.after(row.name, graph, elapsed.count());
  }
  return graph;
}

}  // namespace vitrify
