#include "ops/gather.h"

#include "ops/elements.h"
#include "ops/moved_facts.h"

namespace vitrify {

namespace {
void require_indices(InferContext& c, int i) {
  c.expect_tensor(i);
  require(is_integer(c.dtype(i)), "indices must be integers, not ", name(c.dtype(i)));
}
}  // namespace

// ---- Gather ----

void infer_gather(InferContext& c) {
  const auto& op = *c.op().as<Gather>();
  c.expect_tensor(0);
  require_indices(c, 1);
  const Shape *x = c.shape(0), *indices = c.shape(1);
  if (!x || !indices) return c.output(Type::unranked(c.dtype(0)));
  int64_t axis = normal_axis(op.axis, int64_t(x->size()));
  Shape shape(x->begin(), x->begin() + axis);
  shape.insert(shape.end(), indices->begin(), indices->end());
  shape.insert(shape.end(), x->begin() + axis + 1, x->end());
  Type type = Type::tensor(c.dtype(0), std::move(shape));
  c.output(type, moved_fact(c, type, reference_gather, {0}));
}

void reference_gather(ReferenceCall& call) {
  Tensor x = movable(call.in(0));
  const Tensor& at = call.in(1);
  const Dims& in = x.dims();
  auto axis = size_t(normal_axis(call.op().as<Gather>()->axis, x.rank()));
  std::vector<int64_t> indices = read_indices(at, "gather: indices");
  Dims dims(in.begin(), in.begin() + int64_t(axis));
  dims.insert(dims.end(), at.dims().begin(), at.dims().end());
  dims.insert(dims.end(), in.begin() + int64_t(axis) + 1, in.end());
  int64_t outer = count_range(in, 0, axis), inner = count_range(in, axis + 1, in.size());
  for (int64_t& i : indices) i = checked_index(i, in[axis], axis, "gather");
  Tensor y = begin_moved_output(call, 0, call.in(0).dtype(), dims);
  int64_t to = 0;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i : indices) {
      copy_elements(x, (o * in[axis] + i) * inner, y, to, inner);
      to += inner;
    }
  finish_output(call, 0, y);
}

// ---- GatherElements ----

void infer_gather_elements(InferContext& c) {
  const auto& op = *c.op().as<GatherElements>();
  c.expect_tensor(0);
  require_indices(c, 1);
  const Shape *x = c.shape(0), *indices = c.shape(1);
  if (x) normal_axis(op.axis, int64_t(x->size()));
  if (x && indices)
    require(x->size() == indices->size(), "data and indices have ranks ", x->size(), " and ",
            indices->size());
  Type type = indices ? Type::tensor(c.dtype(0), *indices)
              : x     ? Type::tensor(c.dtype(0), c.fresh_shape(0, int(x->size())))
                      : Type::unranked(c.dtype(0));
  c.output(type, moved_fact(c, type, reference_gather_elements, {0}));
}

void reference_gather_elements(ReferenceCall& call) {
  Tensor x = movable(call.in(0));
  const Tensor& at = call.in(1);
  require(x.rank() == at.rank(), "gather_elements: data and indices have ranks ", x.rank(), " and ",
          at.rank());
  auto axis = size_t(normal_axis(call.op().as<GatherElements>()->axis, x.rank()));
  for (size_t a = 0; a < x.dims().size(); ++a)
    require(a == axis || at.dims()[a] <= x.dims()[a], "gather_elements: indices of shape ",
            str(at.dims()), " exceed data of shape ", str(x.dims()), " on axis ", a);
  std::vector<int64_t> indices = read_indices(at, "gather_elements: indices");
  Tensor y = begin_moved_output(call, 0, call.in(0).dtype(), at.dims());
  Dims strides = dense_strides(x.dims()), position(at.dims().size());
  for (size_t i = 0; i < indices.size(); ++i) {
    int64_t from =
        checked_index(indices[i], x.dims()[axis], axis, "gather_elements") * strides[axis];
    for (size_t a = 0; a < position.size(); ++a)
      if (a != axis) from += position[a] * strides[a];
    copy_elements(x, from, y, int64_t(i), 1);
    next_index(position, at.dims());
  }
  finish_output(call, 0, y);
}

// ---- GatherND ----

void infer_gather_nd(InferContext& c) {
  int64_t batch = c.op().as<GatherND>()->batch_dims;
  c.expect_tensor(0);
  require_indices(c, 1);
  const Shape *x = c.shape(0), *indices = c.shape(1);
  if (!x || !indices) return c.output(Type::unranked(c.dtype(0)));
  auto r = int64_t(x->size()), q = int64_t(indices->size());
  require(q >= 1, "indices must have rank 1 or more");
  require(batch >= 0 && batch < q && batch <= r, "batch_dims ", batch, " does not suit ranks ", r,
          " and ", q);
  const Dim& last = indices->back();
  if (!last.is_constant()) return c.output(Type::unranked(c.dtype(0)));
  require(last.value() >= 0 && last.value() <= r - batch, "indices name ", last.value(),
          " axes of ", r - batch);
  Shape shape(indices->begin(), indices->end() - 1);
  for (int64_t a = 0; a < batch; ++a)
    shape[size_t(a)] = unify(shape[size_t(a)], (*x)[size_t(a)], cat("batch axis ", a));
  shape.insert(shape.end(), x->begin() + batch + last.value(), x->end());
  Type type = Type::tensor(c.dtype(0), std::move(shape));
  c.output(type, moved_fact(c, type, reference_gather_nd, {0}));
}

void reference_gather_nd(ReferenceCall& call) {
  Tensor x = movable(call.in(0));
  const Tensor& at = call.in(1);
  int64_t batch = call.op().as<GatherND>()->batch_dims, r = x.rank(), q = at.rank();
  require(q >= 1 && batch >= 0 && batch < q && batch <= r, "gather_nd: batch_dims ", batch,
          " does not suit ranks ", r, " and ", q);
  int64_t depth = at.dims().back();
  require(depth <= r - batch, "gather_nd: indices name ", depth, " axes of ", r - batch);
  for (int64_t a = 0; a < batch; ++a)
    require(at.dims()[size_t(a)] == x.dims()[size_t(a)], "gather_nd: data ", str(x.dims()),
            " and indices ", str(at.dims()), " differ on batch axis ", a);
  Dims dims(at.dims().begin(), at.dims().end() - 1);
  dims.insert(dims.end(), x.dims().begin() + batch + depth, x.dims().end());
  Tensor y = begin_moved_output(call, 0, call.in(0).dtype(), dims);
  std::vector<int64_t> indices = read_indices(at, "gather_nd: indices");
  Dims strides = dense_strides(x.dims());
  int64_t block = count_range(x.dims(), size_t(batch + depth), size_t(r));
  int64_t batches = count_range(x.dims(), 0, size_t(batch));
  int64_t rows = count_range(at.dims(), 0, size_t(q - 1));
  int64_t in_batch = batches ? rows / batches : 0;
  int64_t batch_size = count_range(x.dims(), size_t(batch), size_t(r));
  for (int64_t row = 0; row < rows; ++row) {
    int64_t from = row / in_batch * batch_size;
    for (int64_t k = 0; k < depth; ++k)
      from += checked_index(indices[size_t(row * depth + k)], x.dims()[size_t(batch + k)],
                            size_t(batch + k), "gather_nd") *
              strides[size_t(batch + k)];
    copy_elements(x, from, y, row * block, block);
  }
  finish_output(call, 0, y);
}

}  // namespace vitrify
