#include "backend/cpu/kernels/fold.h"

#include <algorithm>
#include <cmath>

#include "backend/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/fold.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/kernels/simd_partial-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {

// x86's max and min return the second operand when one is NaN: a NaN in either wins.
HWY_INLINE Vec larger(Vec a, Vec b) { return hn::IfThenElse(hn::IsNaN(a), a, hn::Max(a, b)); }
HWY_INLINE Vec smaller(Vec a, Vec b) { return hn::IfThenElse(hn::IsNaN(a), a, hn::Min(a, b)); }

HWY_INLINE Vec start_of(Fold fold) {
  const float v = fold == Fold::kMax    ? -INFINITY
                  : fold == Fold::kMin  ? INFINITY
                  : fold == Fold::kProd ? 1.0f
                                        : 0.0f;
  return hn::Set(Floats(), v);
}
template <Fold fold>
HWY_INLINE Vec step(Vec sum, Vec x) {
  if constexpr (fold == Fold::kSum) return hn::Add(sum, x);
  if constexpr (fold == Fold::kSumSquare) return hn::MulAdd(x, x, sum);
  if constexpr (fold == Fold::kSumAbs) return hn::Add(sum, hn::Abs(x));
  if constexpr (fold == Fold::kMax) return larger(x, sum);
  if constexpr (fold == Fold::kMin) return smaller(x, sum);
  if constexpr (fold == Fold::kProd) return hn::Mul(sum, x);
}
/// Two partial results.
template <Fold fold>
HWY_INLINE Vec join(Vec a, Vec b) {
  if constexpr (fold == Fold::kSumSquare || fold == Fold::kSumAbs)
    return hn::Add(a, b);
  else
    return step<fold>(a, b);
}

template <Fold fold>
HWY_INLINE float join_lanes(Vec v) {
  const Floats d;
  alignas(64) float lanes[kLanes];
  hn::Store(v, d, lanes);
  float out = lanes[0];
  for (int i = 1; i < kLanes; ++i) {
    const float x = lanes[i];
    if constexpr (fold == Fold::kMax)
      out = out != out || x <= out ? out : x;
    else if constexpr (fold == Fold::kMin)
      out = out != out || x >= out ? out : x;
    else if constexpr (fold == Fold::kProd)
      out *= x;
    else
      out += x;
  }
  return out;
}

template <Fold fold>
float row_of(const float* from, int64_t n) {
  const Floats d;
  Vec parts[4] = {start_of(fold), start_of(fold), start_of(fold), start_of(fold)};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes)
    for (int j = 0; j < 4; ++j)
      parts[j] = step<fold>(parts[j], hn::LoadU(d, from + i + j * kLanes));
  for (; i + kLanes <= n; i += kLanes) parts[0] = step<fold>(parts[0], hn::LoadU(d, from + i));
  if (i < n) {
    const auto valid = hn::FirstN(d, size_t(n - i));
    parts[1] = hn::IfThenElse(valid, step<fold>(parts[1], load_partial(from + i, n - i)), parts[1]);
  }
  return join_lanes<fold>(
      join<fold>(join<fold>(parts[0], parts[1]), join<fold>(parts[2], parts[3])));
}

template <Fold fold>
void columns_of(float* to, const float* from, int64_t n, int64_t stride, int64_t inner) {
  const Floats d;
  int64_t c = 0;
  for (; c + 4 * kLanes <= inner; c += 4 * kLanes) {
    Vec parts[4] = {start_of(fold), start_of(fold), start_of(fold), start_of(fold)};
    for (int64_t i = 0; i < n; ++i)
      for (int j = 0; j < 4; ++j)
        parts[j] = step<fold>(parts[j], hn::LoadU(d, from + i * stride + c + j * kLanes));
    for (int j = 0; j < 4; ++j) hn::StoreU(parts[j], d, to + c + j * kLanes);
  }
  for (; c < inner; c += kLanes) {
    const int64_t k = std::min<int64_t>(kLanes, inner - c);
    Vec part = start_of(fold);
    for (int64_t i = 0; i < n; ++i) part = step<fold>(part, load_partial(from + i * stride + c, k));
    store_partial(part, to + c, k);
  }
}

void fold_columns_of(Fold fold, float* to, const float* from, int64_t n, int64_t stride,
                     int64_t inner) {
  switch (fold) {
    case Fold::kSum:
      return columns_of<Fold::kSum>(to, from, n, stride, inner);
    case Fold::kSumSquare:
      return columns_of<Fold::kSumSquare>(to, from, n, stride, inner);
    case Fold::kSumAbs:
      return columns_of<Fold::kSumAbs>(to, from, n, stride, inner);
    case Fold::kMax:
      return columns_of<Fold::kMax>(to, from, n, stride, inner);
    case Fold::kMin:
      return columns_of<Fold::kMin>(to, from, n, stride, inner);
    case Fold::kProd:
      return columns_of<Fold::kProd>(to, from, n, stride, inner);
  }
}

float fold_row_of(Fold fold, const float* from, int64_t n) {
  switch (fold) {
    case Fold::kSum:
      return row_of<Fold::kSum>(from, n);
    case Fold::kSumSquare:
      return row_of<Fold::kSumSquare>(from, n);
    case Fold::kSumAbs:
      return row_of<Fold::kSumAbs>(from, n);
    case Fold::kMax:
      return row_of<Fold::kMax>(from, n);
    case Fold::kMin:
      return row_of<Fold::kMin>(from, n);
    default:
      return row_of<Fold::kProd>(from, n);
  }
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrify::cpu {

void fold_columns(Isa isa, Fold fold, float* to, const float* from, int64_t n, int64_t stride,
                  int64_t inner) {
  VITRIFY_PICK_ISA(isa, fold_columns_of)(fold, to, from, n, stride, inner);
}
float fold_row(Isa isa, Fold fold, const float* from, int64_t n) {
  return VITRIFY_PICK_ISA(isa, fold_row_of)(fold, from, n);
}

}  // namespace vitrify::cpu
#endif
