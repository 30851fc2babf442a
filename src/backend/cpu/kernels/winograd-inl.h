// The one-dimensional transforms of Winograd's minimal filtering F(m, 3), m = 2 and 4, with points
// 0, 1, -1 (, 2, -2) and infinity, after Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks" (2016): y = A^T [(G g) * (B^T d)].
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
  v[0] = hn::Sub(d[0], d[2]);
  v[1] = hn::Add(d[1], d[2]);
  v[2] = hn::Sub(d[2], d[1]);
  v[3] = hn::Sub(d[1], d[3]);
}

/// A^T m for F(2, 3).
HWY_INLINE void transform_output(const Vec (&m)[4], Vec (&y)[2]) {
  y[0] = hn::Add(hn::Add(m[0], m[1]), m[2]);
  y[1] = hn::Sub(hn::Sub(m[1], m[2]), m[3]);
}

/// B^T d for F(4, 3).
HWY_INLINE void transform_input(const Vec (&d)[6], Vec (&v)[6]) {
  const Floats tag;
  const Vec two = hn::Set(tag, 2.0f), four = hn::Set(tag, 4.0f), five = hn::Set(tag, 5.0f);
  const Vec even = hn::NegMulAdd(four, d[2], d[4]), odd = hn::NegMulAdd(four, d[1], d[3]);
  const Vec far = hn::Sub(d[4], d[2]), near = hn::Mul(two, hn::Sub(d[3], d[1]));
  v[0] = hn::MulAdd(four, d[0], hn::NegMulAdd(five, d[2], d[4]));
  v[1] = hn::Add(even, odd);
  v[2] = hn::Sub(even, odd);
  v[3] = hn::Add(far, near);
  v[4] = hn::Sub(far, near);
  v[5] = hn::MulAdd(four, d[1], hn::NegMulAdd(five, d[3], d[5]));
}

/// A^T m for F(4, 3).
HWY_INLINE void transform_output(const Vec (&m)[6], Vec (&y)[4]) {
  const Floats tag;
  const Vec two = hn::Set(tag, 2.0f), four = hn::Set(tag, 4.0f), eight = hn::Set(tag, 8.0f);
  const Vec sum1 = hn::Add(m[1], m[2]), difference1 = hn::Sub(m[1], m[2]);
  const Vec sum2 = hn::Add(m[3], m[4]), difference2 = hn::Sub(m[3], m[4]);
  y[0] = hn::Add(hn::Add(m[0], sum1), sum2);
  y[1] = hn::MulAdd(two, difference2, difference1);
  y[2] = hn::MulAdd(four, sum2, sum1);
  y[3] = hn::Add(hn::MulAdd(eight, difference2, difference1), m[5]);
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
