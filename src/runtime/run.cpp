// Context::run: the steps, one after the other.
#include <chrono>
#include <cstring>

#include "backend/backend.h"
#include "base/error.h"
#include "base/float_mode.h"
#include "base/knobs.h"
#include "ir/bools.h"
#include "ops/interpreter.h"
#include "runtime/context.h"

namespace vitrify {
/// Copies the bool inputs that hold bytes other than 0 and 1.
void Context::normalize_bools() {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Tensor& t = inputs_[i].tensor;
    if (t.dtype() == DType::kBool && !has_normal_bools(t)) plain_[i] = with_normal_bools(t);
  }
}

Status Context::run(const RunOptions& options) {
  forget_results();
  if (Status bound = bind(); !bound.ok) return bound;
  RunScope scope(account_, options.cancelled);
  const FlushSubnormals flush(!keeps_subnormals_);
  const int64_t refusals = account_->refusals();
  try {
    if (!is_body_) normalize_bools();  // what enters a body is normal already
    run_all(options);
    has_run_ = true;
    return {};
  } catch (const Cancelled&) {
    return {false, true, ErrorKind::kUser, "the run was cancelled", {}};
  } catch (...) {
    Status failed = guarded([] { throw; });
    if (account_->refusals() != refusals) release_memory();
    return failed;
  }
}

void Context::run_all(const RunOptions& options) {
  const Layout& layout = active_plan_->layout;
  const size_t steps = active_plan_->plan.steps.size();
  // What the last run has told of its data.
  std::erase_if(active_->symbols,
                [&](const auto& s) { return !layout.input_symbols.count(s.first); });
  if (options.timings) options.timings->clear();
  const bool tells = verbosity() >= 4;
  for (size_t g = 0; g < layout.segments.size(); ++g) {
    active_->write_late_facts(g);
    const size_t end = g + 1 < layout.segments.size() ? size_t(layout.segments[g + 1]) : steps;
    for (size_t s = size_t(layout.segments[g]); s < end; ++s) {
      check_cancelled();
      const auto start = std::chrono::steady_clock::now();
      run_step(s);
      if (!options.timings && !tells) continue;
      const std::chrono::duration<double, std::milli> took =
          std::chrono::steady_clock::now() - start;
      if (tells) log_step(s, took.count());
      if (options.timings) options.timings->push_back({int32_t(s), took.count()});
    }
  }
  check_cancelled();  // the last step may have left its work undone
  finish_outputs();
  if (!engine_->graph().states.empty()) keep_states();
}

void Context::log_step(size_t s, double milliseconds) const {
  const Step& step = active_plan_->plan.steps[s];
  const Node& node = engine_->graph().nodes[size_t(step.node)];
  std::string shapes;
  for (size_t o = 0; o < node.types.size(); ++o) {
    const int32_t v = active_plan_->layout.flat({step.node, int32_t(o)});
    shapes += cat(o ? ", " : "", str(active_->values[size_t(v)].dims));
  }
  log(4, cat("step ", s, ": ", place_of(node), " (", node.op.name(), ") on ", step.tactic, " -> ",
             shapes, " in ", milliseconds, " ms"));
}

void Context::run_step(size_t s) {
  const Layout& layout = active_plan_->layout;
  const Tactic* tactic = active_plan_->tactics[s];
  try {
    if (layout.late[s] && tactic) active_->bind_late_step(s);
    if (tactic)
      run_tactic_step(s);
    else if (!run_in_place(s))
      run_reference_step(s);
  } catch (const Error& e) {
    if (!e.origin().empty()) throw;
    const int32_t n = active_plan_->plan.steps[s].node;
    throw Error(e.kind(), e.message(), place_of(engine_->graph().nodes[size_t(n)]));
  }
  for (int32_t v : layout.release[s]) dynamic_[size_t(v)] = {};
}

std::byte* Context::pointer(const LoadedPlan& plan, const Binding& binding, int32_t v) const {
  const Layout& layout = plan.layout;
  const auto root = size_t(layout.root[size_t(v)]);
  const ValueId id = layout.values[root];
  const int64_t offset = binding.values[size_t(v)].offset;
  switch (layout.storage[root]) {
    case Storage::kArena:
      return arena_.get() + binding.root_offset[root] + offset;
    case Storage::kOutput:
      return output_memory_[size_t(layout.output_of_root[root])].get() + offset;
    case Storage::kConstant:
      return const_cast<std::byte*>(engine_->constant(id.node).raw()) + offset;
    case Storage::kInput:
      return const_cast<std::byte*>(input(size_t(input_of_node_[size_t(id.node)])).tensor.raw()) +
             offset;
    case Storage::kFact:
      return const_cast<std::byte*>(binding.facts[root].raw()) + offset;
    case Storage::kDynamic:
      return const_cast<std::byte*>(dynamic_[root].tensor.raw());
    case Storage::kNone:
      break;
  }
  return nullptr;
}

namespace {
/// Without an owner: its memory changes while the value may live on.
Value lent(const Value& value) {
  const Tensor& t = value.tensor;
  if (value.kind != Value::Kind::kTensor || t.dtype() == DType::kString) return value;
  return Tensor::view(t.dtype(), t.dims(), const_cast<std::byte*>(t.raw()));
}
}  // namespace

/// Kernels may keep what has an owner, so that only this run's own values have one.
Value Context::value_of(int32_t v) const {
  const Layout& layout = active_plan_->layout;
  const ValueId id = layout.values[size_t(v)];
  if (layout.parent[size_t(v)] < 0) switch (layout.storage[size_t(v)]) {
      case Storage::kConstant:
        return engine_->constant(id.node);
      case Storage::kInput:
        return lent(input(size_t(input_of_node_[size_t(id.node)])));
      case Storage::kFact:
        return lent(active_->facts[size_t(v)]);
      case Storage::kDynamic:
        return dynamic_[size_t(v)];
      default:
        break;
    }
  const BoundValue& bound = active_->values[size_t(v)];
  CHECK(bound.known);
  return Tensor::view(engine_->graph().type(id).dtype, bound.dims, pointer(v));
}

void Context::run_tactic_step(size_t s) {
  const int32_t n = active_plan_->plan.steps[s].node;
  const Node& node = engine_->graph().nodes[size_t(n)];
  const Layout& layout = active_plan_->layout;
  BoundStep& step = active_->steps[s];
  for (size_t i = 0; i < node.inputs.size(); ++i)
    step.inputs[i].data = node.inputs[i].valid() ? pointer(layout.flat(node.inputs[i])) : nullptr;
  for (size_t o = 0; o < node.types.size(); ++o) {
    const int32_t v = layout.flat({n, int32_t(o)});
    if (layout.storage[size_t(v)] == Storage::kDynamic) {
      dynamic_[size_t(v)] = Tensor(node.types[o].dtype, active_->values[size_t(v)].dims);
    }
    step.outputs[o].data = pointer(v);
  }
  std::byte* workspace = arena_.get() + step.workspace_offset;
  if (layout.late[s]) {
    if (step.workspace > scratch_capacity_) {
      scratch_capacity_ = 0;
      scratch_.reset();
      scratch_ = allocate(step.workspace);
      scratch_capacity_ = step.workspace;
    }
    workspace = scratch_.get();
  }
  const char* error = nullptr;
  active_plan_->tactics[s]->run(
      step.state, {step.inputs, step.outputs, workspace, options_.max_threads, &error});
  if (error) throw Error(ErrorKind::kUser, error, place_of(node));
}

std::vector<Value> Context::run_body(const Graph& body, std::vector<Value> inputs) {
  const std::shared_ptr<const Engine> engine = engine_->body(body);
  if (!engine) return interpret_body(body, std::move(inputs));
  Context& context = body_context(body, engine);
  for (size_t i = 0; i < inputs.size(); ++i) context.set_input(i, std::move(inputs[i])).check();
  const Status ran = context.run();
  if (ran.cancelled) throw Cancelled{};
  ran.check();
  std::vector<Value> outputs;
  for (size_t o = 0; o < body.outputs.size(); ++o) outputs.push_back(copy_of(context.output(o)));
  for (Value& v : context.inputs_) v = {};
  return outputs;
}

void Context::run_reference_step(size_t s) {
  const int32_t n = active_plan_->plan.steps[s].node;
  const Node& node = engine_->graph().nodes[size_t(n)];
  const Layout& layout = active_plan_->layout;
  std::vector<Value> inputs, results(node.types.size());
  for (ValueId v : node.inputs) inputs.push_back(v.valid() ? value_of(layout.flat(v)) : Value());
  for (size_t o = 0; o < results.size(); ++o) {
    const int32_t v = layout.flat({n, int32_t(o)});
    Dims dims;
    if (layout.storage[size_t(v)] != Storage::kDynamic)
      results[o] = value_of(v);
    else if (active_->try_eval(node.types[o], dims))  // before the kernel's own buffers
      account_->expect_room(byte_size(node.types[o].dtype, element_count(dims)));
  }
  run_reference(node, inputs, results, active_->symbols,
                [&](const Graph& body, std::vector<Value> values) {
                  return run_body(body, std::move(values));
                });
  for (size_t o = 0; o < results.size(); ++o)
    bind_symbols(node.types[o], results[o], "the result of " + place_of(node), active_->symbols);
  take_dynamic(s, results);
}

/// Puts what the reference kernel has made where the plan wants it.
void Context::take_dynamic(size_t s, std::span<Value> results) {
  const int32_t n = active_plan_->plan.steps[s].node;
  const Layout& layout = active_plan_->layout;
  for (size_t o = 0; o < results.size(); ++o) {
    const int32_t v = layout.flat({n, int32_t(o)});
    Value& result = results[o];
    if (layout.storage[size_t(v)] == Storage::kDynamic) {
      if (result.kind == Value::Kind::kTensor) active_->set_dims(v, result.tensor.dims());
      dynamic_[size_t(v)] = kept(result);  // what was handed through lies where others write next
      continue;
    }
    CHECK(result.kind == Value::Kind::kTensor && active_->values[size_t(v)].known);
    std::byte* home = pointer(v);
    if (result.tensor.dims() != active_->values[size_t(v)].dims)
      fail_internal("the result has shape ", str(result.tensor.dims()), ", planned was ",
                    str(active_->values[size_t(v)].dims));
    if (result.tensor.raw() != home && result.tensor.bytes())
      std::memcpy(home, result.tensor.raw(), result.tensor.bytes());
  }
}

}  // namespace vitrify
