// Convolution of few input channels (the first layer): a band of input rows is copied once into
// [depth][row][padded column][channel], whatever its strides, so that a row of the kernel is one
// stretch of kw * channels floats and no tap needs a check.
#include <algorithm>
#include <cstring>

#include "backend/cpu/kernels/conv_algorithms.h"
#include "backend/cpu/kernels/conv_interleave.h"
#include "backend/cpu/kernels/gemm_block.h"
#include "backend/cpu/kernels/gemm_panels.h"
#include "backend/cpu/kernels/slots.h"
#include "base/error.h"
#include "base/thread_pool.h"

namespace vitrify::cpu {
namespace {

constexpr int64_t kBandFloats = 24 * 1024;  // stays in L2 with a panel of weights

/// Sizes of a band of `out_rows` output rows.
struct Band {
  int64_t out_rows = 0, in_rows = 0, width = 0, line = 0, floats = 0;
};

Band band_of(const ConvArgs& a, int64_t out_rows) {
  const ConvSpec& s = a.spec;
  Band b;
  b.out_rows = out_rows;
  b.in_rows = (out_rows - 1) * s.stride[1] + (s.kernel[1] - 1) * s.dilation[1] + 1;
  b.width =
      checked_add(checked_mul(a.out[2] - 1, s.stride[2]), (s.kernel[2] - 1) * s.dilation[2] + 1);
  b.line = checked_mul(b.width, s.in_channels);
  b.floats = div_up(checked_mul(checked_mul(b.line, b.in_rows), s.kernel[0]), 16) * 16;
  return b;
}

/// As many output rows as fit into kBandFloats, at least one.
Band choose_band(const ConvArgs& a) {
  const Band one = band_of(a, 1);
  const int64_t per_row =
      std::max<int64_t>(1, checked_mul(one.line, a.spec.stride[1] * a.spec.kernel[0]));
  const int64_t more = std::max<int64_t>(0, kBandFloats - one.floats) / per_row;
  return band_of(a, std::clamp<int64_t>(1 + more, 1, std::max<int64_t>(1, a.out[1])));
}

/// [w][c] from any strides.
void copy_line(const ConvArgs& a, const float* in, int64_t count, float* out) {
  const int64_t channels = a.spec.in_channels, step = a.x_stride[2];
  if ((a.x_channel_stride == 1 || channels == 1) && step == channels) {
    std::memcpy(out, in, static_cast<size_t>(count * channels) * sizeof(float));
    return;
  }
  if (step == 1) return interleave(a.isa, in, a.x_channel_stride, channels, count, out);
  for (int64_t c = 0; c < channels; ++c) {
    const float* plane = in + c * a.x_channel_stride;
    for (int64_t w = 0; w < count; ++w) out[w * channels + c] = plane[w * step];
  }
}

/// One padded input line; `ih` or `id` may be outside.
void load_line(const ConvArgs& a, const Band& band, int64_t n, int64_t id, int64_t ih, float* out) {
  const int64_t channels = a.spec.in_channels, pad = a.spec.pad_begin[2];
  const bool inside = id >= 0 && id < a.in[0] && ih >= 0 && ih < a.in[1];
  const int64_t first = std::clamp<int64_t>(pad, 0, band.width);
  const int64_t end = inside ? std::clamp<int64_t>(a.in[2] + pad, first, band.width) : first;
  std::fill(out, out + first * channels, 0.0f);
  if (end > first) {
    const float* line = a.x + n * a.x_batch_stride + id * a.x_stride[0] + ih * a.x_stride[1];
    copy_line(a, line + (first - pad) * a.x_stride[2], end - first, out + first * channels);
  }
  std::fill(out + end * channels, out + band.line, 0.0f);
}

void load_band(const ConvArgs& a, const Band& band, int64_t n, int64_t od, int64_t oh, float* out) {
  const ConvSpec& s = a.spec;
  for (int64_t td = 0; td < s.kernel[0]; ++td) {
    const int64_t id = od * s.stride[0] - s.pad_begin[0] + td * s.dilation[0];
    for (int64_t r = 0; r < band.in_rows; ++r) {
      load_line(a, band, n, id, oh * s.stride[1] - s.pad_begin[1] + r, out);
      out += band.line;
    }
  }
}

/// A tap is a row of the kernel, or one pixel of it when the row has holes.
struct BandSource {
  const ConvArgs* args;
  const Band* band;
  const float* data;
  int64_t taps_w() const { return args->spec.dilation[2] == 1 ? 1 : args->spec.kernel[2]; }
};

void fill_from_band(const void* ctx, int64_t row0, int64_t rows, int64_t tap0, int64_t taps,
                    const float** table) {
  const auto& source = *static_cast<const BandSource*>(ctx);
  const ConvSpec& s = source.args->spec;
  const Band& band = *source.band;
  const int64_t width = source.args->out[2], taps_w = source.taps_w();
  for (int64_t t = 0; t < taps; ++t) {
    const int64_t tap = tap0 + t, tw = tap % taps_w, tap_row = tap / taps_w;
    const int64_t line =
        tap_row / s.kernel[1] * band.in_rows + tap_row % s.kernel[1] * s.dilation[1];
    const float* start = source.data + line * band.line + tw * s.dilation[2] * s.in_channels;
    const int64_t step = s.stride[2] * s.in_channels;
    for (int64_t r = 0, oh = row0 / width, ow = row0 % width; r < rows; ++oh, ow = 0) {
      const float* at = start + oh * s.stride[1] * band.line + ow * step;
      const int64_t end = std::min(rows, r + width - ow);
      for (; r < end; ++r, at += step) table[t * rows + r] = at;
    }
  }
}

void run_band(const ConvArgs& a, const Band& full, int64_t task, float* scratch) {
  const int64_t bands = div_up(a.out[1], full.out_rows);
  const int64_t oh0 = task % bands * a.out[1] / bands;
  const int64_t oh1 = (task % bands + 1) * a.out[1] / bands;
  const int64_t plane = task / bands, n = plane / a.out[0], od = plane % a.out[0];
  const Band band = band_of(a, oh1 - oh0);
  load_band(a, band, n, od, oh0, scratch);
  const BandSource source{&a, &band, scratch};
  const int64_t pixel0 = (plane * a.out[1] + oh0) * a.out[2];
  Product product;
  product.m = band.out_rows * a.out[2];
  product.n = a.spec.out_channels;
  product.taps = a.spec.kernel[0] * a.spec.kernel[1] * source.taps_w();
  product.k = a.spec.kernel[2] / source.taps_w() * a.spec.in_channels;
  product.fill = fill_from_band;
  product.ctx = &source;
  product.b = a.weights;
  product.c = a.y + pixel0 * a.y_pixel_stride;
  product.c_row_stride = a.y_pixel_stride;
  product.row_base = pixel0;
  product.epilogue = &a.epilogue;
  run_product_task(a.isa, product, Split{1, 1}, 0);
}

}  // namespace

int64_t banded_conv_workspace_floats(const ConvArgs& args) {
  if (out_pixels(args) == 0) return 0;
  // A wider image may have a smaller band: the bound that grows with it is this maximum.
  const int64_t one = band_of(args, 1).floats;
  return checked_mul(std::max(one, kBandFloats), kernel_threads(args.max_threads));
}

void banded_conv(const ConvArgs& args) {
  if (out_pixels(args) == 0) return;
  const Band band = choose_band(args);
  const int64_t bands = div_up(args.out[1], band.out_rows);
  Slots slots(args.workspace, std::max(band_of(args, 1).floats, kBandFloats));
  parallel_for(args.batch * args.out[0] * bands, kernel_threads(args.max_threads), [&](int64_t i) {
    const int slot = slots.claim();
    run_band(args, band, i, slots.memory(slot));
    slots.release(slot);
  });
}

}  // namespace vitrify::cpu
