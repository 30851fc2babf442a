#include "backend/cpu/kernels/gemm_block.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/kernels/gemm_panels.h"
#include "backend/cpu/kernels/gemm_tile.h"
#include "backend/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/gemm_block.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/kernels/activation-inl.h"
#include "backend/cpu/kernels/gemm_tile-inl.h"
#include "hwy/highway.h"

#ifndef VITRIFY_KERNELS_GEMM_BLOCK_ONCE
#define VITRIFY_KERNELS_GEMM_BLOCK_ONCE
namespace vitrify::cpu {
namespace {

constexpr int64_t kTableSize = 4096;  // row pointers of one block: 32 KiB of stack
constexpr int64_t kBlockRows = 240;   // rows of A that stay in L2 while the panels pass by
constexpr int64_t kBlockK = 256;  // rows of a panel that are reused from L1/L2 by all those rows

/// The part of a product that a task works on at a time.
struct Part {
  int64_t row0 = 0, rows = 0;  // of A
  int64_t tap0 = 0, taps = 0;  // whole taps, or one tap and
  int64_t k0 = 0, k = 0;       // a part of its k
  bool first = false, last = false;
  const float* table[kTableSize];
  int64_t out_rows[kBlockRows];
  float* c[kBlockRows];
  const float* residual[kBlockRows];
};

}  // namespace
}  // namespace vitrify::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {
namespace {

/// Rounding, relu and clip happen in registers.
void set_clip(const Epilogue& e, Tile& tile) {
  tile.rounding = e.rounding;
  tile.clip = e.activation == Activation::kRelu || e.activation == Activation::kClip;
  tile.lo = e.activation == Activation::kClip ? e.a : 0.0f;
  tile.hi = e.activation == Activation::kClip ? e.b : std::numeric_limits<float>::infinity();
}

/// The rest of the epilogue, over finished segments in L1.
void finish_rows(const Product& p, const Tile& tile, const int64_t* out_rows, int rows,
                 int64_t cols) {
  const Epilogue& e = *p.epilogue;
  for (int r = 0; r < rows; ++r) {
    float* c = tile.c[r] + tile.column;
    if (!tile.clip) apply_activation(e.activation, e.a, e.b, c, cols);
    round_row(e.result_rounding, c, cols);
    if (e.tile) e.tile(e.ctx, c, p.row_base + out_rows[r], p.col_base + tile.column, cols);
  }
}

void set_panel(const Product& p, const Panels& panels, int64_t panel, const Part& part,
               Tile& tile) {
  const int64_t begin = panels.begin(panel), width = panels.width(panel);
  const int64_t row = part.tap0 * p.k + part.k0;
  if (p.b_row_stride == 0) {
    tile.b = p.b + begin * p.taps * p.k + row * width;
    tile.b_stride = width;
  } else if (panel == panels.count() - 1 && panels.has_tail()) {
    tile.b = p.b_tail + row * width;
    tile.b_stride = width;
  } else {
    tile.b = p.b + begin + row * p.b_row_stride;
    tile.b_stride = p.b_row_stride;
  }
  tile.b_tap_step = p.k * tile.b_stride;
  tile.tail = panels.valid(panel) - (width - kLanes);
  tile.column = begin;
  const float* bias = part.first ? p.epilogue->bias : nullptr;
  tile.bias = bias ? bias + p.col_base + begin : nullptr;
}

/// One panel over all rows of a part.
void run_panel(const Product& p, const Panels& panels, int64_t panel, const Part& part) {
  Tile tile;
  tile.a_step = part.rows;
  tile.taps = part.taps;
  tile.k0 = part.k0;
  tile.k = part.k;
  tile.zero = p.zero;
  tile.add = !part.first;
  if (part.last) set_clip(*p.epilogue, tile);
  set_panel(p, panels, panel, part, tile);
  const bool more =
      part.last && ((p.epilogue->activation != Activation::kNone && !tile.clip) ||
                    p.epilogue->result_rounding != Rounding::kNone || p.epilogue->tile != nullptr);
  const int64_t vectors = panels.width(panel) / kLanes;
  // By the widest panel, so that all columns of a row are summed in the same tile.
  const int64_t tiles = div_up(part.rows, kTileRows[panels.width(0) / kLanes]);
  const int64_t least = part.rows / tiles, longer = part.rows % tiles;
  for (int64_t i = 0, r0 = 0; i < tiles; ++i) {
    const int rows = static_cast<int>(least + (i < longer));
    tile.a = part.table + r0;
    tile.c = part.c + r0;
    if (part.first && p.epilogue->residual) tile.residual = part.residual + r0;
    tile_function(rows, vectors)(tile);
    if (more) finish_rows(p, tile, part.out_rows + r0, rows, panels.valid(panel));
    r0 += rows;
  }
}

void set_out_rows(const Product& p, Part& part) {
  const Epilogue& e = *p.epilogue;
  for (int64_t r = 0; r < part.rows; ++r) part.out_rows[r] = part.row0 + r;
  if (p.out_rows) p.out_rows(p.ctx, part.row0, part.rows, part.out_rows);
  for (int64_t r = 0; r < part.rows; ++r) part.c[r] = p.c + part.out_rows[r] * p.c_row_stride;
  if (!e.residual) return;
  const float* residual = e.residual + p.row_base * e.residual_stride + p.col_base;
  for (int64_t r = 0; r < part.rows; ++r) {
    part.residual[r] = residual + part.out_rows[r] * e.residual_stride;
  }
}

}  // namespace

/// Rows [row0, row0 + rows) of panels [panel0, panel1): the reduction in blocks, so that a block of
/// a panel is reused by all rows.
void run_rows(const Product& p, const Panels& panels, int64_t panel0, int64_t panel1, int64_t row0,
              int64_t rows) {
  Part part;
  part.row0 = row0;
  part.rows = rows;
  set_out_rows(p, part);
  const bool one_tile = rows <= kTileRows[kMaxVectors];
  const int64_t limit = one_tile ? std::numeric_limits<int64_t>::max() : kBlockK;
  const int64_t k = std::max<int64_t>(p.k, 1), taps = p.k == 0 ? 1 : p.taps;
  const int64_t tap_step = std::clamp<int64_t>(std::min(limit / k, kTableSize / rows), 1, taps);
  const int64_t k_blocks = tap_step == 1 && limit < k ? div_up(k, limit) : 1;
  const int64_t k_step = div_up(div_up(k, k_blocks), 4) * 4;
  for (int64_t tap = 0; tap < taps; tap += tap_step) {
    part.tap0 = tap;
    part.taps = std::min(tap_step, taps - tap);
    if (p.k > 0) p.fill(p.ctx, row0, rows, tap, part.taps, part.table);
    for (int64_t k0 = 0; k0 < k; k0 += k_step) {
      part.k0 = k0;
      part.k = std::min(k_step, p.k - k0);
      part.first = tap == 0 && k0 == 0;
      part.last = tap + tap_step >= taps && k0 + k_step >= k;
      for (int64_t panel = panel0; panel < panel1; ++panel) run_panel(p, panels, panel, part);
    }
  }
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrify::cpu {
namespace {

constexpr double kTaskWork = 1e6;  // multiply-adds that pay for a task
constexpr int64_t kMaxTasks = 64;
constexpr int64_t kMinTaskRows = 48;

}  // namespace

Split split_product(Isa isa, int64_t m, int64_t n, int64_t k_total) {
  Split split;
  if (m == 0 || n == 0) return split;
  const int64_t panels = Panels(isa, n).count();
  const double work =
      static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k_total);
  const int64_t wanted =
      static_cast<int64_t>(std::clamp(work / kTaskWork, 1.0, static_cast<double>(kMaxTasks)));
  // Every row task reads all of its panels and every panel task all of its rows: the least traffic
  // for a given number of tasks is where rows and columns of a task are alike.
  const double even = std::sqrt(static_cast<double>(wanted * m) / static_cast<double>(n));
  const int64_t most_rows = std::max<int64_t>(1, m / kMinTaskRows);
  split.row_tasks = std::clamp<int64_t>(std::llround(even), 1, std::min(wanted, most_rows));
  split.panel_tasks = std::clamp<int64_t>(wanted / split.row_tasks, 1, panels);
  split.row_tasks = std::clamp<int64_t>(wanted / split.panel_tasks, split.row_tasks, most_rows);
  return split;
}

void run_product_task(Isa isa, const Product& product, const Split& split, int64_t index) {
  const auto run = VITRIFY_PICK_ISA(isa, run_rows);
  const Panels panels(isa, product.n);
  const int64_t row_task = index % split.row_tasks, panel_task = index / split.row_tasks;
  const int64_t begin = row_task * product.m / split.row_tasks;
  const int64_t rows = (row_task + 1) * product.m / split.row_tasks - begin;
  const int64_t panel0 = panel_task * panels.count() / split.panel_tasks;
  const int64_t panel1 = (panel_task + 1) * panels.count() / split.panel_tasks;
  const int64_t blocks = div_up(rows, kBlockRows);
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t r0 = i * rows / blocks, r1 = (i + 1) * rows / blocks;
    run(product, panels, panel0, panel1, begin + r0, r1 - r0);
  }
}

}  // namespace vitrify::cpu
#endif
