// Functions of one vector beyond those of activation-inl.h. Polynomials: interpolation of the
// function named, in long double, at Chebyshev nodes of the interval given, written as powers.
#if defined(VITRIFY_KERNELS_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRIFY_KERNELS_MATH_INL_H_
#undef VITRIFY_KERNELS_MATH_INL_H_
#else
#define VITRIFY_KERNELS_MATH_INL_H_
#endif

#include <cmath>
#include <limits>

#include "backend/cpu/kernels/activation-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {

using SignedInts = hn::RebindToSigned<Floats>;

/// max and min in which NaN wins: those of x86 return the second operand when one is NaN.
HWY_INLINE Vec max_nan(Vec a, Vec b) { return hn::IfThenElse(hn::IsNaN(a), a, hn::Max(a, b)); }
HWY_INLINE Vec min_nan(Vec a, Vec b) { return hn::IfThenElse(hn::IsNaN(a), a, hn::Min(a, b)); }

/// log(m 2^e) = e ln 2 + log(1 + f), f = m - 1 in [sqrt(1/2) - 1, sqrt(2) - 1]:
/// f - f^2 / 2 + f^3 q(f). Denormals are scaled up first.
HWY_INLINE Vec log(Vec x) {
  static constexpr float kQ[] = {3.333333118e-01f,  -2.499999696e-01f, 2.000071575e-01f,
                                 -1.666780232e-01f, 1.424905765e-01f,  -1.242568733e-01f,
                                 1.168541992e-01f,  -1.147973385e-01f, 6.971611472e-02f};
  const Floats d;
  const SignedInts di;
  const Vec zero = hn::Zero(d), infinity = set(std::numeric_limits<float>::infinity());
  const auto tiny = hn::Lt(x, set(std::numeric_limits<float>::min()));
  const Vec scaled = hn::IfThenElse(tiny, hn::Mul(x, set(8388608.0f)), x);
  // Subtracting sqrt(1/2)'s bits makes the exponent field that of m in [sqrt(1/2), sqrt(2)).
  const auto shifted = hn::Sub(hn::BitCast(di, scaled), hn::Set(di, 0x3F3504F3));
  const auto exponent = hn::ShiftRight<23>(shifted);
  const auto mantissa = hn::Add(hn::And(shifted, hn::Set(di, 0x007FFFFF)),  //
                                hn::Set(di, 0x3F3504F3));
  const Vec e = hn::Sub(hn::ConvertTo(d, exponent), hn::IfThenElseZero(tiny, set(23.0f)));
  const Vec f = hn::Sub(hn::BitCast(d, mantissa), set(1.0f)), square = hn::Mul(f, f);
  Vec y = hn::Mul(hn::Mul(f, square), polynomial(f, kQ));
  y = hn::MulAdd(e, set(1.42860677e-6f), y);  // ln 2: the rest, then its upper 16 bits
  y = hn::NegMulAdd(set(0.5f), square, y);
  y = hn::Add(hn::MulAdd(e, set(0.693145752f), f), y);
  y = hn::IfThenElse(hn::Eq(x, infinity), x, y);
  y = hn::IfThenElse(hn::Eq(x, zero), hn::Neg(infinity), y);
  y = hn::IfThenElse(hn::Lt(x, zero), set(std::numeric_limits<float>::quiet_NaN()), y);
  return hn::IfThenElse(hn::IsNaN(x), x, y);
}

/// exp(x) - 1; for |x| <= ln(2) / 2 by the polynomial of exp.
HWY_INLINE Vec expm1(Vec x) {
  static constexpr float kQ[] = {5.000000014e-01f, 1.666666668e-01f, 4.166645681e-02f,
                                 8.333310024e-03f, 1.393454193e-03f, 1.989198131e-04f};
  const Vec small = hn::MulAdd(hn::Mul(x, x), polynomial(x, kQ), x);
  const Vec large = hn::Sub(exp(x), set(1.0f));
  return hn::IfThenElse(hn::Gt(hn::Abs(x), set(0.346f)), large, small);
}

/// atan(r) for r = |x| or, above 1, 1 / |x|: r + r^3 q(r^2), q of (atan(r) / r - 1) / r^2 in r^2
/// over [0, 1]; then pi / 2 less that, with the sign of x.
HWY_INLINE Vec atan(Vec x) {
  static constexpr float kQ[] = {-3.333333173e-01f, 1.999973933e-01f,  -1.427856875e-01f,
                                 1.103376412e-01f,  -8.656880430e-02f, 6.250169445e-02f,
                                 -3.587153898e-02f, 1.350777143e-02f,  -2.386997317e-03f};
  const Vec size = hn::Abs(x);
  const auto large = hn::Gt(size, set(1.0f));
  const Vec r = hn::IfThenElse(large, hn::Div(set(1.0f), size), size), square = hn::Mul(r, r);
  const Vec y = hn::MulAdd(hn::Mul(r, square), polynomial(square, kQ), r);
  const Vec rest = hn::Sub(set(1.57079637f), hn::Add(y, set(4.37113883e-8f)));
  return hn::CopySign(hn::IfThenElse(large, rest, y), x);
}

/// Largest |x| for which the reduction below keeps its precision.
inline constexpr float kMaxAngle = 8192.0f;

/// sin (quadrant 0) or cos (quadrant 1): x - n pi/2 in [-pi/4, pi/4], pi/2 in three parts.
HWY_INLINE Vec sin_quadrant(Vec x, int quadrant) {
  static constexpr float kSin[] = {-1.666666666e-01f, 8.333331875e-03f, -1.984008674e-04f,
                                   2.724992580e-06f};
  static constexpr float kCos[] = {4.166666666e-02f, -1.388888767e-03f, 2.480060038e-05f,
                                   -2.730095908e-07f};
  const Floats d;
  const SignedInts di;
  const Vec n = hn::Round(hn::Mul(x, set(0.6366197724f)));
  Vec r = hn::NegMulAdd(n, set(1.5703125f), x);
  r = hn::NegMulAdd(n, set(4.837512969970703125e-4f), r);
  r = hn::NegMulAdd(n, set(7.549789948768648e-8f), r);
  const Vec z = hn::Mul(r, r);
  const Vec s = hn::MulAdd(hn::Mul(r, z), polynomial(z, kSin), r);
  const Vec c =
      hn::MulAdd(hn::Mul(z, z), polynomial(z, kCos), hn::NegMulAdd(set(0.5f), z, set(1.0f)));
  const auto q = hn::Add(hn::ConvertTo(di, n), hn::Set(di, quadrant));
  const auto odd = hn::Ne(hn::And(q, hn::Set(di, 1)), hn::Zero(di));
  const Vec y = hn::IfThenElse(hn::RebindMask(d, odd), c, s);
  return hn::Xor(y, hn::BitCast(d, hn::ShiftLeft<30>(hn::And(q, hn::Set(di, 2)))));
}

/// f for every lane, for functions that are rare.
template <class F>
HWY_INLINE Vec by_lane(Vec x, F f) {
  alignas(64) float lanes[kLanes];
  hn::Store(x, Floats(), lanes);
  for (int i = 0; i < kLanes; ++i) lanes[i] = f(lanes[i]);
  return hn::Load(Floats(), lanes);
}
template <class F>
HWY_INLINE Vec by_lane(Vec x, Vec y, F f) {
  alignas(64) float a[kLanes], b[kLanes];
  hn::Store(x, Floats(), a);
  hn::Store(y, Floats(), b);
  for (int i = 0; i < kLanes; ++i) a[i] = f(a[i], b[i]);
  return hn::Load(Floats(), a);
}

HWY_INLINE bool has_large_angle(Vec x) {
  return !hn::AllTrue(Floats(), hn::Le(hn::Abs(x), set(kMaxAngle)));
}
HWY_INLINE Vec sin(Vec x) {
  if (HWY_UNLIKELY(has_large_angle(x))) return by_lane(x, [](float v) { return std::sin(v); });
  return hn::IfThenElse(hn::Eq(x, hn::Zero(Floats())), x, sin_quadrant(x, 0));  // keeps -0
}
HWY_INLINE Vec cos(Vec x) {
  if (HWY_UNLIKELY(has_large_angle(x))) return by_lane(x, [](float v) { return std::cos(v); });
  return sin_quadrant(x, 1);
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
