#include "backend/cpu/kernels/conv_grid.h"

#include <algorithm>

namespace vitrify::cpu {
namespace {

int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

/// A stretch of output pixels of one output row.
struct Run {
  int64_t n, od, oh, ow, length;
};

Run run_at(const Grid& g, int64_t row, int64_t rows_left) {
  Run run;
  run.ow = row % g.axis[2].out;
  row /= g.axis[2].out;
  run.oh = row % g.axis[1].out;
  row /= g.axis[1].out;
  run.od = row % g.axis[0].out;
  run.n = row / g.axis[0].out;
  run.length = std::min(rows_left, g.axis[2].out - run.ow);
  return run;
}

void fill_run(const Grid& g, const Run& run, int64_t tap, const float** out) {
  const int64_t tw = tap % g.axis[2].taps, tap_row = tap / g.axis[2].taps;
  const int64_t id = g.axis[0].input(run.od, tap_row / g.axis[1].taps);
  const int64_t ih = g.axis[1].input(run.oh, tap_row % g.axis[1].taps);
  if (id < 0 || id >= g.axis[0].in || ih < 0 || ih >= g.axis[1].in) {
    std::fill(out, out + run.length, g.zero);
    return;
  }
  const float* line = g.x + run.n * g.batch_stride + id * g.stride[0] + ih * g.stride[1];
  const int64_t first = std::clamp<int64_t>(g.axis[2].first(tw) - run.ow, 0, run.length);
  const int64_t end = std::clamp<int64_t>(g.axis[2].end(tw) - run.ow, first, run.length);
  const int64_t step = g.axis[2].step * g.stride[2];
  const int64_t start = g.axis[2].input(run.ow, tw) * g.stride[2];
  std::fill(out, out + first, g.zero);
  for (int64_t i = first; i < end; ++i) out[i] = line + (start + i * step);
  std::fill(out + end, out + run.length, g.zero);
}

}  // namespace

int64_t Axis::first(int64_t tap) const { return -floor_div(base + tap * delta, step); }

int64_t Axis::end(int64_t tap) const { return floor_div(in - 1 - base - tap * delta, step) + 1; }

void fill_from_grid(const void* ctx, int64_t row0, int64_t rows, int64_t tap0, int64_t taps,
                    const float** table) {
  const Grid& g = *static_cast<const Grid*>(ctx);
  for (int64_t r = 0; r < rows;) {
    const Run run = run_at(g, row0 + r, rows - r);
    for (int64_t t = 0; t < taps; ++t) fill_run(g, run, tap0 + t, table + t * rows + r);
    r += run.length;
  }
}

}  // namespace vitrify::cpu
