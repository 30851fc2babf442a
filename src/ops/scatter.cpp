// ScatterElements and ScatterND: a copy of the data with some elements replaced or reduced into.
#include <cmath>

#include "ops/elements.h"
#include "ops/gather.h"
#include "ops/moved_facts.h"

namespace vitrify {

namespace {
void infer_scatter(InferContext& c, ScatterReduction reduction, void (*reference)(ReferenceCall&)) {
  for (int i = 0; i < 3; ++i) c.expect_tensor(i);
  require(is_integer(c.dtype(1)), "indices must be integers, not ", name(c.dtype(1)));
  require(c.dtype(2) == c.dtype(0), "updates have type ", name(c.dtype(2)), ", data ",
          name(c.dtype(0)));
  const bool moves = reduction == ScatterReduction::kNone;
  c.output(c.type(0), moves ? moved_fact(c, c.type(0), reference, {0, 2}) : Fact());
}

template <class T>
T reduce(ScatterReduction reduction, T a, T b) {
  // NaN wins over numbers in max and min.
  bool a_nan = a != a, b_nan = b != b;
  switch (reduction) {
    case ScatterReduction::kAdd:
      if constexpr (std::is_same_v<T, int64_t>) return T(uint64_t(a) + uint64_t(b));
      return T(a + b);
    case ScatterReduction::kMul:
      if constexpr (std::is_same_v<T, int64_t>) return T(uint64_t(a) * uint64_t(b));
      return T(a * b);
    case ScatterReduction::kMax:
      return a_nan || b_nan ? (a_nan ? a : b) : a < b ? b : a;
    case ScatterReduction::kMin:
      return a_nan || b_nan ? (a_nan ? a : b) : b < a ? b : a;
    default:
      return b;
  }
}

/// One run of `count` updates from `from` on, into the elements from `to` on.
struct Placement {
  int64_t to, from, count;
};

/// Replaces elements; the last of several writers wins.
void place(ReferenceCall& call, const std::vector<Placement>& placements) {
  Tensor x = movable(call.in(0)), updates = movable(call.in(2));
  Tensor y = begin_moved_output(call, 0, call.in(0).dtype(), x.dims());
  copy_elements(x, 0, y, 0, x.size());
  for (const Placement& p : placements) copy_elements(updates, p.from, y, p.to, p.count);
  finish_output(call, 0, y);
}

/// Accumulates in the computing type and rounds once.
void accumulate(ReferenceCall& call, const std::vector<Placement>& placements,
                ScatterReduction reduction) {
  Tensor x = widen(call.in(0)), updates = widen(call.in(2));
  Tensor y = begin_wide_output(call, 0, call.in(0).dtype(), x.dims());
  copy_elements(x, 0, y, 0, x.size());
  dispatch_compute(call.in(0).dtype(), [&]<class T>() {
    T* to = y.data<T>();
    const T* from = updates.data<T>();
    for (const Placement& p : placements)
      for (int64_t i = 0; i < p.count; ++i)
        to[p.to + i] = reduce(reduction, to[p.to + i], from[p.from + i]);
  });
  finish_output(call, 0, y);
}

void scatter(ReferenceCall& call, const std::vector<Placement>& placements,
             ScatterReduction reduction) {
  require(call.in(2).dtype() == call.in(0).dtype(), call.op().label(),
          ": updates and data differ in type");
  if (reduction == ScatterReduction::kNone)
    place(call, placements);
  else
    accumulate(call, placements, reduction);
}
}  // namespace

// ---- ScatterElements ----

void infer_scatter_elements(InferContext& c) {
  const auto& op = *c.op().as<ScatterElements>();
  infer_scatter(c, op.reduction, reference_scatter_elements);
  if (const Shape* x = c.shape(0)) {
    normal_axis(op.axis, int64_t(x->size()));
    for (int i : {1, 2})
      if (const Shape* s = c.shape(i))
        require(s->size() == x->size(), i == 1 ? "indices" : "updates", " have rank ", s->size(),
                ", data ", x->size());
  }
}

void reference_scatter_elements(ReferenceCall& call) {
  const auto& op = *call.op().as<ScatterElements>();
  const Dims &data = call.in(0).dims(), &dims = call.in(1).dims();
  require(dims == call.in(2).dims() && dims.size() == data.size(), "scatter_elements: indices ",
          str(dims), " and updates ", str(call.in(2).dims()),
          " must have one shape, of the rank of data ", str(data));
  auto axis = size_t(normal_axis(op.axis, int64_t(data.size())));
  for (size_t a = 0; a < dims.size(); ++a)
    require(a == axis || dims[a] <= data[a], "scatter_elements: indices of shape ", str(dims),
            " exceed data of shape ", str(data), " on axis ", a);
  std::vector<int64_t> indices = read_indices(call.in(1), "scatter_elements: indices");
  Dims strides = dense_strides(data), position(dims.size());
  std::vector<Placement> placements;
  for (size_t i = 0; i < indices.size(); ++i) {
    int64_t to = checked_index(indices[i], data[axis], axis, "scatter_elements") * strides[axis];
    for (size_t a = 0; a < position.size(); ++a)
      if (a != axis) to += position[a] * strides[a];
    placements.push_back({to, int64_t(i), 1});
    next_index(position, dims);
  }
  scatter(call, placements, op.reduction);
}

// ---- ScatterND ----

void infer_scatter_nd(InferContext& c) {
  infer_scatter(c, c.op().as<ScatterND>()->reduction, reference_scatter_nd);
}

void reference_scatter_nd(ReferenceCall& call) {
  const auto& op = *call.op().as<ScatterND>();
  const Dims &data = call.in(0).dims(), &at = call.in(1).dims();
  require(!at.empty(), "scatter_nd: indices must have rank 1 or more");
  int64_t depth = at.back();
  require(depth <= int64_t(data.size()), "scatter_nd: indices name ", depth, " axes of ",
          data.size());
  Dims expected(at.begin(), at.end() - 1);
  expected.insert(expected.end(), data.begin() + depth, data.end());
  require(call.in(2).dims() == expected, "scatter_nd: updates have shape ", str(call.in(2).dims()),
          ", expected ", str(expected));
  std::vector<int64_t> indices = read_indices(call.in(1), "scatter_nd: indices");
  Dims strides = dense_strides(data);
  int64_t block = count_range(data, size_t(depth), data.size());
  int64_t rows = count_range(at, 0, at.size() - 1);
  std::vector<Placement> placements;
  for (int64_t row = 0; row < rows; ++row) {
    int64_t to = 0;
    for (int64_t k = 0; k < depth; ++k)
      to += checked_index(indices[size_t(row * depth + k)], data[size_t(k)], size_t(k),
                          "scatter_nd") *
            strides[size_t(k)];
    placements.push_back({to, row * block, block});
  }
  scatter(call, placements, op.reduction);
}

}  // namespace vitrify
