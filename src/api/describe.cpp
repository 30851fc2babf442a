#include "api/describe.h"

#include "ir/value_name.h"

namespace vitrify::api {
namespace {

Json describe_range(const InputRange& range) {
  Json max = Json::array();
  for (int64_t d : range.max) max.push_back(d == INT64_MAX ? Json(nullptr) : Json(d));
  return {{"input", range.name}, {"min", range.min}, {"opt", range.opt}, {"max", max}};
}

Json describe_step(const Graph& graph, const LoadedPlan& plan, size_t s) {
  const Step& step = plan.plan.steps[s];
  const Node& node = graph.nodes[size_t(step.node)];
  Json inputs = Json::array(), outputs = Json::array(), types = Json::array();
  for (ValueId v : node.inputs)
    inputs.push_back(v.valid() ? Json(value_name(graph, v)) : Json(nullptr));
  for (size_t o = 0; o < node.types.size(); ++o) {
    outputs.push_back(value_name(graph, {step.node, int32_t(o)}));
    types.push_back(node.types[o].str());
  }
  return {{"name", value_name(graph, {step.node, 0})},
          {"op", node.op.name()},
          {"label", node.op.label()},
          {"tactic", step.tactic},
          {"config", step.config},
          {"origin", node.origins},
          {"inputs", inputs},
          {"outputs", outputs},
          {"types", types},
          {"packed_bytes", step.packed.bytes}};
}

Json describe_plan(const Engine& engine, const LoadedPlan& plan, size_t index) {
  const Graph& graph = engine.graph();
  Json steps = Json::array(), aliases = Json::array(), dynamic = Json::array();
  for (size_t s = 0; s < plan.plan.steps.size(); ++s)
    steps.push_back(describe_step(graph, plan, s));
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
          {"steps", steps},
          {"aliases", aliases},
          {"dynamic", dynamic}};
}

}  // namespace

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
    plans.push_back(describe_plan(engine, plan, plans.size()));
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
  for (const auto& [body, planned] : engine.bodies())
    out["bodies"].push_back(
        {{"graph", body->name},
         {"steps", describe_plan(*planned, planned->plans().front(), 0)["steps"]}});
  return out;
}

std::string to_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace vitrify::api
