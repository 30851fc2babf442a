// Packs one panel of B (see gemm_panels.h).
#pragma once

#include <cstddef>
#include <cstdint>

namespace vitrify::cpu {

struct PanelSource {
  const std::byte* b = nullptr;  // may be unaligned
  int64_t k = 0, row_stride = 0, col_stride = 0;
};

/// Columns [first_column, first_column + valid) of the source into k rows of `width` floats, zeros
/// beyond `valid`.
void pack_panel(const PanelSource& source, int64_t first_column, int64_t valid, int64_t width,
                float* out);

}  // namespace vitrify::cpu
