#include "backend/cpu/reduce_bound.h"

#include <algorithm>

namespace vitrify::cpu {
namespace {

constexpr int64_t kTaskFloats = 1 << 16;
constexpr int64_t kChunk = 1 << 11;  // of columns
constexpr int64_t kManyTasks = 16;   // enough for all threads to have work

Fold fold_of(Reduce::Kind kind) {
  switch (kind) {
    case Reduce::Kind::kMax:
    case Reduce::Kind::kLogSumExp:
      return Fold::kMax;
    case Reduce::Kind::kMin:
      return Fold::kMin;
    case Reduce::Kind::kProd:
      return Fold::kProduct;
    case Reduce::Kind::kL1:
      return Fold::kAbsSum;
    case Reduce::Kind::kL2:
    case Reduce::Kind::kSumSquare:
      return Fold::kSquareSum;
    default:
      return Fold::kSum;
  }
}
/// Sorts the axes into groups; extents of 1 do not matter.
void merge_axes(const Dims& dims, const Ints& axes, ReduceBound& b) {
  bool is_last = true, group_folded = false;
  int64_t extent = 1, stride = 1, group_stride = 1;
  auto close = [&] {
    if (is_last) {
      b.by_rows = group_folded, b.row = extent;
    } else {
      (group_folded ? b.folded : b.kept).add(extent, group_stride);
    }
    is_last = false;
  };
  bool open = false;
  for (size_t a = dims.size(); a-- > 0; stride *= dims[a]) {
    const bool folded = std::binary_search(axes.begin(), axes.end(), int64_t(a));
    if (folded) b.count *= dims[a];
    if (dims[a] == 1) continue;
    if (open && folded == group_folded) {
      extent *= dims[a];
      continue;
    }
    if (open) close();
    open = true, group_folded = folded, extent = dims[a], group_stride = stride;
  }
  if (open)
    close();
  else
    b.by_rows = false;
}

/// What one task folds; by extents alone, so that results are the same on any number of threads.
void split(ReduceBound& b) {
  auto parts = [](int64_t n, int64_t of) { return std::max<int64_t>(1, (n + of - 1) / of); };
  if (b.by_rows)
    b.segments = parts(b.row, kSegment);
  else
    b.chunk = std::min(b.row, kChunk), b.chunks = parts(b.row, kChunk);
  b.steps = b.folded.count * b.segments;
  b.results = b.kept.count * (b.by_rows ? 1 : b.row);
  const int64_t step = std::max<int64_t>(1, b.by_rows ? std::min(b.row, kSegment) : b.chunk);
  const bool whole =
      b.kind == Reduce::Kind::kLogSumExp || (!b.by_rows && b.kept.count * b.chunks >= kManyTasks);
  b.block_steps = whole ? b.steps : std::max<int64_t>(1, kTaskFloats / step);
  b.blocks = whole ? 1 : parts(b.steps, b.block_steps);
  b.task_outputs = b.blocks > 1 || b.chunks > 1
                       ? 1
                       : std::max<int64_t>(1, kTaskFloats / std::max<int64_t>(1, step * b.steps));
}

}  // namespace

void split_reduce(ReduceBound& b, Reduce::Kind kind, const Dims& dims, const Ints& axes) {
  b.kind = kind, b.fold = fold_of(kind);
  merge_axes(dims, axes, b);
  split(b);
}

}  // namespace vitrify::cpu
