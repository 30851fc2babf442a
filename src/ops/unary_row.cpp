#include <cmath>
#include <limits>

#include "ops/dispatch.h"
#include "ops/row_kernels.h"

namespace vitrify {

DType unary_result(UnaryKind kind, DType x) {
  bool number = is_float(x) || is_integer(x);
  switch (kind) {
    case UnaryKind::kNot:
      require(x == DType::kBool, "not expects bool, got ", name(x));
      return x;
    case UnaryKind::kBitwiseNot:
      require(is_integer(x), "bitwise_not expects integers, got ", name(x));
      return x;
    case UnaryKind::kIsNan:
    case UnaryKind::kIsInf:
      require(is_float(x), name(kind), " expects floats, got ", name(x));
      return DType::kBool;
    default:
      require(number, name(kind), " expects numbers, got ", name(x));
      return x;
  }
}

namespace {

template <class T>
T sigmoid(T x) {
  return T(1) / (T(1) + std::exp(-x));
}
template <class T>
T softplus(T x) {
  return std::fmax(x, T(0)) + std::log1p(std::exp(-std::fabs(x)));
}
template <class T>
T clip(T x, T low, T high) {
  T y = x < low ? low : x;
  return y > high ? high : y;
}
template <class T>
T gelu(T x) {
  return T(0.5) * x * std::erfc(-x * T(M_SQRT1_2));
}
template <class T>
T gelu_tanh(T x) {
  T inner = T(M_2_SQRTPI * M_SQRT1_2) * (x + T(0.044715) * x * x * x);
  return T(0.5) * x * (T(1) + std::tanh(inner));
}

template <class T, class F>
void map(const void* x, void* y, int64_t count, F f) {
  const T* from = static_cast<const T*>(x);
  T* to = static_cast<T*>(y);
  for (int64_t i = 0; i < count; ++i) to[i] = f(from[i]);
}
template <class T, class F>
void test(const void* x, void* y, int64_t count, F f) {
  const T* from = static_cast<const T*>(x);
  for (int64_t i = 0; i < count; ++i) static_cast<int64_t*>(y)[i] = f(from[i]);
}

/// The functions of mathematics.
template <class T>
void elementary(UnaryKind kind, const void* x, void* y, int64_t n) {
  switch (kind) {
    case UnaryKind::kSqrt:
      return map<T>(x, y, n, [](T v) { return std::sqrt(v); });
    case UnaryKind::kReciprocal:
      return map<T>(x, y, n, [](T v) { return T(1) / v; });
    case UnaryKind::kExp:
      return map<T>(x, y, n, [](T v) { return std::exp(v); });
    case UnaryKind::kLog:
      return map<T>(x, y, n, [](T v) { return std::log(v); });
    case UnaryKind::kErf:
      return map<T>(x, y, n, [](T v) { return std::erf(v); });
    case UnaryKind::kFloor:
      return map<T>(x, y, n, [](T v) { return std::floor(v); });
    case UnaryKind::kCeil:
      return map<T>(x, y, n, [](T v) { return std::ceil(v); });
    case UnaryKind::kRound:
      return map<T>(x, y, n, [](T v) { return std::nearbyint(v); });
    case UnaryKind::kSin:
      return map<T>(x, y, n, [](T v) { return std::sin(v); });
    case UnaryKind::kCos:
      return map<T>(x, y, n, [](T v) { return std::cos(v); });
    case UnaryKind::kTan:
      return map<T>(x, y, n, [](T v) { return std::tan(v); });
    case UnaryKind::kAsin:
      return map<T>(x, y, n, [](T v) { return std::asin(v); });
    case UnaryKind::kAcos:
      return map<T>(x, y, n, [](T v) { return std::acos(v); });
    case UnaryKind::kAtan:
      return map<T>(x, y, n, [](T v) { return std::atan(v); });
    case UnaryKind::kSinh:
      return map<T>(x, y, n, [](T v) { return std::sinh(v); });
    case UnaryKind::kCosh:
      return map<T>(x, y, n, [](T v) { return std::cosh(v); });
    case UnaryKind::kTanh:
      return map<T>(x, y, n, [](T v) { return std::tanh(v); });
    case UnaryKind::kAsinh:
      return map<T>(x, y, n, [](T v) { return std::asinh(v); });
    case UnaryKind::kAcosh:
      return map<T>(x, y, n, [](T v) { return std::acosh(v); });
    case UnaryKind::kAtanh:
      return map<T>(x, y, n, [](T v) { return std::atanh(v); });
    default:
      fail_internal("no rule for ", name(kind));
  }
}

/// Activation functions; formulas from the ONNX operator specification.
template <class T>
void activation(UnaryKind kind, T a, T b, const void* x, void* y, int64_t n) {
  switch (kind) {
    case UnaryKind::kSigmoid:
      return map<T>(x, y, n, [](T v) { return sigmoid(v); });
    case UnaryKind::kSoftplus:
      return map<T>(x, y, n, [](T v) { return softplus(v); });
    case UnaryKind::kSoftsign:
      return map<T>(x, y, n, [](T v) { return v / (T(1) + std::fabs(v)); });
    case UnaryKind::kMish:
      return map<T>(x, y, n, [](T v) { return v * std::tanh(softplus(v)); });
    case UnaryKind::kHardSwish:
      return map<T>(x, y, n, [](T v) { return v * clip(v / T(6) + T(0.5), T(0), T(1)); });
    case UnaryKind::kGelu:
      return map<T>(x, y, n, [](T v) { return gelu(v); });
    case UnaryKind::kGeluTanh:
      return map<T>(x, y, n, [](T v) { return gelu_tanh(v); });
    case UnaryKind::kSelu:
      return map<T>(x, y, n, [=](T v) { return b * (v > 0 ? v : a * std::expm1(v)); });
    case UnaryKind::kLeakyRelu:
      return map<T>(x, y, n, [=](T v) { return v < 0 ? a * v : v; });
    case UnaryKind::kElu:
      return map<T>(x, y, n, [=](T v) { return v < 0 ? a * std::expm1(v) : v; });
    case UnaryKind::kCelu:
      return map<T>(x, y, n, [=](T v) { return v < 0 ? a * std::expm1(v / a) : v; });
    case UnaryKind::kThresholdedRelu:
      return map<T>(x, y, n, [=](T v) { return v > a ? v : T(0); });
    case UnaryKind::kSwish:
      return map<T>(x, y, n, [=](T v) { return v * sigmoid(a * v); });
    case UnaryKind::kHardSigmoid:
      return map<T>(x, y, n, [=](T v) { return clip(a * v + b, T(0), T(1)); });
    case UnaryKind::kShrink:
      return map<T>(x, y, n, [=](T v) { return v < -a ? v + b : v > a ? v - b : T(0); });
    default:
      return elementary<T>(kind, x, y, n);
  }
}

template <class T>
void float_row(UnaryKind kind, T a, T b, const void* x, void* y, int64_t n) {
  switch (kind) {
    case UnaryKind::kAbs:
      return map<T>(x, y, n, [](T v) { return std::fabs(v); });
    case UnaryKind::kNeg:
      return map<T>(x, y, n, [](T v) { return -v; });
    case UnaryKind::kSign:
      return map<T>(x, y, n, [](T v) { return v > 0 ? T(1) : v < 0 ? T(-1) : v; });
    case UnaryKind::kRelu:
      return map<T>(x, y, n, [](T v) { return v < 0 ? T(0) : v; });
    case UnaryKind::kClip:
      return map<T>(x, y, n, [=](T v) { return clip(v, a, b); });
    case UnaryKind::kIsNan:
      return test<T>(x, y, n, [](T v) { return v != v; });
    case UnaryKind::kIsInf:
      return test<T>(x, y, n, [=](T v) {
        return (a != 0 && v == std::numeric_limits<T>::infinity()) ||
               (b != 0 && v == -std::numeric_limits<T>::infinity());
      });
    default:
      return activation<T>(kind, a, b, x, y, n);
  }
}

/// Doubles to integers, truncating; out of range saturates.
template <class T>
T to_integer(double v) {
  if (std::isnan(v)) return 0;
  if (v >= double(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
  if (v <= double(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
  return T(v);
}

template <class T>
void int_row(UnaryKind kind, double a, double b, const void* x, void* y, int64_t n) {
  switch (kind) {
    case UnaryKind::kNot:
      return map<T>(x, y, n, [](T v) { return T(v == 0); });
    case UnaryKind::kBitwiseNot:
      return map<T>(x, y, n, [](T v) { return T(~v); });
    case UnaryKind::kAbs:
      return map<T>(x, y, n, [](T v) { return v < T(0) ? T(0 - uint64_t(v)) : v; });
    case UnaryKind::kNeg:
      return map<T>(x, y, n, [](T v) { return T(0 - uint64_t(v)); });
    case UnaryKind::kSign:
      return map<T>(x, y, n, [](T v) { return T(v > T(0)) - T(v < T(0)); });
    case UnaryKind::kRelu:
      return map<T>(x, y, n, [](T v) { return v < T(0) ? T(0) : v; });
    case UnaryKind::kClip: {
      T low = to_integer<T>(std::ceil(a)), high = to_integer<T>(std::floor(b));
      return map<T>(x, y, n, [=](T v) { return clip(v, low, high); });
    }
    case UnaryKind::kFloor:
    case UnaryKind::kCeil:
    case UnaryKind::kRound:
      return map<T>(x, y, n, [](T v) { return v; });
    default:
      return map<T>(x, y, n, [=](T v) {
        double wide = double(v);
        float_row<double>(kind, a, b, &wide, &wide, 1);
        return to_integer<T>(wide);
      });
  }
}

}  // namespace

void unary_row(UnaryKind kind, double alpha, double beta, DType compute, const void* x, void* y,
               int64_t count) {
  dispatch_compute(compute, [&]<class T>() {
    if constexpr (std::is_floating_point_v<T>)
      float_row<T>(kind, T(alpha), T(beta), x, y, count);
    else
      int_row<T>(kind, alpha, beta, x, y, count);
  });
}

}  // namespace vitrify
