#include "ops/window.h"

#include <algorithm>

#include "base/error.h"

namespace vitrify {

namespace {

constexpr int64_t kLimit = int64_t(1) << 31;

void fill(Ints& list, size_t axes, int64_t value, const char* what, int64_t least) {
  if (list.empty()) list.assign(axes, value);
  require(list.size() == axes, what, " has ", list.size(), " entries for ", axes, " spatial axes");
  for (int64_t v : list)
    require(v >= least && v <= kLimit, what, " holds ", v, ", allowed are ", least, " to ", kLimit);
}

Dim output_extent(const Window& w, const Dim& kernel, size_t i, const Dim& in) {
  if (w.auto_pad != Window::AutoPad::kExplicit) return ceil_div(in, w.strides[i]);
  Dim begin = w.pads_begin[i], reach = (kernel - 1) * w.dilations[i] + 1;
  Dim room = in + begin + w.pads_end[i] - reach;
  if (!w.ceil_mode) return floor_div(room, w.strides[i]) + 1;
  // The last window has to start inside the input or the padding before it.
  return min(ceil_div(room, w.strides[i]), floor_div(in + begin - 1, w.strides[i])) + 1;
}

void resolve_pads(const Window& w, WindowGeometry& g) {
  if (w.auto_pad == Window::AutoPad::kExplicit) return;
  for (size_t i = 0; i < g.axes(); ++i) {
    int64_t reach = (g.kernel[i] - 1) * g.dilations[i] + 1;
    int64_t total = std::max<int64_t>((g.out[i] - 1) * g.strides[i] + reach - g.in[i], 0);
    int64_t half = w.auto_pad == Window::AutoPad::kSameUpper ? total / 2 : (total + 1) / 2;
    g.pads_begin[i] = half, g.pads_end[i] = total - half;
  }
}

WindowGeometry make_geometry(const Window& w, Ints in, Ints out) {
  WindowGeometry g{std::move(in), std::move(out), w.kernel,  w.strides,
                   w.dilations,   w.pads_begin,   w.pads_end};
  for (size_t i = 0; i < g.axes(); ++i) {
    require(g.out[i] >= 0, "the window (", w.kernel[i], " wide, dilation ", w.dilations[i],
            ") does not fit the padded input extent ", g.in[i]);
    g.in_count = checked_mul(g.in_count, g.in[i]);
    g.out_count = checked_mul(g.out_count, g.out[i]);
    g.tap_count = checked_mul(g.tap_count, g.kernel[i]);
  }
  return g;
}

}  // namespace

Window checked_window(const Window& window, size_t axes) {
  require(axes <= 16, "at most 16 spatial axes, not ", axes);
  Window w = window;
  require(w.kernel.size() == axes, "kernel has ", w.kernel.size(), " entries for ", axes,
          " spatial axes");
  fill(w.kernel, axes, 1, "kernel", 1);
  fill(w.strides, axes, 1, "strides", 1);
  fill(w.dilations, axes, 1, "dilations", 1);
  fill(w.pads_begin, axes, 0, "pads", -kLimit);
  fill(w.pads_end, axes, 0, "pads", -kLimit);
  return w;
}

Shape window_output(const Window& window, const Shape& in) {
  return window_output(WeightsWindow{window, to_shape(window.kernel)}, in);
}

WeightsWindow weights_window(const Window& window, const Shape& weights) {
  WeightsWindow w{window, Shape(weights.begin() + 2, weights.end())};
  const size_t axes = w.kernel.size();
  if (window.kernel.empty())
    for (const Dim& d : w.kernel) w.window.kernel.push_back(d.is_constant() ? d.value() : 1);
  w.window = checked_window(w.window, axes);
  for (size_t i = 0; i < axes && !window.kernel.empty(); ++i) {
    require(!w.kernel[i].is_constant() || w.kernel[i].value() == window.kernel[i], "kernel ",
            str(window.kernel), " differs from the weights' shape ", str(weights));
    w.kernel[i] = window.kernel[i];
  }
  return w;
}

Shape window_output(const WeightsWindow& w, const Shape& in) {
  Shape out;
  for (size_t i = 0; i < in.size(); ++i) {
    out.push_back(output_extent(w.window, w.kernel[i], i, in[i]));
    require(!out.back().is_constant() || out.back().value() >= 0, "the window (", w.kernel[i].str(),
            " wide, dilation ", w.window.dilations[i], ") does not fit the padded input extent ",
            in[i].str());
  }
  return out;
}

WindowGeometry window_geometry(const Window& window, Ints in) {
  Ints out;
  for (const Dim& d : window_output(window, to_shape(in))) out.push_back(d.value());
  WindowGeometry g = make_geometry(window, std::move(in), std::move(out));
  resolve_pads(window, g);
  return g;
}

WindowGeometry transposed_geometry(const Window& window, Ints in, Ints out) {
  return make_geometry(window, std::move(out), std::move(in));
}

}  // namespace vitrify
