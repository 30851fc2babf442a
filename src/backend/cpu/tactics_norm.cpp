// Softmax and normalisation.
#include <algorithm>
#include <cstring>

#include "backend/cpu/families.h"
#include "backend/cpu/kernels/normalize.h"
#include "backend/cpu/kernels/softmax.h"
#include "backend/cpu/tactic_parts.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "ops/elements.h"

namespace vitrify::cpu {

namespace {

constexpr int64_t kTaskFloats = 1 << 13;

Refusal float_of_known_rank(const NodeView& n) {
  if (n.inputs[0].dtype != DType::kFloat32)
    return cat("elements of type ", name(n.inputs[0].dtype));
  return n.inputs[0].has_rank() ? "" : "the rank is unknown";
}

// ---- softmax: [outer, n, inner] ----

struct SoftmaxBound {
  Isa isa;
  int64_t outer, n, inner;
  bool log;
  int tasks;
};

TacticState softmax_bind(const TacticState& loaded, const BoundNode& n) {
  const auto& op = *n.op.as<Softmax>();
  const Dims& dims = n.inputs[0].dims;
  if (dims.empty())
    return std::make_shared<SoftmaxBound>(SoftmaxBound{isa_of(loaded), 1, 1, 1, op.log, 1});
  const size_t axis = axis_of(op.axis, dims.size());
  SoftmaxBound b{isa_of(loaded), count_range(dims, 0, axis),
                 dims[axis],     count_range(dims, axis + 1, dims.size()),
                 op.log,         1};
  b.tasks = std::clamp(n.max_threads, 1, 64);
  return std::make_shared<SoftmaxBound>(b);
}

/// A column that is not contiguous goes through a buffer, one for each task.
int64_t softmax_workspace(const TacticState& bound) {
  const auto& b = bound_as<SoftmaxBound>(bound);
  return b.inner == 1 ? 0 : (b.n + 15) / 16 * 64 * b.tasks;
}

void softmax_run(const TacticState& bound, const RunCall& call) {
  const auto& b = bound_as<SoftmaxBound>(bound);
  const float* from = call.inputs[0].as<float>();
  float* to = call.outputs[0].as<float>();
  if (b.outer == 0 || b.n == 0 || b.inner == 0) return;
  if (b.inner == 1) {
    int64_t rows = std::max<int64_t>(1, kTaskFloats / b.n);
    return parallel_for((b.outer + rows - 1) / rows, call.max_threads, [&](int64_t t) {
      softmax_rows(b.isa, to + t * rows * b.n, from + t * rows * b.n,
                   std::min(rows, b.outer - t * rows), b.n, b.n, b.log);
    });
  }
  int64_t columns = b.outer * b.inner;
  parallel_for(b.tasks, call.max_threads, [&](int64_t t) {
    float* column = reinterpret_cast<float*>(call.workspace) + t * ((b.n + 15) / 16 * 16);
    for (int64_t i = columns * t / b.tasks; i < columns * (t + 1) / b.tasks; ++i) {
      int64_t at = i / b.inner * b.n * b.inner + i % b.inner;
      for (int64_t j = 0; j < b.n; ++j) column[j] = from[at + j * b.inner];
      softmax_rows(b.isa, column, column, 1, b.n, b.n, b.log);
      for (int64_t j = 0; j < b.n; ++j) to[at + j * b.inner] = column[j];
    }
  });
}

uint32_t overwrites_first(const NodeView&) { return 1; }

// ---- normalize: [outer, n, inner], scale and shift along the last axis in the epilogue ----

/// Input numbers of scale and shift, -1 for none; nothing when the Body is of another form.
struct Affine {
  int scale = -1, shift = -1;
};
std::optional<Affine> affine_of(const Body& body) {
  Affine affine;
  int32_t main = 0;
  for (size_t i = 0; i < body.steps.size(); ++i) {
    const BodyStep& s = body.steps[i];
    int32_t other = s.args[0] == main ? s.args[1] : s.args[1] == main ? s.args[0] : -1;
    if (s.code != BodyStep::Code::kBinary || other <= 0 || other >= body.inputs) return {};
    if (s.binary == BinaryKind::kMul && affine.scale < 0 && affine.shift < 0)
      affine.scale = other;
    else if (s.binary == BinaryKind::kAdd && affine.shift < 0)
      affine.shift = other;
    else
      return {};
    main = body.inputs + int32_t(i);
  }
  return affine;
}

bool is_last_axis(const Shape& operand, const Shape& result) {
  return !operand.empty() && operand.back() == result.back() &&
         std::all_of(operand.begin(), operand.end() - 1, [](const Dim& d) { return d == Dim(1); });
}

/// Sorted and without negatives; empty when they are not neighbours.
Ints neighbouring_axes(const Ints& axes, int64_t rank) {
  Ints sorted;
  for (int64_t a : axes) sorted.push_back(a < 0 ? a + rank : a);
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 1; i < sorted.size(); ++i)
    if (sorted[i] != sorted[i - 1] + 1) return {};
  return sorted;
}

Refusal normalize_supports(const NodeView& n) {
  if (Refusal r = float_of_known_rank(n); !r.empty()) return r;
  const auto& op = *n.op.as<Normalize>();
  int64_t rank = int64_t(n.inputs[0].shape->size());
  Ints axes = neighbouring_axes(op.axes, rank);
  if (axes.empty()) return "the axes are not neighbours";
  if (op.epilogue.empty()) return {};
  if (!affine_of(op.epilogue)) return "the epilogue is not scale and shift";
  bool rows = axes.back() == rank - 1;
  if (rows ? axes.size() != 1 : axes.back() != rank - 2)
    return "scale and shift are not along the statistics' rows or columns";
  for (size_t i = 1; i < n.inputs.size(); ++i)
    if (n.inputs[i].dtype != DType::kFloat32 || !n.inputs[i].has_rank() ||
        !is_last_axis(*n.inputs[i].shape, *n.outputs[0].shape))
      return "scale or shift do not lie along the last axis";
  return {};
}

struct NormalizeBound {
  Isa isa;
  int64_t outer, inner;
  bool by_rows;  ///< of n floats; else columns, even if there is but one: scale and shift lie along
                 ///< them
  NormalizeArgs args;
  Affine affine;
  int tasks;
};

TacticState normalize_bind(const TacticState& loaded, const BoundNode& n) {
  const auto& op = *n.op.as<Normalize>();
  const Dims& dims = n.inputs[0].dims;
  Ints axes = neighbouring_axes(op.axes, int64_t(dims.size()));
  CHECK(!axes.empty() && axes.front() >= 0 && axes.back() < int64_t(dims.size()));
  auto b = std::make_shared<NormalizeBound>();
  b->isa = isa_of(loaded);
  b->outer = count_range(dims, 0, size_t(axes.front()));
  b->inner = count_range(dims, size_t(axes.back()) + 1, dims.size());
  b->args.n = count_range(dims, size_t(axes.front()), size_t(axes.back()) + 1);
  b->args.epsilon = float(op.epsilon), b->args.rms = op.rms;
  auto affine = affine_of(op.epilogue);
  require(affine.has_value(), "the epilogue is not scale and shift");
  b->affine = *affine;
  b->by_rows = axes.back() + 1 == int64_t(dims.size()) || (b->inner == 1 && op.epilogue.empty());
  for (int operand : {b->affine.scale, b->affine.shift})
    require(operand < 0 || element_count(n.inputs[size_t(operand)].dims) == dims.back(),
            "scale or shift has another length than the last axis");
  b->tasks = std::clamp(n.max_threads, 1, 64);
  return b;
}

/// Floats of one task's statistics.
int64_t column_floats(const NormalizeBound& b) { return (2 * b.inner + 15) / 16 * 16; }

int64_t normalize_workspace(const TacticState& bound) {
  const auto& b = bound_as<NormalizeBound>(bound);
  return b.by_rows ? 0 : b.tasks * column_floats(b) * 4;
}

void normalize_run(const TacticState& bound, const RunCall& call) {
  const auto& b = bound_as<NormalizeBound>(bound);
  NormalizeArgs args = b.args;
  if (b.affine.scale >= 0) args.scale = call.inputs[size_t(b.affine.scale)].as<float>();
  if (b.affine.shift >= 0) args.shift = call.inputs[size_t(b.affine.shift)].as<float>();
  const float* from = call.inputs[0].as<float>();
  float* to = call.outputs[0].as<float>();
  if (b.outer == 0 || args.n == 0 || b.inner == 0) return;
  if (b.by_rows) {
    int64_t rows = std::max<int64_t>(1, kTaskFloats / args.n);
    return parallel_for((b.outer + rows - 1) / rows, call.max_threads, [&](int64_t t) {
      normalize_rows(b.isa, args, to + t * rows * args.n, from + t * rows * args.n,
                     std::min(rows, b.outer - t * rows));
    });
  }
  parallel_for(b.tasks, call.max_threads, [&](int64_t t) {
    float* work = reinterpret_cast<float*>(call.workspace) + t * column_floats(b);
    for (int64_t o = b.outer * t / b.tasks; o < b.outer * (t + 1) / b.tasks; ++o)
      normalize_columns(b.isa, args, b.inner, to + o * args.n * b.inner,
                        from + o * args.n * b.inner, work);
  });
}

const Tactic kRows[] = {
    {.name = "cpu.softmax",
     .op = Softmax::kName,
     .supports = float_of_known_rank,
     .configs = isa_configs,
     .load = load_isa,
     .bind = softmax_bind,
     .workspace = softmax_workspace,
     .run = softmax_run,
     .overwrites = overwrites_first},
    {.name = "cpu.normalize",
     .op = Normalize::kName,
     .supports = normalize_supports,
     .configs = isa_configs,
     .load = load_isa,
     .bind = normalize_bind,
     .workspace = normalize_workspace,
     .run = normalize_run,
     .overwrites = overwrites_first},
};

}  // namespace

std::span<const Tactic> norm_tactics() { return kRows; }

}  // namespace vitrify::cpu
