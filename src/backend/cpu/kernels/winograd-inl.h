// The one-dimensional transforms of Winograd's minimal filtering F(m, 3): y = A^T [(G g) * (B^T
// d)], from Toom and Cook's interpolation. F(2, 3) has the points 0, 1, -1 and infinity. F(4, 3)
// has 0, p, -p, q, -q and infinity with p = 2/3 and q = 3/2: four times less error than the usual 1
// and 2, because the powers of p and q stay near 1, and p q = 1 keeps the transform short. The row
// of B^T for point a holds the coefficients of the product of (x - b) over all other points b, that
// product at a is divided out in G (winograd.cpp), and the row k of A^T holds a^k.
#if defined(VITRIFY_KERNELS_WINOGRAD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRIFY_KERNELS_WINOGRAD_INL_H_
#undef VITRIFY_KERNELS_WINOGRAD_INL_H_
#else
#define VITRIFY_KERNELS_WINOGRAD_INL_H_
#endif

#include "backend/cpu/kernels/simd_partial-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {

/// B^T d for F(2, 3).
HWY_INLINE void transform_input(const Vec (&d)[4], Vec (&v)[4]) {
  v[0] = hn::Sub(d[2], d[0]);
  v[1] = hn::Add(d[1], d[2]);
  v[2] = hn::Sub(d[2], d[1]);
  v[3] = hn::Sub(d[3], d[1]);
}

/// A^T m for F(2, 3).
HWY_INLINE void transform_output(const Vec (&m)[4], Vec (&y)[2]) {
  y[0] = hn::Add(hn::Add(m[0], m[1]), m[2]);
  y[1] = hn::Add(hn::Sub(m[1], m[2]), m[3]);
}

inline constexpr float kP = 2.0f / 3, kQ = 1.5f;

/// B^T d for F(4, 3).
HWY_INLINE void transform_input(const Vec (&d)[6], Vec (&v)[6]) {
  const Floats tag;
  const Vec p = hn::Set(tag, kP), q = hn::Set(tag, kQ);
  const Vec p2 = hn::Set(tag, kP * kP), q2 = hn::Set(tag, kQ * kQ);
  const Vec sum = hn::Set(tag, kP * kP + kQ * kQ);
  const Vec even_p = hn::NegMulAdd(q2, d[2], d[4]), even_q = hn::NegMulAdd(p2, d[2], d[4]);
  const Vec odd_p = hn::NegMulAdd(q, d[1], hn::Mul(p, d[3]));
  const Vec odd_q = hn::NegMulAdd(p, d[1], hn::Mul(q, d[3]));
  v[0] = hn::Add(d[0], hn::NegMulAdd(sum, d[2], d[4]));
  v[1] = hn::Add(even_p, odd_p);
  v[2] = hn::Sub(even_p, odd_p);
  v[3] = hn::Add(even_q, odd_q);
  v[4] = hn::Sub(even_q, odd_q);
  v[5] = hn::Add(d[1], hn::NegMulAdd(sum, d[3], d[5]));
}

/// A^T m for F(4, 3).
HWY_INLINE void transform_output(const Vec (&m)[6], Vec (&y)[4]) {
  const Floats tag;
  const Vec p = hn::Set(tag, kP), q = hn::Set(tag, kQ);
  const Vec p2 = hn::Set(tag, kP * kP), q2 = hn::Set(tag, kQ * kQ);
  const Vec p3 = hn::Set(tag, kP * kP * kP), q3 = hn::Set(tag, kQ * kQ * kQ);
  const Vec sum_p = hn::Add(m[1], m[2]), difference_p = hn::Sub(m[1], m[2]);
  const Vec sum_q = hn::Add(m[3], m[4]), difference_q = hn::Sub(m[3], m[4]);
  y[0] = hn::Add(hn::Add(m[0], sum_p), sum_q);
  y[1] = hn::MulAdd(p, difference_p, hn::Mul(q, difference_q));
  y[2] = hn::MulAdd(p2, sum_p, hn::Mul(q2, sum_q));
  y[3] = hn::MulAdd(p3, difference_p, hn::MulAdd(q3, difference_q, m[5]));
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
