// Quantisation, and the integer ops by composition: products in 32-bit integers of what remains
// after the zero points, then scaled and quantised again.
#include <algorithm>

#include "base/error.h"
#include "onnx/families.h"
#include "onnx/importer.h"
#include "onnx/window.h"

namespace vitrify::onnx {

namespace {

void import_quantize(NodeContext& c) {
  Quantize op{.axis = c.int_attribute("axis", 1),
              .block_size = c.int_attribute("block_size", 0),
              .saturate = c.int_attribute("saturate", 1) != 0,
              .to = c.dtype_attribute("output_dtype", DType::kUndefined),
              .precision = c.dtype_attribute("precision", DType::kUndefined)};
  if (c.has(2)) {
    DType given = c.dtype(c.in(2));
    require(op.to == DType::kUndefined || op.to == given, "output_dtype is ", name(op.to),
            ", but the zero point ", name(given));
    op.to = given;
  }
  if (op.to == DType::kUndefined) op.to = DType::kUint8;
  c.outputs({c.add(op, {c.in(0), c.in(1), c.optional_in(2)})});
}

void import_dequantize(NodeContext& c) {
  Dequantize op{.axis = c.int_attribute("axis", 1),
                .block_size = c.int_attribute("block_size", 0),
                .to = c.dtype_attribute("output_dtype", DType::kUndefined)};
  c.outputs({c.add(op, {c.in(0), c.in(1), c.optional_in(2)})});
}

/// scale = (max - min) / 255 over a range that holds 0; zero point = round(-min / scale).
void import_dynamic_quantize(NodeContext& c) {
  ValueId x = c.in(0), zero = c.scalar(0, DType::kFloat32);
  auto extreme = [&](Reduce::Kind kind, BinaryKind with_zero) {
    Reduce op{.kind = kind, .axes = {}, .keepdims = false, .epilogue = {}};
    return c.binary(with_zero, c.add(op, {x}), zero);
  };
  ValueId low = extreme(Reduce::Kind::kMin, BinaryKind::kMin);
  ValueId high = extreme(Reduce::Kind::kMax, BinaryKind::kMax);
  ValueId range = c.binary(BinaryKind::kSub, high, low);
  ValueId scale = c.binary(BinaryKind::kDiv, range, c.scalar(255, DType::kFloat32));
  ValueId flat = c.binary(BinaryKind::kEqual, range, zero);  // all zeros: any scale will do
  scale = c.add(Select{}, {flat, c.scalar(1, DType::kFloat32), scale});
  ValueId shift = c.binary(BinaryKind::kDiv, c.unary(UnaryKind::kNeg, low), scale);
  ValueId zero_point = c.cast(c.unary(UnaryKind::kRound, shift), DType::kUint8);
  c.outputs({c.add(Quantize{.to = DType::kUint8}, {x, scale, zero_point}), scale, zero_point});
}

// ---- integer products ----

bool is_zero(const NodeContext& c, ValueId v) {
  if (!v.valid()) return true;
  const Tensor* t = c.constant(v);
  for (int64_t i = 0; t && i < t->size(); ++i)
    if (double_at(*t, i) != 0) return false;
  return t != nullptr;
}

/// The type that products of quantised values are summed in.
DType sum_type(DType quantised) { return is_integer(quantised) ? DType::kInt32 : DType::kFloat32; }

ValueId without_zero_point(NodeContext& c, ValueId x, ValueId zero) {
  DType sum = sum_type(c.dtype(x));
  ValueId wide = c.cast(x, sum);
  return is_zero(c, zero) ? wide : c.binary(BinaryKind::kSub, wide, c.cast(zero, sum));
}

/// A per-row parameter [M] so that it broadcasts to [M, K]; others stay.
ValueId for_rows(NodeContext& c, ValueId parameter) {
  if (!parameter.valid() || c.rank(parameter) != 1) return parameter;
  Dim count = c.type(parameter).shape->front();
  return count == Dim(1) ? c.reshape(parameter, {}) : c.reshape(parameter, {count, 1});
}
/// [1] as a scalar, so that it does not add an axis.
ValueId for_columns(NodeContext& c, ValueId parameter) {
  bool single =
      parameter.valid() && c.rank(parameter) == 1 && c.type(parameter).shape->front() == Dim(1);
  return single ? c.reshape(parameter, {}) : parameter;
}

ValueId integer_product(NodeContext& c, ValueId a, ValueId a_zero, ValueId b, ValueId b_zero) {
  return c.add(MatMul{}, {without_zero_point(c, a, for_rows(c, a_zero)),
                          without_zero_point(c, b, for_columns(c, b_zero))});
}

void import_matmul_integer(NodeContext& c) {
  c.outputs({integer_product(c, c.in(0), c.optional_in(2), c.in(1), c.optional_in(3))});
}

/// sums * (a_scale * b_scale / y_scale), quantised with y's zero point.
ValueId requantize(NodeContext& c, ValueId sums, ValueId a_scale, ValueId b_scale, ValueId y_scale,
                   ValueId y_zero) {
  auto wide = [&](ValueId v) { return c.cast(v, DType::kFloat32); };
  ValueId scale = c.binary(BinaryKind::kMul, wide(a_scale), wide(b_scale));
  scale = c.binary(BinaryKind::kDiv, scale, wide(y_scale));
  ValueId y = c.binary(BinaryKind::kMul, wide(sums), scale);
  ValueId zero = for_columns(c, y_zero);
  return c.add(Quantize{.to = c.dtype(zero)}, {y, c.scalar(1, DType::kFloat32), zero});
}

void import_qlinear_matmul(NodeContext& c) {
  ValueId sums = integer_product(c, c.in(0), c.in(2), c.in(3), c.in(5));
  c.outputs({requantize(c, sums, for_rows(c, c.in(1)), for_columns(c, c.in(4)),
                        for_columns(c, c.in(6)), c.in(7))});
}

/// A per-result-channel zero point [M] so that it broadcasts to weights [M, C, k…].
ValueId for_weights(NodeContext& c, ValueId zero, size_t rank) {
  if (!zero.valid() || c.rank(zero) != 1) return zero;
  Shape shape(rank, 1);
  shape[0] = c.type(zero).shape->front();
  return c.reshape(zero, shape);
}

/// Channels-last sums of an integer convolution.
ValueId integer_conv(NodeContext& c, ValueId x, ValueId x_zero, ValueId w, ValueId w_zero) {
  size_t axes = spatial_axes(c, x, w);
  Conv op{window_of(c, axes, weight_kernel(c, w)), c.int_attribute("group", 1), {}};
  ValueId last = c.channels_last(x, int(axes) + 2);
  return c.add(op, {without_zero_point(c, last, for_columns(c, x_zero)),
                    without_zero_point(c, w, for_weights(c, w_zero, axes + 2))});
}

void import_conv_integer(NodeContext& c) {
  c.outputs(
      {c.channels_first(integer_conv(c, c.in(0), c.optional_in(2), c.in(1), c.optional_in(3)))});
}

void import_qlinear_conv(NodeContext& c) {
  ValueId sums = integer_conv(c, c.in(0), c.in(2), c.in(3), c.in(5));
  if (c.has(8)) sums = c.binary(BinaryKind::kAdd, sums, c.cast(c.in(8), c.dtype(sums)));
  c.outputs({c.channels_first(requantize(c, sums, for_columns(c, c.in(1)), for_columns(c, c.in(4)),
                                         for_columns(c, c.in(6)), c.in(7)))});
}

const ImportRow kRows[] = {
    {"", "QuantizeLinear", 10, import_quantize},
    {"", "DequantizeLinear", 10, import_dequantize},
    {"", "DynamicQuantizeLinear", 11, import_dynamic_quantize},
    {"", "MatMulInteger", 10, import_matmul_integer},
    {"", "QLinearMatMul", 10, import_qlinear_matmul},
    {"", "ConvInteger", 10, import_conv_integer},
    {"", "QLinearConv", 10, import_qlinear_conv},
};

}  // namespace

std::span<const ImportRow> quantize_imports() { return kRows; }

}  // namespace vitrify::onnx
