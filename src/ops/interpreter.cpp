#include "ops/interpreter.h"

#include <new>

#include "base/error.h"
#include "base/run_scope.h"
#include "ir/bools.h"
#include "ops/guards.h"
#include "ops/table.h"

namespace vitrify {

void bind_symbols(const Type& type, const Value& value, const std::string& what,
                  Bindings& bindings) {
  if (!value.has_value() || type.kind == Type::Kind::kNone) return;
  if (type.kind == Type::Kind::kOptional) return bind_symbols(*type.element, value, what, bindings);
  if (type.kind == Type::Kind::kSequence) {
    require(value.kind == Value::Kind::kSequence, what, " must be a sequence (", type.str(),
            "), not a tensor");
    return;
  }
  require(value.kind == Value::Kind::kTensor, what, " must be a tensor (", type.str(),
          "), not a sequence");
  const Tensor& t = value.tensor;
  require(t.dtype() == type.dtype, what, " must have element type ", name(type.dtype), ", not ",
          name(t.dtype()));
  if (!type.shape) return;
  require(t.dims().size() == type.shape->size(), what, " must have rank ", type.shape->size(), " (",
          type.str(), "), not shape ", str(t.dims()));
  auto lookup = [&](const std::string& symbol) -> int64_t {
    auto at = bindings.find(symbol);
    require(at != bindings.end(), what, ": the extent '", symbol, "' is not known yet");
    return at->second;
  };
  for (size_t a = 0; a < t.dims().size(); ++a) {
    const Dim& d = (*type.shape)[a];
    int64_t extent = t.dims()[a];
    if (d.is_symbol() && bindings.emplace(d.symbol_name(), extent).second) continue;
    std::set<std::string> symbols;
    d.collect_symbols(symbols);
    bool known = true;
    for (const auto& s : symbols) known &= bindings.count(s) > 0;
    if (!known) continue;
    int64_t expected = d.eval(lookup);
    require(expected == extent, what, " has extent ", extent, " on axis ", a, ", expected ",
            expected, d.is_constant() ? "" : " (" + d.str() + ")", " of ", type.str());
  }
}

void run_reference(const Node& node, std::span<const Value> inputs, std::span<Value> outputs,
                   const Bindings& bindings, const RunBody& run_body) {
  const OpInfo& info = op_info(node.op);
  if (auto* c = node.op.as<Constant>()) {
    outputs[0] = c->data->tensor.aligned();
    return;
  }
  CHECK(info.reference != nullptr);
  ReferenceCall call(node.op, inputs, outputs);
  call.symbols = [&](const std::string& symbol) -> int64_t {
    auto at = bindings.find(symbol);
    if (at == bindings.end()) fail_internal("no value for the symbol ", symbol);
    return at->second;
  };
  call.run_body = run_body ? run_body : [](const Graph& body, std::vector<Value> values) {
    return interpret_body(body, std::move(values));
  };
  try {
    info.reference(call);
  } catch (const Error& e) {
    if (!e.origin().empty() || node.origins.empty()) throw;
    throw Error(e.kind(), e.message(), node.origins.front());
  } catch (const std::bad_alloc&) {
    throw Error(ErrorKind::kUser, cat(node.op.label(), " needs more memory than there is"),
                node.origins.empty() ? "" : node.origins.front());
  }
}

namespace {
/// For every node, how many reads of its outputs are still to come (graph outputs never end).
std::vector<int> count_reads(const Graph& graph) {
  std::vector<int> reads(graph.nodes.size());
  for (const Node& n : graph.nodes)
    for (ValueId v : n.inputs)
      if (v.valid()) ++reads[size_t(v.node)];
  for (const auto& o : graph.outputs) ++reads[size_t(o.value.node)];
  return reads;
}

using OnNode = std::function<void(int32_t, std::span<const Value>)>;

std::vector<Value> run_nodes(const Graph& graph, std::vector<Value> inputs, Bindings bindings,
                             const OnNode& on_node, bool guards) {
  require(inputs.size() == graph.inputs.size(), "expected ", graph.inputs.size(), " inputs, got ",
          inputs.size());
  std::vector<std::vector<Value>> values(graph.nodes.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    ValueId v = graph.inputs[i].value;
    bind_symbols(graph.type(v), inputs[i], cat("input '", graph.inputs[i].name, "'"), bindings);
    values[size_t(v.node)] = {with_normal_bools(inputs[i])};
    inputs[i] = {};
  }
  std::vector<int> reads = count_reads(graph);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (node.op.is<Input>() || reads[n] == 0) continue;
    check_cancelled();
    std::vector<Value> arguments;
    for (ValueId v : node.inputs)
      arguments.push_back(v.valid() ? values[size_t(v.node)][size_t(v.output)] : Value());
    values[n].resize(node.types.size());
    if (guards) check_guards(graph, int32_t(n), bindings);
    run_reference(node, arguments, values[n], bindings);
    const std::string where = place_of(node);
    for (size_t o = 0; o < node.types.size(); ++o)
      bind_symbols(node.types[o], values[n][o], cat("the result of ", where), bindings);
    if (on_node) on_node(int32_t(n), values[n]);
    for (ValueId v : node.inputs)
      if (v.valid() && --reads[size_t(v.node)] == 0) values[size_t(v.node)].clear();
  }
  std::vector<Value> outputs;
  for (const auto& o : graph.outputs)
    outputs.push_back(values[size_t(o.value.node)][size_t(o.value.output)]);
  return outputs;
}

}  // namespace

std::vector<Value> interpret(const Graph& graph, std::vector<Value> inputs, Bindings bindings,
                             const OnNode& on_node) {
  return run_nodes(graph, std::move(inputs), std::move(bindings), on_node, true);
}

std::vector<Value> interpret(const Graph& graph, std::vector<Value> inputs) {
  return run_nodes(graph, std::move(inputs), {}, {}, true);
}

std::vector<Value> interpret_body(const Graph& graph, std::vector<Value> inputs) {
  return run_nodes(graph, std::move(inputs), {}, {}, false);
}

}  // namespace vitrify
