#include <map>

#include "base/error.h"
#include "ops/table.h"
#include "passes/pipeline.h"

namespace vitrify {

namespace {
ValueId emit_step(GraphBuilder& b, const BodyStep& s, const std::vector<ValueId>& registers,
                  const Node& n) {
  auto arg = [&](int i) { return registers[size_t(s.args[i])]; };
  switch (s.code) {
    case BodyStep::Code::kUnary:
      return b.add(Unary{s.unary, s.alpha, s.beta}, {arg(0)}, n.origins);
    case BodyStep::Code::kBinary:
      return b.add(Binary{s.binary}, {arg(0), arg(1)}, n.origins);
    case BodyStep::Code::kSelect:
      return b.add(Select{}, {arg(0), arg(1), arg(2)}, n.origins);
    case BodyStep::Code::kCast:
      return b.add(Cast{s.dtype}, {arg(0)}, n.origins);
    default: {
      Tensor t(s.dtype, {});
      set_double(t, 0, s.alpha);
      return b.constant(std::move(t));
    }
  }
}

/// What the symbols of a region's graph mean outside.
class OuterDims {
 public:
  void learn(const Type& inner, const Type& outer) {
    if (!inner.has_rank() || !outer.has_rank() || inner.shape->size() != outer.shape->size())
      return;
    for (size_t a = 0; a < inner.shape->size(); ++a)
      if (const Dim& d = (*inner.shape)[a]; d.is_symbol())
        known_.emplace(d.symbol_name(), (*outer.shape)[a]);
  }
  Dim outer(const Dim& d) const {
    return d.substitute([&](const std::string& s) {
      auto at = known_.find(s);
      return at == known_.end() ? Dim::symbol(s) : at->second;
    });
  }

 private:
  std::map<std::string, Dim> known_;
};

std::vector<ValueId> emit_region(GraphBuilder& b, const Node& region,
                                 const std::vector<ValueId>& inputs) {
  const Graph& g = *region.op.as<Region>()->graph;
  std::map<ValueId, ValueId> map;
  OuterDims dims;
  for (size_t i = 0; i < g.inputs.size(); ++i) {
    map[g.inputs[i].value] = inputs[i];
    if (inputs[i].valid()) dims.learn(g.type(g.inputs[i].value), b.type(inputs[i]));
  }
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    const Node& node = g.nodes[n];
    if (node.op.is<Input>()) continue;
    if (node.op.is<Constant>()) {
      copy_node(b, g, int32_t(n), map);
      continue;
    }
    Op op = node.op;
    op.substitute_dims([&](const Dim& d) { return dims.outer(d); });
    std::vector<ValueId> arguments;
    for (ValueId v : node.inputs) arguments.push_back(v.valid() ? map.at(v) : ValueId{});
    const ValueId first =
        b.add(std::move(op), std::move(arguments),
              node.origins.empty() ? region.origins : node.origins, int(node.types.size()));
    for (int32_t o = 0; o < int32_t(node.types.size()); ++o) {
      map[{int32_t(n), o}] = {first.node, o};
      dims.learn(node.types[size_t(o)], b.type({first.node, o}));
    }
  }
  std::vector<ValueId> results;
  for (const auto& o : g.outputs) results.push_back(map.at(o.value));
  return results;
}
}  // namespace

std::vector<ValueId> emit_split(GraphBuilder& builder, const Node& node,
                                const std::vector<ValueId>& inputs) {
  if (node.op.is<Region>()) return emit_region(builder, node, inputs);
  const Body* body = node.op.body();
  if (!body || body->empty())
    return {builder.add(node.op, inputs, node.origins, int(node.types.size()), &node)};
  std::vector<ValueId> registers;
  if (node.op.is<Pointwise>()) {
    registers = inputs;
  } else {
    Op plain = node.op;
    *plain.body() = {};
    size_t own = inputs.size() - size_t(body->inputs - 1);
    registers.push_back(builder.add(std::move(plain),
                                    {inputs.begin(), inputs.begin() + std::ptrdiff_t(own)},
                                    node.origins, 1, &node));
    registers.insert(registers.end(), inputs.begin() + std::ptrdiff_t(own), inputs.end());
  }
  for (const BodyStep& s : body->steps) registers.push_back(emit_step(builder, s, registers, node));
  return {registers[size_t(body->results()[0])]};
}

Graph split_nodes(const Graph& graph, const std::function<bool(const Node&)>& wanted) {
  return rewrite_graph(graph, make_builder(&graph),
                       [&](GraphBuilder& b, int32_t index, std::map<ValueId, ValueId>& map) {
                         const Node& n = graph.nodes[size_t(index)];
                         if (!(n.op.body() || n.op.is<Region>()) || !wanted(n))
                           return copy_node(b, graph, index, map);
                         std::vector<ValueId> inputs;
                         for (ValueId v : n.inputs)
                           inputs.push_back(v.valid() ? map.at(v) : ValueId{});
                         const std::vector<ValueId> results = emit_split(b, n, inputs);
                         for (size_t o = 0; o < results.size(); ++o)
                           map[{index, int32_t(o)}] = results[o];
                       });
}

}  // namespace vitrify
