// fuse_regions: a convolution that only a pool reads becomes one Region with it, so that a tactic
// may pool bands of the convolution's rows while they are in cache. The region's inputs are those
// of the convolution, its weights among them, and what the pool's epilogue takes.
#include <algorithm>

#include "base/error.h"
#include "ops/table.h"
#include "passes/pipeline.h"

namespace vitrify {

namespace {

/// Types of a region's inputs in its own symbols: an extent that its inputs' bare symbols do not
/// give becomes a symbol.
class InnerTypes {
 public:
  Type inner(const Type& outer) {
    Shape shape;
    for (const Dim& d : *outer.shape) shape.push_back(inner(d));
    return Type::tensor(outer.dtype, std::move(shape));
  }

 private:
  Dim inner(const Dim& d) {
    if (d.is_constant()) return d;
    if (d.is_symbol()) bare_.insert(d.symbol_name());
    std::set<std::string> symbols;
    d.collect_symbols(symbols);
    if (std::includes(bare_.begin(), bare_.end(), symbols.begin(), symbols.end())) return d;
    auto [at, added] = named_.emplace(d, Dim());
    if (added) at->second = Dim::symbol(cat("region.d", named_.size() - 1));
    return at->second;
  }
  std::set<std::string> bare_;
  std::map<Dim, Dim> named_;
};

bool is_plain_f32(const GraphBuilder& b, ValueId v) {
  return v.valid() && b.type(v).has_rank() && b.type(v).dtype == DType::kFloat32;
}

/// A convolution and a pool over two spatial axes, the weights constant.
bool fits(const GraphBuilder& b, const Node& conv, const Node& pool) {
  if (!conv.op.is<Conv>() || pool.types.size() != 1 || conv.types.size() != 1) return false;
  for (const Node* n : {&conv, &pool}) {
    if (!(n->types[0].has_rank() && n->types[0].shape->size() == 4)) return false;
    for (ValueId v : n->inputs)
      if (!is_plain_f32(b, v)) return false;
  }
  return conv.inputs.size() >= 2 && b.constant_of(conv.inputs[1]) &&
         pool.op.as<Pool>()->kind != Pool::Kind::kLp;
}

GraphRef make_graph(const GraphBuilder& b, const Node& conv, const Node& pool) {
  GraphBuilder g = make_builder();
  InnerTypes types;
  auto take = [&](ValueId v) {
    return g.input(cat("x", g.graph().inputs.size()), types.inner(b.type(v)));
  };
  std::vector<ValueId> conv_inputs, pool_inputs;
  for (ValueId v : conv.inputs) conv_inputs.push_back(take(v));
  for (size_t i = 1; i < pool.inputs.size(); ++i) pool_inputs.push_back(take(pool.inputs[i]));
  pool_inputs.insert(pool_inputs.begin(), g.add(conv.op, conv_inputs, conv.origins));
  g.output("y", g.add(pool.op, pool_inputs, pool.origins));
  return std::make_shared<const Graph>(g.finish());
}

}  // namespace

Graph fuse_regions(const Graph& graph, const PassContext& context) {
  return rewrite_counted(
      graph, [&](GraphBuilder& b, int32_t index, std::map<ValueId, ValueId>& map, UseCounts& uses) {
        copy_node(b, graph, index, map);
        const ValueId v = map.at({index, 0});
        if (!b.node(v).op.is<Pool>()) return;
        const Node pool = b.node(v);
        const ValueId x = pool.inputs[0];
        if (!x.valid() || uses[x] != 1) return;
        const Node conv = b.node(x);
        if (!fits(b, conv, pool)) return;
        std::vector<ValueId> inputs = conv.inputs;
        inputs.insert(inputs.end(), pool.inputs.begin() + 1, pool.inputs.end());
        const std::vector<std::string> origins = origins_of(b, {x, v});
        const ValueId region = b.add(Region{make_graph(b, conv, pool)}, std::move(inputs), origins);
        if (!(b.type(region) == pool.types[0])) return;
        map[{index, 0}] = region;
        context.decide(cat(pool.op.label(), "(conv) -> region{conv, ", pool.op.label(), "}"),
                       origins, pool.types[0].str());
      });
}

}  // namespace vitrify
