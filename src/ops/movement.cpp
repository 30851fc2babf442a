#include "ops/movement.h"

#include <algorithm>

#include "ops/elements.h"
#include "ops/moved_facts.h"

namespace vitrify {

Cost cost_movement(const Op&, std::span<const Dims>, std::span<const Dims> outputs) {
  Cost cost;
  for (const Dims& dims : outputs) cost.bytes += 8.0 * double(element_count(dims));
  return cost;
}

// ---- Transpose ----

namespace {
void require_permutation(const Ints& permutation, size_t rank) {
  require(permutation.size() == rank, "permutation ", str(permutation), " does not suit rank ",
          rank);
  std::vector<bool> seen(rank);
  for (int64_t p : permutation) {
    require(p >= 0 && p < int64_t(rank) && !seen[size_t(p)], str(permutation),
            " is not a permutation");
    seen[size_t(p)] = true;
  }
}
}  // namespace

void infer_transpose(InferContext& c) {
  const auto& op = *c.op().as<Transpose>();
  c.expect_tensor(0);
  const Shape* x = c.shape(0);
  require_permutation(op.permutation, x ? x->size() : op.permutation.size());
  Shape shape = x ? Shape() : c.fresh_shape(0, int(op.permutation.size()));
  if (x)
    for (int64_t p : op.permutation) shape.push_back((*x)[size_t(p)]);
  Type type = Type::tensor(c.dtype(0), std::move(shape));
  c.output(type, moved_fact(c, type, reference_transpose, {0}));
}

void reference_transpose(ReferenceCall& call) {
  const auto& op = *call.op().as<Transpose>();
  Tensor x = movable(call.in(0));
  require_permutation(op.permutation, x.dims().size());
  Dims all = dense_strides(x.dims()), dims, strides;
  for (int64_t p : op.permutation)
    dims.push_back(x.dims()[size_t(p)]), strides.push_back(all[size_t(p)]);
  Tensor y = begin_moved_output(call, 0, call.in(0).dtype(), dims);
  copy_strided(dims, x, {0, strides}, y, dense_walk(dims));
  finish_output(call, 0, y);
}

// ---- Concat ----

namespace {
/// The result's extents, all inputs considered; those of unknown rank leave the axis open, and so
/// does a sum that grows large.
Shape concat_shape(InferContext& c, int64_t axis, size_t rank) {
  Shape shape(rank);
  bool first = true, open = false;
  for (int i = 0; i < c.input_count(); ++i) {
    const Shape* x = c.shape(i);
    if (!x) {
      open = true;
      continue;
    }
    require(x->size() == rank, "inputs have ranks ", rank, " and ", x->size());
    for (size_t a = 0; a < rank; ++a) {
      if (int64_t(a) == axis && shape[a].is_large())
        open = true;
      else if (int64_t(a) == axis)
        shape[a] = shape[a] + (*x)[a];
      else
        shape[a] = first ? (*x)[a] : unify(shape[a], (*x)[a], cat("axis ", a));
    }
    first = false;
  }
  if (open) shape[size_t(axis)] = c.fresh(0, int(axis));
  return shape;
}
}  // namespace

void infer_concat(InferContext& c) {
  const auto& op = *c.op().as<Concat>();
  require(c.input_count() > 0, "there is nothing to concatenate");
  const Shape* ranked = nullptr;
  for (int i = 0; i < c.input_count(); ++i) {
    c.expect_tensor(i);
    require(c.dtype(i) == c.dtype(0), "inputs have element types ", name(c.dtype(0)), " and ",
            name(c.dtype(i)));
    if (!ranked) ranked = c.shape(i);
  }
  if (!ranked) return c.output(Type::unranked(c.dtype(0)));
  int64_t axis = normal_axis(op.axis, int64_t(ranked->size()));
  Type type = Type::tensor(c.dtype(0), concat_shape(c, axis, ranked->size()));
  c.output(type, moved_fact_of_all(c, type, reference_concat));
}

void reference_concat(ReferenceCall& call) {
  Dims dims = call.in(0).dims();
  DType dtype = call.in(0).dtype();
  auto axis = size_t(normal_axis(call.op().as<Concat>()->axis, int64_t(dims.size())));
  for (int i = 1; i < call.input_count(); ++i) {
    const Dims& other = call.in(i).dims();
    require(call.in(i).dtype() == dtype, "concat: inputs differ in element type");
    require(other.size() == dims.size(), "concat: inputs have ranks ", dims.size(), " and ",
            other.size());
    for (size_t a = 0; a < dims.size(); ++a)
      require(a == axis || other[a] == dims[a], "concat: shapes ", str(call.in(0).dims()), " and ",
              str(other), " differ on axis ", a);
    dims[axis] = checked_add(dims[axis], other[axis]);
  }
  Tensor y = begin_moved_output(call, 0, dtype, dims);
  Walk write = dense_walk(dims);
  for (int i = 0; i < call.input_count(); ++i) {
    Tensor x = movable(call.in(i));
    copy_strided(x.dims(), x, dense_walk(x.dims()), y, write);
    write.offset += x.dims()[axis] * write.strides[axis];
  }
  finish_output(call, 0, y);
}

// ---- Tile ----

void infer_tile(InferContext& c) {
  c.expect_tensor(0);
  const Shape* x = c.shape(0);
  const Fact& repeats = c.fact(1);
  if (!x) return c.output(Type::unranked(c.dtype(0)));
  Shape shape;
  if (repeats) {
    require(repeats->size() == x->size(), "repeats has ", repeats->size(),
            " elements for an input of rank ", x->size());
    for (size_t a = 0; a < x->size(); ++a) {
      require(any_bounds((*repeats)[a]).high >= 0, "axis ", a, " is repeated ", (*repeats)[a].str(),
              " times");
      shape.push_back((*x)[a] * (*repeats)[a]);
    }
  } else {
    shape = c.fresh_shape(0, int(x->size()));
  }
  Type type = Type::tensor(c.dtype(0), std::move(shape));
  c.output(type, moved_fact(c, type, reference_tile, {0}));
}

void reference_tile(ReferenceCall& call) {
  Tensor x = movable(call.in(0));
  std::vector<int64_t> repeats = read_indices(call.in(1), "tile: repeats");
  size_t rank = x.dims().size();
  require(repeats.size() == rank, "tile: repeats has ", repeats.size(),
          " elements for an input of rank ", rank);
  Dims dims;
  for (size_t a = 0; a < rank; ++a) {
    require(repeats[a] >= 0, "tile: axis ", a, " is repeated ", repeats[a], " times");
    dims.push_back(checked_mul(x.dims()[a], repeats[a]));
  }
  Tensor y = begin_moved_output(call, 0, call.in(0).dtype(), dims);
  // Every axis splits in (repeat, element); the repeats read with stride 0.
  Dims in = dense_strides(x.dims()), out = dense_strides(dims), nest, read, write;
  for (size_t a = 0; a < rank; ++a) {
    nest.insert(nest.end(), {repeats[a], x.dims()[a]});
    read.insert(read.end(), {0, in[a]});
    write.insert(write.end(), {x.dims()[a] * out[a], out[a]});
  }
  copy_strided(nest, x, {0, read}, y, {0, write});
  finish_output(call, 0, y);
}

}  // namespace vitrify
