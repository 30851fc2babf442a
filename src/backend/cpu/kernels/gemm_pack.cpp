#include "backend/cpu/kernels/gemm_pack.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/kernels/gemm.h"
#include "backend/cpu/kernels/gemm_panels.h"
#include "backend/cpu/simd.h"
#include "base/error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/gemm_pack.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/kernels/simd_partial-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {
namespace {

/// 4 floats from each of kLanes / 4 columns, `step` floats apart, as the blocks of one vector.
HWY_INLINE Vec load_blocks(const float* p, int64_t step) {
#if HWY_TARGET == HWY_SSE4
  (void)step;
  return hn::LoadU(Floats(), p);
#else
  const hn::Half<Floats> half;
#if HWY_TARGET == HWY_AVX2
  return hn::Combine(Floats(), hn::LoadU(half, p + step), hn::LoadU(half, p));
#else
  const hn::Half<decltype(half)> quarter;
  const auto low = hn::Combine(half, hn::LoadU(quarter, p + step), hn::LoadU(quarter, p));
  const auto high =
      hn::Combine(half, hn::LoadU(quarter, p + 3 * step), hn::LoadU(quarter, p + 2 * step));
  return hn::Combine(Floats(), high, low);
#endif
#endif
}

/// Rows i … i + 3 of kLanes columns, in each of which the rows are adjacent: every block of four
/// lanes is a 4 x 4 transpose.
HWY_INLINE void transpose_four(const float* p, int64_t col_stride, float* out, int64_t width) {
  const Floats d;
  const hn::RepartitionToWide<Floats> wide;
  const int64_t step = 4 * col_stride;
  const Vec a = load_blocks(p, step), b = load_blocks(p + col_stride, step);
  const Vec c = load_blocks(p + 2 * col_stride, step), e = load_blocks(p + 3 * col_stride, step);
  const auto ab_low = hn::BitCast(wide, hn::InterleaveLower(d, a, b));
  const auto ab_high = hn::BitCast(wide, hn::InterleaveUpper(d, a, b));
  const auto ce_low = hn::BitCast(wide, hn::InterleaveLower(d, c, e));
  const auto ce_high = hn::BitCast(wide, hn::InterleaveUpper(d, c, e));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, ab_low, ce_low)), d, out);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, ab_low, ce_low)), d, out + width);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, ab_high, ce_high)), d, out + 2 * width);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, ab_high, ce_high)), d, out + 3 * width);
}

}  // namespace

/// Packs the columns that fill vectors, in rows that fill fours, of a source with row_stride 1.
void transpose_columns(const float* b, int64_t rows, int64_t columns, int64_t col_stride,
                       float* out, int64_t width) {
  for (int64_t j = 0; j + kLanes <= columns; j += kLanes) {
    const float* p = b + j * col_stride;
    for (int64_t i = 0; i + 4 <= rows; i += 4) {
      transpose_four(p + i, col_stride, out + i * width + j, width);
    }
  }
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrify::cpu {
namespace {

constexpr int64_t kTile = 16;

float read_float(const std::byte* p) {
  float value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

/// Rows of the source are dense: copy them.
void pack_rows(const PanelSource& s, int64_t valid, int64_t width, float* out) {
  for (int64_t i = 0; i < s.k; ++i, out += width) {
    std::memcpy(out, s.b + 4 * i * s.row_stride, static_cast<size_t>(valid) * sizeof(float));
    std::fill(out + valid, out + width, 0.0f);
  }
}

/// Elements (i, j) with i >= row0 or j >= column0, in square tiles, so that both sides stay in L1.
void pack_any(const PanelSource& s, int64_t row0, int64_t column0, int64_t valid, int64_t width,
              float* out) {
  for (int64_t i0 = 0; i0 < s.k; i0 += kTile) {
    const int64_t i1 = std::min(s.k, i0 + kTile);
    for (int64_t j = 0; j < valid; ++j) {
      const std::byte* column = s.b + 4 * j * s.col_stride;
      for (int64_t i = j < column0 ? std::max(i0, row0) : i0; i < i1; ++i) {
        out[i * width + j] = read_float(column + 4 * i * s.row_stride);
      }
    }
    for (int64_t i = i0; i < i1; ++i) {
      std::fill(out + i * width + valid, out + (i + 1) * width, 0.0f);
    }
  }
}

}  // namespace

void pack_panel(const PanelSource& source, int64_t first_column, int64_t valid, int64_t width,
                float* out) {
  PanelSource s = source;
  s.b += 4 * first_column * s.col_stride;
  if (s.col_stride == 1) return pack_rows(s, valid, width, out);
  if (s.row_stride != 1) return pack_any(s, 0, 0, valid, width, out);
  Isa isa = machine_isa();  // a copy: every Isa gives the same
  while (isa != Isa::kBaseline && isa_lanes(isa) > width) {
    isa = static_cast<Isa>(static_cast<int>(isa) - 1);
  }
  const int64_t lanes = isa_lanes(isa);
  VITRIFY_PICK_ISA(isa, transpose_columns)
  (reinterpret_cast<const float*>(s.b), s.k, valid, s.col_stride, out, width);
  pack_any(s, s.k / 4 * 4, valid / lanes * lanes, valid, width, out);
}

int64_t packed_b_floats(Isa isa, int64_t k, int64_t n) {
  const int64_t columns = div_up(n, isa_lanes(isa)) * isa_lanes(isa);
  return checked_mul(div_up(checked_mul(columns, k), 16), 16);
}

void pack_b(Isa isa, int64_t k, int64_t n, const void* b, int64_t row_stride, int64_t col_stride,
            float* out) {
  const PanelSource source{static_cast<const std::byte*>(b), k, row_stride, col_stride};
  const Panels panels(isa, n);
  for (int64_t p = 0; p < panels.count(); ++p) {
    pack_panel(source, panels.begin(p), panels.valid(p), panels.width(p),
               out + panels.begin(p) * k);
  }
  std::fill(out + panels.padded() * k, out + packed_b_floats(isa, k, n), 0.0f);
}

}  // namespace vitrify::cpu
#endif
