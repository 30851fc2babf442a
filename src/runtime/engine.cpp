#include "runtime/engine.h"

#include <algorithm>

#include "backend/backend.h"
#include "base/error.h"
#include "runtime/states.h"

namespace vitrify {
namespace {

std::span<const std::byte> blob_bytes(const Blob& blob, const EngineParts& parts) {
  if (blob.empty()) return {};
  require(blob.section >= 0 && size_t(blob.section) < parts.sections.size(),
          "the plan names a weight section that does not exist");
  const auto section = parts.sections[size_t(blob.section)];
  require(blob.offset >= 0 && blob.offset % kWeightAlignment == 0 && blob.bytes > 0 &&
              blob.bytes <= int64_t(section.size()) &&
              blob.offset <= int64_t(section.size()) - blob.bytes,
          "the plan names packed weights outside their section");
  return section.subspan(size_t(blob.offset), size_t(blob.bytes));
}

const Tactic* resolve(const Step& step, const Node& node) {
  if (step.is_reference()) return nullptr;
  const Tactic* tactic = find_tactic(step.tactic);
  if (!tactic) fail_unsupported("this build has no tactic '", step.tactic, "': rebuild the engine");
  if (tactic->version != step.version)
    fail_unsupported("the engine was built with version ", step.version, " of tactic '",
                     step.tactic, "', this build has version ", tactic->version,
                     ": rebuild the engine");
  require(tactic->op == node.op.name(), "tactic '", step.tactic, "' does not serve ",
          node.op.name());
  return tactic;
}

/// True for an operand that only `prepare` has read.
bool reads_packed(const Tactic* tactic, size_t input) {
  return tactic && input < 32 && (tactic->packed_inputs >> input & 1);
}

bool is_stripped(const Layout& layout, ValueId v, const EngineParts& parts) {
  if (!v.valid()) return false;
  const auto root = size_t(layout.root[size_t(layout.flat(v))]);
  const auto node = size_t(layout.values[root].node);
  return node < parts.stripped.size() && parts.stripped[node];
}

}  // namespace

std::shared_ptr<const Engine> Engine::body(const Graph& graph) const {
  for (const auto& [known, engine] : bodies_)
    if (known == &graph) return engine;
  return nullptr;
}

bool Engine::only_carries(const Node& node) const {
  const std::vector<GraphRef> bodies = node.op.graphs();
  return !bodies.empty() &&
         std::ranges::all_of(bodies, [&](const GraphRef& g) { return body(*g) != nullptr; });
}

int Engine::reference_steps(const Plan& plan) const {
  int count = 0;
  for (const Step& s : plan.steps) {
    const Node& node = graph_.nodes[size_t(s.node)];
    if (only_carries(node))
      for (const GraphRef& g : node.op.graphs()) count += body(*g)->reference_steps();
    else
      count += s.is_reference();
  }
  return count;
}

void Engine::load_plan(Plan plan, const EngineParts& parts) {
  LoadedPlan loaded;
  loaded.layout = make_layout(graph_, plan);
  for (const Step& step : plan.steps) {
    const Node& node = graph_.nodes[size_t(step.node)];
    const Tactic* tactic = resolve(step, node);
    TacticState state;
    if (tactic) {
      NodeInfo info(graph_, step.node);
      const Refusal refusal = tactic->supports(info.view());
      if (!refusal.empty())
        fail_unsupported("tactic '", step.tactic, "' does not run its step here: ", refusal);
      if (tactic->load) state = tactic->load(node.op, step.config, blob_bytes(step.packed, parts));
    }
    for (size_t i = 0; i < node.inputs.size(); ++i)
      require(reads_packed(tactic, i) || !is_stripped(loaded.layout, node.inputs[i], parts),
              "a step reads weights that the engine does not hold");
    loaded.tactics.push_back(tactic);
    loaded.states.push_back(std::move(state));
  }
  for (const auto& o : graph_.outputs)
    require(!is_stripped(loaded.layout, o.value, parts),
            "an output is a weight that the engine does not hold");
  loaded.plan = std::move(plan);
  plans_.push_back(std::move(loaded));
}

std::shared_ptr<const Engine> Engine::create(EngineParts parts) {
  Bodies bodies;
  for (BodyPlan& b : parts.bodies) {
    EngineParts inner;
    inner.graph = *b.graph;
    inner.plans.push_back(std::move(b.plan));
    inner.sections = parts.sections;
    inner.owner = parts.owner;
    bodies.emplace_back(b.graph.get(), load(std::move(inner), bodies));
  }
  return load(std::move(parts), std::move(bodies));
}

std::shared_ptr<Engine> Engine::load(EngineParts parts, Bodies bodies) {
  require(!parts.plans.empty(), "the engine has no plan");
  auto engine = std::shared_ptr<Engine>(new Engine);
  engine->bodies_ = std::move(bodies);
  engine->graph_ = std::move(parts.graph);
  check_states(engine->graph_);
  engine->owner_ = parts.owner;
  for (const auto& section : parts.sections) engine->weight_bytes_ += int64_t(section.size());
  engine->constants_.resize(engine->graph_.nodes.size());
  for (size_t n = 0; n < engine->graph_.nodes.size(); ++n) {
    auto* constant = engine->graph_.nodes[n].op.as<Constant>();
    if (!constant) continue;
    const bool stripped = n < parts.stripped.size() && parts.stripped[n];
    engine->constants_[n] = stripped ? constant->data->tensor : constant->data->tensor.aligned();
  }
  for (Plan& plan : parts.plans) engine->load_plan(std::move(plan), parts);
  return engine;
}

}  // namespace vitrify
