// Transposed convolution whose taps do not overlap (kernel = stride) with few output channels: one
// product with a column for every (tap, output channel), so that no vector is mostly empty, then
// each row of it is dealt out to its output pixels.
#include <algorithm>

#include "backend/cpu/kernels/activation.h"
#include "backend/cpu/kernels/conv_algorithms.h"
#include "backend/cpu/kernels/gemm.h"
#include "backend/cpu/kernels/gemm_block.h"
#include "backend/cpu/kernels/gemm_pack.h"
#include "backend/cpu/kernels/gemm_panels.h"
#include "backend/cpu/kernels/slots.h"
#include "base/error.h"
#include "base/thread_pool.h"

namespace vitrify::cpu {
namespace {

constexpr int64_t kChunk = 128;  // input pixels of a task, all in one input row

int64_t columns(const ConvSpec& s) { return checked_mul(kernel_taps(s), s.out_channels); }
int64_t scratch_floats(const ConvSpec& s) {
  return checked_mul(kChunk, div_up(columns(s), 16) * 16);
}

/// A stretch of input pixels (n, id, ih, iw … iw + count).
struct Stretch {
  int64_t n, id, ih, iw, count;
};

struct StretchRows {
  const float* x;
  int64_t stride;
};

void fill_stretch(const void* ctx, int64_t row0, int64_t rows, int64_t, int64_t,
                  const float** table) {
  const auto& source = *static_cast<const StretchRows*>(ctx);
  for (int64_t r = 0; r < rows; ++r) table[r] = source.x + (row0 + r) * source.stride;
}

void finish_floats(const ConvArgs& a, float* row, int64_t n) {
  const Epilogue& e = a.epilogue;
  round_floats(a.isa, e.rounding, row, n);
  activate_row(a.isa, e.activation, e.a, e.b, row, n);
  round_floats(a.isa, e.result_rounding, row, n);
}

/// The epilogue from the activation on, of outputs [pixel, pixel + count) that hold the sums.
void finish_pixels(const ConvArgs& a, int64_t pixel, int64_t count) {
  const Epilogue& e = a.epilogue;
  const int64_t channels = a.spec.out_channels;
  const bool dense = a.y_pixel_stride == channels;
  float* first = a.y + pixel * a.y_pixel_stride;
  if (dense) finish_floats(a, first, count * channels);
  for (int64_t i = 0; i < count && (!dense || e.tile); ++i) {
    float* row = first + i * a.y_pixel_stride;
    if (!dense) finish_floats(a, row, channels);
    if (e.tile) e.tile(e.ctx, row, pixel + i, 0, channels);
  }
}

/// y = sum (or 0 when null) + bias + residual for one pixel.
inline void store_pixel(const ConvArgs& a, int64_t pixel, const float* sum) {
  const Epilogue& e = a.epilogue;
  const float* residual = e.residual ? e.residual + pixel * e.residual_stride : nullptr;
  float* y = a.y + pixel * a.y_pixel_stride;
  for (int64_t c = 0; c < a.spec.out_channels; ++c) {
    float value = sum ? sum[c] : 0.0f;
    if (e.bias) value += e.bias[c];
    if (residual) value += residual[c];
    y[c] = value;
  }
}

/// Deals the products of a stretch out to one output row: those of kernel row (td, th).
void deal_row(const ConvArgs& a, const Stretch& in, int64_t od, int64_t oh, const float* product,
              int64_t product_stride) {
  const int64_t width = a.spec.kernel[2], channels = a.spec.out_channels;
  const int64_t start = in.iw * width - a.spec.pad_begin[2];
  const int64_t first = std::clamp<int64_t>(start, 0, a.out[2]);
  const int64_t end = std::clamp<int64_t>(start + in.count * width, first, a.out[2]);
  const int64_t line = ((in.n * a.out[0] + od) * a.out[1] + oh) * a.out[2];
  int64_t i = (first - start) / width, tw = (first - start) % width;
  for (int64_t ow = first; ow < end; ++ow) {
    store_pixel(a, line + ow, product + i * product_stride + tw * channels);
    if (++tw == width) tw = 0, ++i;
  }
  finish_pixels(a, line + first, end - first);
}

void run_stretch(const ConvArgs& a, const Stretch& in, float* scratch) {
  static constexpr Epilogue kPlain;
  const ConvSpec& s = a.spec;
  const StretchRows rows{a.x + in.n * a.x_batch_stride + in.id * a.x_stride[0] +
                             in.ih * a.x_stride[1] + in.iw * a.x_stride[2],
                         a.x_stride[2]};
  Product p;
  p.m = in.count;
  p.n = columns(s);
  p.k = s.in_channels;
  p.fill = fill_stretch;
  p.ctx = &rows;
  p.b = a.weights;
  p.c = scratch;
  p.c_row_stride = div_up(p.n, 16) * 16;
  p.epilogue = &kPlain;
  run_product_task(a.isa, p, {1, 1}, 0);
  for (int64_t td = 0; td < s.kernel[0]; ++td) {
    const int64_t od = in.id * s.kernel[0] + td - s.pad_begin[0];
    if (od < 0 || od >= a.out[0]) continue;
    for (int64_t th = 0; th < s.kernel[1]; ++th) {
      const int64_t oh = in.ih * s.kernel[1] + th - s.pad_begin[1];
      if (oh < 0 || oh >= a.out[1]) continue;
      const int64_t tap = (td * s.kernel[1] + th) * s.kernel[2];
      deal_row(a, in, od, oh, scratch + tap * s.out_channels, p.c_row_stride);
    }
  }
}

/// First output along an axis that no input reaches (output padding).
int64_t reached(const ConvArgs& a, int axis) {
  const int64_t end = a.in[axis] * a.spec.kernel[axis] - a.spec.pad_begin[axis];
  return std::clamp<int64_t>(end, 0, a.out[axis]);
}

/// The outputs that no input reaches: the epilogue of 0.
void finish_unreached(const ConvArgs& a) {
  const int64_t d = reached(a, 0), h = reached(a, 1), w = reached(a, 2);
  for (int64_t line = 0; line < a.batch * a.out[0] * a.out[1]; ++line) {
    const bool all = line % a.out[1] >= h || line / a.out[1] % a.out[0] >= d;
    const int64_t first = all ? 0 : w, pixel = line * a.out[2];
    for (int64_t ow = first; ow < a.out[2]; ++ow) store_pixel(a, pixel + ow, nullptr);
    if (first < a.out[2]) finish_pixels(a, pixel + first, a.out[2] - first);
  }
}

}  // namespace

bool merges_transposed_taps(Isa isa, const ConvSpec& s) {
  for (int i = 0; i < 3; ++i) {
    if (s.kernel[i] != s.stride[i] || s.dilation[i] != 1) return false;
  }
  const int64_t padded = Panels(isa, s.out_channels).padded();
  return s.groups == 1 && padded * 4 >= s.out_channels * 5;
}

int64_t packed_merged_floats(Isa isa, const ConvSpec& spec) {
  return packed_b_floats(isa, spec.in_channels, columns(spec));
}

void pack_merged(Isa isa, const ConvSpec& spec, const std::byte* w, float* out) {
  // Columns (tap, output) of weights [input][output][tap]: one strided read per column.
  const int64_t n = columns(spec), taps = kernel_taps(spec);
  const Panels panels(isa, n);
  std::fill(out, out + packed_merged_floats(isa, spec), 0.0f);
  for (int64_t p = 0; p < panels.count(); ++p) {
    const int64_t width = panels.width(p);
    for (int64_t j = 0; j < panels.valid(p); ++j) {
      const int64_t tap = (panels.begin(p) + j) / spec.out_channels;
      const int64_t output = (panels.begin(p) + j) % spec.out_channels;
      const PanelSource column{w + 4 * (output * taps + tap), 1, 1, 1};
      for (int64_t k = 0; k < spec.in_channels; ++k) {
        PanelSource element = column;
        element.b += 4 * k * n;
        pack_panel(element, 0, 1, 1, out + panels.begin(p) * spec.in_channels + k * width + j);
      }
    }
  }
}

int64_t merged_workspace_floats(const ConvArgs& args) {
  return checked_mul(scratch_floats(args.spec), kernel_threads(args.max_threads));
}

void merged_conv_transpose(const ConvArgs& a) {
  if (out_pixels(a) == 0) return;
  Slots slots(a.workspace, scratch_floats(a.spec));
  const int64_t chunks = div_up(a.in[2], kChunk), lines = a.batch * a.in[0] * a.in[1];
  parallel_for(lines * chunks, kernel_threads(a.max_threads), [&](int64_t i) {
    const int64_t line = i / chunks, chunk = i % chunks, iw = chunk * a.in[2] / chunks;
    const int slot = slots.claim();
    run_stretch(a,
                {line / a.in[1] / a.in[0], line / a.in[1] % a.in[0], line % a.in[1], iw,
                 (chunk + 1) * a.in[2] / chunks - iw},
                slots.memory(slot));
    slots.release(slot);
  });
  finish_unreached(a);
}

}  // namespace vitrify::cpu
