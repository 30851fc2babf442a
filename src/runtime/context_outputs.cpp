// What a context gives out: memory of outputs, and their values once all steps have run.
#include <cstring>

#include "base/error.h"
#include "runtime/context.h"
#include "runtime/peak.h"

namespace vitrify {

/// Buffers for outputs that are plain tensors, and the values that the caller gets to see.
void Context::refresh_outputs() {
  const Graph& graph = engine_->graph();
  const Layout& layout = active_plan_->layout;
  for (size_t o = 0; o < graph.outputs.size(); ++o) {
    const int32_t v = layout.flat(graph.outputs[o].value);
    if (!active_->values[size_t(v)].known || layout.storage[size_t(v)] == Storage::kDynamic)
      continue;
    const DType dtype = graph.type(graph.outputs[o].value).dtype;
    const int64_t bytes = byte_size(dtype, element_count(active_->values[size_t(v)].dims));
    if (output_memory_[o] && bytes <= output_capacity_[o]) continue;
    output_capacity_[o] = 0;
    ++generation_;
    output_memory_[o].reset();
    with_claim([&] { return claim_of_output(graph, o); },
               [&] { output_memory_[o] = allocate(bytes); });
    output_capacity_[o] = bytes;
  }
  // Of all shapes: going back to one that is known must not allocate.
  for (auto& cached : cache_) point_values(*cached->plan, cached->binding);
}

/// Makes the binding's outputs, and what branches read, views of the current memory.
void Context::point_values(const LoadedPlan& plan, Binding& binding) const {
  const Graph& graph = engine_->graph();
  if (binding.outputs_generation == generation_) return;
  binding.outputs.assign(graph.outputs.size(), {});
  for (size_t o = 0; o < graph.outputs.size(); ++o) {
    const auto v = size_t(plan.layout.flat(graph.outputs[o].value));
    const DType dtype = graph.type(graph.outputs[o].value).dtype;
    if (binding.values[v].known && plan.layout.storage[v] != Storage::kDynamic &&
        dtype != DType::kString)
      binding.outputs[o] = Tensor::view(dtype, binding.values[v].dims, output_memory_[o].get());
  }
  lend_operands(plan, binding);
  binding.outputs_generation = generation_;
}

/// Lets go of what the last run has made: its memory is for this one.
void Context::forget_results() {
  has_run_ = false;
  for (Value& v : dynamic_)
    if (v.has_value()) v = {};
  for (auto& cached : cache_)
    for (Value& v : cached->binding.outputs)
      if (v.kind == Value::Kind::kSequence || v.tensor.owner()) v = {};
  for (auto& [graph, body] : bodies_) body->forget_results();
}

const Value& Context::output(size_t i) const {
  static const Value none;
  return has_run_ && active_ && i < active_->outputs.size() ? active_->outputs[i] : none;
}

Value copy_of(const Value& value) {
  if (value.kind == Value::Kind::kTensor) return value.tensor.clone();
  if (!value.sequence) return value;
  std::vector<Value> items;
  for (const Value& item : *value.sequence) items.push_back(copy_of(item));
  return Value::of_sequence(std::move(items));
}

Value kept(const Value& value) {
  if (value.kind == Value::Kind::kTensor)
    return value.tensor.owner() || !value.tensor.bytes() ? value : Value(value.tensor.clone());
  if (!value.sequence) return value;
  std::vector<Value> items;
  for (const Value& item : *value.sequence) items.push_back(kept(item));
  return Value::of_sequence(std::move(items));
}

namespace {
/// Copies a strided tensor of whole-byte elements into a dense one.
void copy_to_dense(std::byte* to, const std::byte* from, const BoundValue& value, size_t element) {
  const Dims &dims = value.dims, &strides = value.strides;
  const size_t rank = dims.size();
  int64_t count = element_count(dims);
  if (count == 0) return;
  const int64_t row = rank ? dims[rank - 1] : 1;
  for (int64_t r = 0; r < count / row; ++r) {
    int64_t rest = r, offset = 0;
    for (size_t a = rank - (rank > 0); a-- > 0;) {
      offset += rest % dims[a] * strides[a];
      rest /= dims[a];
    }
    std::memcpy(to + size_t(r * row) * element, from + size_t(offset) * element,
                size_t(row) * element);
  }
}
}  // namespace

/// True when extents of an output have only now become known (facts of data-dependent extents).
bool Context::outputs_are_stale() const {
  const Graph& graph = engine_->graph();
  const Layout& layout = active_plan_->layout;
  for (size_t o = 0; o < graph.outputs.size(); ++o) {
    const auto v = size_t(layout.flat(graph.outputs[o].value));
    if (layout.storage[v] == Storage::kFact &&
        active_->outputs[o].tensor.dims() != active_->values[v].dims)
      return true;
  }
  return active_->outputs_generation != generation_;
}

/// Fills the outputs that no step has written in place.
void Context::finish_outputs() {
  const Graph& graph = engine_->graph();
  const Layout& layout = active_plan_->layout;
  if (outputs_are_stale()) active_->outputs_generation = 0, refresh_outputs();
  for (size_t o = 0; o < graph.outputs.size(); ++o) {
    if (layout.output_root[o] >= 0) continue;
    const int32_t v = layout.flat(graph.outputs[o].value);
    const Type& type = graph.type(graph.outputs[o].value);
    Value& out = active_->outputs[o];
    if (layout.storage[size_t(v)] == Storage::kInput && layout.parent[size_t(v)] < 0 &&
        !type.is_tensor()) {
      out = input(size_t(input_of_node_[size_t(graph.outputs[o].value.node)]));  // shared
    } else if (layout.storage[size_t(v)] == Storage::kDynamic || !type.is_tensor() ||
               type.dtype == DType::kString || !active_->values[size_t(v)].known) {
      out = value_of(v);
    } else if (is_sub_byte(type.dtype)) {
      if (out.tensor.bytes()) std::memcpy(out.tensor.raw(), pointer(v), out.tensor.bytes());
    } else {
      copy_to_dense(out.tensor.raw(), pointer(v), active_->values[size_t(v)],
                    size_t(bit_width(type.dtype)) / 8);
    }
  }
}

}  // namespace vitrify
