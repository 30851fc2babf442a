// A convolution and the pool that reads it, bound to extents: by which bands of rows a task goes.
#pragma once

#include "backend/cpu/conv_bound.h"
#include "backend/cpu/pool_bound.h"

namespace vitrify::cpu {

struct RegionBound {
  TacticState conv, pool;
  int64_t batch = 0, tasks = 0;
  int64_t tile = 1;             ///< rows of the convolution start at multiples of this
  int64_t unit = 1, units = 0;  ///< pooled rows of an image, by which it is cut into tasks
  int64_t row = 0;              ///< floats of a row of the convolution
  int64_t band = 1;             ///< pooled rows that a full buffer serves
  int64_t capacity = 0;         ///< rows of the buffer
  int64_t slot = 0;             ///< floats a thread
  int64_t conv_inputs = 0;
  int max_threads = 1;
  const ConvBound& conv_bound() const { return *static_cast<const ConvBound*>(conv.get()); }
  const PoolBound& pool_bound() const { return *static_cast<const PoolBound*>(pool.get()); }
};

/// Rows of the convolution [begin, end).
struct Rows {
  int64_t begin = 0, end = 0;
};

/// Those that pooled rows [first, last] read.
Rows rows_for(const WindowGeometry& g, int64_t first, int64_t last);

/// Fills what follows from conv, pool and batch. `tasks`: as many as the work is cut into, or
/// fewer.
void plan_bands(RegionBound& b, int64_t tasks);

}  // namespace vitrify::cpu
