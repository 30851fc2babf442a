// How a pointwise op walks its operands: axes merged, what is left cut into segments, segments into
// tasks.
//
// A segment is a piece of a long row that every operand walks with step 0 or 1; or, where rows are
// short or have gaps, a tile of several rows, for which operands that do not lie one row after the
// other go through a buffer.
#pragma once

#include "backend/tactic.h"

namespace vitrify::cpu {

constexpr int kMaxLoopRank = 8;
constexpr int kMaxLoopOperands = 32;  ///< operands and results together

class PointwiseLoop {
 public:
  /// Shapes that broadcast to `dims`; `results` have them. Throws a user error when they do not, or
  /// a rank is above kMaxLoopRank.
  PointwiseLoop(const Dims& dims, std::span<const Extents> operands,
                std::span<const DType> operand_types, std::span<const Extents> results,
                std::span<const DType> result_types);

  /// One segment: pointers and steps of operands, pointers of results, elements.
  using Segment = void (*)(const void* context, const std::byte* const* operands,
                           const int64_t* steps, std::byte* const* results, int64_t n);
  void run(const RunCall& call, Segment segment, const void* context) const;

 private:
  struct Walk {
    int64_t strides[kMaxLoopRank] = {};  ///< bytes
    int64_t size = 4;                    ///< bytes of an element
    int64_t step = 1;                    ///< within a segment: 0 or 1
    bool buffered = false;
  };
  class Task;
  void add(const Extents& e, const Dims& dims, DType dtype);
  void drop(int axis);
  void merge();
  void choose_segments();

  int rank_ = 0;
  int64_t dims_[kMaxLoopRank] = {};
  size_t operands_ = 0;  ///< of walks_; the rest are results
  std::vector<Walk> walks_;
  int64_t rows_ = 1, columns_ = 1;  ///< of a segment
  int64_t row_segments_ = 1, column_segments_ = 1;
  int64_t units_ = 0, task_units_ = 1;  ///< segments in all, and of one task
};

}  // namespace vitrify::cpu
