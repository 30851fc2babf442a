// The instructions of body.h over a tile.
#if defined(VITRIFY_KERNELS_BODY_STEPS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRIFY_KERNELS_BODY_STEPS_INL_H_
#undef VITRIFY_KERNELS_BODY_STEPS_INL_H_
#else
#define VITRIFY_KERNELS_BODY_STEPS_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/kernels/body.h"
#include "backend/cpu/kernels/body_steps.h"
#include "backend/cpu/kernels/math-inl.h"
#include "backend/cpu/kernels/round-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {

using Mask = hn::Mask<Floats>;

HWY_INLINE Vec load_source(const BodySource& s, int64_t i) {
  return hn::LoadU(Floats(), s.p + i * s.step);
}
HWY_INLINE Vec load_source(const BodySource& s, int64_t i, int64_t n) {
  return s.step ? load_partial(s.p + i, n) : hn::LoadU(Floats(), s.p);
}

template <class F>
HWY_INLINE void map1(const BodySource& a, float* out, int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) hn::StoreU(f(load_source(a, i)), Floats(), out + i);
  if (i < n) store_partial(f(load_source(a, i, n - i)), out + i, n - i);
}
template <class F>
HWY_INLINE void map2(const BodySource& a, const BodySource& b, float* out, int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    hn::StoreU(f(load_source(a, i), load_source(b, i)), Floats(), out + i);
  if (i < n) store_partial(f(load_source(a, i, n - i), load_source(b, i, n - i)), out + i, n - i);
}
template <class F>
HWY_INLINE void map3(const BodySource& a, const BodySource& b, const BodySource& c, float* out,
                     int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    hn::StoreU(f(load_source(a, i), load_source(b, i), load_source(c, i)), Floats(), out + i);
  if (i < n)
    store_partial(f(load_source(a, i, n - i), load_source(b, i, n - i), load_source(c, i, n - i)),
                  out + i, n - i);
}

HWY_INLINE Vec as_number(Mask m) { return hn::IfThenElseZero(m, set(1.0f)); }
HWY_INLINE Mask is_set(Vec x) { return hn::Gt(x, hn::Zero(Floats())); }

/// The functions of mathematics.
HWY_NOINLINE inline void run_function(UnaryKind kind, const BodySource& a, float* out, int64_t n) {
  const Vec one = set(1.0f);
  switch (kind) {
    case UnaryKind::kSqrt:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return hn::Sqrt(x); });
    case UnaryKind::kReciprocal:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return hn::Div(one, x); });
    case UnaryKind::kExp:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return exp(x); });
    case UnaryKind::kLog:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return log(x); });
    case UnaryKind::kErf:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return erf(x); });
    case UnaryKind::kFloor:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return hn::Floor(x); });
    case UnaryKind::kCeil:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return hn::Ceil(x); });
    case UnaryKind::kRound:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return hn::Round(x); });
    case UnaryKind::kSin:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return sin(x); });
    case UnaryKind::kCos:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return cos(x); });
    case UnaryKind::kTanh:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return tanh(x); });
    case UnaryKind::kTan:
      return map1(a, out, n,
                  [=](Vec x) HWY_ATTR { return by_lane(x, [](float v) { return std::tan(v); }); });
    case UnaryKind::kAsin:
      return map1(a, out, n,
                  [=](Vec x) HWY_ATTR { return by_lane(x, [](float v) { return std::asin(v); }); });
    case UnaryKind::kAcos:
      return map1(a, out, n,
                  [=](Vec x) HWY_ATTR { return by_lane(x, [](float v) { return std::acos(v); }); });
    case UnaryKind::kAtan:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return atan(x); });
    case UnaryKind::kSinh:
      return map1(a, out, n,
                  [=](Vec x) HWY_ATTR { return by_lane(x, [](float v) { return std::sinh(v); }); });
    case UnaryKind::kCosh:
      return map1(a, out, n,
                  [=](Vec x) HWY_ATTR { return by_lane(x, [](float v) { return std::cosh(v); }); });
    case UnaryKind::kAsinh:
      return map1(a, out, n, [=](Vec x) HWY_ATTR {
        return by_lane(x, [](float v) { return std::asinh(v); });
      });
    case UnaryKind::kAcosh:
      return map1(a, out, n, [=](Vec x) HWY_ATTR {
        return by_lane(x, [](float v) { return std::acosh(v); });
      });
    default:
      return map1(a, out, n, [=](Vec x) HWY_ATTR {
        return by_lane(x, [](float v) { return std::atanh(v); });
      });
  }
}

/// Activations; parameters as in UnaryKind.
HWY_NOINLINE inline void run_activation(UnaryKind kind, float alpha, float beta,
                                        const BodySource& a, float* out, int64_t n) {
  const Vec va = set(alpha), vb = set(beta), zero = set(0.0f), one = set(1.0f);
  switch (kind) {
    case UnaryKind::kSigmoid:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return sigmoid(x); });
    case UnaryKind::kSoftplus:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return softplus(x); });
    case UnaryKind::kSoftsign:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return hn::Div(x, hn::Add(one, hn::Abs(x))); });
    case UnaryKind::kMish:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return mish(x); });
    case UnaryKind::kHardSwish: {
      const Vec sixth = set(1.0f / 6.0f), half = set(0.5f);
      return map1(a, out, n, [=](Vec x) HWY_ATTR {
        return hn::Mul(x, clip(hn::MulAdd(x, sixth, half), zero, one));
      });
    }
    case UnaryKind::kGelu:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return gelu_erf(x); });
    case UnaryKind::kGeluTanh:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return gelu_tanh(x); });
    case UnaryKind::kSelu:
      return map1(a, out, n, [=](Vec x) HWY_ATTR {
        return hn::Mul(vb, hn::IfThenElse(hn::Gt(x, zero), x, hn::Mul(va, expm1(x))));
      });
    case UnaryKind::kLeakyRelu:
      return map1(a, out, n, [=](Vec x) HWY_ATTR {
        return hn::IfThenElse(hn::Lt(x, zero), hn::Mul(va, x), x);
      });
    case UnaryKind::kElu:
      return map1(a, out, n, [=](Vec x) HWY_ATTR {
        return hn::IfThenElse(hn::Lt(x, zero), hn::Mul(va, expm1(x)), x);
      });
    case UnaryKind::kCelu:
      return map1(a, out, n, [=](Vec x) HWY_ATTR {
        return hn::IfThenElse(hn::Lt(x, zero), hn::Mul(va, expm1(hn::Div(x, va))), x);
      });
    case UnaryKind::kThresholdedRelu:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return hn::IfThenElseZero(hn::Gt(x, va), x); });
    case UnaryKind::kSwish:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return hn::Mul(x, sigmoid(hn::Mul(va, x))); });
    case UnaryKind::kHardSigmoid:
      return map1(a, out, n,
                  [=](Vec x) HWY_ATTR { return clip(hn::MulAdd(va, x, vb), zero, one); });
    case UnaryKind::kShrink:
      return map1(a, out, n, [=](Vec x) HWY_ATTR {
        return hn::IfThenElse(hn::Lt(x, hn::Neg(va)), hn::Add(x, vb),
                              hn::IfThenElseZero(hn::Gt(x, va), hn::Sub(x, vb)));
      });
    default:
      return run_function(kind, a, out, n);
  }
}

HWY_INLINE Vec is_infinite(Vec x, bool positive, bool negative) {
  const Vec infinity = set(std::numeric_limits<float>::infinity()), zero = hn::Zero(Floats());
  const Vec up = as_number(hn::Eq(x, infinity)), down = as_number(hn::Eq(x, hn::Neg(infinity)));
  return hn::Add(positive ? up : zero, negative ? down : zero);
}

HWY_NOINLINE inline void run_unary(const BodyInstruction& in, const BodySource& a, float* out,
                                   int64_t n) {
  const Vec va = set(in.alpha), vb = set(in.beta), zero = set(0.0f), one = set(1.0f);
  switch (in.unary) {
    case UnaryKind::kAbs:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return hn::Abs(x); });
    case UnaryKind::kNeg:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return hn::Neg(x); });
    case UnaryKind::kSign:
      return map1(a, out, n, [=](Vec x) HWY_ATTR {
        return hn::IfThenElse(hn::Gt(x, zero), one,
                              hn::IfThenElse(hn::Lt(x, zero), hn::Neg(one), x));
      });
    case UnaryKind::kRelu:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return hn::Max(zero, x); });
    case UnaryKind::kClip:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return clip(x, va, vb); });
    case UnaryKind::kNot:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return hn::Sub(one, x); });
    case UnaryKind::kIsNan:
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return as_number(hn::IsNaN(x)); });
    case UnaryKind::kIsInf: {
      const bool positive = in.alpha != 0, negative = in.beta != 0;
      return map1(a, out, n, [=](Vec x) HWY_ATTR { return is_infinite(x, positive, negative); });
    }
    default:
      return run_activation(in.unary, in.alpha, in.beta, a, out, n);
  }
}

/// Exponents that need no logarithm: true when done.
HWY_INLINE bool run_power(const BodySource& a, float exponent, float* out, int64_t n) {
  const Vec one = set(1.0f), infinity = set(std::numeric_limits<float>::infinity());
  if (exponent == 2.0f) return map1(a, out, n, [](Vec x) HWY_ATTR { return hn::Mul(x, x); }), true;
  if (exponent == 3.0f)
    return map1(a, out, n, [](Vec x) HWY_ATTR { return hn::Mul(x, hn::Mul(x, x)); }), true;
  if (exponent == 1.0f) return map1(a, out, n, [](Vec x) HWY_ATTR { return x; }), true;
  if (exponent == -1.0f)
    return map1(a, out, n, [=](Vec x) HWY_ATTR { return hn::Div(one, x); }), true;
  if (exponent == 0.5f)  // of -0 and -infinity the power is 0 and infinity
    return map1(a, out, n,
                [=](Vec x) HWY_ATTR {
                  const auto lowest = hn::Eq(x, hn::Neg(infinity));
                  return hn::IfThenElse(lowest, infinity, hn::Add(hn::Sqrt(x), hn::Zero(Floats())));
                }),
           true;
  return false;
}

HWY_NOINLINE inline void run_comparison(BinaryKind kind, const BodySource& a, const BodySource& b,
                                        float* out, int64_t n) {
  switch (kind) {
    case BinaryKind::kEqual:
      return map2(a, b, out, n, [=](Vec x, Vec y) HWY_ATTR { return as_number(hn::Eq(x, y)); });
    case BinaryKind::kLess:
      return map2(a, b, out, n, [=](Vec x, Vec y) HWY_ATTR { return as_number(hn::Lt(x, y)); });
    case BinaryKind::kLessEqual:
      return map2(a, b, out, n, [=](Vec x, Vec y) HWY_ATTR { return as_number(hn::Le(x, y)); });
    case BinaryKind::kGreater:
      return map2(a, b, out, n, [=](Vec x, Vec y) HWY_ATTR { return as_number(hn::Gt(x, y)); });
    case BinaryKind::kGreaterEqual:
      return map2(a, b, out, n, [=](Vec x, Vec y) HWY_ATTR { return as_number(hn::Ge(x, y)); });
    case BinaryKind::kAnd:
      return map2(a, b, out, n, [=](Vec x, Vec y) HWY_ATTR { return hn::Mul(x, y); });
    case BinaryKind::kOr:
      return map2(a, b, out, n, [=](Vec x, Vec y) HWY_ATTR { return hn::Max(x, y); });
    default:  // kXor
      return map2(a, b, out, n, [=](Vec x, Vec y) HWY_ATTR { return hn::Abs(hn::Sub(x, y)); });
  }
}

HWY_NOINLINE inline void run_binary(const BodyInstruction& in, const BodySource& a,
                                    const BodySource& b, float* out, int64_t n) {
  const Vec zero = hn::Zero(Floats());
  switch (in.binary) {
    case BinaryKind::kAdd:
      return map2(a, b, out, n, [=](Vec x, Vec y) HWY_ATTR { return hn::Add(x, y); });
    case BinaryKind::kSub:
      return map2(a, b, out, n, [=](Vec x, Vec y) HWY_ATTR { return hn::Sub(x, y); });
    case BinaryKind::kMul:
      return map2(a, b, out, n, [=](Vec x, Vec y) HWY_ATTR { return hn::Mul(x, y); });
    case BinaryKind::kDiv:
      return map2(a, b, out, n, [=](Vec x, Vec y) HWY_ATTR { return hn::Div(x, y); });
    case BinaryKind::kMin:
      return map2(a, b, out, n, [=](Vec x, Vec y) HWY_ATTR { return min_nan(x, y); });
    case BinaryKind::kMax:
      return map2(a, b, out, n, [=](Vec x, Vec y) HWY_ATTR { return max_nan(x, y); });
    case BinaryKind::kPrelu:
      return map2(a, b, out, n, [=](Vec x, Vec y) HWY_ATTR {
        return hn::IfThenElse(hn::Lt(x, zero), hn::Mul(x, y), x);
      });
    case BinaryKind::kPow:
      if (b.step == 0 && run_power(a, *b.p, out, n)) return;
      return map2(a, b, out, n, [=](Vec x, Vec y) HWY_ATTR {
        return by_lane(x, y, [](float p, float q) { return std::pow(p, q); });
      });
    case BinaryKind::kMod:
      return map2(a, b, out, n, [=](Vec x, Vec y) HWY_ATTR {
        return by_lane(x, y, [](float p, float q) { return float_mod(p, q); });
      });
    case BinaryKind::kFmod:
      return map2(a, b, out, n, [=](Vec x, Vec y) HWY_ATTR {
        return by_lane(x, y, [](float p, float q) { return std::fmod(p, q); });
      });
    default:
      return run_comparison(in.binary, a, b, out, n);
  }
}

HWY_INLINE void run_instruction(const BodyInstruction& in, const BodySource* sources, float* out,
                                int64_t n) {
  using Code = BodyInstruction::Code;
  const BodySource& a = sources[in.args[0]];
  const BodySource& b = sources[std::max(0, in.args[1])];
  const BodySource& c = sources[std::max(0, in.args[2])];
  const Vec zero = hn::Zero(Floats());
  switch (in.code) {
    case Code::kUnary:
      return run_unary(in, a, out, n);
    case Code::kBinary:
      return run_binary(in, a, b, out, n);
    case Code::kSelect:
      return map3(a, b, c, out, n,
                  [=](Vec x, Vec y, Vec z) HWY_ATTR { return hn::IfThenElse(is_set(x), y, z); });
    case Code::kMulAdd:
      return map3(a, b, c, out, n,
                  [=](Vec x, Vec y, Vec z) HWY_ATTR { return hn::MulAdd(x, y, z); });
    case Code::kMulSub:
      return map3(a, b, c, out, n,
                  [=](Vec x, Vec y, Vec z) HWY_ATTR { return hn::MulSub(x, y, z); });
    case Code::kNegMulAdd:
      return map3(a, b, c, out, n,
                  [=](Vec x, Vec y, Vec z) HWY_ATTR { return hn::NegMulAdd(x, y, z); });
    case Code::kNotZero:
      return map1(a, out, n,
                  [=](Vec x) HWY_ATTR { return hn::IfThenZeroElse(hn::Eq(x, zero), set(1.0f)); });
    case Code::kRoundHalf:
      return map1(a, out, n, [](Vec x) HWY_ATTR { return round_half(x); });
    case Code::kRoundBfloat16:
      return map1(a, out, n, [](Vec x) HWY_ATTR { return round_bfloat16(x); });
  }
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
