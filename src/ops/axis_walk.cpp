#include "ops/axis_walk.h"

#include <algorithm>

namespace vitrify {

std::vector<int64_t> axis_offsets(const Dims& dims, const std::vector<int64_t>& axes) {
  Dims strides = dense_strides(dims);
  std::vector<int64_t> offsets{0};
  for (int64_t axis : axes) {
    std::vector<int64_t> next;
    next.reserve(offsets.size() * size_t(dims[size_t(axis)]));
    for (int64_t base : offsets)
      for (int64_t i = 0; i < dims[size_t(axis)]; ++i)
        next.push_back(base + i * strides[size_t(axis)]);
    offsets = std::move(next);
  }
  return offsets;
}

std::vector<int64_t> other_axes(int64_t rank, const std::vector<int64_t>& axes) {
  std::vector<int64_t> others;
  for (int64_t a = 0; a < rank; ++a)
    if (!std::binary_search(axes.begin(), axes.end(), a)) others.push_back(a);
  return others;
}

}  // namespace vitrify
