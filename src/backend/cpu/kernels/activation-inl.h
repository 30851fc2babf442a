// The activations of epilogue.h over vectors; errors are a few units in the last place (measured in
// tests/kernel_gemm_test.cpp). Polynomials: interpolation of the function named, in double, at
// Chebyshev nodes of the interval given, written as powers.
#if defined(VITRIFY_KERNELS_ACTIVATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRIFY_KERNELS_ACTIVATION_INL_H_
#undef VITRIFY_KERNELS_ACTIVATION_INL_H_
#else
#define VITRIFY_KERNELS_ACTIVATION_INL_H_
#endif

#include <cstdint>

#include "backend/cpu/kernels/epilogue.h"
#include "backend/cpu/kernels/simd_partial-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {

HWY_INLINE Vec set(float x) { return hn::Set(Floats(), x); }

/// c[0] + c[1] x + ... ; n is a compile-time constant after inlining.
template <int N>
HWY_INLINE Vec polynomial(Vec x, const float (&c)[N]) {
  Vec y = set(c[N - 1]);
#pragma GCC unroll 16
  for (int i = N - 2; i >= 0; --i) y = hn::MulAdd(y, x, set(c[i]));
  return y;
}

// Max and Min of x86 return the second operand when one is NaN: x stays NaN below.
HWY_INLINE Vec clip(Vec x, Vec lo, Vec hi) { return hn::Min(hi, hn::Max(lo, x)); }

/// exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln(2) / 2; 2^n in two steps reaches denormals
/// and infinity.
HWY_INLINE Vec exp(Vec x) {
  static constexpr float kQ[] = {5.000000014e-01f, 1.666666668e-01f, 4.166645681e-02f,
                                 8.333310024e-03f, 1.393454193e-03f, 1.989198131e-04f};
  const Floats d;
  const hn::RebindToSigned<Floats> di;
  const Vec bounded = clip(x, set(-110.0f), set(90.0f));
  const Vec n = hn::Round(hn::Mul(bounded, set(1.442695041f)));
  Vec r = hn::NegMulAdd(n, set(0.693145752f), bounded);  // ln 2, upper 16 bits and the rest
  r = hn::NegMulAdd(n, set(1.42860677e-6f), r);
  const Vec p = hn::Add(set(1.0f), hn::MulAdd(hn::Mul(r, r), polynomial(r, kQ), r));
  const auto whole = hn::ConvertTo(di, n);
  const auto half = hn::ShiftRight<1>(whole);
  const auto bias = hn::Set(di, 127);
  const Vec s1 = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, bias)));
  const Vec s2 = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(whole, half), bias)));
  return hn::Mul(hn::Mul(p, s1), s2);
}

HWY_INLINE Vec sigmoid(Vec x) {
  const Vec one = set(1.0f);
  return hn::Div(one, hn::Add(one, exp(hn::Neg(x))));
}

/// Small |x|: x + x^3 q(x^2) on [0, 0.625]; otherwise 1 - 2 / (exp(2 |x|) + 1) with x's sign.
HWY_INLINE Vec tanh(Vec x) {
  static constexpr float kQ[] = {-3.333333317e-01f, 1.333330356e-01f,  -5.395925959e-02f,
                                 2.176891871e-02f,  -8.343945656e-03f, 2.292744932e-03f};
  const Vec one = set(1.0f), two = set(2.0f), size = hn::Abs(x), square = hn::Mul(x, x);
  const Vec small = hn::MulAdd(hn::Mul(x, square), polynomial(square, kQ), x);
  const Vec large = hn::Sub(one, hn::Div(two, hn::Add(exp(hn::Add(size, size)), one)));
  return hn::CopySign(hn::IfThenElse(hn::Gt(size, set(0.625f)), large, small), x);  // of -0, too
}

/// |x| <= 1: x p(x^2); otherwise 1 - exp(q(|x|)) with x's sign, q = log(erfc) on [1, 4].
HWY_INLINE Vec erf(Vec x) {
  static constexpr float kP[] = {1.128379166e+00f,  -3.761262667e-01f, 1.128359472e-01f,
                                 -2.685421201e-02f, 5.189087425e-03f,  -8.016864298e-04f,
                                 7.875875097e-05f};
  static constexpr float kQ[] = {-7.658977807e-04f, -1.125893652e+00f, -6.391412577e-01f,
                                 -1.032811176e-01f, 2.260477224e-02f,  -3.432351380e-03f,
                                 3.169370224e-04f,  -1.327236181e-05f};
  const Vec size = hn::Abs(x), square = hn::Mul(x, x);
  const Vec small = hn::Mul(x, polynomial(square, kP));
  const Vec bounded = hn::Min(set(4.0f), size);
  const Vec large = hn::Sub(set(1.0f), exp(polynomial(bounded, kQ)));
  return hn::IfThenElse(hn::Gt(size, set(1.0f)), hn::CopySign(large, x), small);
}

/// log(1 + u) for u in [0, 1].
HWY_INLINE Vec log1p_unit(Vec u) {
  static constexpr float kQ[] = {9.999999947e-01f,  -4.999989265e-01f, 3.332971050e-01f,
                                 -2.495161626e-01f, 1.966327426e-01f,  -1.526966707e-01f,
                                 1.054362379e-01f,  -5.637361275e-02f, 1.954252722e-02f,
                                 -3.176057010e-03f};
  return hn::Mul(u, polynomial(u, kQ));
}

HWY_INLINE Vec gelu_tanh(Vec x) {
  const Vec inner = hn::MulAdd(hn::Mul(set(0.044715f), hn::Mul(x, x)), x, x);
  const Vec t = tanh(hn::Mul(set(0.7978845608f), inner));
  return hn::Mul(hn::Mul(x, set(0.5f)), hn::Add(set(1.0f), t));
}

HWY_INLINE Vec gelu_erf(Vec x) {
  const Vec e = erf(hn::Mul(x, set(0.7071067812f)));
  return hn::Mul(hn::Mul(x, set(0.5f)), hn::Add(set(1.0f), e));
}

HWY_INLINE Vec softplus(Vec x) {
  return hn::Add(hn::Max(hn::Zero(Floats()), x), log1p_unit(exp(hn::Neg(hn::Abs(x)))));
}

/// tanh(log(1 + e)) = (e^2 + 2e) / (e^2 + 2e + 2) with e = exp(x); 1 in float from x = 20 on.
HWY_INLINE Vec mish(Vec x) {
  const Vec e = exp(hn::Min(set(20.0f), x));
  const Vec top = hn::Mul(e, hn::Add(e, set(2.0f)));
  return hn::Mul(x, hn::Div(top, hn::Add(top, set(2.0f))));
}

HWY_INLINE Vec elu(Vec x, Vec a) {
  const Vec negative = hn::Mul(a, hn::Sub(exp(hn::Min(hn::Zero(Floats()), x)), set(1.0f)));
  return hn::IfThenElse(hn::Lt(x, hn::Zero(Floats())), negative, x);
}

template <class F>
HWY_INLINE void for_each_vector(float* row, int64_t n, F f) {
  const Floats d;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) hn::StoreU(f(hn::LoadU(d, row + i)), d, row + i);
  if (i < n) store_partial(f(load_partial(row + i, n - i)), row + i, n - i);
}

/// row[i] = activation(row[i]) for i in [0, n).
HWY_INLINE void apply_activation(Activation kind, float a, float b, float* row, int64_t n) {
  const Vec va = set(a), vb = set(b), zero = set(0.0f), one = set(1.0f);
  const Vec sixth = set(1.0f / 6.0f), half = set(0.5f);
  switch (kind) {
    case Activation::kNone:
      return;
    case Activation::kRelu:
      return for_each_vector(row, n, [=](Vec x) HWY_ATTR { return hn::Max(zero, x); });
    case Activation::kClip:
      return for_each_vector(row, n, [=](Vec x) HWY_ATTR { return clip(x, va, vb); });
    case Activation::kLeakyRelu:
      return for_each_vector(row, n, [=](Vec x) HWY_ATTR {
        return hn::IfThenElse(hn::Lt(x, zero), hn::Mul(va, x), x);
      });
    case Activation::kHardSigmoid:
      return for_each_vector(
          row, n, [=](Vec x) HWY_ATTR { return clip(hn::MulAdd(va, x, vb), zero, one); });
    case Activation::kHardSwish:
      return for_each_vector(row, n, [=](Vec x) HWY_ATTR {
        return hn::Mul(x, clip(hn::MulAdd(x, sixth, half), zero, one));
      });
    case Activation::kSigmoid:
      return for_each_vector(row, n, [](Vec x) HWY_ATTR { return sigmoid(x); });
    case Activation::kSilu:
      return for_each_vector(row, n, [](Vec x) HWY_ATTR { return hn::Mul(x, sigmoid(x)); });
    case Activation::kTanh:
      return for_each_vector(row, n, [](Vec x) HWY_ATTR { return tanh(x); });
    case Activation::kGeluErf:
      return for_each_vector(row, n, [](Vec x) HWY_ATTR { return gelu_erf(x); });
    case Activation::kGeluTanh:
      return for_each_vector(row, n, [](Vec x) HWY_ATTR { return gelu_tanh(x); });
    case Activation::kElu:
      return for_each_vector(row, n, [=](Vec x) HWY_ATTR { return elu(x, va); });
    case Activation::kSoftplus:
      return for_each_vector(row, n, [](Vec x) HWY_ATTR { return softplus(x); });
    case Activation::kMish:
      return for_each_vector(row, n, [](Vec x) HWY_ATTR { return mish(x); });
  }
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
