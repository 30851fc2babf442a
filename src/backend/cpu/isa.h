// Which vector instructions the CPU kernels may use, found at run time and lowered on request.
//
// Kernels are compiled once per Isa (see simd.h) and take the Isa as an argument: packed weights
// and the order of additions depend on it, so a plan records the Isa that it was built for.
#pragma once

#include <cstdint>
#include <string_view>

namespace vitrify::cpu {

enum class Isa : uint8_t {
  kBaseline,  ///< SSE4.2 (x86-64-v2), 4 floats a vector, no FMA
  kAvx2,      ///< AVX2 + FMA + F16C + BMI, 8 floats a vector
  kAvx512,    ///< AVX-512 F, VL, DQ, BW, CD, 16 floats a vector
};
inline constexpr int kIsaCount = 3;

/// The best Isa of this machine. Throws an unsupported error if not even the baseline is there.
Isa machine_isa();

/// The best Isa to build plans for: `machine_isa()`, lowered by knob VITRIFY_MAX_ISA or
/// `set_max_isa`.
Isa max_isa();

/// Lowers (or raises again, never above the machine) what `max_isa` returns. For tests.
void set_max_isa(Isa isa);

/// "baseline", "avx2", "avx512".
const char* isa_name(Isa isa);

/// The inverse of `isa_name`. Throws a user error on another word.
Isa parse_isa(std::string_view name);

/// Floats in one vector.
constexpr int isa_lanes(Isa isa) { return 4 << static_cast<int>(isa); }

}  // namespace vitrify::cpu
