// The transforms of winograd.cpp, compiled per Isa in winograd_transform.cpp.
#pragma once

#include <cstdint>

#include "backend/cpu/kernels/conv.h"

namespace vitrify::cpu {

struct WinogradGeometry {
  int tile = 4;                           // outputs along each side
  int64_t points = 36;                    // (tile + 2)^2
  int64_t rows = 0, columns = 0;          // tiles along an output plane
  int64_t tiles = 0;                      // in all
  int64_t in_stride = 0, out_stride = 0;  // channels of V and M, padded
};

/// Tiles [first, first + count): v[tile][point][in_stride], m[tile][point][out_stride].
struct WinogradBlock {
  int64_t first = 0, count = 0;
  float* v = nullptr;
  float* m = nullptr;
};

/// Transforms x under the block's tiles [begin, end) to v. args.workspace starts with in_stride
/// zeros.
void winograd_input(const ConvArgs& args, const WinogradGeometry& geometry,
                    const WinogradBlock& block, int64_t begin, int64_t end);

/// Transforms m of the block's tiles [begin, end) to y, with the epilogue.
void winograd_output(const ConvArgs& args, const WinogradGeometry& geometry,
                     const WinogradBlock& block, int64_t begin, int64_t end);

}  // namespace vitrify::cpu
