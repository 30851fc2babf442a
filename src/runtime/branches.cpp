// If over planned bodies, where all extents follow from the inputs: the bodies read the operands
// where they lie, and what they give is copied home. Nothing is allocated once both are bound.
#include <cstring>

#include "base/error.h"
#include "runtime/context.h"

namespace vitrify {
namespace {

/// Inputs of an If that one of its bodies reads.
struct Captures {
  GraphRef body;
  size_t first, count;
};
Captures captures_of(const Node& node, bool then) {
  const If& op = *node.op.as<If>();
  const auto thens = size_t(op.then_captures), all = node.inputs.size() - 1;
  return then ? Captures{op.then_graph, 1, thens} : Captures{op.else_graph, 1 + thens, all - thens};
}

}  // namespace

Context& Context::body_context(const Graph& body, std::shared_ptr<const Engine> engine) {
  std::unique_ptr<Context>& context = bodies_[&body];
  if (!context) {
    ContextOptions options = options_;
    options.account = account_;
    context = std::make_unique<Context>(std::move(engine), options);
  }
  return *context;
}

namespace {
/// True when both bodies are planned and take the operands as plain tensors.
bool lends(const Engine& engine, const Node& node) {
  for (bool then : {true, false}) {
    const Captures captures = captures_of(node, then);
    if (!engine.body(*captures.body)) return false;
    for (size_t i = 0; i < captures.count; ++i) {
      const ValueId v = node.inputs[captures.first + i];
      const Type& taken = captures.body->type(captures.body->inputs[i].value);
      if (!v.valid() || !taken.is_tensor() || taken.dtype != engine.graph().type(v).dtype)
        return false;
    }
  }
  return true;
}
}  // namespace

/// The operands of every If as its bodies get them: none for whole inputs, whose data may be others
/// in every run, and a buffer of their own for views of inputs.
void Context::lend_operands(const LoadedPlan& plan, Binding& binding) const {
  const Graph& graph = engine_->graph();
  const Layout& layout = plan.layout;
  for (size_t s = 0; s < binding.steps.size(); ++s) {
    const Node& node = graph.nodes[size_t(plan.plan.steps[s].node)];
    if (!node.op.is<If>() || plan.tactics[s] || layout.late[s] || !lends(*engine_, node)) continue;
    std::vector<Value>& lent = binding.steps[s].lent;
    lent.assign(node.inputs.size(), {});
    for (size_t i = 0; i < lent.size(); ++i) {
      const int32_t v = layout.flat(node.inputs[i]);
      const bool of_input = layout.storage[size_t(v)] == Storage::kInput;
      if (of_input && layout.parent[size_t(v)] < 0) continue;
      const DType dtype = graph.type(node.inputs[i]).dtype;
      const Dims& dims = binding.values[size_t(v)].dims;
      lent[i] =
          of_input ? Tensor(dtype, dims) : Tensor::view(dtype, dims, pointer(plan, binding, v));
    }
  }
}

/// The context of one body of step s, with its inputs.
Context& Context::enter_branch(size_t s, bool then) {
  const Node& node = engine_->graph().nodes[size_t(active_plan_->plan.steps[s].node)];
  const Captures captures = captures_of(node, then);
  Context& context = body_context(*captures.body, engine_->body(*captures.body));
  CHECK(context.inputs_.size() == captures.count);
  for (size_t i = 0; i < captures.count; ++i) {
    const ValueId id = node.inputs[captures.first + i];
    const int32_t v = active_plan_->layout.flat(id);
    Value& lent = active_->steps[s].lent[captures.first + i];
    const bool own = active_plan_->layout.storage[size_t(v)] == Storage::kInput && lent.has_value();
    if (own && lent.tensor.bytes()) std::memcpy(lent.tensor.raw(), pointer(v), lent.tensor.bytes());
    const Value& value = lent.has_value() ? lent : input(size_t(input_of_node_[size_t(id.node)]));
    context.inputs_[i] = value;  // of the same rank every time: does not allocate
    context.plain_[i] = {};
  }
  return context;
}

/// Readies both bodies of every If for new shapes. One whose guards do not hold may never run: if
/// it does, it tells.
void Context::bind_branches() {
  for (size_t s = 0; s < active_->steps.size(); ++s)
    for (bool then : {true, false})
      if (!active_->steps[s].lent.empty())
        static_cast<void>(guarded([&] { enter_branch(s, then).bind().check(); }));
}

/// Runs step s when it is an If that needs no reference kernel.
bool Context::run_branch(size_t s) {
  if (active_->steps[s].lent.empty()) return false;
  const int32_t n = active_plan_->plan.steps[s].node;
  const Node& node = engine_->graph().nodes[size_t(n)];
  const int32_t condition = active_plan_->layout.flat(node.inputs[0]);
  if (element_count(active_->values[size_t(condition)].dims) != 1)
    fail("a condition must be one bool, not of shape ",
         str(active_->values[size_t(condition)].dims));
  Context& context = enter_branch(s, *pointer(condition) != std::byte{0});
  const Status ran = context.run();
  if (ran.cancelled) throw Cancelled{};
  ran.check();
  for (size_t o = 0; o < node.types.size(); ++o) {
    const int32_t v = active_plan_->layout.flat({n, int32_t(o)});
    if (active_plan_->layout.storage[size_t(v)] == Storage::kNone) continue;
    const Tensor& result = context.output(o).tensor;
    if (result.dtype() != node.types[o].dtype || result.dims() != active_->values[size_t(v)].dims)
      fail_internal("the result has shape ", str(result.dims()), ", planned was ",
                    str(active_->values[size_t(v)].dims));
    if (result.bytes()) std::memcpy(pointer(v), result.raw(), result.bytes());
  }
  return true;
}

}  // namespace vitrify
