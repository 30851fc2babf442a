#include "base/small_float.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vitrify {

double decode(const SmallFloat& f, uint32_t code) {
  uint32_t sign_bit = 1u << (f.exponent_bits + f.mantissa_bits);
  uint32_t magnitude = code & (sign_bit - 1);
  bool negative = code & sign_bit;
  if (!f.negative_zero && code == f.nan) return std::numeric_limits<double>::quiet_NaN();
  if (magnitude > f.max_finite) {
    bool infinite = f.has_infinity && magnitude == f.max_finite + 1;
    if (!infinite) return std::numeric_limits<double>::quiet_NaN();
    return negative ? -INFINITY : INFINITY;
  }
  uint32_t mantissa = magnitude & ((1u << f.mantissa_bits) - 1),
           exponent = magnitude >> f.mantissa_bits;
  double v = exponent == 0 ? std::ldexp(double(mantissa), 1 - f.bias - f.mantissa_bits)
                           : std::ldexp(double(mantissa | 1u << f.mantissa_bits),
                                        int(exponent) - f.bias - f.mantissa_bits);
  return negative ? -v : v;
}

uint32_t encode(const SmallFloat& f, double value, bool saturate) {
  uint32_t sign_bit = 1u << (f.exponent_bits + f.mantissa_bits);
  if (std::isnan(value))
    return f.nan ? (f.negative_zero && std::signbit(value) ? f.nan | sign_bit : f.nan) : sign_bit;
  uint32_t sign = std::signbit(value) ? sign_bit : 0;
  double magnitude = std::fabs(value);
  uint32_t past = saturate ? f.max_finite : f.has_infinity ? f.max_finite + 1 : f.nan;
  if (std::isinf(value))
    return !saturate && !f.has_infinity && f.nan ? (f.negative_zero ? f.nan | sign : f.nan)
                                                 : past | sign;
  int exponent = std::max(magnitude == 0 ? 1 - f.bias : std::ilogb(magnitude), 1 - f.bias);
  // Subnormals share the lowest exponent; a mantissa that rounds up carries into the exponent by
  // itself.
  double rounded = std::nearbyint(std::ldexp(magnitude, f.mantissa_bits - exponent));
  int64_t code = (int64_t(exponent + f.bias - 1) << f.mantissa_bits) + int64_t(rounded);
  if (code > int64_t(f.max_finite))
    return !saturate && !f.has_infinity && !f.negative_zero ? f.nan : past | sign;
  if (code == 0 && !f.negative_zero) return 0;
  return uint32_t(code) | sign;
}

double decode_e8m0(uint8_t code) {
  return code == 255 ? std::numeric_limits<double>::quiet_NaN() : std::ldexp(1.0, int(code) - 127);
}

uint8_t encode_e8m0(double value, bool saturate, ScaleRounding rounding) {
  value = std::fabs(value);
  if (std::isnan(value)) return 255;
  if (std::isinf(value)) return saturate ? 254 : 255;
  if (value < 0x1p-127) return saturate ? 0 : 255;  // code 0 is the smallest: there is no zero
  int exponent = std::ilogb(value);
  double fraction = std::ldexp(value, -exponent);  // in [1, 2)
  bool up = rounding == ScaleRounding::kUp ? fraction > 1
                                           : rounding == ScaleRounding::kNearest && fraction >= 1.5;
  int code = exponent + up + 127;
  if (code > 254) return saturate ? 254 : 255;
  return uint8_t(code);
}

float half_to_float(uint16_t bits) {
  uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = (bits >> 10) & 31,
           mantissa = bits & 1023;
  if (exponent == 31) return __builtin_bit_cast(float, sign | 0x7F800000u | mantissa << 13);
  if (exponent == 0) {
    float v = float(mantissa) * 0x1p-24f;
    return sign ? -v : v;
  }
  return __builtin_bit_cast(float, sign | (exponent + 112) << 23 | mantissa << 13);
}

uint16_t float_to_half(float value) {
  uint32_t bits = __builtin_bit_cast(uint32_t, value);
  uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
  if (magnitude > 0x7F800000) return uint16_t(sign | 0x7E00);
  if (magnitude >= 0x477FF000) return uint16_t(sign | 0x7C00);  // rounds past 65504
  if (magnitude < 0x38800000) {                                 // subnormal: let the adder round
    float shifted = __builtin_bit_cast(float, magnitude) + 0.5f;
    return uint16_t(sign | (__builtin_bit_cast(uint32_t, shifted) - 0x3F000000));
  }
  uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1) - (112u << 23);
  return uint16_t(sign | rounded >> 13);
}

uint16_t float_to_bfloat16(float value) {
  uint32_t bits = __builtin_bit_cast(uint32_t, value);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return uint16_t(bits >> 16 | 0x40);
  return uint16_t((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

}  // namespace vitrify
