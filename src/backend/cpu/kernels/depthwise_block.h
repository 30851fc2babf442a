// The pixel blocks of depthwise convolution: what depthwise_block-inl.h works on.
#pragma once

#include <cstdint>

namespace vitrify::cpu {

inline constexpr int kMaxPixels = 8;
inline constexpr int kMaxColumns = (kMaxPixels - 1) * 2 + 5;
inline constexpr int64_t kMaxLines = 16;  // kernel rows of the fast path

/// One block of pixels for the fast path: the input columns under it, in every kernel row that
/// meets the input.
struct PixelBlock {
  const float* column[kMaxLines * kMaxColumns];  // [line][column]
  int64_t tap[kMaxLines];                        // index of the line's first tap
  int64_t lines = 0, columns = 0;
  int64_t pixel = 0;       // first output pixel
  int64_t c0 = 0, c1 = 0;  // channels; c0 is a multiple of the lanes
};

}  // namespace vitrify::cpu
