#include "backend/cpu/kernels/conv_interleave.h"

#include "backend/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/conv_interleave.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/kernels/simd_partial-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {

/// Whole vectors for 2 to 4 channels, one by one otherwise.
void interleave_line(const float* in, int64_t plane_stride, int64_t channels, int64_t count,
                     float* out) {
  const Floats d;
  const auto plane = [&](int64_t c, int64_t w)
                         HWY_ATTR { return hn::LoadU(d, in + c * plane_stride + w); };
  int64_t whole = 0;
  if (channels >= 2 && channels <= 4) {
    for (; whole + kLanes <= count; whole += kLanes) {
      float* to = out + whole * channels;
      if (channels == 2) {
        hn::StoreInterleaved2(plane(0, whole), plane(1, whole), d, to);
      } else if (channels == 3) {
        hn::StoreInterleaved3(plane(0, whole), plane(1, whole), plane(2, whole), d, to);
      } else {
        hn::StoreInterleaved4(plane(0, whole), plane(1, whole), plane(2, whole), plane(3, whole), d,
                              to);
      }
    }
  }
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t w = whole; w < count; ++w) out[w * channels + c] = in[c * plane_stride + w];
  }
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrify::cpu {

void interleave(Isa isa, const float* in, int64_t plane_stride, int64_t channels, int64_t count,
                float* out) {
  VITRIFY_PICK_ISA(isa, interleave_line)(in, plane_stride, channels, count, out);
}

}  // namespace vitrify::cpu
#endif
