#include "ops/reduce.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/axis_walk.h"
#include "ops/body.h"
#include "ops/dispatch.h"
#include "ops/facts.h"

namespace vitrify {

Ints reduced_axes(const Ints& axes, bool empty_means_all, int64_t rank) {
  Ints result;
  for (int64_t a : axes) result.push_back(normal_axis(a, rank));
  if (axes.empty() && empty_means_all)
    for (int64_t a = 0; a < rank; ++a) result.push_back(a);
  std::sort(result.begin(), result.end());
  require(std::adjacent_find(result.begin(), result.end()) == result.end(),
          "an axis is named twice");
  return result;
}

namespace {
template <class Extents>
Extents reduce_extents(const Extents& extents, const Ints& axes, bool keepdims) {
  Extents result;
  for (int64_t a = 0; a < int64_t(extents.size()); ++a)
    if (!std::binary_search(axes.begin(), axes.end(), a))
      result.push_back(extents[size_t(a)]);
    else if (keepdims)
      result.push_back(1);
  return result;
}

/// Where the epilogue's operands begin: after the axes input, when there is one.
int first_operand(int input_count, const Body& body) {
  int extra = body.empty() ? 0 : body.inputs - 1;
  return std::max(1, input_count - extra);
}
}  // namespace

Shape reduced_shape(const Shape& shape, const Ints& axes, bool keepdims) {
  return reduce_extents(shape, axes, keepdims);
}
Dims reduced_dims(const Dims& dims, const Ints& axes, bool keepdims) {
  return reduce_extents(dims, axes, keepdims);
}

namespace {
/// What is known of a reduction of a small integer tensor of rank 1.
Fact reduced_fact(Reduce::Kind kind, const Fact& x) {
  static constexpr std::pair<Reduce::Kind, BinaryKind> kKinds[] = {
      {Reduce::Kind::kSum, BinaryKind::kAdd},
      {Reduce::Kind::kProd, BinaryKind::kMul},
      {Reduce::Kind::kMax, BinaryKind::kMax},
      {Reduce::Kind::kMin, BinaryKind::kMin},
  };
  if (!x || x->empty()) return {};
  for (auto [reduce, binary] : kKinds) {
    if (reduce != kind) continue;
    Fact result = std::vector<Dim>{x->front()};
    for (size_t i = 1; i < x->size() && result; ++i)
      result = zip_facts(result, std::vector<Dim>{(*x)[i]},
                         [&](const Dim& a, const Dim& b) { return binary_fact(binary, a, b); });
    return result;
  }
  return {};
}

/// The result's type when the axes come at run time.
Type dynamic_reduce_type(InferContext& context, const Reduce& op) {
  const Shape* shape = context.shape(0);
  if (!shape || !op.keepdims) return Type::unranked(context.dtype(0));
  return Type::tensor(context.dtype(0), context.fresh_shape(0, int(shape->size())));
}
}  // namespace

void infer_reduce(InferContext& context) {
  const Reduce& op = *context.op().as<Reduce>();
  context.expect_tensor(0);
  require(is_float(context.dtype(0)) || is_integer(context.dtype(0)) ||
              context.dtype(0) == DType::kBool,
          "expected numbers, got ", name(context.dtype(0)));
  int operands = first_operand(context.input_count(), op.epilogue);
  require(operands <= 2, "too many inputs");
  bool has_input = operands == 2 && context.has(1);
  auto known = has_input ? context.known_ints(1) : std::optional<Ints>(op.axes);
  const Shape* shape = context.shape(0);
  if (!known)
    return infer_epilogue(context, op.epilogue, dynamic_reduce_type(context, op), operands);
  if (!shape) {
    bool all = known->empty() && op.empty_means_all && !op.keepdims;
    Type type = all ? Type::tensor(context.dtype(0), {}) : Type::unranked(context.dtype(0));
    return infer_epilogue(context, op.epilogue, type, operands);
  }
  Ints axes = reduced_axes(*known, op.empty_means_all, int64_t(shape->size()));
  Type type = Type::tensor(context.dtype(0), reduced_shape(*shape, axes, op.keepdims));
  if (!op.epilogue.empty() || axes.size() != 1 || shape->size() != 1)
    return infer_epilogue(context, op.epilogue, type, operands);
  context.output(type, fitting(reduced_fact(op.kind, context.fact(0)), type));
}

namespace {

/// How elements are brought together: what to begin with, the step, and the end.
template <class A>
struct Fold {
  A begin;
  A (*step)(A, A);
  A (*end)(A, int64_t count);
};

template <class A>
A keep(A a, int64_t) {
  return a;
}
template <class A>
A add(A a, A x) {
  if constexpr (std::is_floating_point_v<A>)
    return a + x;
  else
    return A(uint64_t(a) + uint64_t(x));
}
template <class A>
A magnitude(A x) {
  if constexpr (std::is_floating_point_v<A>)
    return std::fabs(x);
  else
    return x < A(0) ? A(0 - uint64_t(x)) : x;
}
template <class A>
A times(A a, A b) {
  if constexpr (std::is_floating_point_v<A>)
    return a * b;
  else
    return A(uint64_t(a) * uint64_t(b));
}

/// `lowest` and `highest` are the element type's own, for empty maxima and minima.
template <class A>
Fold<A> fold_of(Reduce::Kind kind, A lowest, A highest) {
  switch (kind) {
    case Reduce::Kind::kMean:
      return {0, add<A>, [](A a, int64_t n) {
                if constexpr (std::is_floating_point_v<A>)
                  return a / A(n);
                else
                  return n ? A(a / A(n)) : A(0);
              }};
    case Reduce::Kind::kMax:
      return {lowest, [](A a, A x) { return x > a || x != x ? x : a; }, keep<A>};
    case Reduce::Kind::kMin:
      return {highest, [](A a, A x) { return x < a || x != x ? x : a; }, keep<A>};
    case Reduce::Kind::kProd:
      return {1, times<A>, keep<A>};
    case Reduce::Kind::kL1:
      return {0, [](A a, A x) { return add(a, magnitude(x)); }, keep<A>};
    case Reduce::Kind::kL2:
      return {0, [](A a, A x) { return add(a, times(x, x)); },
              [](A a, int64_t) { return A(std::sqrt(double(a))); }};
    case Reduce::Kind::kLogSum:
      return {0, add<A>, [](A a, int64_t) { return A(std::log(double(a))); }};
    case Reduce::Kind::kSumSquare:
      return {0, [](A a, A x) { return add(a, times(x, x)); }, keep<A>};
    default:
      return {0, add<A>, keep<A>};
  }
}

template <class T, class A>
A fold_line(const Fold<A>& fold, const T* x, const std::vector<int64_t>& offsets) {
  A a = fold.begin;
  for (int64_t o : offsets) a = fold.step(a, A(x[o]));
  return fold.end(a, int64_t(offsets.size()));
}

/// The sum most reductions need, without calls in the inner loop.
template <class T>
double sum_line(const T* x, const std::vector<int64_t>& offsets) {
  double parts[4] = {};
  size_t i = 0;
  for (; i + 4 <= offsets.size(); i += 4)
    for (size_t k = 0; k < 4; ++k) parts[k] += double(x[offsets[i + k]]);
  for (; i < offsets.size(); ++i) parts[0] += double(x[offsets[i]]);
  return (parts[0] + parts[1]) + (parts[2] + parts[3]);
}

template <class T>
double log_sum_exp(const T* x, const std::vector<int64_t>& offsets) {
  double highest = -INFINITY, sum = 0;
  for (int64_t o : offsets) highest = std::fmax(highest, double(x[o]));
  double shift = std::isfinite(highest) ? highest : 0;
  for (int64_t o : offsets) sum += std::exp(double(x[o]) - shift);
  return std::log(sum) + shift;
}

/// The computing type's value of the element type's lowest or highest number.
template <class T>
T limit_of(DType dtype, bool highest) {
  if constexpr (std::is_floating_point_v<T>)
    return highest ? std::numeric_limits<T>::infinity() : -std::numeric_limits<T>::infinity();
  int bits = dtype == DType::kBool ? 1 : bit_width(dtype);
  if (is_signed(dtype)) {
    auto low = int64_t(uint64_t(-1) << (bits - 1));
    return T(highest ? ~low : low);
  }
  return T(highest ? uint64_t(-1) >> (64 - bits) : 0);
}

template <class T>
void reduce_lines(Reduce::Kind kind, DType dtype, const Tensor& x,
                  const std::vector<int64_t>& starts, const std::vector<int64_t>& offsets, T* y) {
  using A = std::conditional_t<std::is_floating_point_v<T>, double, T>;
  const T* data = x.data<T>();
  auto count = double(offsets.size());
  for (size_t i = 0; i < starts.size(); ++i) {
    const T* line = data + starts[i];
    if (kind == Reduce::Kind::kLogSumExp)
      y[i] = T(log_sum_exp(line, offsets));
    else if (std::is_floating_point_v<T> && kind == Reduce::Kind::kSum)
      y[i] = T(sum_line(line, offsets));
    else if (std::is_floating_point_v<T> && kind == Reduce::Kind::kMean)
      y[i] = T(sum_line(line, offsets) / count);
    else
      y[i] = T(fold_line<T, A>(
          fold_of<A>(kind, limit_of<A>(dtype, false), limit_of<A>(dtype, true)), line, offsets));
  }
}

}  // namespace

void reference_reduce(ReferenceCall& call) {
  const Reduce& op = *call.op().as<Reduce>();
  const Tensor& given = call.in(0);
  int operands = first_operand(call.input_count(), op.epilogue);
  Ints axes = operands == 2 && call.has(1) ? to_ints(call.in(1)) : op.axes;
  axes = reduced_axes(axes, op.empty_means_all, given.rank());
  Tensor x = widen(given);
  Tensor y =
      begin_main(call, op.epilogue, given.dtype(), reduced_dims(x.dims(), axes, op.keepdims));
  auto starts = axis_offsets(x.dims(), other_axes(x.rank(), axes));
  auto offsets = axis_offsets(x.dims(), axes);
  dispatch_compute(x.dtype(), [&]<class T>() {
    reduce_lines<T>(op.kind, given.dtype(), x, starts, offsets, y.data<T>());
  });
  finish_main(call, op.epilogue, y, given.dtype(), operands);
}

Cost cost_reduction(const Op&, std::span<const Dims> inputs, std::span<const Dims> outputs) {
  Cost cost;
  for (auto list : {inputs, outputs})
    for (const Dims& d : list) cost.bytes += 4.0 * double(element_count(d));
  if (!inputs.empty()) cost.flops = 4.0 * double(element_count(inputs[0]));
  return cost;
}

}  // namespace vitrify
