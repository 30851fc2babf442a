// The tactic of reduce.
#include <algorithm>
#include <cmath>

#include "backend/cpu/families.h"
#include "backend/cpu/kernels/pool.h"
#include "backend/cpu/reduce_bound.h"
#include "backend/cpu/tactic_parts.h"
#include "base/error.h"
#include "base/float_mode.h"
#include "base/thread_pool.h"

namespace vitrify::cpu {

namespace {

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

TacticState reduce_bind(const TacticState& isa, const BoundNode& n) {
  const Reduce& op = *n.op.as<Reduce>();
  auto bound = std::make_shared<ReduceBound>();
  ReduceBound& b = *bound;
  const Dims& dims = n.inputs[0].dims;
  const Ints axes = reduced_axes(op.axes, op.empty_means_all, int64_t(dims.size()));
  require(reduced_dims(dims, axes, op.keepdims) == n.outputs[0].dims, "the reduced shape is not ",
          str(n.outputs[0].dims));
  element_count(dims);  // so that no product overflows
  b.isa = isa_of(isa);
  split_reduce(b, op.kind, dims, axes);
  b.epilogue = EpilogueRunner(b.isa, n, int(own_inputs(n.op, n.inputs.size())), n.outputs[0].dims);
  if (!n.outputs[0].dims.empty()) b.last_axis = n.outputs[0].dims.back();
  return bound;
}

/// Partial folds of blocks; for log_sum_exp, the maxima.
int64_t reduce_workspace(const TacticState& state) {
  const auto& b = bound_as<ReduceBound>(state);
  if (b.kind == Reduce::Kind::kLogSumExp) return b.by_rows ? 0 : b.results * 4;
  if (b.blocks == 1) return 0;
  return b.by_rows ? b.kept.count * b.blocks * 8 : b.results * b.blocks * 4;
}

float finished(const ReduceBound& b, double v) {
  switch (b.kind) {
    case Reduce::Kind::kMean:
      return float(v / double(b.count));
    case Reduce::Kind::kL2:
      return float(std::sqrt(v));
    case Reduce::Kind::kLogSum:
      return float(std::log(v));
    case Reduce::Kind::kMax:
    case Reduce::Kind::kMin:
      return unflushed(v);
    default:
      return float(v);
  }
}

void finish_columns(const ReduceBound& b, float* y, int64_t n) {
  if (b.kind == Reduce::Kind::kMean) {
    scale_row(b.isa, 1.0f / float(b.count), n, y);  // of nothing: 0 * inf, NaN
  } else if (b.kind == Reduce::Kind::kL2) {
    root_row(b.isa, 2, n, y);
  } else if (b.kind == Reduce::Kind::kLogSum) {
    for (int64_t c = 0; c < n; ++c) y[c] = std::log(y[c]);
  }
}

/// The epilogue of results [begin, end), which may be parts of several rows.
void run_epilogue(const ReduceBound& b, EpilogueRun* run, float* y, int64_t begin, int64_t end) {
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
void for_each_piece(const ReduceBound& b, const float* x, int64_t o, int64_t begin, int64_t end,
                    F f) {
  const float* base = x + b.kept.offset(o);
  for (int64_t s = begin; s < end; ++s) {
    const int64_t at = s % b.segments * kSegment;
    f(base + b.folded.offset(s / b.segments) + at,
      b.segments == 1 ? b.row : std::min(kSegment, b.row - at));
  }
}

double fold_rows(const ReduceBound& b, const float* x, int64_t o, int64_t begin, int64_t end) {
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

/// Columns [begin, begin + count) of the row of results that output `o` is.
struct Columns {
  int64_t o, begin, count;
};

/// Calls f(floats, rows, stride) for the runs of rows that steps [begin, end) of the columns are.
template <class F>
void for_each_run(const ReduceBound& b, const float* x, const Columns& at, int64_t begin,
                  int64_t end, F f) {
  const float* base = x + b.kept.offset(at.o) + at.begin;
  const Group last = b.folded.list.empty() ? Group{1, 0} : b.folded.list.back();
  while (begin < end) {
    const int64_t n = std::min(last.extent - begin % last.extent, end - begin);
    f(base + b.folded.offset(begin), n, last.stride);
    begin += n;
  }
}

void fold_columns(const ReduceBound& b, const float* x, const Columns& at, int64_t begin,
                  int64_t end, float* out) {
  std::fill_n(out, at.count, fold_identity(b.fold));
  for_each_run(b, x, at, begin, end, [&](const float* from, int64_t rows, int64_t stride) {
    fold_columns(b.isa, b.fold, from, rows, stride, at.count, out);
  });
}

void log_sum_exp_columns(const ReduceBound& b, const float* x, const Columns& at, float* shift,
                         float* out) {
  fold_columns(b, x, at, 0, b.steps, shift);
  for (int64_t c = 0; c < at.count; ++c)
    if (!std::isfinite(shift[c])) shift[c] = 0;
  std::fill_n(out, at.count, 0.0f);
  for_each_run(b, x, at, 0, b.steps, [&](const float* from, int64_t rows, int64_t stride) {
    exp_sum_columns(b.isa, from, rows, stride, at.count, shift, out);
  });
  for (int64_t c = 0; c < at.count; ++c) out[c] = std::log(out[c]) + shift[c];
}

void run_rows(const ReduceBound& b, const RunCall& call, EpilogueRun* epilogue) {
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

void run_columns(const ReduceBound& b, const RunCall& call, EpilogueRun* epilogue) {
  const float* x = call.inputs[0].as<float>();
  float* y = call.outputs[0].as<float>();
  auto* work = reinterpret_cast<float*>(call.workspace);
  const int64_t outputs = b.kept.count;
  auto columns = [&](int64_t o, int64_t chunk) {
    return Columns{o, chunk * b.chunk, std::min(b.chunk, b.row - chunk * b.chunk)};
  };
  if (b.blocks == 1) {
    const int64_t groups = (outputs + b.task_outputs - 1) / b.task_outputs;
    return parallel_for(groups * b.chunks, call.max_threads, [&](int64_t t) {
      const int64_t first = t / b.chunks * b.task_outputs;
      for (int64_t o = first; o < std::min(outputs, first + b.task_outputs); ++o) {
        const Columns at = columns(o, t % b.chunks);
        const int64_t begin = o * b.row + at.begin;
        if (b.kind == Reduce::Kind::kLogSumExp)
          log_sum_exp_columns(b, x, at, work + begin, y + begin);
        else
          fold_columns(b, x, at, 0, b.steps, y + begin), finish_columns(b, y + begin, at.count);
        run_epilogue(b, epilogue, y, begin, begin + at.count);
      }
    });
  }
  parallel_for(outputs * b.blocks * b.chunks, call.max_threads, [&](int64_t t) {
    const int64_t block = t / b.chunks, begin = block % b.blocks * b.block_steps;
    const Columns at = columns(block / b.blocks, t % b.chunks);
    fold_columns(b, x, at, begin, std::min(b.steps, begin + b.block_steps),
                 work + block * b.row + at.begin);
  });
  parallel_for(outputs * b.chunks, call.max_threads, [&](int64_t t) {
    const Columns at = columns(t / b.chunks, t % b.chunks);
    const int64_t begin = at.o * b.row + at.begin;
    for (int64_t k = 0; k < b.blocks; ++k) {
      const float* part = work + (at.o * b.blocks + k) * b.row + at.begin;
      if (k == 0)
        std::copy_n(part, at.count, y + begin);
      else
        join_rows(b.isa, join_of(b.fold), part, at.count, y + begin);
    }
    finish_columns(b, y + begin, at.count);
    run_epilogue(b, epilogue, y, begin, begin + at.count);
  });
}

void reduce_run(const TacticState& state, const RunCall& call) {
  const auto& b = bound_as<ReduceBound>(state);
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
