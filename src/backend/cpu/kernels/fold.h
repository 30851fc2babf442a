// Max and average pooling, channels last, up to three spatial axes; and reductions of [n, inner]
// blocks.
#pragma once

#include <cstdint>

#include "backend/cpu/isa.h"

namespace vitrify::cpu {

enum class Fold : uint8_t { kSum, kSumSquare, kSumAbs, kMax, kMin, kProd };

/// to[c] = fold over i of from[i * stride + c], for c < inner; with inner 1 and stride 1 along one
/// row. Sums of no elements are 0, products 1, extremes ∓infinity; NaN wins. The order of additions
/// depends on n and the Isa alone.
void fold_columns(Isa isa, Fold fold, float* to, const float* from, int64_t n, int64_t stride,
                  int64_t inner);
float fold_row(Isa isa, Fold fold, const float* from, int64_t n);

}  // namespace vitrify::cpu
