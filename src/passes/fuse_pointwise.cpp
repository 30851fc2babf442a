// fuse_pointwise: chains and trees of pointwise ops that nobody else reads become one Pointwise,
// whose Body runs over vectors while they are in registers.
#include <algorithm>

#include "base/error.h"
#include "ops/table.h"
#include "passes/body_builder.h"
#include "passes/pipeline.h"

namespace vitrify {

namespace {

constexpr size_t kMaxSteps = 48, kMaxOperands = 12;

/// A producer is taken in when it has the result's own shape: a smaller one would be computed again
/// for every element that it is broadcast to.
bool worth_inlining(const GraphBuilder& b, ValueId v, const Node& n, const UseCounts& uses) {
  if (!v.valid() || uses[v] != 1) return false;
  const Node& p = b.node(v);
  if (!p.op.is<Constant>() && p.types.size() == 1 && p.types[0].shape == n.types[0].shape) {
    if (is_body_step(p, b)) return true;
    // A comparison of floats feeding a Select.
    auto* c = p.op.as<Binary>();
    return c && is_comparison(c->kind) && b.type(p.inputs[0]).dtype == DType::kFloat32;
  }
  return false;
}

}  // namespace

Graph fuse_pointwise(const Graph& graph, const PassContext& context) {
  return rewrite_counted(
      graph, [&](GraphBuilder& b, int32_t index, std::map<ValueId, ValueId>& map, UseCounts& uses) {
        copy_node(b, graph, index, map);
        ValueId v = map.at({index, 0});
        const Node n = b.node(v);
        if (!is_body_step(n, b)) return;
        BodyBuilder body(b);
        std::map<ValueId, BodyBuilder::Ref> known;
        std::vector<ValueId> nodes{v};
        for (ValueId i : n.inputs) {
          if (known.count(i) || !worth_inlining(b, i, n, uses)) continue;
          known[i] = body.append(b.node(i), {});
          nodes.push_back(i);
        }
        if (known.empty()) return;
        BodyBuilder::Ref result = body.append(n, known);
        bool fits = body.step_count() <= kMaxSteps && body.operands().size() <= kMaxOperands &&
                    !body.operands().empty();
        if (!fits || result != body.last()) return;
        std::vector<std::string> origins = origins_of(b, nodes);
        ValueId fused = b.add(Pointwise{body.body()}, body.operands(), origins);
        // Scalars that were inlined no longer take part in broadcasting; the shape must not depend
        // on them.
        if (!(b.type(fused) == n.types[0])) return;
        map[{index, 0}] = fused;
        context.decide(cat(n.op.label(), "(…) -> pointwise"), origins,
                       cat(body.step_count(), " steps"));
      });
}

}  // namespace vitrify
