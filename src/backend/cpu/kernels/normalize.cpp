#include "backend/cpu/kernels/normalize.h"

#include <cmath>

#include "backend/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/normalize.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/kernels/simd_partial-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {

/// Σ f(x) over the row, in four chains of vectors whose order depends on n alone.
template <class F>
HWY_INLINE float sum_row(const float* row, int64_t n, F f) {
  const Floats d;
  Vec sums[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes)
    for (int j = 0; j < 4; ++j) sums[j] = hn::Add(sums[j], f(hn::LoadU(d, row + i + j * kLanes)));
  for (; i + kLanes <= n; i += kLanes) sums[0] = hn::Add(sums[0], f(hn::LoadU(d, row + i)));
  if (i < n)
    sums[1] = hn::Add(
        sums[1], hn::IfThenElseZero(hn::FirstN(d, size_t(n - i)), f(load_partial(row + i, n - i))));
  return hn::GetLane(
      hn::SumOfLanes(d, hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]))));
}

void rows_of(const NormalizeArgs& a, float* to, const float* from, int64_t rows) {
  const Floats d;
  const float n = float(a.n);
  for (int64_t r = 0; r < rows; ++r, to += a.n, from += a.n) {
    const float mean = a.rms ? 0 : sum_row(from, a.n, [](Vec x) { return x; }) / n;
    const Vec m = hn::Set(d, mean);
    const float variance = sum_row(from, a.n,
                                   [&](Vec x) {
                                     const Vec c = hn::Sub(x, m);
                                     return hn::Mul(c, c);
                                   }) /
                           n;
    const Vec factor = hn::Set(d, 1 / std::sqrt(variance + a.epsilon));
    auto finish = [&](Vec x, auto load) {
      Vec y = hn::Mul(hn::Sub(x, m), factor);
      if (a.scale) y = hn::Mul(y, load(a.scale));
      return a.shift ? hn::Add(y, load(a.shift)) : y;
    };
    int64_t i = 0;
    for (; i + kLanes <= a.n; i += kLanes)
      hn::StoreU(
          finish(hn::LoadU(d, from + i), [&](const float* p) { return hn::LoadU(d, p + i); }), d,
          to + i);
    const int64_t k = a.n - i;
    if (k > 0)
      store_partial(
          finish(load_partial(from + i, k), [&](const float* p) { return load_partial(p + i, k); }),
          to + i, k);
  }
}

void columns_of(const NormalizeArgs& a, int64_t inner, float* to, const float* from, float* work) {
  float *mean = work, *factor = work + inner;
  const float n = float(a.n);
  for (int64_t c = 0; c < inner; ++c) mean[c] = factor[c] = 0;
  if (!a.rms) {
    for (int64_t i = 0; i < a.n; ++i)
      for (int64_t c = 0; c < inner; ++c) mean[c] += from[i * inner + c];
    for (int64_t c = 0; c < inner; ++c) mean[c] /= n;
  }
  for (int64_t i = 0; i < a.n; ++i)
    for (int64_t c = 0; c < inner; ++c) {
      const float x = from[i * inner + c] - mean[c];
      factor[c] += x * x;
    }
  for (int64_t c = 0; c < inner; ++c)
    factor[c] = 1 / std::sqrt(factor[c] / n + a.epsilon) * (a.scale ? a.scale[c] : 1);
  for (int64_t i = 0; i < a.n; ++i)
    for (int64_t c = 0; c < inner; ++c) {
      const float y = (from[i * inner + c] - mean[c]) * factor[c];
      to[i * inner + c] = a.shift ? y + a.shift[c] : y;
    }
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrify::cpu {

void normalize_rows(Isa isa, const NormalizeArgs& args, float* to, const float* from,
                    int64_t rows) {
  VITRIFY_PICK_ISA(isa, rows_of)(args, to, from, rows);
}
void normalize_columns(Isa isa, const NormalizeArgs& args, int64_t inner, float* to,
                       const float* from, float* work) {
  VITRIFY_PICK_ISA(isa, columns_of)(args, inner, to, from, work);
}

}  // namespace vitrify::cpu
#endif
