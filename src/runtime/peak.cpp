#include "runtime/peak.h"

#include <algorithm>

namespace vitrify {
namespace {

/// Bytes and values that come into use at a step, less those that are no longer.
struct Change {
  int64_t bytes = 0, values = 0;
};

std::vector<Change> changes(const Engine& engine, const LoadedPlan& plan, const Binding& binding) {
  const Layout& layout = plan.layout;
  std::vector<Change> at(binding.steps.size() + 2);
  auto use = [&](int32_t first, int32_t last, int64_t bytes, int values) {
    const auto from = size_t(std::clamp<int32_t>(first, 0, int32_t(binding.steps.size())));
    const auto to = size_t(std::clamp<int32_t>(last, int32_t(from), int32_t(binding.steps.size())));
    at[from].bytes += bytes, at[from].values += values;
    at[to + 1].bytes -= bytes, at[to + 1].values -= values;
  };
  for (size_t v = 0; v < binding.values.size(); ++v)
    if (layout.storage[v] == Storage::kArena && layout.root[v] == int32_t(v))
      use(layout.lifetime[v].first, layout.lifetime[v].last,
          byte_size(engine.graph().type(layout.values[v]).dtype,
                    element_count(binding.values[v].dims)),
          1);
  for (size_t s = 0; s < binding.steps.size(); ++s)
    if (!layout.late[s]) use(int32_t(s), int32_t(s), binding.steps[s].workspace, 0);
  return at;
}

}  // namespace

Claim claim_of_arena(const Engine& engine, const LoadedPlan& plan, const Binding& binding) {
  Change now, most;
  size_t peak = 0;
  const std::vector<Change> at = changes(engine, plan, binding);
  for (size_t s = 0; s < binding.steps.size(); ++s) {
    now.bytes += at[s].bytes, now.values += at[s].values;
    if (now.bytes > most.bytes) most = now, peak = s;
  }
  if (binding.steps.empty()) return {"", "no step needs them"};
  const Node& node = engine.graph().nodes[size_t(plan.plan.steps[peak].node)];
  return {place_of(node), cat("most is in use at '", place_of(node), "' (", node.op.label(), "): ",
                              most.bytes, " bytes, of ", most.values, " values and its workspace")};
}

Claim claim_of_output(const Graph& graph, size_t output) {
  return {place_of(graph.node(graph.outputs[output].value)),
          cat("they are for output '", graph.outputs[output].name, "'")};
}

}  // namespace vitrify
