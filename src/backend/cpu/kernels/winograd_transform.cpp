#include <algorithm>

#include "backend/cpu/kernels/winograd.h"
#include "backend/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/winograd_transform.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/kernels/conv_finish-inl.h"
#include "backend/cpu/kernels/winograd-inl.h"
#include "hwy/highway.h"

#ifndef VITRIFY_KERNELS_WINOGRAD_TRANSFORM_ONCE
#define VITRIFY_KERNELS_WINOGRAD_TRANSFORM_ONCE
namespace vitrify::cpu {
namespace {

/// A tile's first output pixel.
struct TilePlace {
  int64_t plane, oh, ow;  // plane = n * OD + od
};

TilePlace place_of(const WinogradGeometry& g, int64_t tile) {
  const int64_t column = tile % g.columns, row = tile / g.columns % g.rows;
  return {tile / g.columns / g.rows, row * g.tile, column * g.tile};
}

/// Where the inputs of a tile are; the zeros at the start of the workspace outside of x.
void find_inputs(const ConvArgs& a, const TilePlace& at, int side, const float** out) {
  const float* plane =
      a.x + at.plane / a.out[0] * a.x_batch_stride + at.plane % a.out[0] * a.x_stride[0];
  const int64_t ih = at.oh - a.spec.pad_begin[1], iw = at.ow - a.spec.pad_begin[2];
  for (int64_t i = ih; i < ih + side; ++i) {
    for (int64_t j = iw; j < iw + side; ++j) {
      const bool inside = i >= 0 && i < a.in[1] && j >= 0 && j < a.in[2];
      *out++ = inside ? plane + i * a.x_stride[1] + j * a.x_stride[2] : a.workspace;
    }
  }
}

}  // namespace
}  // namespace vitrify::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {
namespace {

/// One vector of channels from c on: columns first, then rows.
template <int Side, bool kWhole>
HWY_INLINE void transform_inputs(const float* const* x, int64_t c, int64_t n, float* v,
                                 int64_t point_stride) {
  const Floats d;
  alignas(64) float half[Side * Side * kLanes];
  Vec in[Side], out[Side];
  for (int j = 0; j < Side; ++j) {
#pragma GCC unroll 6
    for (int i = 0; i < Side; ++i) {
      const float* p = x[i * Side + j] + c;
      in[i] = kWhole ? hn::LoadU(d, p) : load_partial(p, n);
    }
    transform_input(in, out);
#pragma GCC unroll 6
    for (int i = 0; i < Side; ++i) hn::Store(out[i], d, half + (i * Side + j) * kLanes);
  }
  for (int i = 0; i < Side; ++i) {
#pragma GCC unroll 6
    for (int j = 0; j < Side; ++j) in[j] = hn::Load(d, half + (i * Side + j) * kLanes);
    transform_input(in, out);
#pragma GCC unroll 6
    for (int j = 0; j < Side; ++j) hn::StoreU(out[j], d, v + (i * Side + j) * point_stride);
  }
}

/// One vector of outputs: y[i][j] at y + (i * Tile + j) * kLanes.
template <int Tile>
HWY_INLINE void transform_outputs(const float* m, int64_t point_stride, float* y) {
  constexpr int kSide = Tile + 2;
  const Floats d;
  alignas(64) float half[Tile * kSide * kLanes];
  Vec in[kSide], out[Tile];
  for (int j = 0; j < kSide; ++j) {
#pragma GCC unroll 6
    for (int i = 0; i < kSide; ++i) in[i] = hn::LoadU(d, m + (i * kSide + j) * point_stride);
    transform_output(in, out);
#pragma GCC unroll 6
    for (int i = 0; i < Tile; ++i) hn::Store(out[i], d, half + (i * kSide + j) * kLanes);
  }
  for (int i = 0; i < Tile; ++i) {
#pragma GCC unroll 6
    for (int j = 0; j < kSide; ++j) in[j] = hn::Load(d, half + (i * kSide + j) * kLanes);
    transform_output(in, out);
#pragma GCC unroll 6
    for (int j = 0; j < Tile; ++j) hn::Store(out[j], d, y + (i * Tile + j) * kLanes);
  }
}

template <int Tile>
void input_tiles(const ConvArgs& a, const WinogradGeometry& g, const WinogradBlock& block,
                 int64_t begin, int64_t end) {
  constexpr int kSide = Tile + 2;
  const float* x[kSide * kSide];
  const int64_t channels = a.spec.in_channels;
  for (int64_t t = begin; t < end; ++t) {
    find_inputs(a, place_of(g, block.first + t), kSide, x);
    float* v = block.v + t * g.points * g.in_stride;
    int64_t c = 0;
    for (; c + kLanes <= channels; c += kLanes) {
      transform_inputs<kSide, true>(x, c, kLanes, v + c, g.in_stride);
    }
    if (c < channels) transform_inputs<kSide, false>(x, c, channels - c, v + c, g.in_stride);
  }
}

template <int Tile>
void output_tiles(const ConvArgs& a, const WinogradGeometry& g, const WinogradBlock& block,
                  int64_t begin, int64_t end) {
  const Finish finish(a);
  const int64_t channels = a.spec.out_channels;
  alignas(64) float y[Tile * Tile * kLanes];
  for (int64_t t = begin; t < end; ++t) {
    const TilePlace at = place_of(g, block.first + t);
    const int64_t rows = std::min<int64_t>(Tile, a.out[1] - at.oh);
    const int64_t columns = std::min<int64_t>(Tile, a.out[2] - at.ow);
    const int64_t pixel = (at.plane * a.out[1] + at.oh) * a.out[2] + at.ow;
    const float* m = block.m + t * g.points * g.out_stride;
    for (int64_t c = 0; c < channels; c += kLanes) {
      transform_outputs<Tile>(m + c, g.out_stride, y);
      const int64_t n = std::min<int64_t>(kLanes, channels - c);
      for (int64_t i = 0; i < rows; ++i) {
        finish.store(y + i * Tile * kLanes, kLanes, pixel + i * a.out[2], columns, c, n);
      }
    }
    for (int64_t i = 0; i < rows; ++i) finish.rows(pixel + i * a.out[2], columns, 0, channels);
  }
}

}  // namespace

void transform_in(const ConvArgs& a, const WinogradGeometry& g, const WinogradBlock& block,
                  int64_t begin, int64_t end) {
  g.tile == 2 ? input_tiles<2>(a, g, block, begin, end) : input_tiles<4>(a, g, block, begin, end);
}

void transform_out(const ConvArgs& a, const WinogradGeometry& g, const WinogradBlock& block,
                   int64_t begin, int64_t end) {
  g.tile == 2 ? output_tiles<2>(a, g, block, begin, end) : output_tiles<4>(a, g, block, begin, end);
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrify::cpu {

void winograd_input(const ConvArgs& args, const WinogradGeometry& geometry,
                    const WinogradBlock& block, int64_t begin, int64_t end) {
  VITRIFY_PICK_ISA(args.isa, transform_in)(args, geometry, block, begin, end);
}

void winograd_output(const ConvArgs& args, const WinogradGeometry& geometry,
                     const WinogradBlock& block, int64_t begin, int64_t end) {
  VITRIFY_PICK_ISA(args.isa, transform_out)(args, geometry, block, begin, end);
}

}  // namespace vitrify::cpu
#endif
