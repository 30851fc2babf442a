#include "backend/cpu/kernels/pool.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/pool.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/kernels/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {
namespace {

template <int N, class F>
HWY_INLINE void whole_vectors(const float* const* taps, int64_t count, int64_t c, bool first,
                              Vec begin, float* out, F f) {
  const Floats d;
  Vec sum[N];
#pragma GCC unroll 4
  for (int v = 0; v < N; ++v) sum[v] = begin;
  for (int64_t t = 0; t < count; ++t) {
    const float* tap = taps[t] + c;
#pragma GCC unroll 4
    for (int v = 0; v < N; ++v) sum[v] = f(sum[v], hn::LoadU(d, tap + v * kLanes));
  }
#pragma GCC unroll 4
  for (int v = 0; v < N; ++v) {
    float* to = out + c + v * kLanes;
    hn::StoreU(first ? sum[v] : f.join(hn::LoadU(d, to), sum[v]), d, to);
  }
}

template <class F>
HWY_INLINE void all_channels(const float* const* taps, int64_t count, int64_t channels, bool first,
                             Vec begin, float* out, F f) {
  int64_t c = 0;
  for (; c + 4 * kLanes <= channels; c += 4 * kLanes)
    whole_vectors<4>(taps, count, c, first, begin, out, f);
  for (; c + kLanes <= channels; c += kLanes)
    whole_vectors<1>(taps, count, c, first, begin, out, f);
  if (c == channels) return;
  const int64_t n = channels - c;
  Vec sum = begin;
  for (int64_t t = 0; t < count; ++t) sum = f(sum, load_partial(taps[t] + c, n));
  store_partial(first ? sum : f.join(load_partial(out + c, n), sum), out + c, n);
}

struct Max {
  HWY_INLINE Vec operator()(Vec a, Vec x) const { return max_nan(a, x); }
  HWY_INLINE Vec join(Vec a, Vec b) const { return max_nan(a, b); }
};
struct Sum {
  HWY_INLINE Vec operator()(Vec a, Vec x) const { return hn::Add(a, x); }
  HWY_INLINE Vec join(Vec a, Vec b) const { return hn::Add(a, b); }
};
struct AbsSum : Sum {
  HWY_INLINE Vec operator()(Vec a, Vec x) const { return hn::Add(a, hn::Abs(x)); }
};
struct SquareSum : Sum {
  HWY_INLINE Vec operator()(Vec a, Vec x) const { return hn::MulAdd(x, x, a); }
};
struct PowerSum : Sum {
  float p;
  HWY_INLINE Vec operator()(Vec a, Vec x) const {
    return hn::Add(a, by_lane(hn::Abs(x), [this](float v) { return std::pow(v, p); }));
  }
};

}  // namespace

void pool_taps_of(PoolStep step, float p, const float* const* taps, int64_t count, int64_t channels,
                  bool first, float* out) {
  const Vec zero = hn::Zero(Floats());
  switch (step) {
    case PoolStep::kMax:
      return all_channels(taps, count, channels, first,
                          set(-std::numeric_limits<float>::infinity()), out, Max{});
    case PoolStep::kSum:
      return all_channels(taps, count, channels, first, zero, out, Sum{});
    case PoolStep::kAbsSum:
      return all_channels(taps, count, channels, first, zero, out, AbsSum{});
    case PoolStep::kSquareSum:
      return all_channels(taps, count, channels, first, zero, out, SquareSum{});
    case PoolStep::kPowerSum:
      return all_channels(taps, count, channels, first, zero, out, PowerSum{{}, p});
  }
}

void scale_row_of(float factor, int64_t channels, float* out) {
  const Vec f = set(factor);
  for_each_vector(out, channels, [=](Vec x) HWY_ATTR { return hn::Mul(x, f); });
}

void root_row_of(float p, int64_t channels, float* out) {
  if (p == 1.0f) return;
  if (p == 2.0f) return for_each_vector(out, channels, [](Vec x) HWY_ATTR { return hn::Sqrt(x); });
  for (int64_t c = 0; c < channels; ++c) out[c] = std::pow(out[c], 1.0f / p);
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrify::cpu {

void pool_taps(Isa isa, PoolStep step, float p, const float* const* taps, int64_t count,
               int64_t channels, bool first, float* out) {
  VITRIFY_PICK_ISA(isa, pool_taps_of)(step, p, taps, count, channels, first, out);
}
void scale_row(Isa isa, float factor, int64_t channels, float* out) {
  VITRIFY_PICK_ISA(isa, scale_row_of)(factor, channels, out);
}
void root_row(Isa isa, float p, int64_t channels, float* out) {
  VITRIFY_PICK_ISA(isa, root_row_of)(p, channels, out);
}

}  // namespace vitrify::cpu
#endif
