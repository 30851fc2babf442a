// Conversion of rows between element types and float32.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cpu/isa.h"
#include "ir/type.h"

namespace vitrify::cpu {

/// f32, f16, bf16, f64, bool and the integers of 8 to 64 bits.
bool converts(DType dtype);

/// to[i] = float(from[i]); bool gives 0 or 1.
void load_floats(Isa isa, DType dtype, const std::byte* from, int64_t n, float* to);
/// The inverse: floats round to nearest even, integers truncate and saturate (NaN gives 0), bool is
/// != 0.
void store_floats(Isa isa, DType dtype, const float* from, int64_t n, std::byte* to);

}  // namespace vitrify::cpu
