// What the tactic of pooling knows once shapes are bound, and one line of its result: regions pool
// bands of rows with it.
#pragma once

#include "backend/cpu/kernels/epilogue_body.h"
#include "backend/cpu/kernels/pool.h"
#include "ops/window.h"

namespace vitrify::cpu {

struct PoolBound {
  Isa isa = Isa::kBaseline;
  WindowGeometry g;
  int64_t batch = 0, channels = 0;
  Dims x, y;  ///< strides
  Pool::Kind kind{};
  PoolStep step{};
  float p = 2;
  bool count_pads = false;
  EpilogueRunner epilogue;
  int64_t lines = 0, task_lines = 1, chunk = 0;  ///< a line: the last spatial axis of the result
};

/// Channels [c0, c0 + channels) of line `line` of the result `y`. `x` is the input of the line's
/// image from its row `x_row` (first of at least two spatial axes; 0 where there is one) on.
void pool_line(const PoolBound& bound, const float* x, int64_t x_row, float* y,
               EpilogueRun* epilogue, int64_t line, int64_t c0, int64_t channels);

}  // namespace vitrify::cpu
