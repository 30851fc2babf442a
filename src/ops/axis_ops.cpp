// Ops along one axis: ArgReduce, Softmax, Cumulative and TopK.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/axis_walk.h"
#include "ops/dispatch.h"
#include "ops/reduce.h"

namespace vitrify {

namespace {
void expect_numbers(const InferContext& context) {
  context.expect_tensor(0);
  require(is_float(context.dtype(0)) || is_integer(context.dtype(0)), "expected numbers, got ",
          name(context.dtype(0)));
}

/// NaN counts as larger than every number, as numpy sorts.
template <class T>
bool above(T a, T b) {
  return a > b || (a != a && b == b);
}
template <class T>
bool below(T a, T b) {
  return a < b || (b != b && a == a);
}
}  // namespace

void infer_arg_reduce(InferContext& context) {
  const ArgReduce& op = *context.op().as<ArgReduce>();
  require(context.input_count() == 1, "expected one input");
  expect_numbers(context);
  const Shape* shape = context.shape(0);
  if (!shape) return context.output(Type::unranked(DType::kInt64));
  Ints axes{normal_axis(op.axis, int64_t(shape->size()))};
  Shape result = reduced_shape(*shape, axes, op.keepdims);
  bool wanted = std::all_of(result.begin(), result.end(),
                            [](const Dim& d) { return d.is_constant() && d.value() > 0; });
  require(!wanted || (*shape)[size_t(axes[0])] != Dim(0),
          "nothing to choose from along an empty axis");
  context.output(Type::tensor(DType::kInt64, std::move(result)));
}

namespace {
/// The first (or last) extreme value. A NaN never beats what came before it and is never beaten, as
/// in ONNX Runtime; ONNX's text says nothing of it.
template <class T>
int64_t arg_line(const T* x, AxisLines lines, const ArgReduce& op) {
  int64_t best = 0;
  for (int64_t k = 1; k < lines.length; ++k) {
    T v = x[k * lines.inner], b = x[best * lines.inner];
    bool better = op.max ? v > b : v < b;
    if (better || (op.select_last && v == b)) best = k;
  }
  return best;
}
}  // namespace

void reference_arg_reduce(ReferenceCall& call) {
  const ArgReduce& op = *call.op().as<ArgReduce>();
  Tensor x = widen(call.in(0));
  int64_t axis = normal_axis(op.axis, x.rank());
  AxisLines lines = axis_lines(x.dims(), axis);
  Tensor& y = call.out(0, DType::kInt64, reduced_dims(x.dims(), {axis}, op.keepdims));
  require(lines.length > 0 || y.size() == 0, "nothing to choose from along an empty axis");
  dispatch_compute(x.dtype(), [&]<class T>() {
    int64_t* to = y.data<int64_t>();
    for (int64_t o = 0; o < lines.outer; ++o)
      for (int64_t i = 0; i < lines.inner; ++i)
        *to++ = arg_line(x.data<T>() + o * lines.length * lines.inner + i, lines, op);
  });
}

void infer_softmax(InferContext& context) {
  require(context.input_count() == 1, "expected one input");
  context.expect_tensor(0);
  require(is_float(context.dtype(0)), "expected floats, got ", name(context.dtype(0)));
  if (const Shape* shape = context.shape(0))
    normal_axis(context.op().as<Softmax>()->axis, int64_t(shape->size()));
  context.output(context.type(0));
}

namespace {
template <class T>
void softmax_line(const T* x, T* y, AxisLines lines, bool log) {
  T highest = x[0];
  for (int64_t k = 1; k < lines.length; ++k) {
    T v = x[k * lines.inner];
    if (v > highest || v != v) highest = v;
  }
  double sum = 0;
  for (int64_t k = 0; k < lines.length; ++k) {
    int64_t at = k * lines.inner;
    T shifted = x[at] - highest, e = std::exp(shifted);
    sum += double(e);
    y[at] = log ? shifted : e;
  }
  T scale = T(1 / sum), shift = T(std::log(sum));
  for (int64_t k = 0; k < lines.length; ++k) {
    T& v = y[k * lines.inner];
    v = log ? v - shift : v * scale;
  }
}
}  // namespace

void reference_softmax(ReferenceCall& call) {
  const Softmax& op = *call.op().as<Softmax>();
  DType dtype = call.in(0).dtype();
  Tensor x = widen(call.in(0));
  AxisLines lines = axis_lines(x.dims(), normal_axis(op.axis, x.rank()));
  Tensor y = begin_wide_output(call, 0, dtype, x.dims());
  if (x.size())
    dispatch_float(dtype, [&]<class T>() {
      for (int64_t o = 0; o < lines.outer; ++o)
        for (int64_t i = 0; i < lines.inner; ++i) {
          int64_t at = o * lines.length * lines.inner + i;
          softmax_line(x.data<T>() + at, y.data<T>() + at, lines, op.log);
        }
    });
  finish_output(call, 0, y);
}

void infer_cumulative(InferContext& context) {
  require(context.input_count() == 2, "expected two inputs");
  expect_numbers(context);
  context.expect_tensor(1);
  require(is_integer(context.dtype(1)), "the axis must be an integer");
  auto axis = context.known_ints(1);
  if (const Shape* shape = context.shape(0); shape && axis && axis->size() == 1)
    normal_axis((*axis)[0], int64_t(shape->size()));
  context.output(context.type(0));
}

namespace {
template <class A>
A combine(A a, A b, bool product) {
  if constexpr (std::is_floating_point_v<A>) return product ? a * b : a + b;
  return A(product ? uint64_t(a) * uint64_t(b) : uint64_t(a) + uint64_t(b));
}

template <class T>
void cumulate_line(const T* x, T* y, AxisLines lines, const Cumulative& op) {
  using A = std::conditional_t<std::is_floating_point_v<T>, double, T>;
  A so_far = op.product ? 1 : 0;
  for (int64_t k = 0; k < lines.length; ++k) {
    int64_t at = (op.reverse ? lines.length - 1 - k : k) * lines.inner;
    A before = so_far;
    so_far = combine<A>(so_far, A(x[at]), op.product);
    y[at] = T(op.exclusive ? before : so_far);
  }
}
}  // namespace

void reference_cumulative(ReferenceCall& call) {
  const Cumulative& op = *call.op().as<Cumulative>();
  DType dtype = call.in(0).dtype();
  require(call.in(1).size() == 1, "the axis must be one number");
  Tensor x = widen(call.in(0));
  AxisLines lines = axis_lines(x.dims(), normal_axis(int_at(call.in(1), 0), x.rank()));
  Tensor y = begin_wide_output(call, 0, dtype, x.dims());
  dispatch_compute(dtype, [&]<class T>() {
    for (int64_t o = 0; o < lines.outer; ++o)
      for (int64_t i = 0; i < lines.inner; ++i) {
        int64_t at = o * lines.length * lines.inner + i;
        cumulate_line(x.data<T>() + at, y.data<T>() + at, lines, op);
      }
  });
  finish_output(call, 0, y);
}

void infer_topk(InferContext& context) {
  const TopK& op = *context.op().as<TopK>();
  require(context.input_count() == 2, "expected two inputs");
  expect_numbers(context);
  context.expect_tensor(1);
  require(is_integer(context.dtype(1)), "k must be an integer");
  Type type = context.type(0);
  if (type.shape) {
    auto axis = size_t(normal_axis(op.axis, int64_t(type.shape->size())));
    const Fact& k = context.fact(1);
    Dim& extent = (*type.shape)[axis];
    if (!k || k->size() != 1) {
      extent = context.fresh(0, int(axis));
    } else {
      bool fits = !(*k)[0].is_constant() || !extent.is_constant() ||
                  ((*k)[0].value() >= 0 && (*k)[0].value() <= extent.value());
      require(fits, "k must be between 0 and the axis' extent of ", extent.str(), ", not ",
              (*k)[0].str());
      extent = (*k)[0];
    }
  }
  context.output(type);
  type.dtype = DType::kInt64;
  context.output(type);
}

namespace {
template <class T>
void choose(const T* x, AxisLines lines, int64_t k, const TopK& op, std::vector<int64_t>& order) {
  std::iota(order.begin(), order.end(), int64_t{0});
  auto before = [&](int64_t a, int64_t b) {
    T p = x[a * lines.inner], q = x[b * lines.inner];
    if (op.largest ? above(p, q) : below(p, q)) return true;
    if (op.largest ? above(q, p) : below(q, p)) return false;
    return a < b;
  };
  std::partial_sort(order.begin(), order.begin() + k, order.end(), before);
}
}  // namespace

void reference_topk(ReferenceCall& call) {
  const TopK& op = *call.op().as<TopK>();
  DType dtype = call.in(0).dtype();
  Tensor x = widen(call.in(0));
  int64_t axis = normal_axis(op.axis, x.rank());
  AxisLines lines = axis_lines(x.dims(), axis);
  require(call.in(1).size() == 1, "k must be one number");
  int64_t k = int_at(call.in(1), 0);
  require(k >= 0 && k <= lines.length, "k must be between 0 and ", lines.length, ", not ", k);
  Dims dims = x.dims();
  dims[size_t(axis)] = k;
  Tensor values = begin_wide_output(call, 0, dtype, dims);
  Tensor indices = call.wants(1) ? call.out(1, DType::kInt64, dims) : Tensor(DType::kInt64, dims);
  std::vector<int64_t> order(static_cast<size_t>(lines.length));
  dispatch_compute(dtype, [&]<class T>() {
    for (int64_t o = 0; o < lines.outer; ++o)
      for (int64_t i = 0; i < lines.inner; ++i) {
        const T* line = x.data<T>() + o * lines.length * lines.inner + i;
        choose(line, lines, k, op, order);
        for (int64_t j = 0; j < k; ++j) {
          int64_t to = (o * k + j) * lines.inner + i;
          values.data<T>()[to] = line[order[size_t(j)] * lines.inner];
          indices.data<int64_t>()[to] = order[size_t(j)];
        }
      }
  });
  finish_output(call, 0, values);
}

}  // namespace vitrify
