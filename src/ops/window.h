// Geometry of sliding windows, shared by convolution and pooling. Formulas: ONNX's Conv and
// MaxPool.
#pragma once

#include "ir/ops.h"

namespace vitrify {

/// The window with strides, dilations and pads filled in where empty. User error unless every list
/// has `axes` entries, kernel, strides and dilations lie in 1 … 2^31 and pads within ±2^31.
Window checked_window(const Window& window, size_t axes);

/// Extents of the result over the spatial axes: `in` holds the extents of those axes.
Shape window_output(const Window& window, const Shape& in);

/// A convolution's window, its kernel taken from the weights where it is not given.
struct WeightsWindow {
  Window window;  ///< checked; an extent of the kernel is 1 where only a run tells it
  Shape kernel;   ///< the kernel's extents, symbolic there
};
/// `weights`: axes from 2 on are the kernel's. User error where they differ from the window's.
WeightsWindow weights_window(const Window& window, const Shape& weights);
Shape window_output(const WeightsWindow& window, const Shape& in);

/// A window over concrete extents. A tap is a kernel position; position o of the result sees input
/// position o * stride + tap * dilation - pad on each axis.
struct WindowGeometry {
  Ints in, out, kernel, strides, dilations;
  Ints pads_begin, pads_end;  ///< auto_pad resolved
  int64_t in_count = 1, out_count = 1, tap_count = 1;
  size_t axes() const { return in.size(); }
};
/// `window` from checked_window.
WindowGeometry window_geometry(const Window& window, Ints in);
/// The transposed form: `out` is what a convolution with this window would read, `in` what it would
/// give. Pads must be explicit.
WindowGeometry transposed_geometry(const Window& window, Ints in, Ints out);

/// Calls f(tap, input position), both flat and row-major, for the taps of result position `o` that
/// lie inside the input, in ascending order.
template <class F>
void for_each_tap(const WindowGeometry& g, int64_t o, F&& f) {
  constexpr size_t kMaxAxes = 16;
  size_t axes = g.axes();
  int64_t base[kMaxAxes], first[kMaxAxes], last[kMaxAxes], tap[kMaxAxes];
  for (size_t i = axes; i-- > 0;) {
    base[i] = (o % g.out[i]) * g.strides[i] - g.pads_begin[i];
    o /= g.out[i];
    int64_t d = g.dilations[i];
    first[i] = base[i] >= 0 ? 0 : (-base[i] + d - 1) / d;
    int64_t room = g.in[i] - base[i];  // taps are inside while tap * d < room
    last[i] = room <= 0 ? 0 : (room + d - 1) / d;
    if (last[i] > g.kernel[i]) last[i] = g.kernel[i];
    if (first[i] >= last[i]) return;
    tap[i] = first[i];
  }
  for (;;) {
    int64_t t = 0, position = 0;
    for (size_t i = 0; i < axes; ++i) {
      t = t * g.kernel[i] + tap[i];
      position = position * g.in[i] + base[i] + tap[i] * g.dilations[i];
    }
    f(t, position);
    size_t i = axes;
    while (i > 0 && ++tap[i - 1] == last[i - 1]) --i, tap[i] = first[i];
    if (i == 0) return;
  }
}

}  // namespace vitrify
