// How a pointwise op walks its operands: axes merged, rows cut into segments, segments into tasks.
//
// The inner axis is walked with step 0 or 1 by every operand. Two cases are made so: an operand of
// short rows that repeats for every row ([C] against [N, C]) is written out several times, so that
// many rows are one; operands and results with gaps along the inner axis go through a buffer.
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

  int64_t workspace_bytes() const { return workspace_; }

  /// One row segment: pointers and steps of operands, pointers of results, elements.
  using Segment = void (*)(const void* context, const std::byte* const* operands,
                           const int64_t* steps, std::byte* const* results, int64_t n);
  void run(const RunCall& call, Segment segment, const void* context) const;

 private:
  struct Walk {
    int64_t strides[kMaxLoopRank] = {};  ///< bytes
    int64_t size = 4;                    ///< bytes of an element
    int64_t step = 1;                    ///< along the inner axis: 0, 1, or other (gapped)
    bool periodic = false;               ///< its rows repeat every period_ elements
    int64_t copies_at = 0;               ///< of a periodic one: offset into the workspace
    bool gapped() const { return step != 0 && step != 1; }
  };
  void add(const Extents& e, const Dims& dims, DType dtype);
  void merge();
  void drop(int axis);
  void repeat_rows();
  void run_units(const RunCall& call, int64_t begin, int64_t end, Segment segment,
                 const void* context) const;

  int rank_ = 0;
  int64_t dims_[kMaxLoopRank] = {};  ///< the last is the inner axis
  size_t operands_ = 0;              ///< of walks_; the rest are results
  std::vector<Walk> walks_;
  int64_t period_ = 0;
  int64_t segment_ = 0;  ///< elements
  int64_t units_ = 0;    ///< segments in all
  int64_t task_units_ = 1;
  int64_t workspace_ = 0;
};

}  // namespace vitrify::cpu
