// Rounding of float32 vectors to what a smaller type can hold; equal to base/small_float.h, but for
// the bits of NaN.
#if defined(VITRIFY_KERNELS_ROUND_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRIFY_KERNELS_ROUND_INL_H_
#undef VITRIFY_KERNELS_ROUND_INL_H_
#else
#define VITRIFY_KERNELS_ROUND_INL_H_
#endif

#include <cstdint>
#include <limits>

#include "backend/cpu/kernels/activation-inl.h"
#include "backend/cpu/kernels/simd_partial-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {

/// To the nearest multiple of 2^Bits units in the last place, ties to even; may carry into the
/// exponent, up to infinity. Not for NaN.
template <int Bits>
HWY_INLINE hn::Vec<hn::RebindToUnsigned<Floats>> round_bits(
    hn::Vec<hn::RebindToUnsigned<Floats>> bits) {
  const hn::RebindToUnsigned<Floats> du;
  const auto odd = hn::And(hn::ShiftRight<Bits>(bits), hn::Set(du, 1u));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(du, (1u << (Bits - 1)) - 1)));
  return hn::And(rounded, hn::Set(du, ~((1u << Bits) - 1)));
}

/// float(bfloat16(x))
HWY_INLINE Vec round_bfloat16(Vec x) {
  const Floats d;
  const hn::RebindToUnsigned<Floats> du;
  const Vec rounded = hn::BitCast(d, round_bits<16>(hn::BitCast(du, x)));
  // A NaN keeps its upper half, which must not become that of infinity.
  const auto quiet =
      hn::And(hn::Or(hn::BitCast(du, x), hn::Set(du, 0x400000u)), hn::Set(du, 0xFFFF0000u));
  return hn::IfThenElse(hn::IsNaN(x), hn::BitCast(d, quiet), rounded);
}

/// float(float16(x))
HWY_INLINE Vec round_half(Vec x) {
  const Floats d;
#if HWY_TARGET != HWY_SSE4
  const hn::Rebind<hwy::float16_t, Floats> dh;
  return hn::PromoteTo(d, hn::DemoteTo(dh, x));
#else  // which has no rounding conversion
  const hn::RebindToUnsigned<Floats> du;
  const Vec size = hn::Abs(x), half = hn::Set(d, 0.5f);
  const Vec normal = hn::BitCast(d, round_bits<13>(hn::BitCast(du, size)));
  const Vec small = hn::Sub(hn::Add(size, half), half);  // the adder rounds to multiples of 2^-24
  Vec y = hn::IfThenElse(hn::Lt(size, hn::Set(d, 0x1p-14f)), small, normal);
  y = hn::IfThenElse(hn::Gt(y, hn::Set(d, 65504.0f)),
                     hn::Set(d, std::numeric_limits<float>::infinity()), y);
  return hn::IfThenElse(hn::IsNaN(x), x, hn::CopySign(y, x));
#endif
}

HWY_INLINE Vec round_to(Rounding rounding, Vec x) {
  return rounding == Rounding::kHalf       ? round_half(x)
         : rounding == Rounding::kBfloat16 ? round_bfloat16(x)
                                           : x;
}

/// row[i] = the rounded row[i] for i in [0, n).
HWY_INLINE void round_row(Rounding rounding, float* row, int64_t n) {
  if (rounding == Rounding::kHalf) {
    for_each_vector(row, n, [](Vec x) HWY_ATTR { return round_half(x); });
  } else if (rounding == Rounding::kBfloat16) {
    for_each_vector(row, n, [](Vec x) HWY_ATTR { return round_bfloat16(x); });
  }
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
