#include "backend/cpu/kernels/softmax.h"

#include <cmath>

#include "backend/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/softmax.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/kernels/activation-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {

/// f(vector, position) over the row's vectors; the last one has `rest` valid lanes.
template <class Whole, class Rest>
HWY_INLINE void over_row(int64_t n, Whole whole, Rest rest) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) whole(i);
  if (i < n) rest(i, n - i);
}

float row_max(const float* row, int64_t n) {
  const Floats d;
  const Vec lowest = set(-INFINITY);
  Vec most = lowest;
  over_row(
      n, [&](int64_t i) { most = hn::Max(most, hn::LoadU(d, row + i)); },
      [&](int64_t i, int64_t k) {
        most = hn::Max(most,
                       hn::IfThenElse(hn::FirstN(d, size_t(k)), load_partial(row + i, k), lowest));
      });
  return hn::GetLane(hn::MaxOfLanes(d, most));
}

void softmax_all(float* to, const float* from, int64_t rows, int64_t n, int64_t stride, bool log) {
  const Floats d;
  for (int64_t r = 0; r < rows; ++r, to += stride, from += stride) {
    const Vec most = set(row_max(from, n));
    Vec sum = hn::Zero(d);
    // The logarithm needs the differences again, so that the exponentials are not kept.
    over_row(
        n,
        [&](int64_t i) {
          const Vec e = exp(hn::Sub(hn::LoadU(d, from + i), most));
          if (!log) hn::StoreU(e, d, to + i);
          sum = hn::Add(sum, e);
        },
        [&](int64_t i, int64_t k) {
          const Vec e = hn::IfThenElseZero(hn::FirstN(d, size_t(k)),
                                           exp(hn::Sub(load_partial(from + i, k), most)));
          if (!log) store_partial(e, to + i, k);
          sum = hn::Add(sum, e);
        });
    const float total = hn::GetLane(hn::SumOfLanes(d, sum));
    const Vec scale = set(1 / total), shift = set(hn::GetLane(most) + std::log(total));
    auto finish = [&](Vec kept, Vec x) { return log ? hn::Sub(x, shift) : hn::Mul(kept, scale); };
    over_row(
        n,
        [&](int64_t i) {
          hn::StoreU(finish(hn::LoadU(d, to + i), hn::LoadU(d, from + i)), d, to + i);
        },
        [&](int64_t i, int64_t k) {
          store_partial(finish(load_partial(to + i, k), load_partial(from + i, k)), to + i, k);
        });
  }
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrify::cpu {

void softmax_rows(Isa isa, float* to, const float* from, int64_t rows, int64_t n, int64_t stride,
                  bool log) {
  VITRIFY_PICK_ISA(isa, softmax_all)(to, from, rows, n, stride, log);
}

}  // namespace vitrify::cpu
#endif
