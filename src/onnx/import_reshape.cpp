// Reshape, Flatten, Squeeze, Unsqueeze, Expand and ConstantOfShape.
#include "base/error.h"
#include "onnx/import_movement.h"
#include "ops/moved_facts.h"

namespace vitrify::onnx {

bool may_use_dims(const NodeContext& c, ValueId x, const std::vector<Dim>& dims) {
  std::set<std::string> needed, of_x;
  for (const Dim& d : dims) d.collect_symbols(needed);
  if (c.type(x).has_rank())
    for (const Dim& d : *c.type(x).shape) d.collect_symbols(of_x);
  for (const std::string& symbol : needed)
    if (symbol.starts_with('?') && !of_x.count(symbol)) return false;
  return true;
}

Fact known_dims(const NodeContext& c, ValueId v) {
  if (!v.valid()) return {};
  if (const Fact& fact = c.fact(v)) return fact;
  auto ints = c.known_ints(v);
  return ints ? Fact(std::vector<Dim>(ints->begin(), ints->end())) : Fact();
}

namespace {

const Shape* shape_of(const NodeContext& c, ValueId x) {
  require(c.type(x).is_tensor(), "expects a tensor, not ", c.type(x).str());
  return c.type(x).has_rank() ? &*c.type(x).shape : nullptr;
}

/// Reshapes to a target in ONNX's notation (0, -1) if that can be done now.
bool reshape_now(NodeContext& c, ValueId x, const std::vector<Dim>& target, bool allow_zero) {
  auto shape = reshape_target(shape_of(c, x), target, allow_zero);
  if (!shape || !may_use_dims(c, x, *shape)) return false;
  c.outputs({c.reshape(x, std::move(*shape))});
  return true;
}

}  // namespace

void import_reshape_1(NodeContext& c) {
  std::vector<int64_t> shape = c.ints_attribute("shape");
  ValueId x = c.in(0);
  if (reshape_now(c, x, std::vector<Dim>(shape.begin(), shape.end()), false)) return;
  c.outputs({c.add(Reshape{}, {x, c.constant(Tensor::ints(shape))})});
}

void import_reshape(NodeContext& c) {
  ValueId x = c.in(0), shape = c.in(1);
  bool allow_zero = c.int_attribute("allowzero", 0) != 0;
  Fact target = known_dims(c, shape);
  if (target && reshape_now(c, x, *target, allow_zero)) return;
  c.outputs({c.add(Reshape{{}, allow_zero}, {x, shape})});
}

namespace {
/// The product of extents [begin, end) of x, as i64[1].
ValueId extent_product(NodeContext& c, ValueId x, int64_t begin, int64_t end) {
  Reduce product{.kind = Reduce::Kind::kProd, .axes = {0}, .epilogue = {}};
  return c.add(product, {c.add(ShapeOf{begin, end}, {x})});
}
}  // namespace

void import_flatten(NodeContext& c) {
  ValueId x = c.in(0);
  if (c.rank(x) < 0) {
    int64_t axis = c.int_attribute("axis", 1);
    ValueId shape =
        c.add(Concat{0}, {extent_product(c, x, 0, axis), extent_product(c, x, axis, INT64_MAX)});
    c.outputs({c.add(Reshape{{}, true}, {x, shape})});
    return;
  }
  int64_t rank = c.known_rank(x), axis = c.int_attribute("axis", 1);
  require(axis >= -rank && axis <= rank, "axis ", axis, " is out of range for rank ", rank);
  if (axis < 0) axis += rank;
  const Shape& shape = *c.type(x).shape;
  Shape head(shape.begin(), shape.begin() + axis), tail(shape.begin() + axis, shape.end());
  c.outputs({c.reshape(x, {element_count(head), element_count(tail)})});
}

namespace {
/// The axes of Squeeze and Unsqueeze: an attribute up to opset 12, an input after.
struct AxesInput {
  std::optional<Ints> known;
  ValueId input;  ///< valid when only a run knows them
};

AxesInput axes_of(NodeContext& c) {
  if (!c.has(1))
    return {c.has_attribute("axes") ? std::optional(c.ints_attribute("axes")) : std::nullopt, {}};
  auto known = c.known_ints(c.in(1));
  return {known, known ? ValueId{} : c.in(1)};
}

std::vector<bool> mark(const NodeContext& c, const Ints& axes, int64_t rank) {
  std::vector<bool> marked(size_t(rank), false);
  for (int64_t a : axes) {
    int64_t axis = c.axis(a, rank);
    require(!marked[size_t(axis)], "axis ", a, " is named twice");
    marked[size_t(axis)] = true;
  }
  return marked;
}
}  // namespace

void import_squeeze(NodeContext& c) {
  ValueId x = c.in(0);
  const Shape* shape = shape_of(c, x);
  AxesInput axes = axes_of(c);
  bool all_constant = shape != nullptr;  // without axes, extents must be known to tell the ones
  if (shape)
    for (const Dim& d : *shape) all_constant &= d.is_constant();
  if (!shape || axes.input.valid() || (!axes.known && !all_constant)) {
    std::vector<ValueId> inputs{x};
    if (axes.input.valid()) inputs.push_back(axes.input);
    c.outputs({c.add(Squeeze{axes.known.value_or(Ints())}, std::move(inputs))});
    return;
  }
  std::vector<bool> marked = mark(c, axes.known.value_or(Ints()), int64_t(shape->size()));
  Shape kept;
  for (size_t a = 0; a < shape->size(); ++a) {
    const Dim& d = (*shape)[a];
    if (marked[a])
      require(!d.is_constant() || d == Dim(1), "axis ", a, " to squeeze has extent ", d.str());
    if (!marked[a] && (axes.known || d != Dim(1))) kept.push_back(d);
  }
  c.outputs({c.reshape(x, std::move(kept))});
}

void import_unsqueeze(NodeContext& c) {
  ValueId x = c.in(0);
  const Shape* shape = shape_of(c, x);
  AxesInput axes = axes_of(c);
  require(axes.known || axes.input.valid(), "axes are missing");
  if (!shape || axes.input.valid()) {
    std::vector<ValueId> inputs{x};
    if (axes.input.valid()) inputs.push_back(axes.input);
    c.outputs({c.add(Unsqueeze{axes.known.value_or(Ints())}, std::move(inputs))});
    return;
  }
  std::vector<bool> marked = mark(c, *axes.known, int64_t(shape->size() + axes.known->size()));
  Shape wider;
  size_t next = 0;
  for (bool put_in : marked) wider.push_back(put_in ? Dim(1) : (*shape)[next++]);
  c.outputs({c.reshape(x, std::move(wider))});
}

void import_expand(NodeContext& c) {
  ValueId x = c.in(0), shape = c.in(1);
  Fact target = known_dims(c, shape);
  const Shape* from = shape_of(c, x);
  if (!target || !from || !may_use_dims(c, x, *target)) {
    c.outputs({c.add(Expand{}, {x, shape})});
    return;
  }
  Shape to = broadcast_shapes(*from, *target);
  c.outputs({to == *from ? x : c.add(Expand{std::move(*target)}, {x})});
}

void import_constant_of_shape(NodeContext& c) {
  Tensor value = c.tensor_attribute("value");
  if (!value.defined()) value = Tensor(DType::kFloat32, {1});
  require(value.size() == 1, "value must have one element, not ", value.size());
  ValueId x = c.constant(value.aligned().reshaped({})), shape = c.in(0);
  Fact target = known_dims(c, shape);
  if (target && may_use_dims(c, x, *target))
    c.outputs({target->empty() ? x : c.add(Expand{std::move(*target)}, {x})});
  else
    c.outputs({c.add(Expand{}, {x, shape})});
}

}  // namespace vitrify::onnx
