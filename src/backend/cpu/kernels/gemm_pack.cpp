#include "backend/cpu/kernels/gemm_pack.h"

#include <cstring>

#include "backend/cpu/kernels/gemm.h"
#include "backend/cpu/kernels/gemm_panels.h"
#include "base/error.h"

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

/// Any strides, in square tiles, so that both sides stay in L1.
void pack_any(const PanelSource& s, int64_t valid, int64_t width, float* out) {
  for (int64_t i0 = 0; i0 < s.k; i0 += kTile) {
    const int64_t i1 = std::min(s.k, i0 + kTile);
    for (int64_t j = 0; j < valid; ++j) {
      const std::byte* column = s.b + 4 * j * s.col_stride;
      for (int64_t i = i0; i < i1; ++i)
        out[i * width + j] = read_float(column + 4 * i * s.row_stride);
    }
    for (int64_t i = i0; i < i1; ++i)
      std::fill(out + i * width + valid, out + (i + 1) * width, 0.0f);
  }
}

}  // namespace

void pack_panel(const PanelSource& source, int64_t first_column, int64_t valid, int64_t width,
                float* out) {
  PanelSource s = source;
  s.b += 4 * first_column * s.col_stride;
  (s.col_stride == 1 ? pack_rows : pack_any)(s, valid, width, out);
}

int64_t packed_b_floats(Isa isa, int64_t k, int64_t n) {
  const int64_t columns = div_up(checked_add(n, 0), isa_lanes(isa)) * isa_lanes(isa);
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
