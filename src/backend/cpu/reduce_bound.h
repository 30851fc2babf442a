// A reduce bound to extents: its axes merged into groups that are kept or folded in turn, and what
// one task folds. Either rows are folded (the last group is) or columns (it is kept).
#pragma once

#include "backend/cpu/kernels/epilogue_body.h"
#include "backend/cpu/kernels/reduce.h"
#include "ops/reduce.h"

namespace vitrify::cpu {

constexpr int64_t kSegment = 1 << 14;  ///< floats of a long row that are folded at once

/// Merged axes, outermost first, and the walk over their indices.
struct Group {
  int64_t extent, stride;
};
struct Groups {
  std::vector<Group> list;
  int64_t count = 1;
  void add(int64_t extent, int64_t stride) {
    list.insert(list.begin(), {extent, stride});
    count *= extent;
  }
  int64_t offset(int64_t index) const {
    int64_t at = 0;
    for (size_t g = list.size(); g-- > 0; index /= list[g].extent)
      at += index % list[g].extent * list[g].stride;
    return at;
  }
};

struct ReduceBound {
  Isa isa = Isa::kBaseline;
  Reduce::Kind kind{};
  Fold fold{};
  bool by_rows = true;
  int64_t row = 1;       ///< floats of the last group
  Groups kept, folded;   ///< without the last group
  int64_t count = 1;     ///< elements that one result folds
  int64_t segments = 1;  ///< by_rows: pieces of a row; a step is one of them
  int64_t steps = 1, block_steps = 1, blocks = 1;  ///< a block's steps are folded by one task
  int64_t chunk = 1, chunks = 1;  ///< by columns: as many of them are folded by one task
  int64_t results = 1, task_outputs = 1;
  int64_t last_axis = 1;
  EpilogueRunner epilogue;
};

/// `axes` as from `reduced_axes`; dims whose element count does not overflow.
void split_reduce(ReduceBound& b, Reduce::Kind kind, const Dims& dims, const Ints& axes);

}  // namespace vitrify::cpu
