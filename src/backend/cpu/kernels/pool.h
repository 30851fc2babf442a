// Reduces rows of channels under a pooling window, vectors of channels at a time.
#pragma once

#include <cstdint>

#include "backend/cpu/isa.h"

namespace vitrify::cpu {

enum class PoolStep : uint8_t {
  kMax,
  kSum,
  kAbsSum,     ///< sum of |x|
  kSquareSum,  ///< sum of x^2
  kPowerSum,   ///< sum of |x|^p
};
inline constexpr int kPoolTaps = 64;

/// out[c] = the reduction of taps[0][c] … taps[count - 1][c] for c in [0, channels), joined with
/// out[c] as it is unless `first`. At most kPoolTaps taps; NaN wins a maximum.
void pool_taps(Isa isa, PoolStep step, float p, const float* const* taps, int64_t count,
               int64_t channels, bool first, float* out);

/// What comes after the sums: out[c] *= factor; or out[c] = sqrt(out[c]) (root 2) or its p-th root.
void scale_row(Isa isa, float factor, int64_t channels, float* out);
void root_row(Isa isa, float p, int64_t channels, float* out);

}  // namespace vitrify::cpu
