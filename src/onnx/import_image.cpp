#include "onnx/import_image.h"

#include <algorithm>

#include "base/error.h"
#include "onnx/importer.h"
#include "ops/classic.h"

namespace vitrify::onnx {

namespace {

template <class T>
T choose(const std::string& text, const char* what,
         std::initializer_list<std::pair<const char*, T>> choices) {
  for (const auto& [name, value] : choices)
    if (text == name) return value;
  fail(what, " '", text, "' is unknown");
}

Resize::Mode resize_mode(const NodeContext& c) {
  return choose<Resize::Mode>(c.string_attribute("mode", "nearest"), "mode",
                              {{"nearest", Resize::Mode::kNearest},
                               {"linear", Resize::Mode::kLinear},
                               {"bilinear", Resize::Mode::kLinear},
                               {"cubic", Resize::Mode::kCubic}});
}

/// Input i unless it is left out or empty, which means the same.
ValueId non_empty(const NodeContext& c, int i) {
  if (!c.has(i)) return {};
  const Type& type = c.type(c.in(i));
  bool empty = type.has_rank() && type.shape->size() == 1 && type.shape->front() == Dim(0);
  return empty ? ValueId{} : c.in(i);
}

/// Drops the axes that stay as they are, so that kernels walk only the others.
void keep_resized_axes(NodeContext& c, Resize& op, ValueId x, ValueId& scales, ValueId& sizes) {
  if (op.coordinates == Resize::Coordinates::kTfCropAndResize ||
      op.coordinates == Resize::Coordinates::kTfHalfPixelNN ||
      op.aspect != Resize::Aspect::kStretch)
    return;
  Ints axes;
  std::vector<int64_t> kept;
  const Tensor* s = c.constant(scales);
  if (s && s->size() == int64_t(op.axes.size())) {
    std::vector<float> values;
    for (size_t i = 0; i < op.axes.size(); ++i)
      if (double v = double_at(*s, int64_t(i)); v != 1)
        axes.push_back(op.axes[i]), values.push_back(float(v));
    if (axes.empty()) return;
    scales = c.constant(Tensor::of(DType::kFloat32, {int64_t(values.size())}, values));
    op.axes = axes;
  } else if (auto wanted = sizes.valid() ? c.known_ints(sizes) : std::nullopt;
             wanted && c.rank(x) >= 0 && wanted->size() == op.axes.size()) {
    for (size_t i = 0; i < op.axes.size(); ++i)
      if ((*c.type(x).shape)[size_t(op.axes[i])] != Dim((*wanted)[i]))
        axes.push_back(op.axes[i]), kept.push_back((*wanted)[i]);
    if (axes.empty()) return;
    sizes = c.constant(Tensor::ints(kept));
    op.axes = axes;
  }
}

void add_resize(NodeContext& c, Resize op, ValueId roi, ValueId scales, ValueId sizes) {
  ValueId x = c.in(0);
  if (op.coordinates != Resize::Coordinates::kTfCropAndResize) roi = {};
  if (sizes.valid()) scales = {};
  if (const int rank = c.rank(x); rank >= 0) {
    if (op.axes.empty())
      for (int64_t a = 0; a < rank; ++a) op.axes.push_back(a);
    for (int64_t& a : op.axes) a = c.axis(a, rank);
    keep_resized_axes(c, op, x, scales, sizes);
  }
  c.outputs({c.add(op, {x, roi, scales, sizes})});
}

using Coordinates = Resize::Coordinates;

Coordinates coordinates(const NodeContext& c) {
  return choose<Coordinates>(c.string_attribute("coordinate_transformation_mode", "half_pixel"),
                             "coordinate_transformation_mode",
                             {{"half_pixel", Coordinates::kHalfPixel},
                              {"half_pixel_symmetric", Coordinates::kHalfPixelSymmetric},
                              {"pytorch_half_pixel", Coordinates::kPytorchHalfPixel},
                              {"align_corners", Coordinates::kAlignCorners},
                              {"asymmetric", Coordinates::kAsymmetric},
                              {"tf_half_pixel_for_nn", Coordinates::kTfHalfPixelNN},
                              {"tf_crop_and_resize", Coordinates::kTfCropAndResize}});
}

/// What Upsample and the first Resize do.
Resize asymmetric(const NodeContext& c) {
  return {.mode = resize_mode(c),
          .coordinates = Coordinates::kAsymmetric,
          .nearest = Resize::Nearest::kFloor,
          .axes = {}};
}

ValueId floats(NodeContext& c, const std::vector<double>& values) {
  std::vector<float> narrow(values.begin(), values.end());
  return c.constant(Tensor::of(DType::kFloat32, {int64_t(narrow.size())}, narrow));
}

}  // namespace

void import_resize(NodeContext& c) {
  Resize op{
      .mode = resize_mode(c), .coordinates = coordinates(c), .axes = c.ints_attribute("axes")};
  op.nearest = choose<Resize::Nearest>(c.string_attribute("nearest_mode", "round_prefer_floor"),
                                       "nearest_mode",
                                       {{"round_prefer_floor", Resize::Nearest::kRoundPreferFloor},
                                        {"round_prefer_ceil", Resize::Nearest::kRoundPreferCeil},
                                        {"floor", Resize::Nearest::kFloor},
                                        {"ceil", Resize::Nearest::kCeil}});
  op.aspect = choose<Resize::Aspect>(c.string_attribute("keep_aspect_ratio_policy", "stretch"),
                                     "keep_aspect_ratio_policy",
                                     {{"stretch", Resize::Aspect::kStretch},
                                      {"not_larger", Resize::Aspect::kNotLarger},
                                      {"not_smaller", Resize::Aspect::kNotSmaller}});
  op.cubic_a = c.float_attribute("cubic_coeff_a", -0.75);
  op.extrapolation = c.float_attribute("extrapolation_value", 0);
  op.exclude_outside = c.int_attribute("exclude_outside", 0) != 0;
  op.antialias = c.int_attribute("antialias", 0) != 0;
  add_resize(c, op, non_empty(c, 1), non_empty(c, 2), non_empty(c, 3));
}

void import_resize_10(NodeContext& c) { add_resize(c, asymmetric(c), {}, c.in(1), {}); }

void import_upsample_7(NodeContext& c) {
  add_resize(c, asymmetric(c), {}, floats(c, c.floats_attribute("scales")), {});
}

void import_upsample_1(NodeContext& c) {
  Resize op = asymmetric(c);
  op.axes = {2, 3};
  add_resize(c, op, {},
             floats(c, {c.float_attribute("height_scale", 1), c.float_attribute("width_scale", 1)}),
             {});
}

void import_grid_sample(NodeContext& c) {
  GridSample op;
  op.mode = choose<GridSample::Mode>(c.string_attribute("mode", "linear"), "mode",
                                     {{"linear", GridSample::Mode::kLinear},
                                      {"bilinear", GridSample::Mode::kLinear},
                                      {"nearest", GridSample::Mode::kNearest},
                                      {"cubic", GridSample::Mode::kCubic},
                                      {"bicubic", GridSample::Mode::kCubic}});
  op.padding =
      choose<GridSample::Padding>(c.string_attribute("padding_mode", "zeros"), "padding_mode",
                                  {{"zeros", GridSample::Padding::kZeros},
                                   {"border", GridSample::Padding::kBorder},
                                   {"reflection", GridSample::Padding::kReflection}});
  op.align_corners = c.int_attribute("align_corners", 0) != 0;
  c.outputs({c.add(op, {c.in(0), c.in(1)})});
}

namespace {
Shape image_shape(const NodeContext& c) {
  require(c.known_rank(c.in(0)) == 4, "x needs rank 4, not ", c.known_rank(c.in(0)));
  return *c.type(c.in(0)).shape;
}

int64_t block_size(const NodeContext& c) {
  int64_t b = c.int_attribute("blocksize", 0);
  require(b >= 1 && b <= 65536, "blocksize ", b, " is out of range");
  return b;
}
}  // namespace

// Both work channels-last, where one transpose of a reshaped view does it.

void import_depth_to_space(NodeContext& c) {
  Shape s = image_shape(c);
  int64_t b = block_size(c);
  bool depth_first =
      choose<bool>(c.string_attribute("mode", "DCR"), "mode", {{"DCR", true}, {"CRD", false}});
  require(!s[1].is_constant() || s[1].value() % (b * b) == 0, s[1].str(),
          " channels do not divide by ", b * b);
  Dim channels = floor_div(s[1], b * b);
  ValueId x = c.channels_last(c.in(0));
  x = depth_first ? c.reshape(x, {s[0], s[2], s[3], b, b, channels})
                  : c.reshape(x, {s[0], s[2], s[3], channels, b, b});
  x = c.transpose(x, depth_first ? Ints{0, 1, 3, 2, 4, 5} : Ints{0, 1, 4, 2, 5, 3});
  c.outputs({c.channels_first(c.reshape(x, {s[0], s[2] * b, s[3] * b, channels}))});
}

void import_space_to_depth(NodeContext& c) {
  Shape s = image_shape(c);
  int64_t b = block_size(c);
  for (size_t i = 2; i < 4; ++i)
    require(!s[i].is_constant() || s[i].value() % b == 0, "extent ", s[i].str(),
            " does not divide by ", b);
  Dim height = floor_div(s[2], b), width = floor_div(s[3], b);
  ValueId x = c.reshape(c.channels_last(c.in(0)), {s[0], height, b, width, b, s[1]});
  x = c.transpose(x, {0, 1, 3, 2, 4, 5});
  c.outputs({c.channels_first(c.reshape(x, {s[0], height, width, s[1] * (b * b)}))});
}

namespace {
/// Pads, begins of every axis and then ends, for a target shape that only the run knows.
ValueId center_pads(NodeContext& c, ValueId x, ValueId target, const Ints& axes, int64_t rank) {
  auto ints = [&](const Ints& values) { return c.constant(Tensor::ints(values)); };
  ValueId extents = c.add(Gather{0}, {c.add(ShapeOf{}, {x}), ints(axes)});
  ValueId more = c.binary(BinaryKind::kSub, c.cast(target, DType::kInt64), extents);
  ValueId begins = c.binary(BinaryKind::kDiv, more, c.scalar(2, DType::kInt64));
  ValueId ends = c.binary(BinaryKind::kSub, more, begins);
  Ints places = axes;
  for (int64_t a : axes) places.push_back(a + rank);
  ValueId updates = c.add(Concat{0}, {begins, ends});
  return c.add(ScatterElements{}, {ints(Ints(size_t(2 * rank), 0)), ints(places), updates});
}
}  // namespace

/// Half of what is added or cut off, rounded toward zero, goes before.
void import_center_crop_pad(NodeContext& c) {
  ValueId x = c.in(0), shape = c.in(1);
  int64_t rank = c.known_rank(x);
  Ints axes = c.ints_attribute("axes");
  if (axes.empty())
    for (int64_t a = 0; a < rank; ++a) axes.push_back(a);
  for (int64_t& a : axes) a = c.axis(a, rank);
  const Fact& target = c.fact(shape);
  if (!target)
    return c.outputs({c.add(Pad{}, {x, ValueId{}, center_pads(c, x, shape, axes, rank)})});
  require(axes.size() == target->size(), "shape has ", target->size(), " entries for ", axes.size(),
          " axes");
  Pad op;
  op.pads.assign(size_t(2 * rank), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    Dim more = (*target)[i] - (*c.type(x).shape)[size_t(axes[i])];
    Dim begin = max(floor_div(more, 2), 0) - max(floor_div(0 - more, 2), 0);
    op.pads[size_t(axes[i])] = begin, op.pads[size_t(axes[i] + rank)] = more - begin;
  }
  c.outputs({c.add(op, {x})});
}

void import_nms(NodeContext& c) {
  NonMaxSuppression op{c.int_attribute("center_point_box", 0) != 0};
  c.outputs({c.add(op, {c.in(0), c.in(1), c.optional_in(2), c.optional_in(3), c.optional_in(4)})});
}

void import_roi_align(NodeContext& c) {
  // Before version 16 boxes were not shifted by half a pixel.
  std::string coordinates = c.opset() < 16 ? "output_half_pixel" : "half_pixel";
  c.outputs(
      {c.add(make_classic("roi_align",
                          {{"mode", c.string_attribute("mode", "avg")},
                           {"coordinate_transformation_mode",
                            c.string_attribute("coordinate_transformation_mode", coordinates)},
                           {"output_height", c.int_attribute("output_height", 1)},
                           {"output_width", c.int_attribute("output_width", 1)},
                           {"sampling_ratio", c.int_attribute("sampling_ratio", 0)},
                           {"spatial_scale", c.float_attribute("spatial_scale", 1)}}),
             {c.in(0), c.in(1), c.in(2)})});
}

void import_max_roi_pool(NodeContext& c) {
  c.outputs({c.add(
      make_classic("max_roi_pool", {{"pooled_shape", c.ints_attribute("pooled_shape")},
                                    {"spatial_scale", c.float_attribute("spatial_scale", 1)}}),
      {c.in(0), c.in(1)})});
}

void import_col2im(NodeContext& c) {
  c.outputs({c.add(make_classic("col2im", {{"strides", c.ints_attribute("strides")},
                                           {"dilations", c.ints_attribute("dilations")},
                                           {"pads", c.ints_attribute("pads")}}),
                   {c.in(0), c.in(1), c.in(2)})});
}

void import_affine_grid(NodeContext& c) {
  c.outputs(
      {c.add(make_classic("affine_grid", {{"align_corners", c.int_attribute("align_corners", 0)}}),
             {c.in(0), c.in(1)})});
}

}  // namespace vitrify::onnx
