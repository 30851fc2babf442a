// Convolution and pooling. Vitrify computes them channels-last: x is transposed before and the
// result back after; passes make the transposes between neighbours meet and vanish.
#include "base/error.h"
#include "onnx/families.h"
#include "onnx/import_image.h"
#include "onnx/importer.h"
#include "onnx/window.h"

namespace vitrify::onnx {

Window window_of(const NodeContext& c, size_t axes, Ints kernel) {
  Window w;
  w.kernel = c.ints_attribute("kernel_shape", std::move(kernel));
  w.strides = c.ints_attribute("strides", Ints(axes, 1));
  w.dilations = c.ints_attribute("dilations", Ints(axes, 1));
  Ints pads = c.ints_attribute("pads", Ints(2 * axes, 0));
  require(pads.size() == 2 * axes, "pads has ", pads.size(), " entries, expected ", 2 * axes);
  w.pads_begin.assign(pads.begin(), pads.begin() + int64_t(axes));
  w.pads_end.assign(pads.begin() + int64_t(axes), pads.end());
  w.ceil_mode = c.int_attribute("ceil_mode", 0) != 0;
  std::string mode = c.string_attribute("auto_pad", "NOTSET");
  if (mode == "SAME_UPPER") w.auto_pad = Window::AutoPad::kSameUpper;
  if (mode == "SAME_LOWER") w.auto_pad = Window::AutoPad::kSameLower;
  if (mode != "NOTSET") w.pads_begin.assign(axes, 0), w.pads_end.assign(axes, 0);
  require(mode == "NOTSET" || mode == "VALID" || w.auto_pad != Window::AutoPad::kExplicit,
          "auto_pad '", mode, "' is unknown");
  return w;
}

size_t spatial_axes(const NodeContext& c, ValueId x, ValueId w) {
  int rank = c.rank(x);
  if (rank < 0 && w.valid()) rank = c.rank(w);
  for (const char* name : {"kernel_shape", "strides", "dilations"})
    if (rank < 0 && c.has_attribute(name)) rank = int(c.ints_attribute(name).size()) + 2;
  if (rank < 0) rank = c.known_rank(x);
  require(rank >= 3, "x needs a rank of at least 3, not ", rank);
  return size_t(rank) - 2;
}

Ints weight_kernel(const NodeContext& c, ValueId w) {
  Ints kernel;
  const Type& type = c.type(w);
  if (!type.has_rank()) return kernel;
  for (size_t i = 2; i < type.shape->size(); ++i) {
    const Dim& extent = (*type.shape)[i];
    if (!extent.is_constant()) return {};
    kernel.push_back(extent.value());
  }
  return kernel;
}

namespace {

/// Adds a [M] bias to a channels-last value, and turns it channels first.
ValueId finish(NodeContext& c, ValueId y, size_t axes, ValueId bias) {
  if (bias.valid()) y = c.binary(BinaryKind::kAdd, y, bias);
  return c.channels_first(y, int(axes) + 2);
}

void import_conv(NodeContext& c) {
  ValueId x = c.in(0), w = c.in(1);
  size_t axes = spatial_axes(c, x, w);
  Conv op{window_of(c, axes, weight_kernel(c, w)), c.int_attribute("group", 1), {}};
  ValueId y = c.add(op, {c.channels_last(x, int(axes) + 2), w});
  c.outputs({finish(c, y, axes, c.optional_in(2))});
}

void import_conv_transpose(NodeContext& c) {
  ValueId x = c.in(0), w = c.in(1);
  size_t axes = spatial_axes(c, x, w);
  ConvTranspose op{window_of(c, axes, weight_kernel(c, w)),
                   c.int_attribute("group", 1),
                   c.ints_attribute("output_padding"),
                   c.ints_attribute("output_shape"),
                   {}};
  if (op.output_shape.size() == axes + 2)
    op.output_shape.erase(op.output_shape.begin(), op.output_shape.begin() + 2);
  ValueId y = c.add(op, {c.channels_last(x, int(axes) + 2), w});
  c.outputs({finish(c, y, axes, c.optional_in(2))});
}

void import_deform_conv(NodeContext& c) {
  ValueId x = c.in(0), w = c.in(1);
  DeformConv op{window_of(c, spatial_axes(c, x, w), weight_kernel(c, w)),
                c.int_attribute("group", 1), c.int_attribute("offset_group", 1)};
  c.outputs({c.add(op, {x, w, c.in(2), c.optional_in(3), c.optional_in(4)})});
}

/// (x [B, C, L], w [C, 1, k], bias?, past [B, C, k - 1]?) → (y, the last k - 1 positions)
void import_causal_conv(NodeContext& c) {
  ValueId x = c.in(0), w = c.in(1);
  require(c.known_rank(x) == 3 && c.known_rank(w) == 3, "x and weight need rank 3");
  const Shape shape = *c.type(x).shape, weights = *c.type(w).shape;
  if (!weights[0].is_constant() || !weights[2].is_constant())
    fail_unsupported("the weights' shape ", str(weights), " is not known");
  int64_t keep = weights[2].value() - 1;
  Pad pad{.pads = {0, 0, keep, 0, 0, 0}};
  ValueId sequence = c.has(3) ? c.add(Concat{2}, {c.in(3), x}) : c.add(pad, {x});
  Conv op{{.kernel = {keep + 1}}, weights[0].value(), {}};
  ValueId y = finish(c, c.add(op, {c.channels_last(sequence), w}), 1, c.optional_in(2));
  std::string activation = c.string_attribute("activation", "none");
  require(activation == "none" || activation == "silu" || activation == "swish", "activation '",
          activation, "' is unknown");
  if (activation != "none") y = c.unary(UnaryKind::kSwish, y, 1);
  Slice last{.axes = {2}, .begins = {shape[2]}, .sizes = {keep}, .steps = {1}};
  c.outputs({y, c.wants(1) ? c.add(last, {sequence}) : ValueId{}});
}

void import_pool(NodeContext& c, Pool op) {
  ValueId x = c.in(0);
  size_t axes = spatial_axes(c, x);
  op.window = window_of(c, axes, {});
  c.outputs({c.channels_first(c.add(op, {c.channels_last(x, int(axes) + 2)}))});
}

void import_max_pool(NodeContext& c) {
  if (!c.wants(1)) return import_pool(c, {.kind = Pool::Kind::kMax});
  MaxPoolIndices op{window_of(c, spatial_axes(c, c.in(0)), {}),
                    c.int_attribute("storage_order", 0) != 0};
  ValueId y = c.add(op, {c.in(0)});
  c.outputs({y, {y.node, 1}});
}

void import_average_pool(NodeContext& c) {
  import_pool(c, {.kind = Pool::Kind::kAverage,
                  .count_include_pad = c.int_attribute("count_include_pad", 0) != 0});
}

void import_lp_pool(NodeContext& c) {
  import_pool(c, {.kind = Pool::Kind::kLp, .p = c.int_attribute("p", 2)});
}

/// Version 1 has p as a float.
void import_lp_pool_1(NodeContext& c) {
  double p = c.float_attribute("p", 2);
  require(p >= 1 && p <= 64 && p == double(int64_t(p)), "p must be a small whole number, not ", p);
  import_pool(c, {.kind = Pool::Kind::kLp, .p = int64_t(p)});
}

void import_max_unpool(NodeContext& c) {
  MaxUnpool op{window_of(c, spatial_axes(c, c.in(0)), {})};
  std::vector<ValueId> inputs{c.in(0), c.in(1)};
  if (c.has(2)) inputs.push_back(c.in(2));
  c.outputs({c.add(op, inputs)});
}

const ImportRow kRows[] = {
    {"", "Conv", 1, import_conv},
    {"", "ConvTranspose", 1, import_conv_transpose},
    {"", "DeformConv", 19, import_deform_conv},
    {"", "CausalConvWithState", 27, import_causal_conv},
    {"", "MaxPool", 1, import_max_pool},
    {"", "AveragePool", 1, import_average_pool},
    {"", "LpPool", 1, import_lp_pool_1},
    {"", "LpPool", 2, import_lp_pool},
    {"", "MaxUnpool", 9, import_max_unpool},
    {"", "Resize", 10, import_resize_10},
    {"", "Resize", 11, import_resize},
    {"", "Upsample", 1, import_upsample_1},
    {"", "Upsample", 7, import_upsample_7},
    {"", "Upsample", 9, import_resize_10},
    {"", "GridSample", 16, import_grid_sample},
    {"", "DepthToSpace", 1, import_depth_to_space},
    {"", "SpaceToDepth", 1, import_space_to_depth},
    {"", "CenterCropPad", 18, import_center_crop_pad},
    {"", "NonMaxSuppression", 10, import_nms},
    {"", "RoiAlign", 10, import_roi_align},
    {"", "MaxRoiPool", 1, import_max_roi_pool},
    {"", "Col2Im", 18, import_col2im},
    {"", "AffineGrid", 20, import_affine_grid},
};

}  // namespace

std::span<const ImportRow> spatial_imports() { return kRows; }

}  // namespace vitrify::onnx
