// Fused nodes that no fast tactic runs are taken apart again.
#include <algorithm>
#include <set>

#include "base/error.h"
#include "builder/parts.h"

namespace vitrify {

Graph split_refused(Graph graph, BuildReport& report, const PipelineOptions& options) {
  std::set<const Node*> refused;
  for (int32_t n : step_nodes(graph)) {
    const Node& node = graph.nodes[size_t(n)];
    const Body* body = node.op.body();
    if (!body || body->empty() || node.op.is<Pointwise>() || !able_tactics(graph, n).empty())
      continue;
    refused.insert(&node);
    report.decisions.push_back({"split_refused", "fused -> parts", node.origins,
                                cat("no fast tactic runs ", node.op.label())});
  }
  if (refused.empty()) return graph;
  const Graph split = split_nodes(graph, [&](const Node& n) { return refused.count(&n) > 0; });
  if (!options.enabled || std::ranges::count(options.disabled_passes, "fuse_pointwise") > 0)
    return split;
  return run_pass({"fuse_pointwise", fuse_pointwise, {}}, split, options);
}

}  // namespace vitrify
