// Slice, Split and Pad: parts of a tensor, and their inverse.
#include <algorithm>

#include "base/error.h"
#include "onnx/import_movement.h"
#include "ops/moved_facts.h"

namespace vitrify::onnx {

// ---- Slice ----

namespace {
struct SliceInputs {
  ValueId x, starts, ends, axes, steps;
};

/// The static form, when everything about the slice is known; otherwise no value.
ValueId slice_now(NodeContext& c, const SliceInputs& in) {
  if (c.rank(in.x) < 0) return {};
  const Shape& shape = *c.type(in.x).shape;
  Fact starts = known_dims(c, in.starts), ends = known_dims(c, in.ends);
  if (!starts || !ends) return {};
  Ints axes, steps(starts->size(), 1);
  for (size_t i = 0; i < starts->size(); ++i) axes.push_back(int64_t(i));
  for (auto [input, values] : {std::pair{in.axes, &axes}, {in.steps, &steps}}) {
    if (!input.valid()) continue;
    auto known = c.known_ints(input);
    if (!known) return {};
    *values = *known;
  }
  require(ends->size() == starts->size() && axes.size() == starts->size() &&
              steps.size() == starts->size(),
          "starts, ends, axes and steps have ", starts->size(), ", ", ends->size(), ", ",
          axes.size(), " and ", steps.size(), " elements");
  Slice slice;
  std::vector<Dim> used;
  for (size_t i = 0; i < axes.size(); ++i) {
    int64_t axis = c.axis(axes[i], int64_t(shape.size()));
    require(std::count(slice.axes.begin(), slice.axes.end(), axis) == 0, "axis ", axis,
            " is named twice");
    SliceRange r = slice_range(shape[size_t(axis)], (*starts)[i], (*ends)[i], steps[i]);
    if (r.begin == Dim(0) && r.size == shape[size_t(axis)] && steps[i] == 1) continue;
    slice.axes.push_back(axis), slice.steps.push_back(steps[i]);
    slice.begins.push_back(r.begin), slice.sizes.push_back(r.size);
    used.insert(used.end(), {r.begin, r.size});
  }
  if (!may_use_dims(c, in.x, used)) return {};
  return slice.axes.empty() ? in.x : c.add(slice, {in.x});
}

ValueId slice_any(NodeContext& c, const SliceInputs& in) {
  if (ValueId y = slice_now(c, in); y.valid()) return y;
  return c.add(SliceDynamic{}, {in.x, in.starts, in.ends, in.axes, in.steps});
}
}  // namespace

void import_slice_1(NodeContext& c) {
  Ints starts = c.ints_attribute("starts"), ends = c.ints_attribute("ends"),
       axes = c.ints_attribute("axes");
  for (size_t i = 0; !c.has_attribute("axes") && i < starts.size(); ++i) axes.push_back(int64_t(i));
  auto value = [&](const Ints& v) { return c.constant(Tensor::ints(v)); };
  c.outputs({slice_any(c, {c.in(0), value(starts), value(ends), value(axes), {}})});
}

void import_slice(NodeContext& c) {
  c.outputs({slice_any(c, {c.in(0), c.in(1), c.in(2), c.optional_in(3), c.optional_in(4)})});
}

ValueId slice_axis(NodeContext& c, ValueId x, int64_t axis, const Dim& begin, const Dim& end) {
  const Dim& extent = (*c.type(x).shape)[size_t(axis)];
  if (begin == Dim(0) && end == extent) return x;
  return c.add(Slice{{axis}, {begin}, {end - begin}, {1}}, {x});
}

// ---- Split ----

namespace {
/// `parts` parts of one extent; the last may be smaller (opset 18), or must not be (before).
std::vector<Dim> even_ends(const NodeContext& c, const Dim& extent, int64_t parts) {
  require(parts > 0, "a split needs outputs");
  bool uneven = c.opset() >= 18;
  if (extent.is_constant())
    require(uneven || extent.value() % parts == 0, "an axis of extent ", extent.str(),
            " does not split into ", parts, " equal parts");
  Dim part = uneven ? ceil_div(extent, parts) : floor_div(extent, parts);
  std::vector<Dim> ends;
  for (int64_t i = 1; i < parts; ++i) ends.push_back(lesser(part * i, extent));
  ends.push_back(uneven ? extent : part * parts);
  return ends;
}

std::vector<Dim> given_ends(const Dim& extent, const std::vector<Dim>& sizes, int64_t parts) {
  require(int64_t(sizes.size()) == parts, sizes.size(), " sizes for ", parts, " outputs");
  std::vector<Dim> ends;
  Dim end = 0;
  for (const Dim& size : sizes) {
    require(any_bounds(size).high >= 0, "a part has the size ", size.str());
    ends.push_back(end = end + size);
  }
  if (Dim rest = extent - end; rest.is_constant())
    require(rest == Dim(0), "the parts ", str(sizes), " do not add up to ", extent.str());
  return ends;
}

/// The parts of x up to each of `ends`, the last of which is x's extent. Where that is not certain,
/// a reshape that changes nothing says so, and fails in a run where it is not.
void split_at(NodeContext& c, ValueId x, int64_t axis, const std::vector<Dim>& ends) {
  std::vector<ValueId> parts;
  Shape shape = *c.type(x).shape;
  if (shape[size_t(axis)] != ends.back()) {
    shape[size_t(axis)] = ends.back();
    x = c.add(Reshape{shape}, {x});
  }
  Dim begin = 0;
  for (const Dim& end : ends) {
    parts.push_back(slice_axis(c, x, axis, begin, end));
    begin = end;
  }
  c.outputs(std::move(parts));
}

/// `sizes`, if they are as many as `parts`, none is negative and they add up to the extent of x;
/// otherwise the gather's indices are out of range.
ValueId checked_sizes(NodeContext& c, ValueId x, int64_t axis, ValueId sizes, int64_t parts) {
  constexpr int64_t kFar = int64_t{1} << 40;
  if (!c.type(sizes).has_rank() || *c.type(sizes).shape != Shape{parts})
    sizes = c.add(Reshape{{parts}}, {sizes});
  auto number = [&](int64_t v) { return c.constant(Tensor::ints({v})); };
  ValueId extent = c.add(Gather{0}, {c.add(ShapeOf{}, {x}), number(axis)});
  ValueId negative = c.binary(BinaryKind::kLess, sizes, number(0));
  ValueId counted = c.add(Select{}, {negative, number(kFar), sizes});
  ValueId sum = c.add(Reduce{Reduce::Kind::kSum, {0}}, {counted});
  ValueId equal = c.cast(c.binary(BinaryKind::kEqual, sum, extent), DType::kInt64);
  ValueId off = c.binary(BinaryKind::kSub, number(1), equal);
  Ints all;
  for (int64_t i = 0; i < parts; ++i) all.push_back(i);
  ValueId at = c.binary(BinaryKind::kAdd, c.constant(Tensor::ints(all)),
                        c.binary(BinaryKind::kMul, off, number(kFar)));
  return c.add(Gather{0}, {sizes, at});
}

/// Sizes that only a run knows: running sums of them.
void split_dynamic(NodeContext& c, ValueId x, int64_t axis, ValueId sizes, int64_t parts) {
  ValueId axes = c.constant(Tensor::ints({axis})), begin = c.constant(Tensor::ints({0}));
  std::vector<ValueId> outputs;
  for (int64_t i = 0; i < parts; ++i) {
    ValueId size = c.add(Slice{{0}, {i}, {1}, {1}}, {sizes});
    ValueId end = c.binary(BinaryKind::kAdd, begin, size);
    outputs.push_back(c.add(SliceDynamic{}, {x, begin, end, axes}));
    begin = end;
  }
  c.outputs(std::move(outputs));
}

/// How many even parts there are: as many as the node has outputs, or more by num_outputs.
int64_t part_count(const NodeContext& c) {
  auto outputs = int64_t(c.node().outputs.size());
  int64_t count = c.int_attribute("num_outputs", outputs);
  require(count >= outputs && count <= 1 << 20, "num_outputs is ", count, ", the node has ",
          outputs, " outputs");
  return count;
}

/// Even parts of an input of unknown rank: sizes are computed from its extent in the run. What goes
/// past the end (from opset 18 on the last part may be smaller) is cut off by the slices.
ValueId even_sizes(NodeContext& c, ValueId x, int64_t axis, int64_t parts) {
  ValueId extent = c.add(Gather{0}, {c.add(ShapeOf{}, {x}), c.constant(Tensor::ints({axis}))});
  ValueId count = c.constant(Tensor::ints({parts}));
  if (c.opset() >= 18)
    extent = c.binary(BinaryKind::kAdd, extent, c.constant(Tensor::ints({parts - 1})));
  ValueId part = c.binary(BinaryKind::kDiv, extent, count);
  return c.add(Expand{{parts}}, {part});
}

void split_unranked(NodeContext& c, const Fact& sizes, ValueId sizes_input) {
  ValueId x = c.in(0);
  int64_t axis = c.int_attribute("axis", 0);
  auto parts = int64_t(c.node().outputs.size());
  if (!sizes_input.valid() && sizes) {
    std::vector<int64_t> values;
    for (const Dim& d : *sizes) values.push_back(d.value());
    sizes_input = c.constant(Tensor::ints(values));
  }
  const int64_t count = sizes_input.valid() ? parts : part_count(c);
  const bool uneven = !sizes_input.valid() && c.opset() >= 18;
  if (!sizes_input.valid()) sizes_input = even_sizes(c, x, axis, count);
  if (!uneven) sizes_input = checked_sizes(c, x, axis, sizes_input, count);
  split_dynamic(c, x, axis, sizes_input, parts);
}

void split(NodeContext& c, const Fact& sizes, ValueId sizes_input) {
  ValueId x = c.in(0);
  if (c.rank(x) < 0) return split_unranked(c, sizes, sizes_input);
  int64_t axis = c.axis(c.int_attribute("axis", 0), c.known_rank(x));
  auto parts = int64_t(c.node().outputs.size());
  const Dim& extent = (*c.type(x).shape)[size_t(axis)];
  auto dynamic = [&] {
    split_dynamic(c, x, axis, checked_sizes(c, x, axis, sizes_input, parts), parts);
  };
  if (!sizes && sizes_input.valid()) return dynamic();
  if (!sizes) {
    return split_at(c, x, axis, even_ends(c, extent, part_count(c)));
  }
  if (!may_use_dims(c, x, *sizes)) return dynamic();
  split_at(c, x, axis, given_ends(extent, *sizes, parts));
}
}  // namespace

void import_split_1(NodeContext& c) {
  if (!c.has_attribute("split")) {
    ValueId input = c.optional_in(1);
    return split(c, known_dims(c, input), input);
  }
  Ints sizes = c.ints_attribute("split");
  split(c, std::vector<Dim>(sizes.begin(), sizes.end()), {});
}

void import_split(NodeContext& c) {
  ValueId sizes = c.optional_in(1);
  split(c, known_dims(c, sizes), sizes);
}

// ---- Pad ----

namespace {
Pad::Mode pad_mode(const NodeContext& c) {
  std::string mode = c.string_attribute("mode", "constant");
  if (mode == "constant") return Pad::Mode::kConstant;
  if (mode == "reflect") return Pad::Mode::kReflect;
  if (mode == "edge") return Pad::Mode::kEdge;
  if (mode == "wrap") return Pad::Mode::kWrap;
  fail("mode '", mode, "' is unknown");
}

void pad_now(NodeContext& c, std::vector<Dim> pads, ValueId value) {
  ValueId x = c.in(0);
  bool none = std::all_of(pads.begin(), pads.end(), [](const Dim& d) { return d == Dim(0); });
  if (none && c.rank(x) * 2 == int(pads.size())) return c.outputs({x});
  std::vector<ValueId> inputs{x};
  if (value.valid() && pad_mode(c) == Pad::Mode::kConstant) inputs.push_back(value);
  c.outputs({c.add(Pad{pad_mode(c), std::move(pads)}, std::move(inputs))});
}

/// Pads of all axes out of those of some.
std::vector<Dim> spread_pads(const std::vector<Dim>& pads, const Ints& axes, int64_t rank) {
  require(pads.size() == 2 * axes.size(), pads.size(), " pads for ", axes.size(), " axes");
  std::vector<Dim> all(size_t(2 * rank), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    all[size_t(axes[i])] = pads[i];
    all[size_t(rank + axes[i])] = pads[axes.size() + i];
  }
  return all;
}

/// The same for pads, axes or a rank that only a run knows: an element scatter into zeros.
ValueId spread_pads_dynamic(NodeContext& c, ValueId pads, ValueId axes) {
  ValueId rank = c.add(ShapeOf{}, {c.add(ShapeOf{}, {c.in(0)})});  // i64[1]
  ValueId begins = c.binary(BinaryKind::kMod, c.cast(axes, DType::kInt64), rank);
  ValueId at = c.add(Concat{0}, {begins, c.binary(BinaryKind::kAdd, begins, rank)});
  ValueId none = c.add(
      Expand{}, {c.constant(Tensor::scalar(int64_t{0})), c.binary(BinaryKind::kAdd, rank, rank)});
  return c.add(ScatterElements{0, ScatterReduction::kNone}, {none, at, pads});
}

/// The axes of a pad when they and the rank are known; all axes, unless given.
std::optional<Ints> pad_axes(NodeContext& c) {
  int64_t rank = c.rank(c.in(0));
  auto axes = c.has(3) && rank >= 0 ? c.known_ints(c.in(3)) : std::nullopt;
  if (axes)
    for (int64_t& a : *axes) a = c.axis(a, rank);
  return axes;
}
}  // namespace

void import_pad_1(NodeContext& c) {
  Ints pads = c.ints_attribute(c.has_attribute("pads") ? "pads" : "paddings");
  double value = c.float_attribute("value", 0);
  ValueId constant = value == 0 ? ValueId{} : c.scalar(value, c.dtype(c.in(0)));
  pad_now(c, std::vector<Dim>(pads.begin(), pads.end()), constant);
}

void import_pad(NodeContext& c) {
  ValueId x = c.in(0), pads = c.in(1), value = c.optional_in(2);
  std::optional<Ints> axes = pad_axes(c);
  Fact known = known_dims(c, pads);
  if (known && (axes || !c.has(3)) && may_use_dims(c, x, *known)) {
    std::vector<Dim> all = axes ? spread_pads(*known, *axes, c.rank(x)) : *known;
    return pad_now(c, std::move(all), value);
  }
  if (c.has(3)) pads = spread_pads_dynamic(c, pads, c.in(3));
  c.outputs({c.add(Pad{pad_mode(c), {}}, {x, value, pads})});
}

}  // namespace vitrify::onnx
