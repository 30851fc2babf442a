#include "backend/cpu/pointwise_loop.h"

#include <algorithm>

#include "base/error.h"
#include "base/thread_pool.h"

namespace vitrify::cpu {

namespace {

constexpr int64_t kTaskElements = 16384;
constexpr int64_t kShortRow = 256, kTile = 512;  // elements

constexpr int64_t div_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct Block {
  int64_t rows, columns, row_stride, column_stride;  ///< strides in bytes
};

template <class T>
void copy_block(const std::byte* from, const Block& f, std::byte* to, const Block& t) {
  for (int64_t r = 0; r < f.rows; ++r) {
    const std::byte* x = from + r * f.row_stride;
    std::byte* y = to + r * t.row_stride;
    if (f.column_stride == int64_t(sizeof(T)) && t.column_stride == int64_t(sizeof(T)))
      std::copy_n(reinterpret_cast<const T*>(x), f.columns, reinterpret_cast<T*>(y));
    else
      for (int64_t c = 0; c < f.columns; ++c)
        *reinterpret_cast<T*>(y + c * t.column_stride) =
            *reinterpret_cast<const T*>(x + c * f.column_stride);
  }
}

void copy_block(int64_t size, const std::byte* from, const Block& f, std::byte* to,
                const Block& t) {
  (size == 1   ? copy_block<uint8_t>
   : size == 2 ? copy_block<uint16_t>
   : size == 4 ? copy_block<uint32_t>
               : copy_block<uint64_t>)(from, f, to, t);
}

}  // namespace

PointwiseLoop::PointwiseLoop(const Dims& dims, std::span<const Extents> operands,
                             std::span<const DType> operand_types, std::span<const Extents> results,
                             std::span<const DType> result_types)
    : rank_(int(dims.size())), operands_(operands.size()) {
  require(dims.size() <= kMaxLoopRank && operands.size() + results.size() <= kMaxLoopOperands,
          "a pointwise step of rank ", dims.size(), " on ", operands.size(), " operands");
  std::copy(dims.begin(), dims.end(), dims_);
  if (rank_ == 0) rank_ = 1, dims_[0] = 1;
  for (size_t i = 0; i < operands.size(); ++i) add(operands[i], dims, operand_types[i]);
  for (size_t i = 0; i < results.size(); ++i) {
    require(results[i].dims == dims, "results of a pointwise step differ in shape");
    add(results[i], dims, result_types[i]);
  }
  merge();
  choose_segments();
}

void PointwiseLoop::add(const Extents& e, const Dims& dims, DType dtype) {
  require(e.dims.size() <= dims.size(), "an operand of shape ", str(e.dims),
          " does not broadcast to ", str(dims));
  Walk w;
  w.size = bit_width(dtype) / 8;
  const size_t skip = dims.size() - e.dims.size();
  for (size_t a = 0; a < e.dims.size(); ++a) {
    require(e.dims[a] == 1 || e.dims[a] == dims[a + skip], "an operand of shape ", str(e.dims),
            " does not broadcast to ", str(dims));
    if (e.dims[a] != 1) w.strides[a + skip] = e.strides[a] * w.size;
  }
  walks_.push_back(w);
}

void PointwiseLoop::drop(int axis) {
  auto close = [&](int64_t* list) { std::copy(list + axis + 1, list + rank_, list + axis); };
  close(dims_);
  for (Walk& w : walks_) close(w.strides);
  --rank_;
}

void PointwiseLoop::merge() {
  for (int a = rank_; a-- > 0;) {
    if (dims_[a] == 1 && rank_ > 1) {
      drop(a);
      continue;
    }
    if (a + 1 >= rank_) continue;
    bool even = true;
    for (const Walk& w : walks_) even &= w.strides[a] == w.strides[a + 1] * dims_[a + 1];
    if (!even) continue;
    dims_[a + 1] *= dims_[a];
    drop(a);
  }
}

void PointwiseLoop::choose_segments() {
  const int last = rank_ - 1;
  const int64_t inner = dims_[last], outer = last > 0 ? dims_[last - 1] : 1;
  bool tiled = inner < kShortRow && last > 0;
  for (const Walk& w : walks_) tiled |= w.strides[last] != 0 && w.strides[last] != w.size;
  columns_ = std::max<int64_t>(1, std::min(inner, tiled ? kTile : kTaskElements));
  rows_ = tiled ? std::max<int64_t>(1, std::min(outer, kTile / columns_)) : 1;
  for (Walk& w : walks_) {
    w.step = w.strides[last] != 0 || (rows_ > 1 && w.strides[last - 1] != 0);
    const bool is_row = w.strides[last] == w.size || inner == 1;
    const bool rows_follow = rows_ == 1 || w.strides[last - 1] == inner * w.size;
    w.buffered = w.step != 0 && !(is_row && rows_follow);
  }
  column_segments_ = div_up(inner, columns_);
  row_segments_ = div_up(outer, rows_);
  units_ = column_segments_ * row_segments_;
  for (int a = 0; a + 1 < last; ++a) units_ *= dims_[a];
  task_units_ = std::max<int64_t>(1, kTaskElements / (rows_ * columns_));
}

/// Runs segments one after the other.
class PointwiseLoop::Task {
 public:
  Task(const PointwiseLoop& loop, const RunCall& call) : l_(loop), count_(loop.walks_.size()) {
    for (size_t i = 0; i < count_; ++i) {
      base_[i] = i < l_.operands_ ? call.inputs[i].data : call.outputs[i - l_.operands_].data;
      steps_[i] = l_.walks_[i].step;
      copied_[i] = nullptr;
    }
  }

  void run(int64_t unit, Segment segment, const void* context) {
    locate(unit);
    for (size_t i = 0; i < l_.operands_; ++i)
      if (l_.walks_[i].buffered) load(i);
    for (size_t i = l_.operands_; i < count_; ++i)
      if (l_.walks_[i].buffered && at_[i]) row_[i] = buffers_[i];
    segment(context, row_, steps_, row_ + l_.operands_, rows_ * columns_);
    for (size_t i = l_.operands_; i < count_; ++i)
      if (const Walk& w = l_.walks_[i]; w.buffered && at_[i])
        copy_block(w.size, buffers_[i], packed(w), at_[i], block(w));
  }

 private:
  /// Extents of the segment and where each operand's part of it begins.
  void locate(int64_t unit) {
    const int last = l_.rank_ - 1;
    const int64_t column = unit % l_.column_segments_ * l_.columns_;
    unit /= l_.column_segments_;
    const int64_t row = unit % l_.row_segments_ * l_.rows_;
    unit /= l_.row_segments_;
    columns_ = std::min(l_.columns_, l_.dims_[last] - column);
    rows_ = last > 0 ? std::min(l_.rows_, l_.dims_[last - 1] - row) : 1;
    int64_t index[kMaxLoopRank];
    for (int a = last - 1; a-- > 0;) index[a] = a ? unit % l_.dims_[a] : unit, unit /= l_.dims_[a];
    for (size_t i = 0; i < count_; ++i) {
      const Walk& w = l_.walks_[i];
      int64_t offset = column * w.strides[last];
      if (last > 0) offset += row * w.strides[last - 1];
      for (int a = 0; a + 1 < last; ++a) offset += index[a] * w.strides[a];
      row_[i] = at_[i] = base_[i] ? base_[i] + offset : nullptr;
    }
  }

  Block block(const Walk& w) const {
    const int last = l_.rank_ - 1;
    return {rows_, columns_, last > 0 ? w.strides[last - 1] : 0, w.strides[last]};
  }
  Block packed(const Walk& w) const { return {rows_, columns_, columns_ * w.size, w.size}; }

  /// What repeats for every segment is copied once.
  void load(size_t i) {
    const Walk& w = l_.walks_[i];
    row_[i] = buffers_[i];
    if (copied_[i] == at_[i] && copied_rows_[i] >= rows_ && copied_columns_[i] == columns_) return;
    copied_[i] = at_[i], copied_rows_[i] = rows_, copied_columns_[i] = columns_;
    copy_block(w.size, at_[i], block(w), buffers_[i], packed(w));
  }

  const PointwiseLoop& l_;
  size_t count_;
  int64_t rows_ = 1, columns_ = 1;
  std::byte *base_[kMaxLoopOperands], *at_[kMaxLoopOperands], *row_[kMaxLoopOperands];
  int64_t steps_[kMaxLoopOperands];
  const std::byte* copied_[kMaxLoopOperands];
  int64_t copied_rows_[kMaxLoopOperands], copied_columns_[kMaxLoopOperands];
  alignas(64) std::byte buffers_[kMaxLoopOperands][kTile * 8];
};

void PointwiseLoop::run(const RunCall& call, Segment segment, const void* context) const {
  if (std::find(dims_, dims_ + rank_, 0) != dims_ + rank_) return;
  const int64_t tasks = div_up(units_, task_units_);
  parallel_for(tasks, call.max_threads, [&](int64_t t) {
    Task task(*this, call);
    for (int64_t u = t * task_units_; u < std::min(units_, (t + 1) * task_units_); ++u)
      task.run(u, segment, context);
  });
}

}  // namespace vitrify::cpu
