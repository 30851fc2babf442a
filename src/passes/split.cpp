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
}  // namespace

ValueId emit_split(GraphBuilder& builder, const Node& node, const std::vector<ValueId>& inputs) {
  const Body* body = node.op.body();
  if (!body || body->empty())
    return builder.add(node.op, inputs, node.origins, int(node.types.size()), &node);
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
  return registers[size_t(body->results()[0])];
}

Graph split_nodes(const Graph& graph, const std::function<bool(const Node&)>& wanted) {
  return rewrite_graph(graph, make_builder(&graph),
                       [&](GraphBuilder& b, int32_t index, std::map<ValueId, ValueId>& map) {
                         const Node& n = graph.nodes[size_t(index)];
                         if (!n.op.body() || !wanted(n)) return copy_node(b, graph, index, map);
                         std::vector<ValueId> inputs;
                         for (ValueId v : n.inputs)
                           inputs.push_back(v.valid() ? map.at(v) : ValueId{});
                         map[{index, 0}] = emit_split(b, n, inputs);
                       });
}

}  // namespace vitrify
