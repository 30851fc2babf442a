// Layer and RMS normalisation of contiguous rows of floats.
#pragma once

#include <cstdint>

#include "backend/cpu/isa.h"

namespace vitrify::cpu {

struct NormalizeArgs {
  int64_t n = 0;  ///< floats in a row; rows lie n apart
  float epsilon = 0;
  bool rms = false;              ///< no mean
  const float* scale = nullptr;  ///< n factors, or null
  const float* shift = nullptr;  ///< n addends, or null
};

/// to = (from - mean) / sqrt(variance + epsilon) * scale + shift for each of `rows` rows; two
/// passes for the statistics, so that large means do no harm. `to` may be `from`.
void normalize_rows(Isa isa, const NormalizeArgs& args, float* to, const float* from, int64_t rows);

/// The same down the columns of each [n, inner] block: statistics for every one of `inner` columns;
/// scale and shift have `inner` entries. `work` holds 2 * inner floats.
void normalize_columns(Isa isa, const NormalizeArgs& args, int64_t inner, float* to,
                       const float* from, float* work);

}  // namespace vitrify::cpu
