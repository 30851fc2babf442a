// The inner kernels of depthwise convolution, for kernels 3, 5 or 7 wide.
#if defined(VITRIFY_KERNELS_DEPTHWISE_BLOCK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRIFY_KERNELS_DEPTHWISE_BLOCK_INL_H_
#undef VITRIFY_KERNELS_DEPTHWISE_BLOCK_INL_H_
#else
#define VITRIFY_KERNELS_DEPTHWISE_BLOCK_INL_H_
#endif

#include <cstdint>

#include "backend/cpu/kernels/conv.h"
#include "backend/cpu/kernels/depthwise_block.h"
#include "backend/cpu/kernels/simd_partial-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {
namespace {

// Channel vectors at a time: two share the addresses of their inputs where registers allow.
constexpr int kPair = HWY_TARGET == HWY_AVX3 ? 2 : 1;

/// Pixels x Vectors of channels: every input vector is loaded once a line. columns[i] + c is where
/// the channels of input column i are; sums[pixel][Vectors][lane].
template <int Pixels, int Width, int Stride, int Vectors>
void run_vectors(const PixelBlock& block, const float* const* columns, int64_t c,
                 const float* weights, int64_t weights_step, float* sums) {
  constexpr int kColumns = (Pixels - 1) * Stride + Width;
  const Floats d;
  Vec sum[Pixels][Vectors];
#pragma GCC unroll 8
  for (int p = 0; p < Pixels; ++p) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) sum[p][v] = hn::Zero(d);
  }
  for (int64_t line = 0; line < block.lines; ++line) {
    const float* const* column = columns + line * kColumns;
    const float* w = weights + block.tap[line] * kLanes;
    Vec tap[Width][Vectors];
#pragma GCC unroll 8
    for (int t = 0; t < Width; ++t) {
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) tap[t][v] = hn::LoadU(d, w + v * weights_step + t * kLanes);
    }
#pragma GCC unroll 32
    for (int i = 0; i < kColumns; ++i) {
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) {
        const Vec x = hn::LoadU(d, column[i] + c + v * kLanes);
#pragma GCC unroll 8
        for (int t = 0; t < Width; ++t) {
          const int p = (i - t) / Stride;
          if (i >= t && (i - t) % Stride == 0 && p < Pixels) {
            sum[p][v] = hn::MulAdd(x, tap[t][v], sum[p][v]);
          }
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int p = 0; p < Pixels; ++p) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) hn::Store(sum[p][v], d, sums + (p * Vectors + v) * kLanes);
  }
}

using VectorFn = void (*)(const PixelBlock&, const float* const*, int64_t, const float*, int64_t,
                          float*);

/// The kernels for a number of pixels.
struct VectorFns {
  VectorFn pair, one;
};

template <int Pixels, int Width, int Stride>
constexpr VectorFns vectors_of() {
  return {run_vectors<Pixels, Width, Stride, kPair>, run_vectors<Pixels, Width, Stride, 1>};
}

template <int Width, int Stride>
const VectorFns& vectors_of_pixels(int64_t pixels) {
  static constexpr VectorFns kFunctions[] = {
      vectors_of<1, Width, Stride>(), vectors_of<2, Width, Stride>(),
      vectors_of<3, Width, Stride>(), vectors_of<4, Width, Stride>(),
      vectors_of<5, Width, Stride>(), vectors_of<6, Width, Stride>(),
      vectors_of<7, Width, Stride>(), vectors_of<8, Width, Stride>()};
  return kFunctions[pixels - 1];
}

const VectorFns& vector_functions(const ConvSpec& s, int64_t pixels) {
  const int64_t width = s.kernel[2];
  if (s.stride[2] == 2) {
    return width == 3 ? vectors_of_pixels<3, 2>(pixels) : vectors_of_pixels<5, 2>(pixels);
  }
  return width == 3   ? vectors_of_pixels<3, 1>(pixels)
         : width == 5 ? vectors_of_pixels<5, 1>(pixels)
                      : vectors_of_pixels<7, 1>(pixels);
}

}  // namespace
}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
