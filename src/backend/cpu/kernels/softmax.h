// Softmax over contiguous rows of floats.
#pragma once

#include <cstdint>

#include "backend/cpu/isa.h"

namespace vitrify::cpu {

/// to[r][j] = exp(x - max) / sum, or its logarithm, for each of `rows` rows of n floats that lie
/// `stride` apart in both arrays; `to` may be `from`. A row with a NaN, or of -infinities only, is
/// NaN.
void softmax_rows(Isa isa, float* to, const float* from, int64_t rows, int64_t n, int64_t stride,
                  bool log);

}  // namespace vitrify::cpu
