#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/dispatch.h"
#include "ops/row_kernels.h"

namespace vitrify {

DType binary_result(BinaryKind kind, DType a, DType b) {
  auto expect = [&](bool ok) {
    require(ok, name(kind), " does not take ", name(a), " and ", name(b));
  };
  auto number = [](DType d) { return is_float(d) || is_integer(d); };
  switch (kind) {
    case BinaryKind::kAnd:
    case BinaryKind::kOr:
    case BinaryKind::kXor:
      expect(a == DType::kBool && b == a);
      return a;
    case BinaryKind::kBitwiseAnd:
    case BinaryKind::kBitwiseOr:
    case BinaryKind::kBitwiseXor:
    case BinaryKind::kShiftLeft:
    case BinaryKind::kShiftRight:
      expect(is_integer(a) && b == a);
      return a;
    case BinaryKind::kPow:
      expect(number(a) && number(b));
      return a;
    case BinaryKind::kEqual:
      expect(a == b && (number(a) || a == DType::kBool || a == DType::kString));
      return DType::kBool;
    default:
      expect(a == b && number(a));
      return is_comparison(kind) ? DType::kBool : a;
  }
}

namespace {

template <class Y, class A, class B, class F>
void zip(const void* a, const void* b, void* y, int64_t count, F f) {
  const A* left = static_cast<const A*>(a);
  const B* right = static_cast<const B*>(b);
  Y* to = static_cast<Y*>(y);
  for (int64_t i = 0; i < count; ++i) to[i] = Y(f(left[i], right[i]));
}

template <class T>
void compare(BinaryKind kind, const void* a, const void* b, void* y, int64_t n) {
  switch (kind) {
    case BinaryKind::kEqual:
      return zip<int64_t, T, T>(a, b, y, n, [](T p, T q) { return p == q; });
    case BinaryKind::kLess:
      return zip<int64_t, T, T>(a, b, y, n, [](T p, T q) { return p < q; });
    case BinaryKind::kLessEqual:
      return zip<int64_t, T, T>(a, b, y, n, [](T p, T q) { return p <= q; });
    case BinaryKind::kGreater:
      return zip<int64_t, T, T>(a, b, y, n, [](T p, T q) { return p > q; });
    default:
      return zip<int64_t, T, T>(a, b, y, n, [](T p, T q) { return p >= q; });
  }
}

template <class T>
T float_mod(T p, T q) {
  T r = std::fmod(p, q);
  return r != 0 && (r < 0) != (q < 0) ? r + q : r;
}

template <class T>
void float_row(BinaryKind kind, const void* a, const void* b, void* y, int64_t n) {
  switch (kind) {
    case BinaryKind::kAdd:
      return zip<T, T, T>(a, b, y, n, [](T p, T q) { return p + q; });
    case BinaryKind::kSub:
      return zip<T, T, T>(a, b, y, n, [](T p, T q) { return p - q; });
    case BinaryKind::kMul:
      return zip<T, T, T>(a, b, y, n, [](T p, T q) { return p * q; });
    case BinaryKind::kDiv:
      return zip<T, T, T>(a, b, y, n, [](T p, T q) { return p / q; });
    case BinaryKind::kMod:
      return zip<T, T, T>(a, b, y, n, [](T p, T q) { return float_mod(p, q); });
    case BinaryKind::kFmod:
      return zip<T, T, T>(a, b, y, n, [](T p, T q) { return std::fmod(p, q); });
    case BinaryKind::kMin:
      return zip<T, T, T>(a, b, y, n, [](T p, T q) { return p < q || p != p ? p : q; });
    case BinaryKind::kMax:
      return zip<T, T, T>(a, b, y, n, [](T p, T q) { return p > q || p != p ? p : q; });
    case BinaryKind::kPrelu:
      return zip<T, T, T>(a, b, y, n, [](T p, T q) { return p < 0 ? p * q : p; });
    default:
      fail_internal(name(kind), " is not for floats");
  }
}

/// Truncates; division by zero gives 0, and the lowest value by -1 wraps.
template <class T>
T int_div(T p, T q) {
  if (q == 0) return 0;
  if (std::is_signed_v<T> && q == T(-1)) return T(0 - uint64_t(p));
  return T(p / q);
}
template <class T>
T int_fmod(T p, T q) {
  if (q == 0 || (std::is_signed_v<T> && q == T(-1))) return 0;
  return T(p % q);
}
template <class T>
T int_mod(T p, T q) {
  T r = int_fmod(p, q);
  return r != 0 && (r < 0) != (q < 0) ? T(r + q) : r;
}
template <class T>
T shift_left(T p, T q) {
  return uint64_t(q) < 64 ? T(uint64_t(p) << q) : T(0);
}
template <class T>
T shift_right(T p, T q) {
  return uint64_t(q) < 64 ? T(p >> q) : T(p < 0 ? -1 : 0);
}

template <class T>
void int_row(BinaryKind kind, const void* a, const void* b, void* y, int64_t n) {
  auto each = [&](auto f) { zip<T, T, T>(a, b, y, n, f); };
  switch (kind) {
    case BinaryKind::kAdd:
      return each([](T p, T q) { return uint64_t(p) + uint64_t(q); });
    case BinaryKind::kSub:
      return each([](T p, T q) { return uint64_t(p) - uint64_t(q); });
    case BinaryKind::kMul:
      return each([](T p, T q) { return uint64_t(p) * uint64_t(q); });
    case BinaryKind::kDiv:
      return each(int_div<T>);
    case BinaryKind::kMod:
      return each(int_mod<T>);
    case BinaryKind::kFmod:
      return each(int_fmod<T>);
    case BinaryKind::kMin:
      return each([](T p, T q) { return std::min(p, q); });
    case BinaryKind::kMax:
      return each([](T p, T q) { return std::max(p, q); });
    case BinaryKind::kPrelu:
      return each([](T p, T q) { return p < 0 ? uint64_t(p) * uint64_t(q) : uint64_t(p); });
    case BinaryKind::kAnd:
    case BinaryKind::kBitwiseAnd:
      return each([](T p, T q) { return p & q; });
    case BinaryKind::kOr:
    case BinaryKind::kBitwiseOr:
      return each([](T p, T q) { return p | q; });
    case BinaryKind::kXor:
    case BinaryKind::kBitwiseXor:
      return each([](T p, T q) { return p ^ q; });
    case BinaryKind::kShiftLeft:
      return each(shift_left<T>);
    case BinaryKind::kShiftRight:
      return each(shift_right<T>);
    default:
      fail_internal(name(kind), " is not for integers");
  }
}

/// Wrapping power; a negative exponent gives the truncated reciprocal.
template <class T, class E>
T int_pow(T base, E exponent) {
  if (exponent < 0) {
    if (base == T(1)) return 1;
    if (std::is_signed_v<T> && base == T(-1)) return exponent % 2 == 0 ? T(1) : T(-1);
    return 0;
  }
  uint64_t result = 1, factor = uint64_t(base);
  for (auto e = uint64_t(exponent); e; e >>= 1, factor *= factor)
    if (e & 1) result *= factor;
  return T(result);
}
template <class T>
T truncate(double v) {
  if (std::isnan(v)) return 0;
  if (v >= double(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
  if (v <= double(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
  return T(v);
}

template <class A, class B>
void pow_row(const void* a, const void* b, void* y, int64_t n) {
  zip<A, A, B>(a, b, y, n, [](A base, B exponent) -> A {
    if constexpr (std::is_floating_point_v<A>)
      return std::is_same_v<A, float> && std::is_same_v<B, float>
                 ? A(std::pow(base, A(exponent)))
                 : A(std::pow(double(base), double(exponent)));
    else if constexpr (std::is_floating_point_v<B>)
      return truncate<A>(std::pow(double(base), double(exponent)));
    else
      return int_pow(base, exponent);
  });
}

}  // namespace

void binary_row(BinaryKind kind, DType compute, DType b_compute, const void* a, const void* b,
                void* y, int64_t count) {
  dispatch_compute(compute, [&]<class T>() {
    if (kind == BinaryKind::kPow)
      return dispatch_compute(b_compute, [&]<class B>() { pow_row<T, B>(a, b, y, count); });
    if (is_comparison(kind)) return compare<T>(kind, a, b, y, count);
    if constexpr (std::is_floating_point_v<T>)
      float_row<T>(kind, a, b, y, count);
    else
      int_row<T>(kind, a, b, y, count);
  });
}

void select_row(DType compute, const int64_t* condition, const void* a, const void* b, void* y,
                int64_t count) {
  dispatch_compute(compute, [&]<class T>() {
    const T* then = static_cast<const T*>(a);
    const T* otherwise = static_cast<const T*>(b);
    for (int64_t i = 0; i < count; ++i)
      static_cast<T*>(y)[i] = condition[i] ? then[i] : otherwise[i];
  });
}

}  // namespace vitrify
