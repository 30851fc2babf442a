#include "api/describe.h"

#include <algorithm>

#include "ir/value_name.h"

namespace vitrify::api {
namespace {

Json describe_range(const InputRange& range) {
  Json max = Json::array();
  for (int64_t d : range.max) max.push_back(d == INT64_MAX ? Json(nullptr) : Json(d));
  return {{"input", range.name}, {"min", range.min}, {"opt", range.opt}, {"max", max}};
}

/// The places of a node's planned bodies in the engine's list.
Json body_indices(const Engine::Bodies& bodies, const Node& node) {
  Json found = Json::array();
  for (const GraphRef& graph : node.op.graphs())
    for (size_t i = 0; i < bodies.size(); ++i)
      if (bodies[i].first == graph.get()) found.push_back(i);
  return found;
}

Json describe_step(const Engine& engine, const Engine::Bodies& bodies, const Step& step) {
  const Graph& graph = engine.graph();
  const Node& node = graph.nodes[size_t(step.node)];
  Json inputs = Json::array(), outputs = Json::array(), types = Json::array();
  for (ValueId v : node.inputs)
    inputs.push_back(v.valid() ? Json(value_name(graph, v)) : Json(nullptr));
  for (size_t o = 0; o < node.types.size(); ++o) {
    outputs.push_back(value_name(graph, {step.node, int32_t(o)}));
    types.push_back(node.types[o].str());
  }
  Json row = {{"name", value_name(graph, {step.node, 0})},
              {"op", node.op.name()},
              {"label", node.op.label()},
              {"tactic", shown_tactic(engine, node, step)},
              {"config", step.config},
              {"origin", node.origins},
              {"inputs", inputs},
              {"outputs", outputs},
              {"types", types},
              {"packed_bytes", step.packed.bytes}};
  if (Json planned = body_indices(bodies, node); !planned.empty()) row["bodies"] = planned;
  return row;
}

/// `bodies` are those of the whole engine; `engine` may be one of them.
Json describe_plan(const Engine& engine, const Engine::Bodies& bodies, const LoadedPlan& plan,
                   size_t index) {
  const Graph& graph = engine.graph();
  Json steps = Json::array(), aliases = Json::array(), dynamic = Json::array();
  for (const Step& step : plan.plan.steps) steps.push_back(describe_step(engine, bodies, step));
  constexpr const char* kKinds[] = {"view", "in_place", "concat"};
  for (const Alias& a : plan.plan.aliases)
    aliases.push_back(
        {{"value", value_name(graph, a.value)},
         {"kind", kKinds[size_t(a.kind)]},
         {"of", value_name(graph, a.kind == Alias::Kind::kConcat
                                      ? ValueId{a.node, 0}
                                      : graph.node(a.value).inputs[size_t(a.input)])}});
  for (size_t v = 0; v < plan.layout.values.size(); ++v)
    if (plan.layout.storage[v] == Storage::kDynamic)
      dynamic.push_back(value_name(graph, plan.layout.values[v]));
  return {{"index", index},
          {"profile", describe_profile(plan.plan.profile)},
          {"segments", plan.layout.segments.size() - 1},
          {"reference_steps", engine.reference_steps(plan.plan)},
          {"steps", steps},
          {"aliases", aliases},
          {"dynamic", dynamic}};
}

Json describe_body(const Engine::Bodies& bodies, size_t index) {
  const auto& [graph, engine] = bodies[index];
  Json plan = describe_plan(*engine, bodies, engine->plans().front(), index);
  return {{"index", index},
          {"graph", graph->name},
          {"reference_steps", plan["reference_steps"]},
          {"steps", plan["steps"]},
          {"aliases", plan["aliases"]},
          {"dynamic", plan["dynamic"]}};
}

}  // namespace

std::string shown_tactic(const Engine& engine, const Node& node, const Step& step) {
  return engine.only_carries(node) ? "planned bodies" : step.tactic;
}

Json describe_profile(const Profile& profile) {
  Json ranges = Json::array();
  for (const InputRange& r : profile.inputs) ranges.push_back(describe_range(r));
  return ranges;
}

Json describe_value(const std::string& name, const Type& type) {
  Json out = {{"name", name}, {"type", type.str()}};
  if (!type.is_tensor()) return out;
  out["dtype"] = vitrify::name(type.dtype);
  out["shape"] = nullptr;
  if (!type.shape) return out;
  out["shape"] = Json::array();
  for (const Dim& d : *type.shape)
    out["shape"].push_back(d.is_constant() ? Json(d.value()) : Json(d.str()));
  return out;
}

Json describe_engine(const Engine& engine) {
  const Graph& graph = engine.graph();
  Json inputs = Json::array(), outputs = Json::array(), plans = Json::array(),
       profiles = Json::array();
  for (const auto& i : graph.inputs) inputs.push_back(describe_value(i.name, graph.type(i.value)));
  for (const auto& o : graph.outputs)
    outputs.push_back(describe_value(o.name, graph.type(o.value)));
  Json states = Json::array();
  for (const StatePair& s : graph.states)
    states.push_back({{"input", s.input}, {"output", s.output}});
  for (const LoadedPlan& plan : engine.plans()) {
    plans.push_back(describe_plan(engine, engine.bodies(), plan, plans.size()));
    profiles.push_back(plans.back()["profile"]);
  }
  Json out = {{"inputs", inputs},
              {"outputs", outputs},
              {"states", states},
              {"profiles", profiles},
              {"weight_bytes", engine.weight_bytes()},
              {"reference_steps", engine.reference_steps()},
              {"steps", plans.front()["steps"]},
              {"aliases", plans.front()["aliases"]},
              {"dynamic", plans.front()["dynamic"]},
              {"segments", plans.front()["segments"]}};
  out["plans"] = std::move(plans);
  out["bodies"] = Json::array();
  for (size_t i = 0; i < engine.bodies().size(); ++i)
    out["bodies"].push_back(describe_body(engine.bodies(), i));
  return out;
}

std::string to_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace vitrify::api
