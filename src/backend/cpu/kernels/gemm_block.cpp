#include "backend/cpu/kernels/gemm_block.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/kernels/gemm_panels.h"
#include "backend/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/gemm_block.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/kernels/activation-inl.h"
#include "hwy/highway.h"

#ifndef VITRIFY_KERNELS_GEMM_BLOCK_ONCE
#define VITRIFY_KERNELS_GEMM_BLOCK_ONCE
namespace vitrify::cpu {
namespace {

constexpr int64_t kTableSize = 4096;  // row pointers of one block: 32 KiB of stack
constexpr int64_t kBlockRows = 240;   // rows of A that stay in L2 while the panels pass by
constexpr int64_t kBlockK = 256;  // rows of a panel that are reused from L1/L2 by all those rows

/// One register tile: up to 8 rows of one panel over a part of the reduction.
struct Tile {
  const float* const* a = nullptr;  // a[tap * a_step + row] + k0
  int64_t a_step = 0, taps = 0, k0 = 0, k = 0;
  const float* zero = nullptr;
  const float* b = nullptr;
  int64_t b_stride = 0, b_tap_step = 0;
  int64_t tail = 0;  // columns of the last vector
  bool add = false;  // to what is in C, otherwise bias and residual start the sum
  bool clip = false;
  float lo = 0, hi = 0;
  // Row r of C at c[r] + column; residual likewise, or null; bias at the first column, or null.
  float* const* c = nullptr;
  const float* const* residual = nullptr;
  int64_t column = 0;
  const float* bias = nullptr;
};

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

constexpr int kMaxVectors = HWY_TARGET == HWY_AVX3 ? 4 : 2;
// Rows of a tile by panel vectors: as many accumulators as registers allow (24 of 32, 12 of 16).
constexpr int kTileRows[] = {0, HWY_TARGET == HWY_AVX3 ? 8 : 6, HWY_TARGET == HWY_AVX3 ? 8 : 6, 8,
                             6};

/// Writes one vector of the result: bias and residual (or what C holds) are added, then clipped.
/// `t` is a copy in registers: a store to C cannot change it.
template <bool kPartial>
HWY_INLINE void finish_vector(const Tile& t, Vec sum, float* c, const float* bias,
                              const float* residual) {
  const Floats d;
  const auto load = [&](const float* p)
                        HWY_ATTR { return kPartial ? load_partial(p, t.tail) : hn::LoadU(d, p); };
  if (t.add) sum = hn::Add(sum, load(c));
  if (bias) sum = hn::Add(sum, load(bias));
  if (residual) sum = hn::Add(sum, load(residual));
  if (t.clip) sum = clip(sum, set(t.lo), set(t.hi));
  if (kPartial) {
    store_partial(sum, c, t.tail);
  } else {
    hn::StoreU(sum, d, c);
  }
}

/// Rows x Vectors accumulators, in `Chains` copies where there are few, so that additions are
/// independent. Their number depends on the rows alone: all columns of a row are summed in one
/// order, and equal columns of B give equal results.
template <int Rows, int Vectors>
void run_tile(const Tile& t) {
  constexpr bool kPrefetch = Rows <= 4;  // few rows: B comes from memory and the tile waits for it
  constexpr int kChains = Rows == 1 ? 4 : Rows <= 3 ? 2 : 1;
  const Floats d;
  Vec sum[kChains][Rows][Vectors];
#pragma GCC unroll 16
  for (int u = 0; u < kChains; ++u) {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < Vectors; ++v) sum[u][r][v] = hn::Zero(d);
    }
  }
  const int64_t stride = t.b_stride;
  const float* tap_b = t.b;
  for (int64_t tap = 0; tap < t.taps; ++tap, tap_b += t.b_tap_step) {
    const float* a[Rows];
    bool skip = true;
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      a[r] = t.a[tap * t.a_step + r];
      skip &= a[r] == t.zero;
      a[r] += t.k0;
    }
    if (skip) continue;
    const float* b = tap_b;
    int64_t k = 0;
    for (; k + kChains <= t.k; k += kChains) {
#pragma GCC unroll 16
      for (int u = 0; u < kChains; ++u) {
        Vec row[Vectors];
#pragma GCC unroll 16
        for (int v = 0; v < Vectors; ++v) {
          row[v] = hn::LoadU(d, b + v * kLanes);
          if (kPrefetch) __builtin_prefetch(b + v * kLanes + 16 * stride);
        }
        b += stride;
#pragma GCC unroll 16
        for (int r = 0; r < Rows; ++r) {
          const Vec x = hn::Set(d, a[r][k + u]);
#pragma GCC unroll 16
          for (int v = 0; v < Vectors; ++v) sum[u][r][v] = hn::MulAdd(x, row[v], sum[u][r][v]);
        }
      }
    }
    for (; kChains > 1 && k < t.k; ++k, b += stride) {
#pragma GCC unroll 16
      for (int v = 0; v < Vectors; ++v) {
        const Vec row = hn::LoadU(d, b + v * kLanes);
#pragma GCC unroll 16
        for (int r = 0; r < Rows; ++r) {
          sum[0][r][v] = hn::MulAdd(hn::Set(d, a[r][k]), row, sum[0][r][v]);
        }
      }
    }
  }
  const Tile local = t;
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    float* c = local.c[r] + local.column;
    const float* residual = local.residual ? local.residual[r] + local.column : nullptr;
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) {
      constexpr int kLast = Vectors - 1;
      Vec total = sum[0][r][v];
#pragma GCC unroll 16
      for (int u = 1; u < kChains; ++u) total = hn::Add(total, sum[u][r][v]);
      const float* bias = local.bias ? local.bias + v * kLanes : nullptr;
      const float* addend = residual ? residual + v * kLanes : nullptr;
      if (v == kLast && local.tail != kLanes) {
        finish_vector<true>(local, total, c + v * kLanes, bias, addend);
      } else {
        finish_vector<false>(local, total, c + v * kLanes, bias, addend);
      }
    }
  }
}

using TileFn = void (*)(const Tile&);

template <int Vectors>
TileFn tile_of_rows(int rows) {
  constexpr bool kHasEight = kTileRows[Vectors] == 8;
  switch (rows) {
    case 1:
      return run_tile<1, Vectors>;
    case 2:
      return run_tile<2, Vectors>;
    case 3:
      return run_tile<3, Vectors>;
    case 4:
      return run_tile<4, Vectors>;
    case 5:
      return run_tile<5, Vectors>;
    case 6:
      return run_tile<6, Vectors>;
    case 7:
      return run_tile < kHasEight ? 7 : 6, Vectors > ;
    default:
      return run_tile < kHasEight ? 8 : 6, Vectors > ;
  }
}

TileFn tile_function(int rows, int64_t vectors) {
  if constexpr (kMaxVectors == 4) {
    if (vectors == 4) return tile_of_rows<4>(rows);
    if (vectors == 3) return tile_of_rows<3>(rows);
  }
  return vectors == 2 ? tile_of_rows<2>(rows) : tile_of_rows<1>(rows);
}

/// relu and clip happen in registers.
void set_clip(const Epilogue& e, Tile& tile) {
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
  const bool more = part.last && ((p.epilogue->activation != Activation::kNone && !tile.clip) ||
                                  p.epilogue->tile != nullptr);
  const int64_t vectors = panels.width(panel) / kLanes;
  const int64_t tiles = div_up(part.rows, kTileRows[vectors]);
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
