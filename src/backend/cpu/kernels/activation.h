// Activations over a row of floats in memory.
#pragma once

#include <cstdint>

#include "backend/cpu/isa.h"
#include "backend/cpu/kernels/epilogue.h"

namespace vitrify::cpu {

/// row[i] = activation(row[i]) for i in [0, n); a and b as in epilogue.h.
void activate_row(Isa isa, Activation kind, float a, float b, float* row, int64_t n);

/// row[i] = the rounded row[i].
void round_floats(Isa isa, Rounding rounding, float* row, int64_t n);

}  // namespace vitrify::cpu
