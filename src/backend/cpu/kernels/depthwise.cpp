// Depthwise convolution over channel vectors: blocks of up to 8 pixels of an output row for kernels
// 3, 5 or 7 wide (stride 1, or 2 up to 5 wide; no dilation along the width), pixel by pixel for all
// others.
//
// Packed weights: [channel vector][tap][lane].
#include <algorithm>
#include <cstring>

#include "backend/cpu/kernels/conv_algorithms.h"
#include "backend/cpu/kernels/gemm_panels.h"
#include "backend/cpu/kernels/slots.h"
#include "backend/cpu/simd.h"
#include "base/error.h"
#include "base/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/depthwise.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/kernels/conv_finish-inl.h"
#include "hwy/highway.h"

#ifndef VITRIFY_KERNELS_DEPTHWISE_ONCE
#define VITRIFY_KERNELS_DEPTHWISE_ONCE
namespace vitrify::cpu {
namespace {

constexpr int kMaxPixels = 8;
constexpr int kMaxColumns = (kMaxPixels - 1) * 2 + 5;
constexpr int64_t kMaxLines = 16;  // kernel rows of the fast path

/// One block of pixels for the fast path: the input columns under it, in every kernel row that
/// meets the input.
struct PixelBlock {
  const float* column[kMaxLines * kMaxColumns];  // [line][column]
  int64_t tap[kMaxLines];                        // index of the line's first tap
  int64_t lines = 0, columns = 0;
  int64_t pixel = 0;  // first output pixel
};

}  // namespace
}  // namespace vitrify::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {
namespace {

HWY_INLINE Vec load_channels(const float* p, int64_t n) {
  return n == kLanes ? hn::LoadU(Floats(), p) : load_partial(p, n);
}

/// Pixels x one vector of channels: every input vector is loaded once a line. column[i] + c is
/// where kLanes floats of input column i are.
template <int Pixels, int Width, int Stride>
void run_vector(const PixelBlock& block, const float* const* columns, int64_t c,
                const float* weights, float* sums) {
  constexpr int kColumns = (Pixels - 1) * Stride + Width;
  const Floats d;
  Vec sum[Pixels];
#pragma GCC unroll 8
  for (int p = 0; p < Pixels; ++p) sum[p] = hn::Zero(d);
  for (int64_t line = 0; line < block.lines; ++line) {
    const float* const* column = columns + line * kColumns;
    const float* w = weights + block.tap[line] * kLanes;
    Vec tap[Width];
#pragma GCC unroll 8
    for (int t = 0; t < Width; ++t) tap[t] = hn::LoadU(d, w + t * kLanes);
#pragma GCC unroll 32
    for (int i = 0; i < kColumns; ++i) {
      const Vec x = hn::LoadU(d, column[i] + c);
#pragma GCC unroll 8
      for (int t = 0; t < Width; ++t) {
        const int p = (i - t) / Stride;
        if (i >= t && (i - t) % Stride == 0 && p < Pixels) sum[p] = hn::MulAdd(x, tap[t], sum[p]);
      }
    }
  }
#pragma GCC unroll 8
  for (int p = 0; p < Pixels; ++p) hn::Store(sum[p], d, sums + p * kLanes);
}

using VectorFn = void (*)(const PixelBlock&, const float* const*, int64_t, const float*, float*);

/// All channels of a block. The last ones, if they do not fill a vector, are copied out first.
void run_block(const ConvArgs& a, const PixelBlock& block, int64_t pixels, VectorFn run,
               const Finish& finish) {
  const int64_t channels = a.spec.in_channels;
  const int64_t weights_step = kernel_taps(a.spec) * kLanes;
  const float* weights = a.weights;
  alignas(64) float sums[kMaxPixels * kLanes];
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes, weights += weights_step) {
    run(block, block.column, c, weights, sums);
    finish.store(sums, block.pixel, pixels, c, kLanes);
  }
  if (c < channels) {
    alignas(64) float copies[kMaxLines * kMaxColumns * kLanes];
    const float* column[kMaxLines * kMaxColumns];
    for (int64_t i = 0; i < block.lines * block.columns; ++i) {
      hn::Store(load_partial(block.column[i] + c, channels - c), Floats(), copies + i * kLanes);
      column[i] = copies + i * kLanes;
    }
    run(block, column, 0, weights, sums);
    finish.store(sums, block.pixel, pixels, c, channels - c);
  }
  finish.rows(block.pixel, pixels);
}

template <int Width, int Stride>
VectorFn vector_of_pixels(int64_t pixels) {
  constexpr VectorFn kFunctions[] = {run_vector<1, Width, Stride>, run_vector<2, Width, Stride>,
                                     run_vector<3, Width, Stride>, run_vector<4, Width, Stride>,
                                     run_vector<5, Width, Stride>, run_vector<6, Width, Stride>,
                                     run_vector<7, Width, Stride>, run_vector<8, Width, Stride>};
  return kFunctions[pixels - 1];
}

VectorFn vector_function(const ConvSpec& s, int64_t pixels) {
  const int64_t width = s.kernel[2];
  if (s.stride[2] == 2) {
    return width == 3 ? vector_of_pixels<3, 2>(pixels) : vector_of_pixels<5, 2>(pixels);
  }
  return width == 3   ? vector_of_pixels<3, 1>(pixels)
         : width == 5 ? vector_of_pixels<5, 1>(pixels)
                      : vector_of_pixels<7, 1>(pixels);
}

/// Any kernel: one pixel, one vector of channels at a time.
void run_pixel(const ConvArgs& a, int64_t n, const int64_t (&at)[3], int64_t pixel,
               const Finish& finish) {
  const ConvSpec& s = a.spec;
  const Floats d;
  const int64_t taps = kernel_taps(s);
  int64_t first[3], end[3], start[3];
  for (int i = 0; i < 3; ++i) {
    start[i] = at[i] * s.stride[i] - s.pad_begin[i];
    first[i] = start[i] >= 0 ? 0 : div_up(-start[i], s.dilation[i]);
    end[i] =
        std::min(s.kernel[i], start[i] >= a.in[i] ? 0 : div_up(a.in[i] - start[i], s.dilation[i]));
  }
  const float* x = a.x + n * a.x_batch_stride;
  for (int64_t c = 0; c < s.in_channels; c += kLanes) {
    const int64_t lanes = std::min<int64_t>(kLanes, s.in_channels - c);
    const float* weights = a.weights + c * taps;
    Vec sum = hn::Zero(d);
    for (int64_t td = first[0]; td < end[0]; ++td) {
      for (int64_t th = first[1]; th < end[1]; ++th) {
        const float* line = x + (start[0] + td * s.dilation[0]) * a.x_stride[0] +
                            (start[1] + th * s.dilation[1]) * a.x_stride[1] + c;
        const float* w = weights + (td * s.kernel[1] + th) * s.kernel[2] * kLanes;
        for (int64_t tw = first[2]; tw < end[2]; ++tw) {
          const float* p = line + (start[2] + tw * s.dilation[2]) * a.x_stride[2];
          sum = hn::MulAdd(load_channels(p, lanes), hn::LoadU(d, w + tw * kLanes), sum);
        }
      }
    }
    alignas(64) float sums[kLanes];
    hn::Store(sum, d, sums);
    finish.store(sums, pixel, 1, c, lanes);
  }
  finish.rows(pixel, 1);
}

bool has_blocks(const ConvSpec& s) {
  const int64_t width = s.kernel[2];
  const int64_t widest = s.stride[2] == 1 ? 7 : s.stride[2] == 2 ? 5 : 0;
  return s.dilation[2] == 1 && width >= 3 && width <= widest && width % 2 == 1 &&
         s.kernel[0] * s.kernel[1] <= kMaxLines;
}

/// The kernel rows that meet the input at output row (od, oh), with the columns of this block.
void set_lines(const ConvArgs& a, int64_t n, int64_t od, int64_t oh, int64_t ow,
               PixelBlock& block) {
  const ConvSpec& s = a.spec;
  const int64_t iw0 = ow * s.stride[2] - s.pad_begin[2];
  block.lines = 0;
  for (int64_t td = 0; td < s.kernel[0]; ++td) {
    const int64_t id = od * s.stride[0] - s.pad_begin[0] + td * s.dilation[0];
    if (id < 0 || id >= a.in[0]) continue;
    for (int64_t th = 0; th < s.kernel[1]; ++th) {
      const int64_t ih = oh * s.stride[1] - s.pad_begin[1] + th * s.dilation[1];
      if (ih < 0 || ih >= a.in[1]) continue;
      const float* line = a.x + n * a.x_batch_stride + id * a.x_stride[0] + ih * a.x_stride[1];
      const float** column = block.column + block.lines * block.columns;
      for (int64_t i = 0; i < block.columns; ++i) {
        const bool inside = iw0 + i >= 0 && iw0 + i < a.in[2];
        column[i] = inside ? line + (iw0 + i) * a.x_stride[2] : a.workspace;
      }
      block.tap[block.lines++] = (td * s.kernel[1] + th) * s.kernel[2];
    }
  }
}

}  // namespace

/// Output row `row` = (n * OD + od) * OH + oh.
void run_depthwise_row(const ConvArgs& a, int64_t row) {
  const Finish finish(a);
  const int64_t width = a.out[2], oh = row % a.out[1], plane = row / a.out[1];
  const int64_t od = plane % a.out[0], n = plane / a.out[0];
  if (!has_blocks(a.spec)) {
    for (int64_t ow = 0; ow < width; ++ow) run_pixel(a, n, {od, oh, ow}, row * width + ow, finish);
    return;
  }
  PixelBlock block;
  const int64_t blocks = div_up(width, kMaxPixels);
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t ow = i * width / blocks, pixels = (i + 1) * width / blocks - ow;
    block.columns = (pixels - 1) * a.spec.stride[2] + a.spec.kernel[2];
    block.pixel = row * width + ow;
    set_lines(a, n, od, oh, ow, block);
    run_block(a, block, pixels, vector_function(a.spec, pixels), finish);
  }
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrify::cpu {

int64_t packed_depthwise_floats(Isa isa, const ConvSpec& spec) {
  const int64_t channels = div_up(spec.in_channels, isa_lanes(isa)) * isa_lanes(isa);
  return div_up(checked_mul(channels, kernel_taps(spec)), 16) * 16;
}

void pack_depthwise(Isa isa, const ConvSpec& spec, const void* w, float* out) {
  const int64_t taps = kernel_taps(spec), lanes = isa_lanes(isa);
  std::fill(out, out + packed_depthwise_floats(isa, spec), 0.0f);
  for (int64_t c = 0; c < spec.in_channels; ++c) {
    for (int64_t t = 0; t < taps; ++t) {
      const std::byte* from = static_cast<const std::byte*>(w) + 4 * (c * taps + t);
      std::memcpy(out + (c / lanes * taps + t) * lanes + c % lanes, from, sizeof(float));
    }
  }
}

int64_t depthwise_workspace_floats(const ConvArgs& args) {
  return div_up(args.spec.in_channels, 16) * 16;  // a pixel of zeros
}

void depthwise_conv(const ConvArgs& args) {
  constexpr int64_t kTaskWork = 200000;  // multiply-adds that pay for a task
  std::fill(args.workspace, args.workspace + args.spec.in_channels, 0.0f);
  const auto run = VITRIFY_PICK_ISA(args.isa, run_depthwise_row);
  const int64_t rows = args.batch * args.out[0] * args.out[1];
  const int64_t work =
      std::max<int64_t>(1, args.out[2] * args.spec.in_channels * kernel_taps(args.spec));
  const int64_t rows_each = std::clamp<int64_t>(kTaskWork / work, 1, std::max<int64_t>(1, rows));
  parallel_for(div_up(rows, rows_each), kernel_threads(args.max_threads), [&](int64_t i) {
    const int64_t end = std::min(rows, (i + 1) * rows_each);
    for (int64_t row = i * rows_each; row < end; ++row) run(args, row);
  });
}

}  // namespace vitrify::cpu
#endif
