#include <algorithm>

#include "ops/body.h"
#include "ops/conv.h"
#include "ops/epilogue.h"
#include "ops/window.h"
#include "ops/working.h"

namespace vitrify {

namespace {

struct TransposedShape {
  Window window;      ///< kernel as in WeightsWindow; pads explicit only when the op's are and no
                      ///< output_shape is given
  Shape kernel;       ///< the kernel's extents
  Ints extra;         ///< output_padding, one per axis
  Ints output_shape;  ///< spatial extents asked for, or empty
  bool given() const { return !output_shape.empty(); }
};

void check_list(const Ints& list, size_t axes, const char* what) {
  require(list.size() == axes, what, " has ", list.size(), " entries for ", axes, " spatial axes");
  for (int64_t v : list) require(v >= 0 && v <= (int64_t(1) << 40), what, " holds ", v);
}

TransposedShape checked_shape(const ConvTranspose& op, const Shape& x, const Shape& w) {
  require(x.size() == w.size() && x.size() >= 3, "x ", str(x), " and w ", str(w),
          " need equal ranks of at least 3");
  const Dim &c = x.back(), &given = w[0];
  require(!c.is_constant() || !given.is_constant() || c == given, "x has ", c.str(),
          " channels, the weights expect ", given.str());
  require(op.group >= 1 && (!given.is_constant() || given.value() % op.group == 0), given.str(),
          " channels do not divide into ", op.group, " groups");
  auto [window, kernel] = weights_window(op.window, w);
  TransposedShape s{std::move(window), std::move(kernel), op.output_padding, op.output_shape};
  size_t axes = w.size() - 2;
  if (s.extra.empty()) s.extra.assign(axes, 0);
  check_list(s.extra, axes, "output_padding");
  if (s.given()) check_list(s.output_shape, axes, "output_shape");
  return s;
}

/// The extent before any cropping.
Dim full_extent(const TransposedShape& s, size_t i, const Dim& in) {
  const Window& w = s.window;
  return (in - 1) * w.strides[i] + s.extra[i] + ((s.kernel[i] - 1) * w.dilations[i] + 1);
}

Shape spatial_output(const TransposedShape& s, const Shape& in) {
  Shape out;
  for (size_t i = 0; i < in.size(); ++i) {
    if (s.given())
      out.push_back(s.output_shape[i]);
    else if (s.window.auto_pad != Window::AutoPad::kExplicit)
      out.push_back(in[i] * s.window.strides[i]);
    else
      out.push_back(full_extent(s, i, in[i]) - s.window.pads_begin[i] - s.window.pads_end[i]);
    require(!out.back().is_constant() || out.back().value() >= 0,
            "the pads crop more than there is of input extent ", in[i].str());
  }
  return out;
}

WindowGeometry geometry(const TransposedShape& s, const Ints& in) {
  Window w = s.window;
  Ints out;
  for (const Dim& d : spatial_output(s, to_shape(in))) out.push_back(d.value());
  if (s.given() || w.auto_pad != Window::AutoPad::kExplicit)
    for (size_t i = 0; i < in.size(); ++i) {
      int64_t total = std::max<int64_t>(full_extent(s, i, in[i]).value() - out[i], 0);
      bool upper = w.auto_pad == Window::AutoPad::kSameUpper;
      w.pads_begin[i] = upper ? total / 2 : total - total / 2;
      w.pads_end[i] = total - w.pads_begin[i];
    }
  return transposed_geometry(w, in, std::move(out));
}

/// [group][channel][tap][result] from [channel, result, tap].
template <class T>
std::vector<T> repack_weights(const T* w, int64_t channels, int64_t results, int64_t taps) {
  std::vector<T> out(size_t(channels * results * taps));
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t m = 0; m < results; ++m)
      for (int64_t t = 0; t < taps; ++t)
        out[size_t((c * taps + t) * results + m)] = w[(c * results + m) * taps + t];
  return out;
}

/// One group of one image: every input position makes taps × results, which are added where they
/// belong.
template <class T>
void scatter_group(const WindowGeometry& g, int64_t c, int64_t m, const T* x, int64_t x_row,
                   const T* w, Accumulator<T>* y, int64_t y_row) {
  int64_t width = g.tap_count * m;
  std::vector<Accumulator<T>> sums(static_cast<size_t>(width));
  for (int64_t i = 0; i < g.out_count; ++i) {
    std::fill(sums.begin(), sums.end(), 0);
    accumulate_product(1, width, c, x + i * x_row, c, w, sums.data());
    for_each_tap(g, i, [&](int64_t tap, int64_t to) {
      for (int64_t j = 0; j < m; ++j) y[to * y_row + j] += sums[size_t(tap * m + j)];
    });
  }
}

}  // namespace

void infer_conv_transpose(InferContext& context) {
  const ConvTranspose& op = *context.op().as<ConvTranspose>();
  context.expect_tensor(0), context.expect_tensor(1);
  DType dtype = product_dtype(context.dtype(0), context.dtype(1));
  const Shape *x = context.shape(0), *w = context.shape(1);
  if (!x || !w) return infer_epilogue(context, op.epilogue, half_known(context, dtype), 2);
  TransposedShape s = checked_shape(op, *x, *w);
  Shape shape{x->front()};
  for (const Dim& d : spatial_output(s, Shape(x->begin() + 1, x->end() - 1))) shape.push_back(d);
  shape.push_back((*w)[1] * op.group);
  infer_epilogue(context, op.epilogue, Type::tensor(dtype, shape), 2);
}

void reference_conv_transpose(ReferenceCall& call) {
  const ConvTranspose& op = *call.op().as<ConvTranspose>();
  const Tensor &x = call.in(0), &w = call.in(1);
  TransposedShape s = checked_shape(op, to_shape(x.dims()), to_shape(w.dims()));
  WindowGeometry g = geometry(s, Ints(x.dims().begin() + 1, x.dims().end() - 1));
  int64_t batch = x.dims()[0], channels = x.dims().back(), m = w.dims()[1];
  int64_t results = checked_mul(m, op.group), c = channels / op.group;
  Dims dims{batch};
  dims.insert(dims.end(), g.in.begin(), g.in.end());
  dims.push_back(results);
  with_working_type(x.dtype(), [&]<class T>(T) {
    Working<T> in(x), weights(w);
    std::vector<T> packed = repack_weights(weights.data(), channels, m, g.tap_count);
    std::vector<Accumulator<T>> y(size_t(element_count(dims)));
    for (int64_t n = 0; n < batch; ++n)
      for (int64_t k = 0; k < op.group; ++k)
        scatter_group(g, c, m, in.data() + n * g.out_count * channels + k * c, channels,
                      packed.data() + k * c * g.tap_count * m,
                      y.data() + n * g.in_count * results + k * m, results);
    store_through(call, op.epilogue, 2, product_dtype(x.dtype(), w.dtype()), dims, y.data());
  });
}

Cost cost_conv_transpose(const Op&, std::span<const Dims> inputs, std::span<const Dims> outputs) {
  double width = 1, weights = double(element_count(inputs[1]));
  for (size_t i = 1; i < inputs[1].size(); ++i) width *= double(inputs[1][i]);
  double results = double(element_count(outputs[0])), read = double(element_count(inputs[0]));
  return {2 * read * width, 4 * (read + weights + results)};
}

}  // namespace vitrify
