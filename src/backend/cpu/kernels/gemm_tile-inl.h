// The register tiles under every matrix product: rows of A found through pointers, times a panel of
// B.
#if defined(VITRIFY_KERNELS_GEMM_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRIFY_KERNELS_GEMM_TILE_INL_H_
#undef VITRIFY_KERNELS_GEMM_TILE_INL_H_
#else
#define VITRIFY_KERNELS_GEMM_TILE_INL_H_
#endif

#include <cstdint>

#include "backend/cpu/kernels/activation-inl.h"
#include "backend/cpu/kernels/gemm_tile.h"
#include "backend/cpu/kernels/round-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {
namespace {

constexpr int kMaxVectors = HWY_TARGET == HWY_AVX3 ? 4 : 2;
// Rows of a tile by panel vectors: as many accumulators as registers allow (24 of 32, 12 of 16).
constexpr int kTileRows[] = {0, HWY_TARGET == HWY_AVX3 ? 8 : 6, HWY_TARGET == HWY_AVX3 ? 8 : 6, 8,
                             6};

/// Writes one vector of the result: bias and residual (or what C holds) are added, then it is
/// rounded and clipped.
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
  sum = round_to(t.rounding, sum);
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

}  // namespace
}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
