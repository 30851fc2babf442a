#include <algorithm>

#include "ops/elements.h"
#include "ops/moved_facts.h"
#include "ops/movement.h"

namespace vitrify {

namespace {
/// Axis `axis` keeps the elements begin, begin + step … (size of them).
struct Cut {
  int64_t axis, begin, size, step;
};

void require_inside(const Cut& cut, int64_t extent) {
  require(cut.size >= 0, "a slice of axis ", cut.axis, " has size ", cut.size);
  if (cut.size == 0) return;
  int64_t last = checked_add(cut.begin, checked_mul(cut.step, cut.size - 1));
  require(std::min(cut.begin, last) >= 0 && std::max(cut.begin, last) < extent, "a slice from ",
          cut.begin, " to ", last, " is outside axis ", cut.axis, " of extent ", extent);
}

void cut_out(ReferenceCall& call, const std::vector<Cut>& cuts) {
  Tensor x = movable(call.in(0));
  Dims dims = x.dims(), strides = dense_strides(dims);
  int64_t offset = 0;
  for (const Cut& cut : cuts) {
    auto a = size_t(cut.axis);
    require_inside(cut, x.dims()[a]);
    dims[a] = cut.size;
    if (cut.size > 0) offset += cut.begin * strides[a];
    if (cut.size > 1) strides[a] *= cut.step;
  }
  Tensor y = begin_moved_output(call, 0, call.in(0).dtype(), dims);
  copy_strided(dims, x, {offset, strides}, y, dense_walk(dims));
  finish_output(call, 0, y);
}

void require_form(const Slice& op, int64_t rank) {
  size_t n = op.axes.size();
  require(op.begins.size() == n && op.sizes.size() == n && op.steps.size() == n,
          "a slice needs as many begins, sizes and steps as axes");
  std::vector<bool> seen(size_t(rank), false);
  for (size_t i = 0; i < n; ++i) {
    require(op.axes[i] >= 0 && op.axes[i] < rank && !seen[size_t(op.axes[i])], "bad slice axes ",
            str(op.axes), " for rank ", rank);
    require(op.steps[i] != 0, "a slice has step 0");
    seen[size_t(op.axes[i])] = true;
  }
}
}  // namespace

void infer_slice(InferContext& c) {
  const auto& op = *c.op().as<Slice>();
  c.expect_tensor(0);
  const Shape* x = c.shape(0);
  if (!x) return c.output(Type::unranked(c.dtype(0)));
  require_form(op, int64_t(x->size()));
  Shape shape = *x;
  for (size_t i = 0; i < op.axes.size(); ++i) {
    Dim& extent = shape[size_t(op.axes[i])];
    if (extent.is_constant() && op.begins[i].is_constant() && op.sizes[i].is_constant())
      require_inside({op.axes[i], op.begins[i].value(), op.sizes[i].value(), op.steps[i]},
                     extent.value());
    extent = op.sizes[i];
  }
  Type type = Type::tensor(c.dtype(0), std::move(shape));
  c.output(type, moved_fact(c, type, reference_slice, {0}));
}

void reference_slice(ReferenceCall& call) {
  const auto& op = *call.op().as<Slice>();
  require_form(op, call.in(0).rank());
  std::vector<Cut> cuts;
  for (size_t i = 0; i < op.axes.size(); ++i)
    cuts.push_back({op.axes[i], call.dim(op.begins[i]), call.dim(op.sizes[i]), op.steps[i]});
  cut_out(call, cuts);
}

// ---- SliceDynamic ----

namespace {
/// The axes that starts and ends speak of: all, unless given.
std::optional<Ints> slice_axes(const InferContext& c, int64_t rank) {
  if (c.has(3)) {
    auto axes = c.known_ints(3);
    if (axes)
      for (int64_t& a : *axes) a = normal_axis(a, rank);
    return axes;
  }
  const Shape* starts = c.shape(1);
  if (!starts || starts->size() != 1 || !(*starts)[0].is_constant()) return {};
  require((*starts)[0].value() <= rank, "a slice of ", (*starts)[0].value(),
          " axes of an input of rank ", rank);
  Ints axes;
  for (int64_t a = 0; a < (*starts)[0].value(); ++a) axes.push_back(a);
  return axes;
}
}  // namespace

void infer_slice_dynamic(InferContext& c) {
  for (int i = 0; i < 3; ++i) c.expect_tensor(i);
  const Shape* x = c.shape(0);
  if (!x) return c.output(Type::unranked(c.dtype(0)));
  auto axes = slice_axes(c, int64_t(x->size()));
  if (!axes) return c.output(Type::tensor(c.dtype(0), c.fresh_shape(0, int(x->size()))));
  const Fact &starts = c.fact(1), &ends = c.fact(2);
  std::optional<Ints> steps = c.has(4) ? c.known_ints(4) : Ints(axes->size(), 1);
  Shape shape = *x;
  bool known = starts && ends && steps && starts->size() == axes->size() &&
               ends->size() == axes->size() && steps->size() == axes->size();
  for (size_t i = 0; i < axes->size(); ++i) {
    auto a = size_t((*axes)[i]);
    shape[a] = known ? slice_range((*x)[a], (*starts)[i], (*ends)[i], (*steps)[i]).size
                     : c.fresh(0, int(a));
  }
  Type type = Type::tensor(c.dtype(0), std::move(shape));
  c.output(type, moved_fact(c, type, reference_slice_dynamic, {0}));
}

void reference_slice_dynamic(ReferenceCall& call) {
  int64_t rank = call.in(0).rank();
  Ints starts = read_indices(call.in(1), "slice: starts"),
       ends = read_indices(call.in(2), "slice: ends"), axes, steps(starts.size(), 1);
  for (size_t i = 0; i < starts.size(); ++i) axes.push_back(int64_t(i));
  if (call.has(3)) axes = read_indices(call.in(3), "slice: axes");
  if (call.has(4)) steps = read_indices(call.in(4), "slice: steps");
  require(
      ends.size() == starts.size() && axes.size() == starts.size() && steps.size() == starts.size(),
      "slice: starts, ends, axes and steps differ in length");
  std::vector<Cut> cuts;
  std::vector<bool> seen(size_t(rank), false);
  for (size_t i = 0; i < starts.size(); ++i) {
    int64_t axis = normal_axis(axes[i], rank);
    require(!seen[size_t(axis)], "slice: axis ", axis, " is named twice");
    seen[size_t(axis)] = true;
    SliceRange r = slice_range(call.in(0).dims()[size_t(axis)], starts[i], ends[i], steps[i]);
    cuts.push_back({axis, r.begin.value(), r.size.value(), steps[i]});
  }
  cut_out(call, cuts);
}

}  // namespace vitrify
