// Copies one strided array to another of the same extents: transposes, slices, concats and
// broadcasts are all this. Elements of 1, 2, 4, 8 or 16 bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vitrify::cpu {

/// Extents with axes of 1 dropped and neighbours that lie together merged; the axes are ordered so
/// that the last one is the target's innermost.
struct CopyPlan {
  int64_t element = 4;                  ///< bytes
  std::vector<int64_t> dims, to, from;  ///< strides in elements; `from` may be 0 or negative
  int64_t count = 0;
};

CopyPlan plan_copy(int64_t element, const std::vector<int64_t>& dims,
                   const std::vector<int64_t>& to, const std::vector<int64_t>& from);

/// Never allocates. Parallel over the outer axes.
void strided_copy(const CopyPlan& plan, std::byte* to, const std::byte* from, int max_threads);

}  // namespace vitrify::cpu
