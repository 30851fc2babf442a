// How output pixels and kernel taps find input pixels: along each axis, input = q * step + base +
// tap * delta for the q-th output. Convolution has step = stride, base = -pad, delta = dilation;
// one phase of a transposed convolution has step 1 and a negative delta.
#pragma once

#include <cstdint>

namespace vitrify::cpu {

struct Axis {
  int64_t out = 1, in = 1, taps = 1;
  int64_t step = 1, base = 0, delta = 0;
  int64_t input(int64_t q, int64_t tap) const { return q * step + base + tap * delta; }
  /// The outputs [first, end) whose input at `tap` is inside.
  int64_t first(int64_t tap) const;
  int64_t end(int64_t tap) const;
};

struct Grid {
  Axis axis[3];
  int64_t batch = 1;
  const float* x = nullptr;
  int64_t batch_stride = 0, stride[3] = {0, 0, 0};
  const float* zero = nullptr;  // what a tap outside of the input reads
  int64_t pixels() const { return batch * axis[0].out * axis[1].out * axis[2].out; }
  int64_t taps() const { return axis[0].taps * axis[1].taps * axis[2].taps; }
};

/// Product::fill for a Grid as ctx: row = output pixel, tap = (depth, height, width).
void fill_from_grid(const void* ctx, int64_t row0, int64_t rows, int64_t tap0, int64_t taps,
                    const float** table);

}  // namespace vitrify::cpu
