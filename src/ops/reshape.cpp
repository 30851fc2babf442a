// Reshape, Squeeze, Unsqueeze and Expand: the same elements, or repeats of them, under new extents.
#include <algorithm>

#include "ops/elements.h"
#include "ops/moved_facts.h"
#include "ops/movement.h"

namespace vitrify {

namespace {
/// The elements of input 0 under other extents.
void give_reshaped(ReferenceCall& call, const Dims& dims) {
  const Tensor& x = call.in(0);
  require(element_count(dims) == x.size(), call.op().label(), ": cannot reshape ", str(x.dims()),
          " to ", str(dims));
  Tensor from = movable(x);
  Tensor y = begin_moved_output(call, 0, x.dtype(), dims);
  copy_elements(from, 0, y, 0, x.size());
  finish_output(call, 0, y);
}

/// How many elements a rank-1 input has, or -1.
int64_t known_length(const InferContext& c, int i) {
  const Shape* s = c.shape(i);
  if (!s) return -1;
  require(s->size() <= 1, "input ", i, " must have rank 1, not ", s->size());
  if (s->empty()) return 1;
  return (*s)[0].is_constant() ? (*s)[0].value() : -1;
}

void give(InferContext& c, std::optional<Shape> shape, void (*reference)(ReferenceCall&)) {
  Type type = shape ? Type::tensor(c.dtype(0), std::move(*shape)) : Type::unranked(c.dtype(0));
  c.output(type, moved_fact(c, type, reference, {0}));
}
}  // namespace

// ---- Reshape ----

void infer_reshape(InferContext& c) {
  const auto& op = *c.op().as<Reshape>();
  c.expect_tensor(0);
  const Shape* x = c.shape(0);
  if (!c.has(1)) {
    for (const Dim& d : op.shape)
      require(any_bounds(d).high >= 0, "the extent ", d.str(), " is negative");
    if (x)
      if (Dim difference = element_count(*x) - element_count(op.shape); difference.is_constant())
        require(difference == Dim(0), "cannot reshape ", str(*x), " to ", str(op.shape));
    return give(c, op.shape, reference_reshape);
  }
  int64_t rank = known_length(c, 1);
  require(rank <= kMaxRank, "a reshape to rank ", rank, " is not supported");
  std::optional<Shape> shape;
  if (c.fact(1)) shape = reshape_target(x, *c.fact(1), op.allow_zero);
  if (!shape && rank >= 0) shape = c.fresh_shape(0, int(rank));
  give(c, std::move(shape), reference_reshape);
}

void reference_reshape(ReferenceCall& call) {
  const auto& op = *call.op().as<Reshape>();
  Dims dims;
  if (call.has(1)) {
    std::vector<Dim> target;
    for (int64_t v : read_indices(call.in(1), "reshape: the shape")) target.emplace_back(v);
    Shape x = to_shape(call.in(0).dims());
    auto shape = reshape_target(&x, target, op.allow_zero);
    for (const Dim& d : *shape) dims.push_back(d.value());
  } else {
    for (const Dim& d : op.shape) dims.push_back(call.dim(d));
  }
  give_reshaped(call, dims);
}

// ---- Squeeze, Unsqueeze ----

namespace {
std::vector<bool> marked_axes(const Ints& axes, int64_t rank) {
  std::vector<bool> marked(size_t(rank), false);
  for (int64_t axis : axes) {
    auto a = size_t(normal_axis(axis, rank));
    require(!marked[a], "axis ", axis, " is named twice");
    marked[a] = true;
  }
  return marked;
}

std::optional<Shape> squeezed_shape(const Shape& x, const std::optional<Ints>& axes) {
  Shape out;
  if (!axes) {
    for (const Dim& d : x)
      if (!d.is_constant() && any_bounds(d).low <= 1) return {};  // whether it is 1, a run tells
  }
  std::vector<bool> marked = marked_axes(axes.value_or(Ints()), int64_t(x.size()));
  for (size_t a = 0; a < x.size(); ++a) {
    if (marked[a])
      require(!x[a].is_constant() || x[a] == Dim(1), "axis ", a, " to squeeze has extent ",
              x[a].str());
    if (!marked[a] && (axes || x[a] != Dim(1))) out.push_back(x[a]);
  }
  return out;
}

Shape unsqueezed_shape(const Shape& x, const Ints& axes) {
  auto rank = int64_t(x.size() + axes.size());
  std::vector<bool> marked = marked_axes(axes, rank);
  Shape out;
  size_t next = 0;
  for (int64_t a = 0; a < rank; ++a) out.push_back(marked[size_t(a)] ? Dim(1) : x[next++]);
  return out;
}

/// The axes of a Squeeze or Unsqueeze: the attribute, or the input when it is there.
template <class T>
std::optional<Ints> run_axes(ReferenceCall& call) {
  if (call.has(1)) return read_indices(call.in(1), "axes");
  const Ints& axes = call.op().as<T>()->axes;
  return axes.empty() && std::is_same_v<T, Squeeze> ? std::nullopt : std::optional(axes);
}
Dims concrete(const Shape& shape) {
  Dims dims;
  for (const Dim& d : shape) dims.push_back(d.value());
  return dims;
}
}  // namespace

void infer_squeeze(InferContext& c) {
  c.expect_tensor(0);
  const Shape* x = c.shape(0);
  std::optional<Ints> axes;
  if (c.has(1))
    axes = c.known_ints(1);
  else if (!c.op().as<Squeeze>()->axes.empty())
    axes = c.op().as<Squeeze>()->axes;
  std::optional<Shape> shape;
  int64_t count = c.has(1) ? known_length(c, 1) : axes ? int64_t(axes->size()) : -1;
  if (x && (axes || !c.has(1)))
    shape = squeezed_shape(*x, axes);
  else if (x && count >= 0 && count <= int64_t(x->size()))
    shape = c.fresh_shape(0, int(int64_t(x->size()) - count));
  give(c, std::move(shape), reference_squeeze);
}

void reference_squeeze(ReferenceCall& call) {
  give_reshaped(call,
                concrete(*squeezed_shape(to_shape(call.in(0).dims()), run_axes<Squeeze>(call))));
}

void infer_unsqueeze(InferContext& c) {
  c.expect_tensor(0);
  const Shape* x = c.shape(0);
  std::optional<Ints> axes = c.has(1) ? c.known_ints(1) : c.op().as<Unsqueeze>()->axes;
  std::optional<Shape> shape;
  int64_t count = c.has(1) ? known_length(c, 1) : int64_t(axes->size());
  require(count <= kMaxRank, "too many axes to unsqueeze: ", count);
  if (x && axes)
    shape = unsqueezed_shape(*x, *axes);
  else if (x && count >= 0)
    shape = c.fresh_shape(0, int(int64_t(x->size()) + count));
  give(c, std::move(shape), reference_unsqueeze);
}

void reference_unsqueeze(ReferenceCall& call) {
  Ints axes = *run_axes<Unsqueeze>(call);
  require(int64_t(axes.size()) <= kMaxRank, "too many axes to unsqueeze: ", axes.size());
  give_reshaped(call, concrete(unsqueezed_shape(to_shape(call.in(0).dims()), axes)));
}

// ---- Expand ----

void infer_expand(InferContext& c) {
  const auto& op = *c.op().as<Expand>();
  c.expect_tensor(0);
  const Shape* x = c.shape(0);
  if (!c.has(1) || c.fact(1)) {
    const std::vector<Dim>& target = c.has(1) ? *c.fact(1) : op.shape;
    for (const Dim& d : target)
      require(any_bounds(d).high >= 0, "the extent ", d.str(), " is negative");
    if (!x) return give(c, {}, reference_expand);
    return give(c, broadcast_shapes(*x, target), reference_expand);
  }
  int64_t length = known_length(c, 1);
  if (!x || length < 0) return give(c, {}, reference_expand);
  require(length <= kMaxRank, "an expansion to rank ", length, " is not supported");
  int rank = std::max(int(x->size()), int(length));
  Shape shape = c.fresh_shape(0, rank);
  for (size_t a = 0; a < x->size(); ++a)  // only an extent of 1 can change
    if (const Dim& d = (*x)[a]; d.is_constant() && d.value() != 1)
      shape[size_t(rank) - x->size() + a] = d;
  give(c, std::move(shape), reference_expand);
}

void reference_expand(ReferenceCall& call) {
  Tensor x = movable(call.in(0));
  Dims target;
  if (call.has(1))
    target = read_indices(call.in(1), "expand: the shape");
  else
    for (const Dim& d : call.op().as<Expand>()->shape) target.push_back(call.dim(d));
  for (int64_t d : target) require(d >= 0, "expand: the extent ", d, " is negative");
  Dims dims = broadcast_dims(x.dims(), target), in = dense_strides(x.dims());
  Dims strides(dims.size());
  size_t lead = dims.size() - x.dims().size();
  for (size_t a = 0; a < x.dims().size(); ++a) strides[lead + a] = x.dims()[a] == 1 ? 0 : in[a];
  Tensor y = begin_moved_output(call, 0, call.in(0).dtype(), dims);
  copy_strided(dims, x, {0, strides}, y, dense_walk(dims));
  finish_output(call, 0, y);
}

}  // namespace vitrify
