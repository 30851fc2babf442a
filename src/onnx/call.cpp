// Calls of local functions, replaced by the function's body.
#include "onnx/scope.h"

namespace vitrify::onnx {

using Scope = NodeContext::Scope;

namespace {

void bind_arguments(NodeContext& call, const Function& function, Scope& body) {
  require(call.inputs().size() <= function.inputs.size(), "calls '", function.name, "' with ",
          call.inputs().size(), " inputs; it has ", function.inputs.size());
  require(call.node().outputs.size() <= function.outputs.size(), "wants ",
          call.node().outputs.size(), " outputs of '", function.name, "'; it has ",
          function.outputs.size());
  for (size_t i = 0; i < function.inputs.size(); ++i) {
    Binding argument{call.optional_in(int(i))};
    require(body.names.emplace(function.inputs[i], argument).second, "function '", function.name,
            "' has two inputs '", function.inputs[i], "'");
  }
  for (const Attribute& a : function.attribute_defaults)
    body.attributes[std::string(a.name)] = {&a, &body};
  for (const Attribute& a : call.node().attributes)
    if (FoundAttribute given = call.scope_->attribute(call.node(), a.name); given.attribute)
      body.attributes[std::string(a.name)] = given;
}

}  // namespace

void import_call(NodeContext& call, const Function& function) {
  Scope& here = *call.scope_;
  require(here.call_depth < kMaxCallDepth, "function calls are nested deeper than ", kMaxCallDepth);
  for (const Scope* s = &here; s; s = s->caller)
    require(s->function != &function, "the function '", function.name, "' calls itself");
  Opsets opsets = read_opsets(function.opset_imports, cat("function '", function.name, "'"));
  Scope body;
  body.session = here.session;
  body.state = here.state;
  body.caller = &here;
  body.opsets = &opsets;
  body.function = &function;
  body.path = nested_path(call.origin_);
  body.graph_depth = here.graph_depth;
  body.call_depth = here.call_depth + 1;
  bind_arguments(call, function, body);
  import_nodes(body, function.nodes);
  std::vector<ValueId> results;
  for (std::string_view name : function.outputs) results.push_back(body.need(name, "output"));
  call.outputs(std::move(results));
}

}  // namespace vitrify::onnx
