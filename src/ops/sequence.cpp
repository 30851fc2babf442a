#include "ops/sequence.h"

#include "base/error.h"
#include "ops/parts.h"

namespace vitrify {

Type sequence_of(Type element) {
  if (element.is_tensor() && !element.is_static()) element.shape.reset();
  return Type::sequence(std::move(element));
}

Type join_elements(const Type& a, const Type& b) {
  require(a.kind == b.kind && a.dtype == b.dtype, "a sequence cannot hold both ", a.str(), " and ",
          b.str());
  if (a == b) return a;
  if (a.is_tensor()) return Type::unranked(a.dtype);
  return {a.kind, a.dtype, {}, std::make_shared<const Type>(join_elements(*a.element, *b.element))};
}

namespace {

const Type& sequence_element(const InferContext& c, int i) {
  const Type& t = c.type(i);
  require(t.kind == Type::Kind::kSequence, "input ", i, " must be a sequence, not ", t.str());
  return *t.element;
}

void expect_index(const InferContext& c, int i) {
  if (!c.has(i)) return;
  c.expect_tensor(i);
  require(c.dtype(i) == DType::kInt32 || c.dtype(i) == DType::kInt64, "input ", i,
          " must be an i32 or i64 position, not ", c.type(i).str());
}

}  // namespace

void infer_sequence_construct(InferContext& c) {
  require(c.input_count() > 0, "needs at least one element");
  Type element = c.type(0);
  for (int i = 0; i < c.input_count(); ++i) {
    c.expect_tensor(i);
    element = join_elements(element, c.type(i));
  }
  c.output(sequence_of(std::move(element)));
}

void infer_sequence_empty(InferContext& c) {
  c.output(Type::sequence(Type::unranked(c.op().as<SequenceEmpty>()->dtype)));
}

void infer_sequence_at(InferContext& c) {
  expect_index(c, 1);
  require(c.has(1), "input 1, the position, is missing");
  c.output(sequence_element(c, 0));
}

void infer_sequence_insert(InferContext& c) {
  c.expect_tensor(1);
  expect_index(c, 2);
  c.output(sequence_of(join_elements(sequence_element(c, 0), c.type(1))));
}

void infer_sequence_erase(InferContext& c) {
  sequence_element(c, 0);
  expect_index(c, 1);
  c.output(c.type(0));
}

void infer_sequence_length(InferContext& c) {
  sequence_element(c, 0);
  c.output(Type::tensor(DType::kInt64, {}));
}

namespace {
int64_t checked_axis(int64_t axis, int64_t rank) {
  require(axis >= -rank && axis < rank, "axis ", axis, " is out of range for rank ", rank);
  return axis < 0 ? axis + rank : axis;
}
}  // namespace

void infer_concat_from_sequence(InferContext& c) {
  const auto& op = *c.op().as<ConcatFromSequence>();
  const Type& element = sequence_element(c, 0);
  require(element.is_tensor(), "needs a sequence of tensors, not ", c.type(0).str());
  if (!element.has_rank()) return c.output(Type::unranked(element.dtype));
  Shape shape = *element.shape;
  int64_t axis = checked_axis(op.axis, int64_t(shape.size()) + op.new_axis);
  if (op.new_axis) shape.insert(shape.begin() + axis, Dim());
  shape[size_t(axis)] = c.fresh(0, int(axis));
  c.output(Type::tensor(element.dtype, std::move(shape)));
}

void infer_split_to_sequence(InferContext& c) {
  const auto& op = *c.op().as<SplitToSequence>();
  c.expect_tensor(0);
  expect_index(c, 1);
  const Shape* shape = c.shape(0);
  if (!shape) return c.output(Type::sequence(Type::unranked(c.dtype(0))));
  int64_t axis = checked_axis(op.axis, int64_t(shape->size()));
  if (c.has(1)) return c.output(Type::sequence(Type::unranked(c.dtype(0))));
  Shape element = *shape;
  element[size_t(axis)] = 1;
  if (!op.keepdims) element.erase(element.begin() + axis);
  c.output(sequence_of(Type::tensor(c.dtype(0), std::move(element))));
}

void infer_optional(InferContext& c) {
  const Type& declared = c.op().as<MakeOptional>()->element;
  if (!c.has(0)) {
    require(declared.kind != Type::Kind::kNone, "an empty optional needs its element type");
    return c.output(Type::optional(declared));
  }
  c.output(Type::optional(c.type(0)));
}

void infer_optional_get(InferContext& c) {
  const Type& t = c.type(0);
  c.output(t.kind == Type::Kind::kOptional ? *t.element : t);
}

void infer_optional_has(InferContext& c) { c.output(Type::tensor(DType::kBool, {})); }

// ---- Reference ----

namespace {

const std::vector<Value>& items(const ReferenceCall& call, int i) {
  require(call.has(i) && call.value(i).kind == Value::Kind::kSequence, call.op().label(),
          ": input ", i, " must be a sequence");
  return *call.value(i).sequence;
}

/// The position in input i, counted from the end when negative; `otherwise` when it is left out.
int64_t position(const ReferenceCall& call, int i, int64_t count, int64_t otherwise) {
  if (!call.has(i)) return otherwise;
  const Tensor& t = call.in(i);
  require(t.size() == 1, "the position must be one number, not ", str(t.dims()));
  int64_t p = int_at(t, 0);
  require(p >= -count && p <= count, "position ", p, " is out of range for a sequence of ", count);
  return p < 0 ? p + count : p;
}

}  // namespace

void reference_sequence_construct(ReferenceCall& call) {
  std::vector<Value> values;
  for (int i = 0; i < call.input_count(); ++i) values.emplace_back(call.in(i));
  call.set(0, Value::of_sequence(std::move(values)));
}

void reference_sequence_empty(ReferenceCall& call) { call.set(0, Value::of_sequence({})); }

void reference_sequence_at(ReferenceCall& call) {
  const auto& values = items(call, 0);
  int64_t count = int64_t(values.size()), p = position(call, 1, count, 0);
  require(p < count, "position ", p, " is out of range for a sequence of ", count);
  call.set(0, values[size_t(p)]);
}

void reference_sequence_insert(ReferenceCall& call) {
  std::vector<Value> values = items(call, 0);
  int64_t count = int64_t(values.size());
  values.insert(values.begin() + position(call, 2, count, count), Value(call.in(1)));
  call.set(0, Value::of_sequence(std::move(values)));
}

void reference_sequence_erase(ReferenceCall& call) {
  std::vector<Value> values = items(call, 0);
  int64_t count = int64_t(values.size()), p = position(call, 1, count, count - 1);
  require(p >= 0 && p < count, "position ", p, " is out of range for a sequence of ", count);
  values.erase(values.begin() + p);
  call.set(0, Value::of_sequence(std::move(values)));
}

void reference_sequence_length(ReferenceCall& call) {
  int64_t count = int64_t(items(call, 0).size());
  *call.out(0, DType::kInt64, {}).data<int64_t>() = count;
}

void reference_concat_from_sequence(ReferenceCall& call) {
  const auto& op = *call.op().as<ConcatFromSequence>();
  std::vector<Tensor> parts;
  for (const Value& v : items(call, 0)) {
    require(v.kind == Value::Kind::kTensor, "needs a sequence of tensors");
    parts.push_back(v.tensor);
  }
  require(!parts.empty(), "cannot concatenate an empty sequence");
  int64_t axis = checked_axis(op.axis, parts[0].rank() + op.new_axis);
  call.set(0, op.new_axis ? stack_axis(parts, axis) : concat_axis(parts, axis));
}

namespace {

/// The extents of the parts along the axis.
std::vector<int64_t> split_sizes(const Tensor* split, int64_t extent) {
  if (!split) return std::vector<int64_t>(size_t(extent), 1);
  if (split->rank() > 0) return to_ints(*split);
  int64_t size = int_at(*split, 0);
  require(size > 0, "parts must have a positive extent, not ", size);
  std::vector<int64_t> sizes(size_t(extent / size), size);
  if (extent % size) sizes.push_back(extent % size);
  return sizes;
}

}  // namespace

void reference_split_to_sequence(ReferenceCall& call) {
  const auto& op = *call.op().as<SplitToSequence>();
  const Tensor& x = call.in(0);
  int64_t axis = checked_axis(op.axis, x.rank()), extent = x.dims()[size_t(axis)], at = 0;
  std::vector<Value> parts;
  for (int64_t size : split_sizes(call.has(1) ? &call.in(1) : nullptr, extent)) {
    require(size >= 0 && size <= extent - at, "the parts do not fit extent ", extent);
    bool drop = !call.has(1) && !op.keepdims;
    parts.emplace_back(drop ? take_axis(x, axis, at) : slice_axis(x, axis, at, size));
    at += size;
  }
  require(at == extent, "the parts make up ", at, " of extent ", extent);
  call.set(0, Value::of_sequence(std::move(parts)));
}

void reference_optional(ReferenceCall& call) { call.set(0, call.has(0) ? call.value(0) : Value()); }

void reference_optional_get(ReferenceCall& call) {
  require(call.has(0), "the optional is empty");
  call.set(0, call.value(0));
}

void reference_optional_has(ReferenceCall& call) {
  bool has = call.has(0);
  *call.out(0, DType::kBool, {}).data<bool>() = has;
}

}  // namespace vitrify
