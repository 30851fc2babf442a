#include "ops/conv.h"

#include <algorithm>

#include "ops/body.h"
#include "ops/epilogue.h"
#include "ops/window.h"
#include "ops/working.h"

namespace vitrify {

namespace {

void check_channels(const Conv& op, const Shape& x, const Shape& w) {
  require(x.size() == w.size() && x.size() >= 3, "x ", str(x), " and w ", str(w),
          " need equal ranks of at least 3");
  require(op.group >= 1, "group must be positive, not ", op.group);
  const Dim &c = x.back(), &m = w[0], given = w[1] * op.group;
  require(!c.is_constant() || !given.is_constant() || c == given, "x has ", c.str(),
          " channels, the weights expect ", given.str());
  require(!m.is_constant() || m.value() % op.group == 0, m.str(),
          " result channels do not divide into ", op.group, " groups");
}

struct ConvShape {
  WindowGeometry window;
  int64_t batch, channels, results, group;
  int64_t group_channels() const { return channels / group; }
  int64_t group_results() const { return results / group; }
};

/// [group][tap][channel][result] from [result, channel, tap].
template <class T>
std::vector<T> repack_weights(const T* w, const ConvShape& s) {
  int64_t taps = s.window.tap_count, c = s.group_channels(), m = s.group_results();
  std::vector<T> out(size_t(s.results * c * taps));
  for (int64_t g = 0; g < s.group; ++g)
    for (int64_t j = 0; j < m; ++j)
      for (int64_t p = 0; p < c; ++p)
        for (int64_t t = 0; t < taps; ++t)
          out[size_t(((g * taps + t) * c + p) * m + j)] = w[((g * m + j) * c + p) * taps + t];
  return out;
}

/// One group of one image: gathers a few rows of taps × channels, then multiplies.
template <class T>
void conv_group(const ConvShape& s, const T* x, const T* w, Accumulator<T>* y) {
  constexpr int64_t kRows = 64;
  int64_t c = s.group_channels(), m = s.group_results(), depth = s.window.tap_count * c;
  std::vector<T> rows(size_t(kRows * depth));
  std::vector<Accumulator<T>> sums(size_t(kRows * m));
  for (int64_t o = 0; o < s.window.out_count; o += kRows) {
    int64_t count = std::min(kRows, s.window.out_count - o);
    std::fill(rows.begin(), rows.end(), T(0));
    std::fill(sums.begin(), sums.end(), 0);
    for (int64_t r = 0; r < count; ++r)
      for_each_tap(s.window, o + r, [&](int64_t tap, int64_t from) {
        std::copy_n(x + from * s.channels, c, rows.data() + r * depth + tap * c);
      });
    accumulate_product(count, m, depth, rows.data(), depth, w, sums.data());
    for (int64_t r = 0; r < count; ++r)
      std::copy_n(sums.data() + r * m, m, y + (o + r) * s.results);
  }
}

/// One channel a group: w is [tap][result].
template <class T>
void conv_depthwise(const ConvShape& s, const T* x, const T* w, Accumulator<T>* y) {
  using Acc = Accumulator<T>;
  int64_t each = s.group_results();
  for (int64_t o = 0; o < s.window.out_count; ++o)
    for_each_tap(s.window, o, [&](int64_t tap, int64_t from) {
      const T* in = x + from * s.channels;
      const T* weight = w + tap * s.results;
      Acc* out = y + o * s.results;
      if (each == 1)
        for (int64_t j = 0; j < s.results; ++j) out[j] += Acc(in[j]) * Acc(weight[j]);
      else
        for (int64_t j = 0; j < s.results; ++j) out[j] += Acc(in[j / each]) * Acc(weight[j]);
    });
}

template <class T>
std::vector<Accumulator<T>> convolve(const ConvShape& s, const T* x, const T* w) {
  int64_t image_in = s.window.in_count * s.channels, image_out = s.window.out_count * s.results;
  std::vector<Accumulator<T>> y(size_t(checked_mul(s.batch, image_out)));
  bool depthwise = s.group_channels() == 1 && s.group > 1;
  ConvShape packing = s;
  if (depthwise) packing.group = 1, packing.channels = 1;
  std::vector<T> packed = repack_weights(w, packing);
  for (int64_t n = 0; n < s.batch; ++n) {
    const T* from = x + n * image_in;
    Accumulator<T>* to = y.data() + n * image_out;
    if (depthwise) {
      conv_depthwise(s, from, packed.data(), to);
      continue;
    }
    int64_t weights = s.window.tap_count * s.group_channels() * s.group_results();
    for (int64_t g = 0; g < s.group; ++g)
      conv_group(s, from + g * s.group_channels(), packed.data() + g * weights,
                 to + g * s.group_results());
  }
  return y;
}

}  // namespace

Type half_known(InferContext& context, DType dtype) {
  const Shape* known = context.shape(0) ? context.shape(0) : context.shape(1);
  return known ? Type::tensor(dtype, context.fresh_shape(0, int(known->size())))
               : Type::unranked(dtype);
}

void infer_conv(InferContext& context) {
  const Conv& op = *context.op().as<Conv>();
  context.expect_tensor(0), context.expect_tensor(1);
  DType dtype = product_dtype(context.dtype(0), context.dtype(1));
  const Shape *x = context.shape(0), *w = context.shape(1);
  if (!x || !w) return infer_epilogue(context, op.epilogue, half_known(context, dtype), 2);
  check_channels(op, *x, *w);
  Shape shape{x->front()};
  for (const Dim& d :
       window_output(weights_window(op.window, *w), Shape(x->begin() + 1, x->end() - 1)))
    shape.push_back(d);
  shape.push_back(w->front());
  infer_epilogue(context, op.epilogue, Type::tensor(dtype, shape), 2);
}

void reference_conv(ReferenceCall& call) {
  const Conv& op = *call.op().as<Conv>();
  const Tensor &x = call.in(0), &w = call.in(1);
  check_channels(op, to_shape(x.dims()), to_shape(w.dims()));
  Window window = weights_window(op.window, to_shape(w.dims())).window;
  ConvShape s{window_geometry(window, Ints(x.dims().begin() + 1, x.dims().end() - 1)),
              x.dims().front(), x.dims().back(), w.dims()[0], op.group};
  Dims dims{s.batch};
  dims.insert(dims.end(), s.window.out.begin(), s.window.out.end());
  dims.push_back(s.results);
  element_count(dims);  // so that no product below overflows
  with_working_type(x.dtype(), [&]<class T>(T) {
    auto y = convolve<T>(s, Working<T>(x).data(), Working<T>(w).data());
    store_through(call, op.epilogue, 2, product_dtype(x.dtype(), w.dtype()), dims, y.data());
  });
}

Cost cost_conv(const Op&, std::span<const Dims> inputs, std::span<const Dims> outputs) {
  double depth = 1, weights = double(element_count(inputs[1]));
  for (size_t i = 1; i < inputs[1].size(); ++i) depth *= double(inputs[1][i]);
  double results = double(element_count(outputs[0])), read = double(element_count(inputs[0]));
  return {2 * results * depth, 4 * (read + weights + results)};
}

}  // namespace vitrify
