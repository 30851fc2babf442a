// The rows of data movement, and the importers that are one op each.
#include "onnx/import_movement.h"

#include "base/error.h"
#include "onnx/families.h"
#include "ops/moved_facts.h"

namespace vitrify::onnx {

namespace {

/// Axis attribute, normalised where the rank is known.
int64_t axis_of(const NodeContext& c, int64_t otherwise, ValueId x, int64_t extra = 0) {
  int64_t axis = c.int_attribute("axis", otherwise), rank = c.rank(x);
  return rank < 0 ? axis : c.axis(axis, rank + extra);
}

void import_transpose(NodeContext& c) {
  ValueId x = c.in(0);
  Ints permutation = c.ints_attribute("perm");
  if (!c.has_attribute("perm"))
    for (int64_t a = c.known_rank(x); a-- > 0;) permutation.push_back(a);
  if (int64_t rank = c.rank(x); rank >= 0)
    for (int64_t& p : permutation) p = c.axis(p, rank);
  c.outputs({c.transpose(x, std::move(permutation))});
}

void import_concat(NodeContext& c) {
  int64_t axis = c.int_attribute("axis", 1), rank = -1;
  for (ValueId x : c.inputs()) {
    require(x.valid(), "an input is left out");
    rank = std::max<int64_t>(rank, c.rank(x));
  }
  if (rank >= 0) axis = c.axis(axis, rank);
  c.outputs({c.inputs().size() == 1 ? c.in(0) : c.add(Concat{axis}, c.inputs())});
}

void import_tile_1(NodeContext& c) {
  auto tiles = c.known_ints(c.in(1)), axis = c.known_ints(c.in(2));
  if (!tiles || !axis || tiles->size() != 1 || axis->size() != 1)
    fail_unsupported("tiles and axis must be known when the model is imported");
  int64_t rank = c.known_rank(c.in(0));
  Ints repeats(size_t(rank), 1);
  repeats[size_t(c.axis((*axis)[0], rank))] = (*tiles)[0];
  c.outputs({c.add(Tile{}, {c.in(0), c.constant(Tensor::ints(repeats))})});
}

void import_tile(NodeContext& c) {
  auto repeats = c.known_ints(c.in(1));
  bool once = repeats && int(repeats->size()) == c.rank(c.in(0));
  for (int64_t r : repeats.value_or(Ints())) once &= r == 1;
  c.outputs({once ? c.in(0) : c.add(Tile{}, {c.in(0), c.in(1)})});
}

// ---- Gather and scatter ----

void import_gather(NodeContext& c) {
  c.outputs({c.add(Gather{axis_of(c, 0, c.in(0))}, {c.in(0), c.in(1)})});
}

void import_gather_elements(NodeContext& c) {
  c.outputs({c.add(GatherElements{axis_of(c, 0, c.in(0))}, {c.in(0), c.in(1)})});
}

void import_gather_nd(NodeContext& c) {
  c.outputs({c.add(GatherND{c.int_attribute("batch_dims", 0)}, {c.in(0), c.in(1)})});
}

ScatterReduction reduction_of(const NodeContext& c) {
  std::string reduction = c.string_attribute("reduction", "none");
  constexpr std::string_view kNames[] = {"none", "add", "mul", "max", "min"};
  for (int i = 0; i < 5; ++i)
    if (reduction == kNames[i]) return ScatterReduction(i);
  fail("reduction '", reduction, "' is unknown");
}

void import_scatter_elements(NodeContext& c) {
  ScatterElements op{axis_of(c, 0, c.in(0)), reduction_of(c)};
  c.outputs({c.add(op, {c.in(0), c.in(1), c.in(2)})});
}

void import_scatter_nd(NodeContext& c) {
  c.outputs({c.add(ScatterND{reduction_of(c)}, {c.in(0), c.in(1), c.in(2)})});
}

/// An i64 tensor of rank 1 with the extent of one axis.
ValueId extent_of(NodeContext& c, ValueId x, int64_t axis) {
  return c.add(ShapeOf{axis, axis + 1}, {x});
}

/// cache[b, …, write[b] + i, …] = update[b, …, i, …]: an element scatter along the axis.
void import_tensor_scatter(NodeContext& c) {
  ValueId cache = c.in(0), update = c.in(1);
  int64_t rank = c.known_rank(cache), axis = c.axis(c.int_attribute("axis", -2), rank);
  require(axis != 0, "the axis cannot be the batch axis");
  require(c.known_rank(update) == rank, "cache and update differ in rank");
  std::string mode = c.string_attribute("mode", "linear");
  require(mode == "linear" || mode == "circular", "mode '", mode, "' is unknown");
  ValueId zero = c.constant(Tensor::scalar(int64_t{0})),
          one = c.constant(Tensor::scalar(int64_t{1}));
  ValueId steps = c.reshape(extent_of(c, update, axis), {});
  ValueId at = c.add(Range{}, {zero, steps, one});
  Shape shape(size_t(rank), 1);
  shape[size_t(axis)] = (*c.type(at).shape)[0];
  at = c.reshape(at, shape);
  if (c.has(2)) {
    require(c.known_rank(c.in(2)) == 1, "write_indices must have rank 1");
    Shape batch(size_t(rank), 1);
    batch[0] = (*c.type(c.in(2)).shape)[0];
    at = c.binary(BinaryKind::kAdd, at, c.reshape(c.cast(c.in(2), DType::kInt64), batch));
  }
  if (mode == "circular") at = c.binary(BinaryKind::kMod, at, extent_of(c, cache, axis));
  at = c.add(Expand{}, {at, c.add(ShapeOf{}, {update})});
  c.outputs({c.add(ScatterElements{axis, ScatterReduction::kNone}, {cache, at, update})});
}

// ---- Made of indices and shapes ----

void import_one_hot(NodeContext& c) {
  ValueId indices = c.in(0), depth = c.in(1), values = c.in(2);
  if (!is_integer(c.dtype(depth))) depth = c.cast(depth, DType::kInt64);
  OneHot op{axis_of(c, -1, indices, 1)};
  c.outputs({c.add(op, {c.cast(indices, DType::kInt64), depth, values})});
}

void import_trilu(NodeContext& c) {
  std::vector<ValueId> inputs{c.in(0)};
  if (c.has(1)) inputs.push_back(c.in(1));
  c.outputs({c.add(Trilu{c.int_attribute("upper", 1) != 0}, std::move(inputs))});
}

void import_eye_like(NodeContext& c) {
  EyeLike op{c.dtype_attribute("dtype", c.dtype(c.in(0))), c.int_attribute("k", 0)};
  c.outputs({c.add(op, {c.in(0)})});
}

void import_range(NodeContext& c) {
  std::vector<ValueId> inputs;
  for (int i = 0; i < 3; ++i) inputs.push_back(c.in(i));
  c.outputs({c.add(Range{}, std::move(inputs))});
}

void import_shape(NodeContext& c) {
  ShapeOf op{c.int_attribute("start", 0), c.int_attribute("end", INT64_MAX)};
  c.outputs({c.add(op, {c.in(0)})});
}

void import_size(NodeContext& c) { c.outputs({c.add(SizeOf{}, {c.in(0)})}); }

void import_nonzero(NodeContext& c) { c.outputs({c.add(NonZero{}, {c.in(0)})}); }

void import_compress(NodeContext& c) {
  bool has_axis = c.has_attribute("axis");
  Compress op{has_axis, has_axis ? axis_of(c, 0, c.in(0)) : 0};
  c.outputs({c.add(op, {c.in(0), c.in(1)})});
}

void import_unique(NodeContext& c) {
  bool has_axis = c.has_attribute("axis");
  Unique op{has_axis, c.int_attribute("sorted", 1) != 0, has_axis ? axis_of(c, 0, c.in(0)) : 0};
  ValueId y = c.add(op, {c.in(0)}, 4);
  c.outputs({y, {y.node, 1}, {y.node, 2}, {y.node, 3}});
}

void import_reverse_sequence(NodeContext& c) {
  ReverseSequence op{c.int_attribute("time_axis", 0), c.int_attribute("batch_axis", 1)};
  c.outputs({c.add(op, {c.in(0), c.in(1)})});
}

constexpr ImportRow kRows[] = {
    {"", "Transpose", 1, import_transpose},
    {"", "Reshape", 1, import_reshape_1},
    {"", "Reshape", 5, import_reshape},
    {"", "Flatten", 1, import_flatten},
    {"", "Squeeze", 1, import_squeeze},
    {"", "Unsqueeze", 1, import_unsqueeze},
    {"", "Expand", 8, import_expand},
    {"", "ConstantOfShape", 9, import_constant_of_shape},
    {"", "Concat", 1, import_concat},
    {"", "Slice", 1, import_slice_1},
    {"", "Slice", 10, import_slice},
    {"", "Split", 1, import_split_1},
    {"", "Split", 13, import_split},
    {"", "Pad", 1, import_pad_1},
    {"", "Pad", 11, import_pad},
    {"", "Tile", 1, import_tile_1},
    {"", "Tile", 6, import_tile},
    {"", "Gather", 1, import_gather},
    {"", "GatherElements", 11, import_gather_elements},
    {"", "GatherND", 11, import_gather_nd},
    {"", "Scatter", 9, import_scatter_elements},
    {"", "ScatterElements", 11, import_scatter_elements},
    {"", "ScatterND", 11, import_scatter_nd},
    {"", "TensorScatter", 24, import_tensor_scatter},
    {"", "OneHot", 9, import_one_hot},
    {"", "Trilu", 14, import_trilu},
    {"", "EyeLike", 9, import_eye_like},
    {"", "Range", 11, import_range},
    {"", "Shape", 1, import_shape},
    {"", "Size", 1, import_size},
    {"", "NonZero", 9, import_nonzero},
    {"", "Compress", 9, import_compress},
    {"", "Unique", 11, import_unique},
    {"", "ReverseSequence", 10, import_reverse_sequence},
};

}  // namespace

std::span<const ImportRow> movement_imports() { return kRows; }

}  // namespace vitrify::onnx
