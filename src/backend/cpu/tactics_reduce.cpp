// The tactic of reduce. Axes merge into groups that are kept or folded in turn; then
// either rows are folded (the last group is) or columns (it is kept).
#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/families.h"
#include "backend/cpu/kernels/epilogue_body.h"
#include "backend/cpu/kernels/pool.h"
#include "backend/cpu/kernels/reduce.h"
#include "backend/cpu/tactic_parts.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "ops/reduce.h"

namespace vitrify::cpu {

namespace {

constexpr int64_t kTaskFloats = 1 << 16;
constexpr int64_t kSegment = 1 << 14;  // of a long row

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

struct Bound {
  Isa isa = Isa::kBaseline;
  Reduce::Kind kind{};
  Fold fold{};
  bool by_rows = true;
  int64_t row = 1;       ///< floats of the last group
  Groups kept, folded;   ///< without the last group
  int64_t count = 1;     ///< elements that one result folds
  int64_t segments = 1;  ///< by_rows: pieces of a row; a step is one of them
  int64_t steps = 1, block_steps = 1, blocks = 1;  ///< a block's steps are folded by one task
  int64_t results = 1, task_outputs = 1;
  int64_t last_axis = 1;
  EpilogueRunner epilogue;
};

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
/// How partial folds are joined.
Fold join_of(Fold fold) {
  return fold == Fold::kAbsSum || fold == Fold::kSquareSum ? Fold::kSum : fold;
}

size_t own_inputs(const Op& op, size_t inputs) {
  const Body* body = op.body();
  return body->empty() ? inputs : inputs - std::min(inputs, size_t(body->inputs - 1));
}

Refusal reduce_supports(const NodeView& n) {
  if (Refusal r = check_floats(n, 1); !r.empty()) return r;
  if (!n.inputs[0].has_rank() || !n.outputs[0].has_rank()) return "a rank is unknown";
  if (n.inputs[0].shape->size() > 16) return "a rank above 16";
  const size_t own = own_inputs(n.op, n.inputs.size());
  if (own < 1 || (own > 1 && n.inputs[1].is_tensor())) return "the axes come at run time";
  return EpilogueRunner::refusal(n, int(own));
}

/// Sorts the axes into groups; extents of 1 do not matter.
void merge_axes(const Dims& dims, const Ints& axes, Bound& b) {
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

void split(Bound& b) {
  const bool whole = b.kind == Reduce::Kind::kLogSumExp;
  if (b.by_rows) b.segments = std::max<int64_t>(1, (b.row + kSegment - 1) / kSegment);
  b.steps = b.folded.count * b.segments;
  const int64_t step = std::max<int64_t>(1, std::min(b.row, b.by_rows ? kSegment : b.row));
  b.block_steps = whole ? b.steps : std::max<int64_t>(1, kTaskFloats / step);
  b.blocks = whole ? 1 : std::max<int64_t>(1, (b.steps + b.block_steps - 1) / b.block_steps);
  b.task_outputs =
      b.blocks > 1 ? 1 : std::max<int64_t>(1, kTaskFloats / std::max<int64_t>(1, step * b.steps));
  b.results = b.kept.count * (b.by_rows ? 1 : b.row);
}

TacticState reduce_bind(const TacticState& isa, const BoundNode& n) {
  const Reduce& op = *n.op.as<Reduce>();
  auto bound = std::make_shared<Bound>();
  Bound& b = *bound;
  const Dims& dims = n.inputs[0].dims;
  const Ints axes = reduced_axes(op.axes, op.empty_means_all, int64_t(dims.size()));
  require(reduced_dims(dims, axes, op.keepdims) == n.outputs[0].dims, "the reduced shape is not ",
          str(n.outputs[0].dims));
  element_count(dims);  // so that no product overflows
  b.isa = isa_of(isa), b.kind = op.kind, b.fold = fold_of(op.kind);
  merge_axes(dims, axes, b);
  split(b);
  b.epilogue = EpilogueRunner(b.isa, n, int(own_inputs(n.op, n.inputs.size())), n.outputs[0].dims);
  if (!n.outputs[0].dims.empty()) b.last_axis = n.outputs[0].dims.back();
  return bound;
}

/// Partial folds of blocks; for log_sum_exp, the maxima.
int64_t reduce_workspace(const TacticState& state) {
  const auto& b = bound_as<Bound>(state);
  if (b.kind == Reduce::Kind::kLogSumExp) return b.by_rows ? 0 : b.results * 4;
  if (b.blocks == 1) return 0;
  return b.by_rows ? b.kept.count * b.blocks * 8 : b.results * b.blocks * 4;
}

float finished(const Bound& b, double v) {
  switch (b.kind) {
    case Reduce::Kind::kMean:
      return float(v / double(b.count));
    case Reduce::Kind::kL2:
      return float(std::sqrt(v));
    case Reduce::Kind::kLogSum:
      return float(std::log(v));
    default:
      return float(v);
  }
}

void finish_row(const Bound& b, float* row) {
  if (b.kind == Reduce::Kind::kMean) {
    scale_row(b.isa, 1.0f / float(b.count), b.row, row);
    if (b.count == 0) std::fill_n(row, b.row, std::numeric_limits<float>::quiet_NaN());
  } else if (b.kind == Reduce::Kind::kL2) {
    root_row(b.isa, 2, b.row, row);
  } else if (b.kind == Reduce::Kind::kLogSum) {
    for (int64_t c = 0; c < b.row; ++c) row[c] = std::log(row[c]);
  }
}

/// The epilogue of results [begin, end), which may be parts of several rows.
void run_epilogue(const Bound& b, EpilogueRun* run, float* y, int64_t begin, int64_t end) {
  if (b.epilogue.empty()) return;
  while (begin < end) {
    const int64_t row = begin / b.last_axis, col = begin % b.last_axis;
    const int64_t n = std::min(b.last_axis - col, end - begin);
    EpilogueRunner::tile(run, y + begin, row, col, n);
    begin += n;
  }
}

/// Calls f(floats, count) for the row pieces of steps [begin, end) of result `o`.
template <class F>
void for_each_piece(const Bound& b, const float* x, int64_t o, int64_t begin, int64_t end, F f) {
  const float* base = x + b.kept.offset(o);
  for (int64_t s = begin; s < end; ++s) {
    const int64_t at = s % b.segments * kSegment;
    f(base + b.folded.offset(s / b.segments) + at,
      b.segments == 1 ? b.row : std::min(kSegment, b.row - at));
  }
}

double fold_rows(const Bound& b, const float* x, int64_t o, int64_t begin, int64_t end) {
  double v = double(fold_identity(b.fold));
  for_each_piece(b, x, o, begin, end, [&](const float* row, int64_t n) {
    v = join_folds(join_of(b.fold), v, fold_row(b.isa, b.fold, row, n));
  });
  if (b.kind != Reduce::Kind::kLogSumExp) return v;
  const float shift = std::isfinite(v) ? float(v) : 0.0f;
  double sum = 0;
  for_each_piece(b, x, o, begin, end,
                 [&](const float* row, int64_t n) { sum += exp_sum_row(b.isa, row, n, shift); });
  return std::log(sum) + double(shift);
}

/// Calls f(floats, rows, stride) for the runs of rows that steps [begin, end) of result row `o`
/// are.
template <class F>
void for_each_run(const Bound& b, const float* x, int64_t o, int64_t begin, int64_t end, F f) {
  const float* base = x + b.kept.offset(o);
  const Group last = b.folded.list.empty() ? Group{1, 0} : b.folded.list.back();
  while (begin < end) {
    const int64_t n = std::min(last.extent - begin % last.extent, end - begin);
    f(base + b.folded.offset(begin), n, last.stride);
    begin += n;
  }
}

void fold_columns(const Bound& b, const float* x, int64_t o, int64_t begin, int64_t end,
                  float* out) {
  std::fill_n(out, b.row, fold_identity(b.fold));
  for_each_run(b, x, o, begin, end, [&](const float* from, int64_t rows, int64_t stride) {
    fold_columns(b.isa, b.fold, from, rows, stride, b.row, out);
  });
}

void log_sum_exp_columns(const Bound& b, const float* x, int64_t o, float* shift, float* out) {
  fold_columns(b, x, o, 0, b.steps, shift);
  for (int64_t c = 0; c < b.row; ++c)
    if (!std::isfinite(shift[c])) shift[c] = 0;
  std::fill_n(out, b.row, 0.0f);
  for_each_run(b, x, o, 0, b.steps, [&](const float* from, int64_t rows, int64_t stride) {
    exp_sum_columns(b.isa, from, rows, stride, b.row, shift, out);
  });
  for (int64_t c = 0; c < b.row; ++c) out[c] = std::log(out[c]) + shift[c];
}

void run_rows(const Bound& b, const RunCall& call, EpilogueRun* epilogue) {
  const float* x = call.inputs[0].as<float>();
  float* y = call.outputs[0].as<float>();
  const int64_t outputs = b.kept.count;
  if (b.blocks == 1) {
    const int64_t tasks = (outputs + b.task_outputs - 1) / b.task_outputs;
    return parallel_for(tasks, call.max_threads, [&](int64_t t) {
      const int64_t begin = t * b.task_outputs, end = std::min(outputs, begin + b.task_outputs);
      for (int64_t o = begin; o < end; ++o) y[o] = finished(b, fold_rows(b, x, o, 0, b.steps));
      run_epilogue(b, epilogue, y, begin, end);
    });
  }
  auto* parts = reinterpret_cast<double*>(call.workspace);
  parallel_for(outputs * b.blocks, call.max_threads, [&](int64_t t) {
    const int64_t begin = t % b.blocks * b.block_steps;
    parts[t] = fold_rows(b, x, t / b.blocks, begin, std::min(b.steps, begin + b.block_steps));
  });
  for (int64_t o = 0; o < outputs; ++o) {
    double v = parts[o * b.blocks];
    for (int64_t k = 1; k < b.blocks; ++k)
      v = join_folds(join_of(b.fold), v, parts[o * b.blocks + k]);
    y[o] = finished(b, v);
  }
  run_epilogue(b, epilogue, y, 0, outputs);
}

void run_columns(const Bound& b, const RunCall& call, EpilogueRun* epilogue) {
  const float* x = call.inputs[0].as<float>();
  float* y = call.outputs[0].as<float>();
  auto* work = reinterpret_cast<float*>(call.workspace);
  const int64_t outputs = b.kept.count;
  if (b.blocks == 1) {
    const int64_t tasks = (outputs + b.task_outputs - 1) / b.task_outputs;
    return parallel_for(tasks, call.max_threads, [&](int64_t t) {
      const int64_t begin = t * b.task_outputs, end = std::min(outputs, begin + b.task_outputs);
      for (int64_t o = begin; o < end; ++o) {
        float* out = y + o * b.row;
        if (b.kind == Reduce::Kind::kLogSumExp)
          log_sum_exp_columns(b, x, o, work + o * b.row, out);
        else
          fold_columns(b, x, o, 0, b.steps, out), finish_row(b, out);
      }
      run_epilogue(b, epilogue, y, begin * b.row, end * b.row);
    });
  }
  parallel_for(outputs * b.blocks, call.max_threads, [&](int64_t t) {
    const int64_t begin = t % b.blocks * b.block_steps;
    fold_columns(b, x, t / b.blocks, begin, std::min(b.steps, begin + b.block_steps),
                 work + t * b.row);
  });
  parallel_for(outputs, call.max_threads, [&](int64_t o) {
    float* out = y + o * b.row;
    std::copy_n(work + o * b.blocks * b.row, b.row, out);
    for (int64_t k = 1; k < b.blocks; ++k)
      join_rows(b.isa, join_of(b.fold), work + (o * b.blocks + k) * b.row, b.row, out);
    finish_row(b, out);
    run_epilogue(b, epilogue, y, o * b.row, (o + 1) * b.row);
  });
}

void reduce_run(const TacticState& state, const RunCall& call) {
  const auto& b = bound_as<Bound>(state);
  if (b.results == 0) return;
  EpilogueRun epilogue =
      b.epilogue.start(call, int(call.inputs.size()) - b.epilogue.operand_count());
  (b.by_rows ? run_rows : run_columns)(b, call, &epilogue);
}

const Tactic kRows[] = {
    {.name = "cpu.reduce",
     .op = Reduce::kName,
     .supports = reduce_supports,
     .configs = isa_configs,
     .load = load_isa,
     .bind = reduce_bind,
     .workspace = reduce_workspace,
     .run = reduce_run},
};

}  // namespace

std::span<const Tactic> reduce_tactics() { return kRows; }

}  // namespace vitrify::cpu
