// Turns a line of planar channels into pixels.
#pragma once

#include <cstdint>

#include "backend/cpu/isa.h"

namespace vitrify::cpu {

/// out[w * channels + c] = in[c * plane_stride + w] for w in [0, count).
void interleave(Isa isa, const float* in, int64_t plane_stride, int64_t channels, int64_t count,
                float* out);

}  // namespace vitrify::cpu
