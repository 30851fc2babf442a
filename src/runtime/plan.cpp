#include "runtime/plan.h"

#include "base/error.h"

namespace vitrify {
namespace {

std::string value_text(ValueId v) {
  return v.output ? cat('%', v.node, '.', v.output) : cat('%', v.node);
}

std::string step_text(const Step& step, const Graph& graph) {
  const Node& node = graph.nodes[size_t(step.node)];
  std::string inputs;
  for (ValueId v : node.inputs)
    inputs += cat(inputs.empty() ? "" : ", ", v.valid() ? value_text(v) : "none");
  std::string types;
  for (const Type& t : node.types) types += (types.empty() ? "" : ", ") + t.str();
  return cat(value_text({step.node, 0}), " = ", node.op.label(), "(", inputs, ") : ", types, " on ",
             step.tactic, step.config.empty() ? "" : "{" + step.config + "}",
             step.packed.empty() ? "" : cat(" packed ", step.packed.bytes, " bytes"),
             node.origins.empty() ? "" : "  # " + node.origins.front(), "\n");
}

std::string alias_text(const Alias& a, const Graph& graph) {
  if (a.kind == Alias::Kind::kConcat)
    return cat(value_text(a.value), " written into ", value_text({a.node, 0}), " (input ", a.input,
               ")\n");
  return cat(value_text(a.value), a.kind == Alias::Kind::kView ? " is a view of " : " overwrites ",
             value_text(graph.node(a.value).inputs[size_t(a.input)]), "\n");
}

}  // namespace

std::string print(const Plan& plan, const Graph& graph) {
  std::string out;
  for (const Step& step : plan.steps) out += step_text(step, graph);
  for (const Alias& alias : plan.aliases) out += alias_text(alias, graph);
  return out;
}

}  // namespace vitrify
