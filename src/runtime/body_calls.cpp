#include "runtime/body_calls.h"

#include <cstring>

#include "base/error.h"

namespace vitrify {

BodyCall body_call(const Node& node, int which) {
  const size_t all = node.inputs.size();
  if (auto* loop = node.op.as<Loop>()) return {loop->body.get(), 0, all};
  if (auto* scan = node.op.as<Scan>()) return {scan->body.get(), 0, all};
  const If& op = *node.op.as<If>();
  const auto thens = size_t(op.then_captures);
  return which == 0 ? BodyCall{op.then_graph.get(), 1, thens}
                    : BodyCall{op.else_graph.get(), 1 + thens, all - 1 - thens};
}

int body_count(const Op& op) { return op.is<If>() ? 2 : op.is<Loop>() || op.is<Scan>() ? 1 : 0; }

Carried carried_by(const Op& op) {
  if (auto* loop = op.as<Loop>()) return {size_t(loop->carried), 2, 1};
  if (auto* scan = op.as<Scan>()) return {size_t(scan->states), 0, 0};
  return {0, 0, 0};
}

Role role_of(const Op& op, size_t input) {
  const auto [count, first, result] = carried_by(op);
  if (op.is<Loop>() && input < 2) return input == 0 ? Role::kCounter : Role::kCondition;
  if (input >= first && input < first + count) return Role::kCarried;
  if (auto* scan = op.as<Scan>(); scan && input < count + size_t(scan->scan_inputs))
    return Role::kSlice;
  return Role::kOperand;
}

namespace {
size_t axis_of(const Ints& axes, size_t k, size_t rank) {
  const int64_t axis = k < axes.size() ? axes[k] : 0;
  return size_t(axis < 0 ? axis + int64_t(rank) : axis);
}
int64_t slice_of(const Ints& reversed, size_t k, int64_t i, int64_t count) {
  return k < reversed.size() && reversed[k] ? count - 1 - i : i;
}
}  // namespace

size_t input_axis(const Op& op, size_t input, size_t rank) {
  const Scan& scan = *op.as<Scan>();
  return axis_of(scan.input_axes, input - size_t(scan.states), rank);
}
Dims lent_dims(const Op& op, size_t input, Dims dims) {
  if (role_of(op, input) == Role::kSlice)
    dims.erase(dims.begin() + ptrdiff_t(input_axis(op, input, dims.size())));
  return dims;
}
size_t output_axis(const Op& op, size_t output, size_t rank) {
  const Scan* scan = op.as<Scan>();
  return scan ? axis_of(scan->output_axes, output - size_t(scan->states), rank) : 0;
}
int64_t input_slice(const Op& op, size_t input, int64_t i, int64_t count) {
  const Scan& scan = *op.as<Scan>();
  return slice_of(scan.input_reverse, input - size_t(scan.states), i, count);
}
int64_t output_slice(const Op& op, size_t output, int64_t i, int64_t count) {
  const Scan* scan = op.as<Scan>();
  return scan ? slice_of(scan->output_reverse, output - size_t(scan->states), i, count) : i;
}

namespace {
/// Whether the body's input takes what the node's input `input` is, or what an iteration makes.
bool takes(const Engine& engine, const Node& node, size_t input, const Type& taken) {
  const Role role = role_of(node.op, input);
  if (!taken.is_tensor()) return false;
  if (role == Role::kCounter || role == Role::kCondition)
    return taken.has_rank() && taken.shape->size() <= 1 &&
           taken.dtype == (role == Role::kCounter ? DType::kInt64 : DType::kBool);
  const ValueId v = node.inputs[input];
  return v.valid() && taken.dtype == engine.graph().type(v).dtype &&
         !(role == Role::kSlice && is_sub_byte(taken.dtype));
}
}  // namespace

bool lends_operands(const Engine& engine, const Node& node) {
  for (int which = 0; which < body_count(node.op); ++which) {
    const auto [body, first, count] = body_call(node, which);
    if (!engine.body(*body)) return false;
    for (size_t i = 0; i < count; ++i)
      if (!takes(engine, node, first + i, body->type(body->inputs[i].value))) return false;
  }
  for (size_t o = carried_by(node.op).count; o < node.types.size(); ++o)
    if (!node.op.is<If>() && is_sub_byte(node.types[o].dtype)) return false;
  return body_count(node.op) > 0;
}

Slices::Slices(DType dtype, const Dims& dims, size_t axis) : count(dims[axis]) {
  for (size_t a = 0; a < axis; ++a) outer *= dims[a];
  for (size_t a = axis + 1; a < dims.size(); ++a) bytes *= dims[a];
  bytes = byte_size(dtype, bytes);
}
void Slices::expect(int64_t i) const {
  if (i < 0 || i >= count) fail_internal("iteration ", i, " of ", count);
}
void Slices::read(const std::byte* tensor, int64_t i, std::byte* slice) const {
  expect(i);
  for (int64_t o = 0; o < outer && bytes > 0; ++o)
    std::memcpy(slice + o * bytes, tensor + (o * count + i) * bytes, size_t(bytes));
}
void Slices::write(std::byte* tensor, int64_t i, const std::byte* slice) const {
  expect(i);
  for (int64_t o = 0; o < outer && bytes > 0; ++o)
    std::memcpy(tensor + (o * count + i) * bytes, slice + o * bytes, size_t(bytes));
}

}  // namespace vitrify
