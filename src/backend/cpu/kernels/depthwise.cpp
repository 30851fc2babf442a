// Depthwise convolution over channel vectors: blocks of up to 8 pixels of an output row for kernels
// 3, 5 or 7 wide (stride 1, or 2 up to 5 wide; no dilation along the width), pixel by pixel for all
// others.
//
// Packed weights: [channel vector][tap][lane].
#include <algorithm>
#include <cstring>

#include "backend/cpu/kernels/conv_algorithms.h"
#include "backend/cpu/kernels/depthwise_block.h"
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
#include "backend/cpu/kernels/depthwise_block-inl.h"
#include "hwy/highway.h"

#ifndef VITRIFY_KERNELS_DEPTHWISE_ONCE
#define VITRIFY_KERNELS_DEPTHWISE_ONCE
namespace vitrify::cpu {
namespace {

/// A task: output rows (n * OD + od) * OH + oh in [row0, row1) of channels [c0, c1).
struct DepthwiseTask {
  int64_t row0, row1, c0, c1;
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

/// The channels that do not fill a vector are copied out first.
void run_tail(const PixelBlock& block, int64_t pixels, VectorFn run, int64_t c,
              const float* weights, const Finish& finish) {
  const int64_t n = block.c1 - c;
  alignas(64) float sums[kMaxPixels * kLanes];
  alignas(64) float copies[kMaxLines * kMaxColumns * kLanes];
  const float* column[kMaxLines * kMaxColumns];
  for (int64_t i = 0; i < block.lines * block.columns; ++i) {
    hn::Store(load_partial(block.column[i] + c, n), Floats(), copies + i * kLanes);
    column[i] = copies + i * kLanes;
  }
  run(block, column, 0, weights, 0, sums);
  finish.store(sums, kLanes, block.pixel, pixels, c, n);
}

/// All channels of a block.
void run_block(const ConvArgs& a, const PixelBlock& block, int64_t pixels, const VectorFns& run,
               const Finish& finish) {
  const int64_t taps = kernel_taps(a.spec), step = taps * kLanes;
  const float* weights = a.weights + block.c0 * taps;
  alignas(64) float sums[kMaxPixels * kPair * kLanes];
  int64_t c = block.c0;
  for (; c + kPair * kLanes <= block.c1; c += kPair * kLanes, weights += kPair * step) {
    run.pair(block, block.column, c, weights, step, sums);
    for (int v = 0; v < kPair; ++v) {
      finish.store(sums + v * kLanes, kPair * kLanes, block.pixel, pixels, c + v * kLanes, kLanes);
    }
  }
  for (; c + kLanes <= block.c1; c += kLanes, weights += step) {
    run.one(block, block.column, c, weights, step, sums);
    finish.store(sums, kLanes, block.pixel, pixels, c, kLanes);
  }
  if (c < block.c1) run_tail(block, pixels, run.one, c, weights, finish);
  finish.rows(block.pixel, pixels, block.c0, block.c1);
}

/// Any kernel: one pixel, one vector of channels at a time.
void run_pixel(const ConvArgs& a, const DepthwiseTask& task, int64_t n, const int64_t (&at)[3],
               int64_t pixel, const Finish& finish) {
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
  for (int64_t c = task.c0; c < task.c1; c += kLanes) {
    const int64_t lanes = std::min<int64_t>(kLanes, task.c1 - c);
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
    finish.store(sums, kLanes, pixel, 1, c, lanes);
  }
  finish.rows(pixel, 1, task.c0, task.c1);
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

void run_row(const ConvArgs& a, const DepthwiseTask& task, int64_t row, const Finish& finish) {
  const int64_t width = a.out[2], oh = row % a.out[1], plane = row / a.out[1];
  const int64_t od = plane % a.out[0], n = plane / a.out[0];
  if (!has_blocks(a.spec)) {
    for (int64_t ow = 0; ow < width; ++ow) {
      run_pixel(a, task, n, {od, oh, ow}, row * width + ow, finish);
    }
    return;
  }
  PixelBlock block;
  block.c0 = task.c0;
  block.c1 = task.c1;
  const int64_t blocks = div_up(width, kMaxPixels);
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t ow = i * width / blocks, pixels = (i + 1) * width / blocks - ow;
    block.columns = (pixels - 1) * a.spec.stride[2] + a.spec.kernel[2];
    block.pixel = row * width + ow;
    set_lines(a, n, od, oh, ow, block);
    run_block(a, block, pixels, vector_functions(a.spec, pixels), finish);
  }
}

}  // namespace

void run_depthwise(const ConvArgs& a, const DepthwiseTask& task) {
  const Finish finish(a);
  for (int64_t row = task.row0; row < task.row1; ++row) run_row(a, task, row, finish);
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrify::cpu {
namespace {

constexpr int64_t kTaskWork = 250000;      // multiply-adds that pay for a task
constexpr int64_t kL1Floats = 4096;        // of input lines, to be read by several output rows
constexpr int64_t kL2Floats = 256 * 1024;  // an input above this comes from further away
constexpr int64_t kChunkStep = 32;         // channels

/// Channels of a task. Small kernels with inputs from L2: so few that the lines under a kernel stay
/// in L1. Otherwise all: memory wants to be read in long stretches, and finding the inputs of a
/// wide kernel pays only for many channels.
int64_t channel_chunk(const ConvArgs& a) {
  const int64_t channels = a.spec.in_channels, line = std::max<int64_t>(1, a.in[2]);
  if (a.spec.kernel[2] > 3 || a.in[1] * line * channels > kL2Floats) return channels;
  const int64_t fits = kL1Floats / (line * a.spec.kernel[1]) / kChunkStep * kChunkStep;
  return std::clamp(fits, std::min(kChunkStep, channels), channels);
}

}  // namespace

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
  std::fill(args.workspace, args.workspace + args.spec.in_channels, 0.0f);
  const auto run = VITRIFY_PICK_ISA(args.isa, run_depthwise);
  const int64_t rows = args.batch * args.out[0] * args.out[1], channels = args.spec.in_channels;
  const int64_t chunk = channel_chunk(args), chunks = div_up(channels, chunk);
  const int64_t work = std::max<int64_t>(1, args.out[2] * chunk * kernel_taps(args.spec));
  const int64_t row_tasks = div_up(rows, std::max<int64_t>(1, kTaskWork / work));
  parallel_for(chunks * row_tasks, kernel_threads(args.max_threads), [&](int64_t i) {
    const int64_t task = i % row_tasks, c0 = i / row_tasks * chunk;
    run(args, {task * rows / row_tasks, (task + 1) * rows / row_tasks, c0,
               std::min(channels, c0 + chunk)});
  });
}

}  // namespace vitrify::cpu
#endif
