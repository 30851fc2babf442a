#include "backend/cpu/pointwise_loop.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/thread_pool.h"

namespace vitrify::cpu {

namespace {

constexpr int64_t kTaskElements = 16384;
constexpr int64_t kGapElements = 256;  ///< of a buffer for operands with gaps
constexpr int64_t kShortRow = 256, kRepeatedRow = 1024;

void copy_gapped(const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step,
                 int64_t size, int64_t n) {
  auto copy = [&]<class T>(T) {
    for (int64_t i = 0; i < n; ++i)
      *reinterpret_cast<T*>(to + i * to_step) = *reinterpret_cast<const T*>(from + i * from_step);
  };
  switch (size) {
    case 1:
      return copy(uint8_t{});
    case 2:
      return copy(uint16_t{});
    case 4:
      return copy(uint32_t{});
    default:
      return copy(uint64_t{});
  }
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
  segment_ = kTaskElements;
  repeat_rows();
  for (Walk& w : walks_) {
    w.step = w.periodic ? 1 : w.strides[rank_ - 1] / w.size;
    if (w.gapped()) segment_ = kGapElements;
  }
  const int64_t inner = dims_[rank_ - 1], segments = (inner + segment_ - 1) / segment_;
  units_ = segments;
  for (int a = 0; a + 1 < rank_; ++a) units_ *= dims_[a];
  const int64_t unit = std::max<int64_t>(1, std::min(inner, segment_));
  task_units_ = std::max<int64_t>(1, kTaskElements / unit);
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

/// Merges the two last axes when the rows are short and every operand either goes on evenly or has
/// one row for all.
void PointwiseLoop::repeat_rows() {
  if (rank_ < 2 || dims_[rank_ - 1] >= kShortRow || dims_[rank_ - 1] == 0) return;
  const int last = rank_ - 1;
  const int64_t period = dims_[last];
  auto repeats = [&](const Walk& w) {
    return w.strides[last] == w.size &&
           std::all_of(w.strides, w.strides + last, [](int64_t s) { return s == 0; });
  };
  bool any = false;
  for (size_t i = 0; i < walks_.size(); ++i) {
    const Walk& w = walks_[i];
    if (w.strides[last] != 0 && w.strides[last] != w.size) return;
    if (w.strides[last - 1] == w.strides[last] * period) continue;
    if (i >= operands_ || !repeats(w)) return;
    any = true;
  }
  if (!any) return;
  const int64_t rows = std::clamp<int64_t>(dims_[last - 1], 1, kRepeatedRow / period);
  period_ = period;
  segment_ = rows * period;
  for (size_t i = 0; i < operands_; ++i) {
    Walk& w = walks_[i];
    if (w.strides[last - 1] == w.strides[last] * period) continue;
    w.periodic = true;
    w.copies_at = workspace_;
    workspace_ += (segment_ * w.size + 63) / 64 * 64;
  }
  dims_[last] *= dims_[last - 1];
  drop(last - 1);
}

void PointwiseLoop::run(const RunCall& call, Segment segment, const void* context) const {
  for (size_t i = 0; i < operands_; ++i) {
    const Walk& w = walks_[i];
    if (!w.periodic) continue;
    const size_t row = size_t(period_ * w.size);
    for (int64_t k = 0; k < segment_ / period_; ++k)
      std::memcpy(call.workspace + w.copies_at + k * int64_t(row), call.inputs[i].data, row);
  }
  if (std::find(dims_, dims_ + rank_, 0) != dims_ + rank_) return;
  const int64_t tasks = (units_ + task_units_ - 1) / task_units_;
  parallel_for(tasks, call.max_threads, [&](int64_t t) {
    run_units(call, t * task_units_, std::min(units_, (t + 1) * task_units_), segment, context);
  });
}

void PointwiseLoop::run_units(const RunCall& call, int64_t begin, int64_t end, Segment segment,
                              const void* context) const {
  const int last = rank_ - 1;
  const int64_t inner = dims_[last], segments = (inner + segment_ - 1) / segment_;
  alignas(64) std::byte buffers[kMaxLoopOperands][kGapElements * 8];
  std::byte* row[kMaxLoopOperands];
  int64_t steps[kMaxLoopOperands];
  for (size_t i = 0; i < walks_.size(); ++i) steps[i] = walks_[i].step != 0;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t at = u % segments * segment_, n = std::min(segment_, inner - at);
    int64_t index[kMaxLoopRank];
    int64_t rest = u / segments;
    for (int a = last; a-- > 0;) index[a] = a ? rest % dims_[a] : rest, rest /= dims_[a];
    for (size_t i = 0; i < walks_.size(); ++i) {
      const Walk& w = walks_[i];
      std::byte* base = i < operands_ ? call.inputs[i].data : call.outputs[i - operands_].data;
      int64_t offset = w.periodic ? 0 : at * w.strides[last];
      for (int a = 0; a < last; ++a) offset += index[a] * w.strides[a];
      row[i] = !base ? nullptr : w.periodic ? call.workspace + w.copies_at : base + offset;
    }
    size_t used = 0;
    std::byte* gapped[kMaxLoopOperands];
    for (size_t i = 0; i < walks_.size(); ++i) {
      const Walk& w = walks_[i];
      if (!w.gapped() || !row[i]) continue;
      gapped[i] = row[i];
      if (i < operands_) copy_gapped(row[i], w.strides[last], buffers[used], w.size, w.size, n);
      row[i] = buffers[used++];
    }
    segment(context, row, steps, row + operands_, n);
    for (size_t i = operands_; i < walks_.size(); ++i)
      if (const Walk& w = walks_[i]; w.gapped() && row[i])
        copy_gapped(row[i], w.size, gapped[i], w.strides[last], w.size, n);
  }
}

}  // namespace vitrify::cpu
