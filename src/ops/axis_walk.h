// Walking the lines of a tensor along some of its axes.
#pragma once

#include "ir/tensor.h"

namespace vitrify {

/// Offsets (in elements) of all index tuples over some axes of a dense tensor, in row-major order.
/// One entry, 0, when there are no axes.
std::vector<int64_t> axis_offsets(const Dims& dims, const std::vector<int64_t>& axes);
/// The axes that are not in (sorted) `axes`.
std::vector<int64_t> other_axes(int64_t rank, const std::vector<int64_t>& axes);

/// Lines along one axis: line (o, i) starts at o * length * inner + i, its elements lie `inner`
/// apart.
struct AxisLines {
  int64_t outer = 1, length = 1, inner = 1;
};
inline AxisLines axis_lines(const Dims& dims, int64_t axis) {
  AxisLines lines;
  for (int64_t a = 0; a < int64_t(dims.size()); ++a)
    (a < axis ? lines.outer : a == axis ? lines.length : lines.inner) *= dims[size_t(a)];
  return lines;
}

}  // namespace vitrify
