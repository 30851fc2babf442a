// Bias, residual, activation and callback for convolutions that do not run through gemm_block.h.
#if defined(VITRIFY_KERNELS_CONV_FINISH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRIFY_KERNELS_CONV_FINISH_INL_H_
#undef VITRIFY_KERNELS_CONV_FINISH_INL_H_
#else
#define VITRIFY_KERNELS_CONV_FINISH_INL_H_
#endif

#include <cstdint>
#include <limits>

#include "backend/cpu/kernels/activation-inl.h"
#include "backend/cpu/kernels/conv.h"
#include "backend/cpu/kernels/round-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {

/// The epilogue of a convolution, for algorithms that finish a few channels of a few pixels at a
/// time.
class Finish {
 public:
  explicit Finish(const ConvArgs& a)
      : a_(a),
        e_(a.epilogue),
        clip_(e_.activation == Activation::kRelu || e_.activation == Activation::kClip),
        lo_(e_.activation == Activation::kClip ? e_.a : 0.0f),
        hi_(e_.activation == Activation::kClip ? e_.b : std::numeric_limits<float>::infinity()) {}

  /// `count` pixels of n <= kLanes channels from c on; the sums of a pixel are `step` floats after
  /// those of the pixel before and have room for kLanes.
  HWY_NOINLINE void store(const float* sums, int64_t step, int64_t pixel, int64_t count, int64_t c,
                          int64_t n) const {
    if (n == kLanes) {
      store_vectors<true>(sums, step, pixel, count, c, n);
    } else {
      store_vectors<false>(sums, step, pixel, count, c, n);
    }
  }

  /// The rest of the epilogue on channels [c0, c1) of `count` pixels, once they are all stored.
  HWY_NOINLINE void rows(int64_t pixel, int64_t count, int64_t c0, int64_t c1) const {
    if ((clip_ || e_.activation == Activation::kNone) && !e_.tile &&
        e_.result_rounding == Rounding::kNone)
      return;
    for (int64_t i = pixel; i < pixel + count; ++i) {
      float* row = a_.y + i * a_.y_pixel_stride + c0;
      if (!clip_) apply_activation(e_.activation, e_.a, e_.b, row, c1 - c0);
      round_row(e_.result_rounding, row, c1 - c0);
      if (e_.tile) e_.tile(e_.ctx, row, i, c0, c1 - c0);
    }
  }

 private:
  template <bool kWhole>
  HWY_INLINE void store_vectors(const float* sums, int64_t step, int64_t pixel, int64_t count,
                                int64_t c, int64_t n) const {
    const Floats d;
    const auto load = [&](const float* p)
                          HWY_ATTR { return kWhole ? hn::LoadU(d, p) : load_partial(p, n); };
    const Vec bias = e_.bias ? load(e_.bias + c) : hn::Zero(d);
    const Vec lo = set(lo_), hi = set(hi_);
    const float* residual = e_.residual ? e_.residual + pixel * e_.residual_stride + c : nullptr;
    float* out = a_.y + pixel * a_.y_pixel_stride + c;
    for (int64_t i = 0; i < count; ++i, out += a_.y_pixel_stride) {
      Vec sum = hn::LoadU(d, sums + i * step);
      if (e_.bias) sum = hn::Add(sum, bias);
      if (residual) sum = hn::Add(sum, load(residual + i * e_.residual_stride));
      sum = round_to(e_.rounding, sum);
      if (clip_) sum = clip(sum, lo, hi);
      if constexpr (kWhole) {
        hn::StoreU(sum, d, out);
      } else {
        store_partial(sum, out, n);
      }
    }
  }

  const ConvArgs& a_;
  const Epilogue& e_;
  bool clip_;
  float lo_, hi_;
};

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
