// If, Loop and Scan over planned bodies, where all extents follow from the inputs: the bodies read
// operands where they lie, and what they give is copied home. Nothing is allocated once the node
// and its bodies are bound. Any other control flow runs by its reference kernel, which hands the
// bodies tensors of their own.
#include <cstring>

#include "base/error.h"
#include "runtime/body_calls.h"
#include "runtime/context.h"

namespace vitrify {
namespace {

void copy(std::byte* to, const Tensor& from) {
  if (from.bytes()) std::memcpy(to, from.raw(), from.bytes());
}

/// Whether output o of a bound body has these extents in every run.
bool always_gives(const Context& body, size_t o, const Dims& dims) {
  const auto v = size_t(body.plan()->layout.flat(body.engine().graph().outputs[o].value));
  const BoundValue& value = body.binding()->values[v];
  return body.plan()->layout.storage[v] != Storage::kDynamic && value.known && value.dims == dims;
}

}  // namespace

Context& Context::body_context(const Graph& body, std::shared_ptr<const Engine> engine) {
  std::unique_ptr<Context>& context = bodies_[&body];
  if (!context) {
    ContextOptions options = options_;
    options.account = account_;
    context = std::make_unique<Context>(std::move(engine), options);
    context->is_body_ = true;
  }
  return *context;
}

const Node& Context::node_of(size_t s) const {
  return engine_->graph().nodes[size_t(active_plan_->plan.steps[s].node)];
}

/// Input i of step s as its bodies get it. None for whole inputs of the graph, whose data may be
/// others in every run; a part of the step's workspace for views of them and for slices.
Value Context::lent_operand(const LoadedPlan& plan, const Binding& binding, size_t s,
                            size_t i) const {
  const Graph& graph = engine_->graph();
  const int32_t n = plan.plan.steps[s].node;
  const Node& node = graph.nodes[size_t(n)];
  const Role role = role_of(node.op, i);
  if (role == Role::kCounter || role == Role::kCondition) {
    const Graph& body = *body_call(node, 0).body;
    Tensor one(role == Role::kCounter ? DType::kInt64 : DType::kBool,
               Dims(body.type(body.inputs[i].value).shape->size(), 1));
    set_int(one, 0, 1);
    return one;
  }
  const int32_t v = plan.layout.flat(node.inputs[i]);
  const DType dtype = graph.type(node.inputs[i]).dtype;
  const Dims dims = lent_dims(node.op, i, binding.values[size_t(v)].dims);
  const BoundStep& step = binding.steps[s];
  if (step.lent_offset[i] >= 0)
    return Tensor::view(dtype, dims, arena_.get() + step.workspace_offset + step.lent_offset[i]);
  if (role == Role::kCarried) {
    const int32_t home = plan.layout.flat({n, int32_t(i - carried_by(node.op).first_input)});
    return Tensor::view(dtype, dims, pointer(plan, binding, home));
  }
  if (plan.layout.storage[size_t(v)] == Storage::kInput) return {};
  return Tensor::view(dtype, dims, pointer(plan, binding, v));
}

/// Lends the operands of all control flow that can run in place.
void Context::lend_operands(const LoadedPlan& plan, Binding& binding) const {
  for (size_t s = 0; s < binding.steps.size(); ++s) {
    BoundStep& step = binding.steps[s];
    step.lent.clear();
    if (!step.in_place || step.lent_offset.empty()) continue;
    std::vector<Value> lent;
    for (size_t i = 0; i < step.lent_offset.size(); ++i)
      lent.push_back(lent_operand(plan, binding, s, i));
    step.lent = std::move(lent);
  }
}

/// The context of one body of step s, with its inputs.
Context& Context::enter_body(size_t s, int which) {
  const Node& node = node_of(s);
  const BodyCall call = body_call(node, which);
  Context& context = body_context(*call.body, engine_->body(*call.body));
  CHECK(context.inputs_.size() == call.count);
  for (size_t i = 0; i < call.count; ++i) {
    const ValueId id = node.inputs[call.first + i];
    Value& lent = active_->steps[s].lent[call.first + i];
    if (role_of(node.op, call.first + i) == Role::kOperand) {
      const auto v = size_t(active_plan_->layout.flat(id));
      if (lent.has_value() && active_plan_->layout.storage[v] == Storage::kInput &&
          lent.tensor.bytes())
        std::memcpy(lent.tensor.raw(), pointer(int32_t(v)), lent.tensor.bytes());
    }
    const Value& value = lent.has_value() ? lent : input(size_t(input_of_node_[size_t(id.node)]));
    context.inputs_[i] = value;  // of the same rank every time: does not allocate
  }
  return context;
}

/// Whether every iteration of step s takes and gives the same extents, as the node's results have.
bool Context::keeps_extents(size_t s, const Context& body) const {
  const int32_t n = active_plan_->plan.steps[s].node;
  const Node& node = node_of(s);
  const Carried carried = carried_by(node.op);
  for (size_t o = 0; o < node.types.size(); ++o) {
    Dims dims = active_->values[size_t(active_plan_->layout.flat({n, int32_t(o)}))].dims;
    if (o < carried.count) {
      if (active_->steps[s].lent[carried.first_input + o].tensor.dims() != dims) return false;
    } else {
      dims.erase(dims.begin() + ptrdiff_t(output_axis(node.op, o, dims.size())));
    }
    if (!always_gives(body, carried.first_result + o, dims)) return false;
  }
  return true;
}

/// Readies the bodies of all steps for new shapes. One whose guards do not hold may never run: if
/// it does, it tells.
void Context::bind_bodies() {
  for (size_t s = 0; s < active_->steps.size(); ++s) {
    BoundStep& step = active_->steps[s];
    if (step.lent.empty()) continue;
    const bool branches = node_of(s).op.is<If>();
    for (int which = 0; which < body_count(node_of(s).op); ++which) {
      Context* body = nullptr;
      const Status bound = guarded([&] {
        body = &enter_body(s, which);
        body->bind().check();
      });
      if (!branches) step.in_place = bound.ok && keeps_extents(s, *body);
    }
    if (!step.in_place) step.lent.clear();
  }
}

/// Runs step s when it is control flow that needs no reference kernel.
bool Context::run_in_place(size_t s) {
  if (active_->steps[s].lent.empty()) return false;
  const Op& op = node_of(s).op;
  if (op.is<If>())
    run_if(s);
  else if (op.is<Loop>())
    run_loop(s);
  else
    run_scan(s);
  return true;
}

/// Input i of step s, of which there must be one element.
const std::byte* Context::scalar_input(size_t s, size_t i, std::string_view what) const {
  const int32_t v = active_plan_->layout.flat(node_of(s).inputs[i]);
  const Dims& dims = active_->values[size_t(v)].dims;
  if (element_count(dims) != 1) fail(what, ", not of shape ", str(dims));
  return pointer(v);
}

constexpr std::string_view kCondition = "a condition must be one bool";

void Context::run_entered(Context& body) {
  const Status ran = body.run();
  if (ran.cancelled) throw Cancelled{};
  ran.check();
}

void Context::run_if(size_t s) {
  const int32_t n = active_plan_->plan.steps[s].node;
  const Node& node = node_of(s);
  const bool then = *scalar_input(s, 0, kCondition) != std::byte{0};
  Context& body = enter_body(s, then ? 0 : 1);
  run_entered(body);
  for (size_t o = 0; o < node.types.size(); ++o) {
    const int32_t v = active_plan_->layout.flat({n, int32_t(o)});
    const Tensor& result = body.output(o).tensor;
    if (result.dtype() != node.types[o].dtype || result.dims() != active_->values[size_t(v)].dims)
      fail_internal("the result has shape ", str(result.dims()), ", planned was ",
                    str(active_->values[size_t(v)].dims));
    copy(pointer(v), result);
  }
}

/// Puts the initial values where iterations read and write them.
void Context::start_carried(size_t s) {
  const Carried carried = carried_by(node_of(s).op);
  for (size_t i = carried.first_input; i < carried.first_input + carried.count; ++i) {
    Tensor& buffer = active_->steps[s].lent[i].tensor;
    if (buffer.bytes())
      std::memcpy(buffer.raw(), pointer(active_plan_->layout.flat(node_of(s).inputs[i])),
                  buffer.bytes());
  }
}

/// Hands on what iteration i has made.
void Context::take_iteration(size_t s, const Context& body, int64_t i) {
  const int32_t n = active_plan_->plan.steps[s].node;
  const Node& node = node_of(s);
  const Carried carried = carried_by(node.op);
  for (size_t o = 0; o < node.types.size(); ++o) {
    const Tensor& made = body.output(carried.first_result + o).tensor;
    if (o < carried.count) {
      copy(active_->steps[s].lent[carried.first_input + o].tensor.raw(), made);
      continue;
    }
    const int32_t v = active_plan_->layout.flat({n, int32_t(o)});
    const Dims& dims = active_->values[size_t(v)].dims;
    const Slices slices(made.dtype(), dims, output_axis(node.op, o, dims.size()));
    slices.write(pointer(v), output_slice(node.op, o, i, slices.count), made.raw());
  }
}

void Context::run_loop(size_t s) {
  const Node& node = node_of(s);
  int64_t trips = INT64_MAX;
  if (node.inputs[0].valid())
    std::memcpy(&trips, scalar_input(s, 0, "the trip count must be one number"), sizeof trips);
  bool goes_on = !node.inputs[1].valid() || *scalar_input(s, 1, kCondition) != std::byte{0};
  start_carried(s);
  Context& body = enter_body(s, 0);
  int64_t i = 0;
  for (; i < trips && goes_on; ++i) {
    check_cancelled();  // a body may be empty, and the loop endless
    set_int(active_->steps[s].lent[0].tensor, 0, i);
    run_entered(body);
    const Tensor& condition = body.output(0).tensor;
    if (condition.size() != 1) fail(kCondition, ", not of shape ", str(condition.dims()));
    goes_on = *condition.raw() != std::byte{0};
    take_iteration(s, body, i);
  }
  for (size_t o = carried_by(node.op).count; o < node.types.size(); ++o) {
    const int32_t v = active_plan_->layout.flat({active_plan_->plan.steps[s].node, int32_t(o)});
    if (const int64_t planned = active_->values[size_t(v)].dims[0]; i != planned)
      fail_internal(i, " iterations, planned were ", planned);
  }
}

void Context::run_scan(size_t s) {
  const Node& node = node_of(s);
  const Scan& op = *node.op.as<Scan>();
  const Dims& first = dims_of_input(s, size_t(op.states));
  const int64_t length = first[input_axis(node.op, size_t(op.states), first.size())];
  start_carried(s);
  Context& body = enter_body(s, 0);
  for (int64_t i = 0; i < length; ++i) {
    check_cancelled();
    for (size_t k = 0; k < size_t(op.scan_inputs); ++k) {
      const size_t at = size_t(op.states) + k;
      Tensor& slice = active_->steps[s].lent[at].tensor;
      const Dims& dims = dims_of_input(s, at);
      const Slices slices(slice.dtype(), dims, input_axis(node.op, at, dims.size()));
      if (slices.count != length)
        fail("scan inputs have the lengths ", length, " and ", slices.count);
      slices.read(pointer(active_plan_->layout.flat(node.inputs[at])),
                  input_slice(node.op, at, i, length), slice.raw());
    }
    run_entered(body);
    take_iteration(s, body, i);
  }
}

const Dims& Context::dims_of_input(size_t s, size_t i) const {
  return active_->values[size_t(active_plan_->layout.flat(node_of(s).inputs[i]))].dims;
}

}  // namespace vitrify
