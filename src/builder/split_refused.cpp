// Fused nodes that no fast tactic runs are taken apart again.
#include <algorithm>
#include <set>

#include "backend/backend.h"
#include "builder/parts.h"

namespace vitrify {

namespace {

/// True when some fast tactic runs the node.
bool has_tactic(const Graph& graph, int32_t node) {
  NodeInfo info(graph, node);
  for (const Tactic* tactic : tactics_for(graph.nodes[size_t(node)].op.name()))
    if (tactic->supports(info.view()).empty()) return true;
  return false;
}

}  // namespace

Graph split_refused(Graph graph, BuildReport& report, const PipelineOptions& options) {
  std::set<const Node*> refused;
  for (int32_t n : step_nodes(graph)) {
    const Node& node = graph.nodes[size_t(n)];
    const Body* body = node.op.body();
    if (!body || body->empty() || node.op.is<Pointwise>() || has_tactic(graph, n)) continue;
    refused.insert(&node);
    report.decisions.push_back(
        {"split_refused", "no fast tactic runs the fused node", node.origins, node.op.label()});
  }
  if (refused.empty()) return graph;
  const Graph split = split_nodes(graph, [&](const Node& n) { return refused.count(&n) > 0; });
  PassContext context{"fuse_pointwise", &report.decisions, options.disabled_rules,
                      options.fold_budget};
  const bool fuses = options.enabled && std::ranges::find(options.disabled_passes, context.pass) ==
                                            options.disabled_passes.end();
  return fuses ? fuse_pointwise(split, context) : split;
}

}  // namespace vitrify
