// fold_constants: a pure node whose inputs are constants becomes a constant that keeps its recipe;
// a small integer tensor that is known symbolically becomes a constant or a DimsValue.
#include "base/error.h"
#include "ops/interpreter.h"
#include "ops/table.h"
#include "passes/pipeline.h"

namespace vitrify {

namespace {

/// The node alone, over its constant inputs: how the derived constant was made.
GraphRef make_recipe(const Node& n, const Graph& graph) {
  GraphBuilder b = make_builder();
  std::vector<ValueId> inputs;
  for (ValueId v : n.inputs)
    inputs.push_back(v.valid() ? b.constant(graph.node(v).op.as<Constant>()->data) : ValueId{});
  b.output("y", b.add(n.op, std::move(inputs), n.origins));
  return std::make_shared<const Graph>(b.finish());
}

/// "mul(#3, conv1.weight) -> f32[8]": the recipe in words, sources by name or id.
std::string describe_recipe(const Node& n, const Graph& graph) {
  std::string sources;
  for (ValueId v : n.inputs) {
    const Constant* c = v.valid() ? graph.node(v).op.as<Constant>() : nullptr;
    sources += cat(sources.empty() ? "" : ", ", !c                      ? "-"
                                                : c->data->name.empty() ? cat("#", c->data->id)
                                                                        : c->data->name);
  }
  return cat(n.op.label(), "(", sources, ") -> ", n.types[0].str());
}

/// Large transposed weights wait: a matmul mostly reads them as they are, which saves the copy.
bool waits(const Graph& graph, const Node& n) {
  return n.op.is<Transpose>() && graph.constant(n.inputs[0]) &&
         graph.constant(n.inputs[0])->bytes() > (1u << 16);
}

bool foldable(const Graph& graph, const Node& n) {
  if (n.inputs.empty() || n.types.size() != 1 || !op_info(n.op).pure || !op_info(n.op).reference)
    return false;
  if (!n.types[0].is_static() || n.types[0].dtype == DType::kString) return false;
  for (ValueId v : n.inputs)
    if (v.valid() && !graph.constant(v)) return false;
  return n.op.graphs().empty();
}

/// Small results are always worth it; larger ones only while they do not outgrow their inputs by
/// much.
bool within_budget(const Graph& graph, const Node& n, int64_t* budget) {
  int64_t out = byte_size(n.types[0].dtype, element_count(n.types[0].dims())), in = 0;
  for (ValueId v : n.inputs)
    if (v.valid()) in += int64_t(graph.constant(v)->bytes());
  int64_t grown = out > in ? out - in : 0;
  if (grown > *budget) return false;
  *budget -= grown;
  return true;
}

/// What is known symbolically is a list of elements; the node's own extents go on top.
ValueId fold_fact(GraphBuilder& b, const Node& n) {
  const Type& type = n.types[0];
  std::vector<int64_t> numbers;
  for (const Dim& d : *n.facts[0]) {
    if (!d.is_constant()) {
      ValueId v = b.add(DimsValue{*n.facts[0], type.shape->empty()}, {}, n.origins);
      if (type.shape->size() > 1) v = b.add(Reshape{.shape = *type.shape}, {v}, n.origins);
      return type.dtype == DType::kInt64 ? v : b.add(Cast{type.dtype}, {v}, n.origins);
    }
    numbers.push_back(d.value());
  }
  Tensor t(type.dtype, type.dims());
  for (size_t i = 0; i < numbers.size(); ++i) set_int(t, int64_t(i), numbers[i]);
  return b.constant(std::move(t));
}

/// Already the form that `fold_fact` gives.
bool after_dims(const GraphBuilder& b, const Node& n) {
  return n.op.is<Reshape>() && b.node(n.inputs[0]).op.is<DimsValue>();
}

/// Whether the graph's inputs give values to all symbols of the fact. Those that only a run of some
/// other node tells ("?7" of a NonZero) must stay computed from that node, which would die else.
bool bound_by_inputs(const Graph& graph, const std::vector<Dim>& fact) {
  std::set<std::string> needed;
  for (const Dim& d : fact) d.collect_symbols(needed);
  for (size_t i = 0; i < graph.inputs.size() && !needed.empty(); ++i) {
    const Type& type = graph.type(graph.inputs[i].value);
    if (!type.has_rank()) continue;
    for (const Dim& d : *type.shape)
      if (d.is_symbol()) needed.erase(d.symbol_name());
  }
  return needed.empty();
}

bool has_fact(const GraphBuilder& b, const Node& n) {
  bool integer = n.types[0].dtype == DType::kInt64 || n.types[0].dtype == DType::kInt32;
  return n.types.size() == 1 && integer && n.facts[0] && bound_by_inputs(b.graph(), *n.facts[0]) &&
         n.types[0].is_static() &&
         element_count(n.types[0].dims()) == int64_t(n.facts[0]->size()) && !n.op.is<DimsValue>() &&
         !after_dims(b, n) && !(n.op.is<Cast>() && n.types[0].dtype == DType::kInt32);
}

}  // namespace

ConstantRef folded(GraphBuilder& b, const Node& n) {
  std::vector<Value> inputs;
  for (ValueId i : n.inputs)
    inputs.push_back(i.valid() ? Value(b.constant_of(i)->aligned()) : Value());
  std::vector<Value> outputs(1);
  run_reference(n, inputs, outputs, {});
  auto data = std::make_shared<ConstantData>();
  data->id = b.fresh_constant_id();
  data->tensor = outputs[0].tensor;
  data->recipe = make_recipe(n, b.graph());
  return data;
}

static Graph fold(const Graph& graph, const PassContext& context, bool early) {
  int64_t budget = context.fold_budget;
  return rewrite_graph(graph, make_builder(&graph),
                       [&](GraphBuilder& b, int32_t index, std::map<ValueId, ValueId>& map) {
                         copy_node(b, graph, index, map);
                         ValueId v = map.at({index, 0});
                         const Node n = b.node(v);
                         if (n.op.is<Constant>() || n.types.empty()) return;
                         if (has_fact(b, n)) {
                           map[{index, 0}] = fold_fact(b, n);
                           context.decide("known elements -> constant or extents", n.origins,
                                          cat(n.op.label(), " -> ", n.types[0].str()));
                           return;
                         }
                         if (early && waits(b.graph(), n)) return;
                         if (!foldable(b.graph(), n) || !within_budget(b.graph(), n, &budget))
                           return;
                         const ConstantRef constant = folded(b, n);
                         map[{index, 0}] = b.constant(constant);
                         context.decide(
                             "op(constants) -> constant", n.origins,
                             cat("#", constant->id, " = ", describe_recipe(n, b.graph())));
                       });
}

Graph fold_constants_early(const Graph& graph, const PassContext& context) {
  return fold(graph, context, true);
}
Graph fold_constants(const Graph& graph, const PassContext& context) {
  return fold(graph, context, false);
}

}  // namespace vitrify
