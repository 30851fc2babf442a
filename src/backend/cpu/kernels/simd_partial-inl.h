// Loads and stores of the first lanes of a vector that touch no byte beyond them.
// Included once per target, inside the file guard that Highway's foreach_target.h toggles.
#if defined(VITRIFY_KERNELS_SIMD_PARTIAL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRIFY_KERNELS_SIMD_PARTIAL_INL_H_
#undef VITRIFY_KERNELS_SIMD_PARTIAL_INL_H_
#else
#define VITRIFY_KERNELS_SIMD_PARTIAL_INL_H_
#endif

#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Vec = hn::Vec<Floats>;
inline constexpr int kLanes = HWY_MAX_BYTES / 4;

/// The first n lanes (0 <= n <= kLanes) from p, zero in the others.
HWY_INLINE Vec load_partial(const float* p, int64_t n) {
  const Floats d;
#if HWY_TARGET == HWY_SSE4  // its masked load reads the whole vector
  alignas(16) float lanes[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
  return hn::Load(d, lanes);
#else
  return hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(n)), d, p);
#endif
}

/// The first n lanes (0 <= n <= kLanes) of v to p.
HWY_INLINE void store_partial(Vec v, float* p, int64_t n) {
  const Floats d;
#if HWY_TARGET == HWY_SSE4
  alignas(16) float lanes[kLanes];
  hn::Store(v, d, lanes);
  for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
#else
  hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(n)), d, p);
#endif
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
