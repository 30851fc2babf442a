// The arguments of the register tiles of gemm_tile-inl.h.
#pragma once

#include <cstdint>

#include "backend/cpu/kernels/epilogue.h"

namespace vitrify::cpu {

/// One register tile: up to 8 rows of one panel over a part of the reduction.
struct Tile {
  const float* const* a = nullptr;  // a[tap * a_step + row] + k0
  int64_t a_step = 0, taps = 0, k0 = 0, k = 0;
  const float* zero = nullptr;
  const float* b = nullptr;
  int64_t b_stride = 0, b_tap_step = 0;
  int64_t tail = 0;  // columns of the last vector
  bool add = false;  // to what is in C, otherwise bias and residual start the sum
  Rounding rounding = Rounding::kNone;  // before clipping
  bool clip = false;
  float lo = 0, hi = 0;
  // Row r of C at c[r] + column; residual likewise, or null; bias at the first column, or null.
  float* const* c = nullptr;
  const float* const* residual = nullptr;
  int64_t column = 0;
  const float* bias = nullptr;
};

}  // namespace vitrify::cpu
