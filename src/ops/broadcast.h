// Walking several operands over one result shape, numpy's broadcasting rules.
#pragma once

#include <span>
#include <vector>

#include "ir/dim.h"

namespace vitrify {

/// A loop nest over a result: axes that every operand walks alike are merged, so that the last axis
/// is as long as can be. Strides count elements; 0 where an operand repeats.
struct BroadcastLoop {
  Dims dims;                  ///< at least one axis
  std::vector<Dims> strides;  ///< per operand, one per axis; dense or 0 on the last
};
/// User error when an operand does not broadcast to `dims`.
BroadcastLoop make_broadcast_loop(const Dims& dims, std::span<const Dims> operands);

/// Calls f(first, count, offsets, steps) for each run along the last axis: `first` is the index of
/// its first element in the (dense) result; operand o's elements are offsets[o] + j * steps[o].
template <class F>
void for_each_row(const BroadcastLoop& loop, F&& f) {
  size_t last = loop.dims.size() - 1, operands = loop.strides.size();
  std::vector<int64_t> index(loop.dims.size()), offsets(operands), steps(operands);
  for (size_t o = 0; o < operands; ++o) steps[o] = loop.strides[o][last];
  for (int64_t d : loop.dims)
    if (d == 0) return;
  for (int64_t first = 0;; first += loop.dims[last]) {
    f(first, loop.dims[last], offsets.data(), steps.data());
    size_t a = last;
    while (a-- > 0) {
      for (size_t o = 0; o < operands; ++o) offsets[o] += loop.strides[o][a];
      if (++index[a] < loop.dims[a]) break;
      for (size_t o = 0; o < operands; ++o) offsets[o] -= loop.strides[o][a] * loop.dims[a];
      index[a] = 0;
    }
    if (a == size_t(-1)) return;
  }
}

}  // namespace vitrify
