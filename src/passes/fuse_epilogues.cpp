// fuse_epilogues: a pointwise op on the result of a contraction, pool, reduction or norm that
// nobody else reads becomes a step of that op's epilogue Body.
#include <algorithm>

#include "base/error.h"
#include "ops/table.h"
#include "passes/body_builder.h"
#include "passes/pipeline.h"

namespace vitrify {

namespace {

constexpr size_t kMaxSteps = 32, kMaxOperands = 8;

/// Own inputs of an op, before its epilogue operands.
size_t own_inputs(const Node& n) {
  const Body* body = n.op.body();
  return n.inputs.size() - (body->empty() ? 0 : size_t(body->inputs - 1));
}

bool takes_epilogue(const Node& n) {
  return n.op.body() && !n.op.is<Pointwise>() && n.types.size() == 1 &&
         n.types[0].dtype == DType::kFloat32;
}

/// The input of the pointwise node `n` to fuse into, or -1: fusable, read once, of the result's
/// shape; the last one computed, so that the other operands are ready when it runs.
int find_producer(const GraphBuilder& b, const Node& n, const UseCounts& uses) {
  int best = -1;
  for (size_t i = 0; i < n.inputs.size(); ++i) {
    ValueId v = n.inputs[i];
    if (!v.valid() || uses[v] != 1 || !takes_epilogue(b.node(v)) ||
        !(b.type(v).shape == n.types[0].shape))
      continue;
    if (std::count(n.inputs.begin(), n.inputs.end(), v) != 1) continue;
    if (best < 0 || v.node > n.inputs[size_t(best)].node) best = int(i);
  }
  return best;
}

}  // namespace

Graph fuse_epilogues(const Graph& graph, const PassContext& context) {
  return rewrite_counted(
      graph, [&](GraphBuilder& b, int32_t index, std::map<ValueId, ValueId>& map, UseCounts& uses) {
        copy_node(b, graph, index, map);
        ValueId v = map.at({index, 0});
        const Node n = b.node(v);
        if (!is_body_step(n, b)) return;
        int at = find_producer(b, n, uses);
        if (at < 0) return;
        const Node producer = b.node(n.inputs[size_t(at)]);
        Op fused = producer.op;
        size_t own = own_inputs(producer);
        std::vector<ValueId> operands(producer.inputs.begin() + std::ptrdiff_t(own),
                                      producer.inputs.end());
        BodyBuilder body = BodyBuilder::epilogue(b, *fused.body(), operands);
        BodyBuilder::Ref result = body.append(n, {{n.inputs[size_t(at)], body.last()}});
        if (result != body.last())
          return;  // the step was there already: the result is not the newest
        if (body.step_count() > kMaxSteps || body.operands().size() > kMaxOperands) return;
        *fused.body() = body.body();
        std::vector<ValueId> inputs(producer.inputs.begin(),
                                    producer.inputs.begin() + std::ptrdiff_t(own));
        for (ValueId o : body.operands()) inputs.push_back(o);
        std::vector<std::string> origins = origins_of(b, {n.inputs[size_t(at)], v});
        map[{index, 0}] = b.add(std::move(fused), std::move(inputs), origins);
        context.decide(cat(n.op.label(), "(", producer.op.label(), ") -> ", producer.op.label(),
                           "{", n.op.label(), "}"),
                       origins, n.types[0].str());
      });
}

}  // namespace vitrify
