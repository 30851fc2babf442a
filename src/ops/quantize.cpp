#include "ops/quantize.h"

#include <algorithm>
#include <cmath>

#include "base/small_float.h"
#include "ops/working.h"

namespace vitrify {

IntegerRange integer_range(DType dtype) {
  require(is_integer(dtype) && bit_width(dtype) <= 32, name(dtype), " is no quantised type");
  int64_t count = int64_t(1) << bit_width(dtype);
  return is_signed(dtype) ? IntegerRange{-count / 2, count / 2 - 1} : IntegerRange{0, count - 1};
}

namespace {

bool is_quantised(DType d) {
  return is_integer(d) ? bit_width(d) <= 32 : is_float(d) && bit_width(d) <= 8;
}

int64_t checked_axis(int64_t axis, int64_t rank) {
  require(axis >= -rank && axis < rank, "axis ", axis, " is out of range for rank ", rank);
  return axis < 0 ? axis + rank : axis;
}

/// Which scale an element has: x is seen as [outer, extent, inner] around the axis.
struct ScaleMap {
  enum class Kind { kTensor, kAxis, kBlock } kind = Kind::kTensor;
  int64_t outer = 1, extent = 1, inner = 1, block = 1, blocks = 1;

  /// Of the element at (o, a, 0); the next along `inner` is `step()` further.
  int64_t at(int64_t o, int64_t a) const {
    if (kind == Kind::kTensor) return 0;
    return kind == Kind::kAxis ? a : (o * blocks + a / block) * inner;
  }
  int64_t step() const { return kind == Kind::kBlock; }
};

ScaleMap scale_map(const Dims& x, const Dims& scale, int64_t axis, int64_t block_size) {
  ScaleMap map;
  require(block_size >= 0, "block_size is negative");
  int64_t rank = int64_t(x.size());
  if (block_size == 0 && element_count(scale) == 1) {
    map.inner = element_count(x);
    return map;
  }
  axis = checked_axis(axis, rank);
  auto at = x.begin() + axis;
  map.outer = element_count(Dims(x.begin(), at)), map.extent = *at;
  map.inner = element_count(Dims(at + 1, x.end()));
  Dims expected{map.extent};
  map.kind = ScaleMap::Kind::kAxis;
  if (block_size > 0) {
    map.kind = ScaleMap::Kind::kBlock;
    map.block = block_size, map.blocks = (map.extent - 1) / block_size + 1;
    if (map.extent == 0) map.blocks = 0;
    expected = x;
    expected[size_t(axis)] = map.blocks;
  }
  require(scale == expected, "scale must have shape ", str(expected), ", not ", str(scale));
  return map;
}

/// `quantised` is the type of the quantised side, which a zero point has too.
void infer_scales(const InferContext& context, int64_t axis, int64_t block_size, DType quantised) {
  context.expect_tensor(0), context.expect_tensor(1);
  require(is_float(context.dtype(1)), "scale must be floating, not ", name(context.dtype(1)));
  const Type &x = context.type(0), &scale = context.type(1);
  require(is_quantised(quantised), name(quantised), " is no quantised type");
  if (x.is_static() && scale.is_static()) scale_map(x.dims(), scale.dims(), axis, block_size);
  if (!context.has(2)) return;
  const Type& zero = context.type(2);
  require(zero.dtype == quantised, "zero_point must be ", name(quantised), ", not ",
          name(zero.dtype));
  require(!zero.has_rank() || !scale.has_rank() || !zero.is_static() || !scale.is_static() ||
              element_count(zero.dims()) == element_count(scale.dims()),
          "zero_point ", zero.str(), " and scale ", scale.str(), " differ in size");
}

Tensor zero_point(ReferenceCall& call, const Tensor& scale) {
  if (!call.has(2)) return Tensor(DType::kFloat32, scale.dims());
  require(call.in(2).size() == scale.size(), "zero_point ", str(call.in(2).dims()), " and scale ",
          str(scale.dims()), " differ in size");
  return call.in(2);
}

/// Calls row(x offset, scale index, scale step, count) for every run along `inner`.
template <class F>
void for_each_run(const ScaleMap& map, F&& row) {
  for (int64_t o = 0; o < map.outer; ++o)
    for (int64_t a = 0; a < map.extent; ++a)
      row((o * map.extent + a) * map.inner, map.at(o, a), map.step(), map.inner);
}

float rounded_to(DType precision, float v) {
  if (precision == DType::kFloat16) return half_to_float(float_to_half(v));
  if (precision == DType::kBFloat16) return bfloat16_to_float(float_to_bfloat16(v));
  return v;
}

void quantize_integers(const ScaleMap& map, const Quantize& op, const float* x, const float* scale,
                       const float* zero, Tensor& y) {
  IntegerRange range = integer_range(y.dtype());
  double low = double(range.low), high = double(range.high);
  std::vector<int64_t> out(size_t(y.size()));
  auto ratio = [&](float a, float b) {
    return rounded_to(op.precision, rounded_to(op.precision, a) / rounded_to(op.precision, b));
  };
  for_each_run(map, [&](int64_t first, int64_t s, int64_t step, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      double q = std::nearbyint(double(ratio(x[first + i], scale[s + i * step]))) +
                 double(zero[s + i * step]);
      out[size_t(first + i)] = q != q ? 0 : int64_t(std::clamp(q, low, high));
    }
  });
  store_working(out.data(), y);
}

void quantize_floats(const ScaleMap& map, const Quantize& op, const float* x, const float* scale,
                     const float* zero, Tensor& y) {
  const SmallFloat* float8 = bit_width(y.dtype()) == 8 ? small_float_format(y.dtype()) : nullptr;
  for_each_run(map, [&](int64_t first, int64_t s, int64_t step, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      float divisor = rounded_to(op.precision, scale[s + i * step]);
      float v = rounded_to(op.precision, rounded_to(op.precision, x[first + i]) / divisor);
      v += zero[s + i * step];
      if (float8)
        y.data<uint8_t>()[first + i] = uint8_t(encode(*float8, double(v), op.saturate));
      else
        set_double(y, first + i, double(v));
    }
  });
}

}  // namespace

void infer_quantize(InferContext& context) {
  const Quantize& op = *context.op().as<Quantize>();
  infer_scales(context, op.axis, op.block_size, op.to);
  Type y = context.type(0);
  y.dtype = op.to;
  context.output(y);
}

void reference_quantize(ReferenceCall& call) {
  const Quantize& op = *call.op().as<Quantize>();
  const Tensor &x = call.in(0), &scale = call.in(1);
  ScaleMap map = scale_map(x.dims(), scale.dims(), op.axis, op.block_size);
  Working<float> from(x), scales(scale), zeros(zero_point(call, scale));
  Tensor& y = call.out(0, op.to, x.dims());
  auto run = is_integer(op.to) ? quantize_integers : quantize_floats;
  run(map, op, from.data(), scales.data(), zeros.data(), y);
}

void infer_dequantize(InferContext& context) {
  const Dequantize& op = *context.op().as<Dequantize>();
  context.expect_tensor(0);
  infer_scales(context, op.axis, op.block_size, context.dtype(0));
  Type y = context.type(0);
  y.dtype = op.to == DType::kUndefined ? context.dtype(1) : op.to;
  require(is_float(y.dtype), "the result must be floating, not ", name(y.dtype));
  context.output(y);
}

void reference_dequantize(ReferenceCall& call) {
  const Dequantize& op = *call.op().as<Dequantize>();
  const Tensor &x = call.in(0), &scale = call.in(1);
  ScaleMap map = scale_map(x.dims(), scale.dims(), op.axis, op.block_size);
  Working<float> scales(scale);
  Working<double> from(x), zeros(zero_point(call, scale));
  std::vector<float> y(size_t(x.size()));
  for_each_run(map, [&](int64_t first, int64_t s, int64_t step, int64_t count) {
    for (int64_t i = 0; i < count; ++i)
      y[size_t(first + i)] = float(from[first + i] - zeros[s + i * step]) * scales[s + i * step];
  });
  DType to = op.to == DType::kUndefined ? scale.dtype() : op.to;
  store_working(y.data(), call.out(0, to, x.dims()));
}

Cost cost_quantize(const Op&, std::span<const Dims> inputs, std::span<const Dims> outputs) {
  double count = double(element_count(outputs[0]));
  return {3 * count, 5 * count + 4 * double(element_count(inputs[1]))};
}

}  // namespace vitrify
