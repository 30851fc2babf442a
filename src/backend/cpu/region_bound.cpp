#include "backend/cpu/region_bound.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace vitrify::cpu {
namespace {

constexpr int64_t kBufferFloats = 64 * 1024;  // with the panels of the weights in L2

int64_t tile_rows(ConvAlgorithm a) {
  return a == ConvAlgorithm::kWinograd4 ? 4 : a == ConvAlgorithm::kWinograd2 ? 2 : 1;
}

/// Rows that `band` pooled rows need in the buffer, whole tiles at both ends.
int64_t rows_of_band(const RegionBound& b, const WindowGeometry& g, int64_t band) {
  const int64_t reach =
      checked_add(checked_mul(band - 1, g.strides[0]), (g.kernel[0] - 1) * g.dilations[0] + 1);
  return std::min(reach, g.in[0]) + 2 * (b.tile - 1);
}

/// Grows with the sizes, so that the workspace does.
int64_t buffer_bound(const RegionBound& b, const WindowGeometry& g) {
  const int64_t all = checked_mul(rows_of_band(b, g, g.out[0]), b.row);
  return std::min(all, std::max(kBufferFloats, checked_mul(rows_of_band(b, g, 1), b.row)));
}

}  // namespace

Rows rows_for(const WindowGeometry& g, int64_t first, int64_t last) {
  Rows r;
  r.begin = std::clamp<int64_t>(first * g.strides[0] - g.pads_begin[0], 0, g.in[0]);
  r.end = std::clamp<int64_t>(
      last * g.strides[0] - g.pads_begin[0] + (g.kernel[0] - 1) * g.dilations[0] + 1, r.begin,
      g.in[0]);
  return r;
}

void plan_bands(RegionBound& b, int64_t tasks) {
  const ConvArgs& conv = b.conv_bound().args;
  const WindowGeometry& g = b.pool_bound().g;
  if (b.batch == 0 || g.out_count == 0) return;
  b.tile = tile_rows(conv.algorithm);
  b.row = checked_mul(conv.out[2], conv.spec.out_channels);
  // Where windows do not overlap, tasks that begin with a tile compute no row twice.
  b.unit = b.tile / std::gcd(b.tile, g.strides[0]);
  b.units = (g.out[0] + b.unit - 1) / b.unit;
  b.tasks = std::min(b.units, std::max<int64_t>(1, (tasks + b.batch - 1) / b.batch));
  const int64_t longest = std::min(g.out[0], (b.units + b.tasks - 1) / b.tasks * b.unit);
  if (b.row == 0) b.band = longest;
  for (int64_t more = b.band; more <= longest; ++more) {
    if (checked_mul(rows_of_band(b, g, more), b.row) > kBufferFloats) break;
    b.band = more;
  }
  b.capacity = rows_of_band(b, g, b.band);
  ConvArgs whole = conv;
  whole.batch = 1, whole.max_threads = 1, whole.is_part = true;
  b.slot = checked_add((buffer_bound(b, g) + 15) / 16 * 16, conv_workspace_floats(whole));
  b.slot = (b.slot + 15) / 16 * 16;
}

}  // namespace vitrify::cpu
