// 3x3 convolution of stride 1 by Winograd's F(2x2, 3x3) and F(4x4, 3x3): output tiles of m x m, of
// which each reads t x t inputs, t = m + 2; in the transformed domain the conv is t * t matrix
// products.
//
// A block of tiles is transformed to V[tile][t * t][channel], multiplied to M[tile][t * t][output]
// and transformed back. Many tiles: blocks run side by side, each staying in L2. Few tiles (small
// maps with many channels): one block, its three stages cut over the threads.
#include "backend/cpu/kernels/winograd.h"

#include <algorithm>
#include <cmath>
#include <cstring>

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

constexpr int64_t kBlockFloats = 128 * 1024;  // V and M of one block: half of a typical L2
constexpr int64_t kMinBlockTiles = 12;        // fewer would read the weights too often
constexpr int64_t kManyBlocks = 4;

/// G: a row (1, a, a^2) / product of (a - b) over the other points b for every point a of
/// winograd-inl.h, and (0, 0, 1) for infinity.
struct FilterTransform {
  double g[6][3];
};

FilterTransform filter_transform(int tile) {
  static constexpr double kPoints2[] = {0, 1, -1}, kPoints4[] = {0, 2.0 / 3, -2.0 / 3, 1.5, -1.5};
  const double* point = tile == 2 ? kPoints2 : kPoints4;
  FilterTransform transform;
  for (int i = 0; i <= tile; ++i) {
    double product = 1;
    for (int j = 0; j <= tile; ++j) product *= i == j ? 1 : point[i] - point[j];
    for (int k = 0; k < 3; ++k) transform.g[i][k] = std::pow(point[i], k) / product;
  }
  for (int k = 0; k < 3; ++k) transform.g[tile + 1][k] = k == 2;
  return transform;
}

/// (G g G^T)[i][j] of one 3x3 filter, in double.
void transform_filter(int tile, const FilterTransform& transform, const float (&g)[9], float* out) {
  const int t = tile + 2;
  for (int i = 0; i < t; ++i) {
    for (int j = 0; j < t; ++j) {
      double sum = 0;
      for (int a = 0; a < 3; ++a) {
        for (int b = 0; b < 3; ++b) {
          sum += transform.g[i][a] * transform.g[j][b] * static_cast<double>(g[a * 3 + b]);
        }
      }
      out[i * t + j] = static_cast<float>(sum);
    }
  }
}

int64_t points(int tile) { return (tile + 2) * (tile + 2); }

/// Packed weights of one point of the transformed domain: panels of [inputs, outputs].
int64_t point_floats(Isa isa, const ConvSpec& s) {
  return packed_b_floats(isa, s.in_channels, s.out_channels);
}

WinogradGeometry geometry_of(int tile, const ConvArgs& a) {
  WinogradGeometry g;
  g.tile = tile;
  g.points = points(tile);
  g.rows = div_up(a.out[1], tile);
  g.columns = div_up(a.out[2], tile);
  g.tiles = checked_mul(checked_mul(a.batch, a.out[0]), checked_mul(g.rows, g.columns));
  g.in_stride = div_up(a.spec.in_channels, 16) * 16;
  g.out_stride = div_up(a.spec.out_channels, 16) * 16;
  return g;
}

int64_t tile_floats(const WinogradGeometry& g) {
  return checked_mul(g.points, checked_add(g.in_stride, g.out_stride));
}

/// Tiles of a block when blocks run side by side.
int64_t block_tiles(const WinogradGeometry& g) {
  return std::max(kMinBlockTiles, kBlockFloats / tile_floats(g) / 6 * 6);
}

/// A call that is a part goes block by block as soon as that does not read the weights too often.
bool side_by_side(const ConvArgs& a, const WinogradGeometry& g) {
  const int64_t block = block_tiles(g);
  return g.tiles >= (a.is_part && block > kMinBlockTiles ? 2 : kManyBlocks) * block;
}

int64_t zero_floats(const WinogradGeometry& g) { return g.in_stride; }

struct PointRows {
  const float* v;
  int64_t stride;
};

void fill_point_rows(const void* ctx, int64_t row0, int64_t rows, int64_t, int64_t,
                     const float** table) {
  const auto& source = *static_cast<const PointRows*>(ctx);
  for (int64_t r = 0; r < rows; ++r) table[r] = source.v + (row0 + r) * source.stride;
}

/// The product at one point for all tiles of a block.
void multiply(const ConvArgs& a, const WinogradGeometry& g, const WinogradBlock& block,
              int64_t point, const Split& split, int64_t task) {
  static constexpr Epilogue kPlain;
  const PointRows rows{block.v + point * g.in_stride, g.points * g.in_stride};
  Product p;
  p.m = block.count;
  p.n = a.spec.out_channels;
  p.k = a.spec.in_channels;
  p.fill = fill_point_rows;
  p.ctx = &rows;
  p.b = a.weights + point * point_floats(a.isa, a.spec);
  p.c = block.m + point * g.out_stride;
  p.c_row_stride = g.points * g.out_stride;
  p.epilogue = &kPlain;
  run_product_task(a.isa, p, split, task);
}

void run_side_by_side(const ConvArgs& a, const WinogradGeometry& g) {
  const int64_t most = block_tiles(g), count = div_up(g.tiles, most);
  const int64_t floats = most * tile_floats(g);
  Slots slots(a.workspace + zero_floats(g), floats);
  parallel_for(count, kernel_threads(a.max_threads), [&](int64_t i) {
    const int slot = slots.claim();
    WinogradBlock block;
    block.first = i * g.tiles / count;
    block.count = (i + 1) * g.tiles / count - block.first;
    block.v = slots.memory(slot);
    block.m = block.v + most * g.points * g.in_stride;
    winograd_input(a, g, block, 0, block.count);
    for (int64_t point = 0; point < g.points; ++point) multiply(a, g, block, point, {1, 1}, 0);
    winograd_output(a, g, block, 0, block.count);
    slots.release(slot);
  });
}

void run_in_stages(const ConvArgs& a, const WinogradGeometry& g) {
  const int threads = kernel_threads(a.max_threads);
  WinogradBlock block;
  block.count = g.tiles;
  block.v = a.workspace + zero_floats(g);
  block.m = block.v + g.tiles * g.points * g.in_stride;
  parallel_for(g.tiles, threads, [&](int64_t i) { winograd_input(a, g, block, i, i + 1); });
  const Split split = split_product(a.isa, g.tiles, a.spec.out_channels, a.spec.in_channels);
  parallel_for(g.points * split.count(), threads, [&](int64_t i) {
    multiply(a, g, block, i / split.count(), split, i % split.count());
  });
  parallel_for(g.tiles, threads, [&](int64_t i) { winograd_output(a, g, block, i, i + 1); });
}

}  // namespace

int64_t packed_winograd_floats(Isa isa, int tile, const ConvSpec& spec) {
  return checked_mul(point_floats(isa, spec), points(tile));
}

void pack_winograd(Isa isa, int tile, const ConvSpec& spec, const void* w, float* out) {
  const Panels panels(isa, spec.out_channels);
  const int64_t each = point_floats(isa, spec);
  std::fill(out, out + packed_winograd_floats(isa, tile, spec), 0.0f);
  const FilterTransform transform = filter_transform(tile);
  float filter[9], transformed[36];
  for (int64_t p = 0; p < panels.count(); ++p) {
    const int64_t begin = panels.begin(p), width = panels.width(p);
    for (int64_t o = 0; o < panels.valid(p); ++o) {
      for (int64_t c = 0; c < spec.in_channels; ++c) {
        const int64_t index = (begin + o) * spec.in_channels + c;
        std::memcpy(filter, static_cast<const std::byte*>(w) + index * 36, sizeof filter);
        transform_filter(tile, transform, filter, transformed);
        float* to = out + begin * spec.in_channels + c * width + o;
        for (int64_t i = 0; i < points(tile); ++i) to[i * each] = transformed[i];
      }
    }
  }
}

int64_t winograd_workspace_floats(int tile, const ConvArgs& args) {
  const WinogradGeometry g = geometry_of(tile, args);
  const int64_t each = tile_floats(g), slots = kernel_threads(args.max_threads);
  // Grows with the sizes: below the switch all tiles are there at once, above it the slots' blocks;
  // below, `tiles` is less than kManyBlocks blocks.
  const int64_t staged = std::min(g.tiles, checked_mul(kManyBlocks, block_tiles(g)));
  const int64_t blocks = side_by_side(args, g) ? checked_mul(slots, block_tiles(g)) : 0;
  return checked_add(zero_floats(g), checked_mul(each, std::max(staged, blocks)));
}

void winograd_conv(int tile, const ConvArgs& args) {
  const WinogradGeometry g = geometry_of(tile, args);
  if (g.tiles == 0) return;
  std::fill(args.workspace, args.workspace + zero_floats(g), 0.0f);
  side_by_side(args, g) ? run_side_by_side(args, g) : run_in_stages(args, g);
}

}  // namespace vitrify::cpu
