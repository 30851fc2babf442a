#include "ops/shape.h"

#include <algorithm>
#include <cmath>

#include "ops/elements.h"
#include "ops/moved_facts.h"

namespace vitrify {

// ---- DimsValue, ShapeOf, SizeOf ----

void infer_dims_value(InferContext& c) {
  const auto& op = *c.op().as<DimsValue>();
  require(!op.scalar || op.values.size() == 1, "a scalar has one value, not ", op.values.size());
  Shape shape;
  if (!op.scalar) shape.push_back(int64_t(op.values.size()));
  c.output(Type::tensor(DType::kInt64, std::move(shape)), op.values);
}

void reference_dims_value(ReferenceCall& call) {
  const auto& op = *call.op().as<DimsValue>();
  auto count = int64_t(op.values.size());
  Tensor& y = call.out(0, DType::kInt64, op.scalar ? Dims{} : Dims{count});
  for (int64_t i = 0; i < count; ++i) y.data<int64_t>()[i] = call.dim(op.values[size_t(i)]);
}

namespace {
/// Axes start … end - 1 of `rank`, by ONNX's rules: negative ones count from the end, all clamp.
std::pair<int64_t, int64_t> shape_span(const ShapeOf& op, int64_t rank) {
  auto place = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank); };
  int64_t start = place(op.start);
  return {start, std::max(start, place(op.end))};
}
}  // namespace

void infer_shape_of(InferContext& c) {
  c.expect_tensor(0);
  const Shape* x = c.shape(0);
  if (!x) return c.output(Type::tensor(DType::kInt64, c.fresh_shape(0, 1)));
  auto [start, end] = shape_span(*c.op().as<ShapeOf>(), int64_t(x->size()));
  c.output(Type::tensor(DType::kInt64, {end - start}), Shape(x->begin() + start, x->begin() + end));
}

void reference_shape_of(ReferenceCall& call) {
  const Dims& dims = call.in(0).dims();
  auto [start, end] = shape_span(*call.op().as<ShapeOf>(), int64_t(dims.size()));
  Tensor& y = call.out(0, DType::kInt64, {end - start});
  std::copy(dims.begin() + start, dims.begin() + end, y.data<int64_t>());
}

void infer_size_of(InferContext& c) {
  c.expect_tensor(0);
  const Shape* x = c.shape(0);
  c.output(Type::tensor(DType::kInt64, {}), x ? Fact({element_count(*x)}) : Fact());
}

void reference_size_of(ReferenceCall& call) {
  call.out(0, DType::kInt64, {}).data<int64_t>()[0] = call.in(0).size();
}

// ---- Range ----

namespace {
template <class T>
int64_t range_size(T start, T limit, T delta) {
  require(delta != T(0), "range: the step is 0");
  if constexpr (std::is_floating_point_v<T>) {
    double n = std::ceil((double(limit) - double(start)) / double(delta));
    require(!std::isnan(n) && n < 1e15, "range: from ", double(start), " to ", double(limit),
            " by ", double(delta), " is too long");
    return n <= 0 ? 0 : int64_t(n);
  } else {
    if (delta > 0 ? start >= limit : start <= limit) return 0;
    auto span = delta > 0 ? uint64_t(limit) - uint64_t(start) : uint64_t(start) - uint64_t(limit);
    uint64_t step = delta > 0 ? uint64_t(delta) : uint64_t(0) - uint64_t(delta);
    uint64_t n = (span - 1) / step + 1;
    require(n <= uint64_t(INT64_MAX), "range: too long");
    return int64_t(n);
  }
}

/// The size when the three are constants or facts.
std::optional<Dim> known_range_size(InferContext& c) {
  const Fact &start = c.fact(0), &limit = c.fact(1);
  auto delta = c.known_ints(2);
  if (start && limit && delta && start->size() == 1 && limit->size() == 1 && delta->size() == 1) {
    int64_t step = (*delta)[0];
    require(step != 0, "the step is 0");
    if (step == INT64_MIN) return {};
    Dim span = step > 0 ? (*limit)[0] - (*start)[0] : (*start)[0] - (*limit)[0];
    return greater(ceil_div(span, std::abs(step)), 0);
  }
  const Tensor *a = c.constant(0), *b = c.constant(1), *d = c.constant(2);
  if (!a || !b || !d || !is_float(c.dtype(0))) return {};
  require(a->size() == 1 && b->size() == 1 && d->size() == 1, "start, limit and delta are scalars");
  return range_size(double_at(*a, 0), double_at(*b, 0), double_at(*d, 0));
}
}  // namespace

void infer_range(InferContext& c) {
  for (int i = 0; i < 3; ++i) {
    c.expect_tensor(i);
    require(c.dtype(i) == c.dtype(0), "start, limit and delta differ in type");
  }
  require(is_float(c.dtype(0)) || is_integer(c.dtype(0)), "cannot count in ", name(c.dtype(0)));
  std::optional<Dim> size = known_range_size(c);
  Fact fact;
  bool integer = c.dtype(0) == DType::kInt64 || c.dtype(0) == DType::kInt32;
  if (integer && size && size->is_constant() && size->value() <= kMaxFactElements) {
    fact.emplace();
    for (int64_t i = 0; i < size->value(); ++i)
      fact->push_back((*c.fact(0))[0] + Dim(i) * (*c.known_ints(2))[0]);
  }
  c.output(Type::tensor(c.dtype(0), {size ? *size : c.fresh(0, 0)}), std::move(fact));
}

void reference_range(ReferenceCall& call) {
  DType dtype = call.in(0).dtype();
  for (int i = 0; i < 3; ++i)
    require(call.in(i).size() == 1 && call.in(i).dtype() == dtype,
            "range: start, limit and delta must be scalars of one type");
  Tensor start = widen(call.in(0)), limit = widen(call.in(1)), delta = widen(call.in(2));
  dispatch_compute(dtype, [&]<class T>() {
    T first = *start.data<T>(), step = *delta.data<T>();
    int64_t size = range_size(first, *limit.data<T>(), step);
    Tensor y = begin_wide_output(call, 0, dtype, {size});
    for (int64_t i = 0; i < size; ++i) {
      if constexpr (std::is_floating_point_v<T>)
        y.data<T>()[i] = T(double(first) + double(i) * double(step));
      else
        y.data<T>()[i] = T(uint64_t(first) + uint64_t(i) * uint64_t(step));
    }
    finish_output(call, 0, y);
  });
}

// ---- EyeLike, OneHot, Trilu ----

void infer_eye_like(InferContext& c) {
  c.expect_tensor(0);
  const Shape* x = c.shape(0);
  if (x) require(x->size() == 2, "the input must have rank 2, not ", x->size());
  c.output(Type::tensor(c.op().as<EyeLike>()->dtype, x ? *x : c.fresh_shape(0, 2)));
}

void reference_eye_like(ReferenceCall& call) {
  const auto& op = *call.op().as<EyeLike>();
  const Dims& dims = call.in(0).dims();
  require(dims.size() == 2, "eye_like: the input must have rank 2, not ", dims.size());
  Tensor& y = call.out(0, op.dtype, dims);
  for (int64_t i = 0; i < dims[0]; ++i)
    for (int64_t j = 0; j < dims[1]; ++j) set_double(y, i * dims[1] + j, j - i == op.k);
}

void infer_one_hot(InferContext& c) {
  for (int i = 0; i < 3; ++i) c.expect_tensor(i);
  const Shape* indices = c.shape(0);
  if (!indices) return c.output(Type::unranked(c.dtype(2)));
  int64_t axis = normal_axis(c.op().as<OneHot>()->axis, int64_t(indices->size()) + 1);
  Shape shape = *indices;
  const Fact& depth = c.fact(1);
  if (depth) require(depth->size() == 1, "depth must be one number");
  const Tensor* constant = c.constant(1);
  Dim extent = depth                               ? (*depth)[0]
               : constant && constant->size() == 1 ? Dim(int_at(*constant, 0))
                                                   : c.fresh(0, int(axis));
  require(any_bounds(extent).high >= 0, "depth is ", extent.str());
  shape.insert(shape.begin() + axis, extent);
  c.output(Type::tensor(c.dtype(2), std::move(shape)));
}

void reference_one_hot(ReferenceCall& call) {
  const Tensor& indices = call.in(0);
  Tensor values = movable(call.in(2));
  require(call.in(1).size() == 1, "one_hot: depth must be one number");
  require(values.size() == 2, "one_hot: values must be [off, on]");
  int64_t depth = int_at(call.in(1), 0);
  require(depth >= 0, "one_hot: depth is ", depth);
  auto axis = size_t(normal_axis(call.op().as<OneHot>()->axis, indices.rank() + 1));
  Dims dims = indices.dims();
  dims.insert(dims.begin() + int64_t(axis), depth);
  Tensor y = begin_moved_output(call, 0, call.in(2).dtype(), dims);
  fill_elements(y, values, 0);
  int64_t inner = count_range(indices.dims(), axis, indices.dims().size());
  for (int64_t i = 0; i < indices.size(); ++i) {
    int64_t at = int_at(indices, i);
    if (at < -depth || at >= depth) continue;  // by definition all "off"
    at += at < 0 ? depth : 0;
    copy_elements(values, 1, y, (i / inner * depth + at) * inner + i % inner, 1);
  }
  finish_output(call, 0, y);
}

void infer_trilu(InferContext& c) {
  c.expect_tensor(0);
  if (const Shape* x = c.shape(0))
    require(x->size() >= 2, "the input must have rank 2 or more, not ", x->size());
  c.output(c.type(0));
}

void reference_trilu(ReferenceCall& call) {
  Tensor x = movable(call.in(0));
  require(x.rank() >= 2, "trilu: the input must have rank 2 or more, not ", x.rank());
  if (call.has(1)) require(call.in(1).size() == 1, "trilu: k must be one number");
  int64_t k = call.has(1) ? int_at(call.in(1), 0) : 0;
  int64_t columns = x.dims().back(), rows = x.dims()[x.dims().size() - 2];
  k = std::clamp(k, -rows, columns);
  bool upper = call.op().as<Trilu>()->upper;
  Tensor y = begin_moved_output(call, 0, call.in(0).dtype(), x.dims());
  fill_elements(y, Tensor(x.dtype(), {}), 0);
  for (int64_t row = 0; columns && row < x.size() / columns; ++row) {
    int64_t diagonal = std::clamp<int64_t>(row % rows + k + (upper ? 0 : 1), 0, columns);
    int64_t begin = upper ? diagonal : 0, end = upper ? columns : diagonal;
    copy_elements(x, row * columns + begin, y, row * columns + begin, end - begin);
  }
  finish_output(call, 0, y);
}

}  // namespace vitrify
