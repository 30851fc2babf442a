// Binary floating formats below 32 bits, as data: one codec serves them all.
//
// Sources: IEEE 754 (f16), bfloat16, OCP 8-bit and MX formats, and the FNUZ variants of arXiv
// 2206.02915; conversions as in ONNX's Cast.
#pragma once

#include <cstdint>

namespace vitrify {

struct SmallFloat {
  int exponent_bits, mantissa_bits, bias;
  bool has_infinity;
  uint32_t max_finite;  ///< the code of the largest finite value, sign cleared
  uint32_t nan;         ///< the code of a NaN; 0 when the format has none (NaN then encodes as -0)
  bool negative_zero;   ///< false: the code sign|0 is the NaN
};

constexpr SmallFloat kFloat16{5, 10, 15, true, 0x7BFF, 0x7E00, true};
constexpr SmallFloat kBFloat16{8, 7, 127, true, 0x7F7F, 0x7FC0, true};
constexpr SmallFloat kFloat8E4M3FN{4, 3, 7, false, 0x7E, 0x7F, true};
constexpr SmallFloat kFloat8E4M3FNUZ{4, 3, 8, false, 0x7F, 0x80, false};
constexpr SmallFloat kFloat8E5M2{5, 2, 15, true, 0x7B, 0x7F, true};
constexpr SmallFloat kFloat8E5M2FNUZ{5, 2, 16, false, 0x7F, 0x80, false};
constexpr SmallFloat kFloat4E2M1{2, 1, 1, false, 0x7, 0, true};

/// The exact value of a code.
double decode(const SmallFloat& format, uint32_t code);
/// Rounds to nearest, ties to even, once. Past the largest finite value: that value when `saturate`
/// (infinities too), else infinity where the format has one, else NaN.
uint32_t encode(const SmallFloat& format, double value, bool saturate);

/// f8e8m0 has no sign, mantissa or zero: code c is 2^(c - 127), 255 is NaN. The sign is dropped.
/// Out of range: the nearest end when `saturate`, else NaN. Ties go up.
double decode_e8m0(uint8_t code);
enum class ScaleRounding { kUp, kDown, kNearest };
uint8_t encode_e8m0(double value, bool saturate, ScaleRounding rounding);

/// The two formats that kernels convert in bulk.
float half_to_float(uint16_t bits);
uint16_t float_to_half(float value);
inline float bfloat16_to_float(uint16_t bits) {
  uint32_t wide = uint32_t(bits) << 16;
  return __builtin_bit_cast(float, wide);
}
uint16_t float_to_bfloat16(float value);

}  // namespace vitrify
