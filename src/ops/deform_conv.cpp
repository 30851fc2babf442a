#include <algorithm>
#include <cmath>

#include "ops/conv.h"
#include "ops/epilogue.h"
#include "ops/window.h"
#include "ops/working.h"

namespace vitrify {

namespace {

WeightsWindow deform_window(const DeformConv& op, const Shape& x, const Shape& w) {
  if (x.size() != 4 || w.size() != 4)
    fail_unsupported("deform_conv is two-dimensional only, not x ", str(x), " and w ", str(w));
  require(op.group >= 1 && op.offset_group >= 1, "group and offset_group must be positive");
  return weights_window(op.window, w);
}

void expect(const Tensor& t, const Dims& dims, const char* what) {
  require(t.dims() == dims, what, " must have shape ", str(dims), ", not ", str(t.dims()));
}

/// The value at a fractional position, 0 outside.
template <class T>
double bilinear(const T* plane, int64_t height, int64_t width, double y, double x) {
  if (!(y > -1 && y < double(height) && x > -1 && x < double(width))) return 0;
  int64_t y0 = int64_t(std::floor(y)), x0 = int64_t(std::floor(x));
  double fy = y - double(y0), fx = x - double(x0), sum = 0;
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < 2; ++j) {
      int64_t row = y0 + i, column = x0 + j;
      if (row < 0 || row >= height || column < 0 || column >= width) continue;
      sum += (i ? fy : 1 - fy) * (j ? fx : 1 - fx) * double(plane[row * width + column]);
    }
  return sum;
}

struct DeformShape {
  WindowGeometry g;
  int64_t batch, channels, results, group, offset_group;
};

/// Where each tap of result position o samples, and with what weight: [offset group][tap] × (y, x,
/// weight).
template <class T>
void sample_points(const DeformShape& s, int64_t n, int64_t o, const T* offset, const T* mask,
                   std::vector<double>& points) {
  const WindowGeometry& g = s.g;
  int64_t row = o / g.out[1] * g.strides[0] - g.pads_begin[0];
  int64_t column = o % g.out[1] * g.strides[1] - g.pads_begin[1];
  for (int64_t k = 0; k < s.offset_group; ++k)
    for (int64_t t = 0; t < g.tap_count; ++t) {
      int64_t at = (n * s.offset_group + k) * g.tap_count + t;
      double* p = points.data() + (k * g.tap_count + t) * 3;
      p[0] =
          double(row + t / g.kernel[1] * g.dilations[0]) + double(offset[2 * at * g.out_count + o]);
      p[1] = double(column + t % g.kernel[1] * g.dilations[1]) +
             double(offset[(2 * at + 1) * g.out_count + o]);
      p[2] = mask ? double(mask[at * g.out_count + o]) : 1;
    }
}

template <class T>
void deform_image(const DeformShape& s, int64_t n, const T* x, const T* w, const T* offset,
                  const T* bias, const T* mask, double* y) {
  const WindowGeometry& g = s.g;
  int64_t c = s.channels / s.group, m = s.results / s.group, taps = g.tap_count;
  std::vector<double> points(size_t(s.offset_group * taps * 3)), values(size_t(s.channels * taps));
  for (int64_t o = 0; o < g.out_count; ++o) {
    sample_points(s, n, o, offset, mask, points);
    for (int64_t i = 0; i < s.channels; ++i)
      for (int64_t t = 0; t < taps; ++t) {
        const double* p = points.data() + (i / (s.channels / s.offset_group) * taps + t) * 3;
        values[size_t(i * taps + t)] =
            p[2] * bilinear(x + i * g.in_count, g.in[0], g.in[1], p[0], p[1]);
      }
    for (int64_t j = 0; j < s.results; ++j) {
      const double* in = values.data() + j / m * c * taps;
      double sum = bias ? double(bias[j]) : 0;
      for (int64_t p = 0; p < c * taps; ++p) sum += in[p] * double(w[j * c * taps + p]);
      y[j * g.out_count + o] = sum;
    }
  }
}

DeformShape checked_deform(ReferenceCall& call, const DeformConv& op) {
  const Tensor &x = call.in(0), &w = call.in(1);
  Window window = deform_window(op, to_shape(x.dims()), to_shape(w.dims())).window;
  DeformShape s{window_geometry(window, {x.dims()[2], x.dims()[3]}),
                x.dims()[0],
                x.dims()[1],
                w.dims()[0],
                op.group,
                op.offset_group};
  const Ints &k = window.kernel, &o = s.g.out;
  require(s.channels % s.group == 0 && s.results % s.group == 0 && s.channels % s.offset_group == 0,
          "channels ", s.channels, " and ", s.results, " do not divide into the groups");
  expect(w, {s.results, s.channels / s.group, k[0], k[1]}, "w");
  int64_t points = checked_mul(s.offset_group, s.g.tap_count);
  expect(call.in(2), {s.batch, 2 * points, o[0], o[1]}, "offset");
  if (call.has(3)) expect(call.in(3), {s.results}, "bias");
  if (call.has(4)) expect(call.in(4), {s.batch, points, o[0], o[1]}, "mask");
  return s;
}

}  // namespace

void infer_deform_conv(InferContext& context) {
  const DeformConv& op = *context.op().as<DeformConv>();
  for (int i = 0; i < 3; ++i) context.expect_tensor(i);
  for (int i = 1; i < 5; ++i)
    require(!context.has(i) || context.dtype(i) == context.dtype(0),
            "all inputs need one element type");
  require(is_float(context.dtype(0)), "deform_conv takes floats");
  const Shape *x = context.shape(0), *w = context.shape(1);
  if (!x || !w) return context.output(half_known(context, context.dtype(0)));
  const WeightsWindow window = deform_window(op, *x, *w);  // checks the ranks
  Shape out = window_output(window, {(*x)[2], (*x)[3]});
  context.output(Type::tensor(context.dtype(0), {x->front(), w->front(), out[0], out[1]}));
}

void reference_deform_conv(ReferenceCall& call) {
  DeformShape s = checked_deform(call, *call.op().as<DeformConv>());
  with_working_type(call.in(0).dtype(), [&]<class T>(T) {
    auto optional = [&](int i) { return Working<T>(call.has(i) ? call.in(i) : Tensor()); };
    Working<T> x(call.in(0)), w(call.in(1)), offset(call.in(2)), bias = optional(3),
                                                                 mask = optional(4);
    std::vector<double> y(size_t(s.batch * s.results * s.g.out_count));
    for (int64_t n = 0; n < s.batch; ++n)
      deform_image(s, n, x.data() + n * s.channels * s.g.in_count, w.data(), offset.data(),
                   call.has(3) ? bias.data() : nullptr, call.has(4) ? mask.data() : nullptr,
                   y.data() + n * s.results * s.g.out_count);
    store_working(y.data(),
                  call.out(0, call.in(0).dtype(), {s.batch, s.results, s.g.out[0], s.g.out[1]}));
  });
}

Cost cost_deform_conv(const Op&, std::span<const Dims> inputs, std::span<const Dims> outputs) {
  double depth = 1, bytes = double(element_count(outputs[0]));
  for (size_t i = 1; i < inputs[1].size(); ++i) depth *= double(inputs[1][i]);
  for (const Dims& d : inputs) bytes += double(element_count(d));
  return {(2 + 8) * double(element_count(outputs[0])) * depth, 4 * bytes};
}

}  // namespace vitrify
