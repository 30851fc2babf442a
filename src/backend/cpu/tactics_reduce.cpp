// Reductions over neighbouring axes: [outer, n, inner] → [outer, inner].
#include <algorithm>
#include <cmath>

#include "backend/cpu/families.h"
#include "backend/cpu/kernels/fold.h"
#include "base/error.h"
#include "base/thread_pool.h"

namespace vitrify::cpu {

namespace {

std::vector<Config> configs(const NodeView&) { return {isa_name(max_isa())}; }

TacticState load(const Op&, const Config& config, std::span<const std::byte>) {
  Isa isa = parse_isa(config);
  require(isa <= machine_isa(), "the engine needs ", config,
          ", which this machine lacks; build it again here");
  return std::make_shared<Isa>(isa);
}

/// Sorted, all of them when none are named; empty when they are not neighbours.
Ints neighbouring_axes(const Reduce& op, int64_t rank) {
  Ints sorted;
  for (int64_t a : op.axes) sorted.push_back(a < 0 ? a + rank : a);
  if (sorted.empty())
    for (int64_t a = 0; a < rank; ++a) sorted.push_back(a);
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 1; i < sorted.size(); ++i)
    if (sorted[i] != sorted[i - 1] + 1) return {};
  return sorted;
}

Refusal supports(const NodeView& n) {
  const auto& op = *n.op.as<Reduce>();
  if (n.inputs[0].dtype != DType::kFloat32)
    return cat("elements of type ", name(n.inputs[0].dtype));
  if (!n.inputs[0].has_rank()) return "the rank is unknown";
  if (!op.epilogue.empty()) return "an epilogue";
  if (n.inputs.size() > 1) return "the axes are known only while running";
  if (op.axes.empty() && !op.empty_means_all) return "no axes";
  if (neighbouring_axes(op, int64_t(n.inputs[0].shape->size())).empty())
    return "the axes are not neighbours";
  if (op.kind == Reduce::Kind::kLogSumExp) return "log_sum_exp";
  return {};
}

Fold fold_of(Reduce::Kind kind) {
  switch (kind) {
    case Reduce::Kind::kMax:
      return Fold::kMax;
    case Reduce::Kind::kMin:
      return Fold::kMin;
    case Reduce::Kind::kProd:
      return Fold::kProd;
    case Reduce::Kind::kL1:
      return Fold::kSumAbs;
    case Reduce::Kind::kL2:
    case Reduce::Kind::kSumSquare:
      return Fold::kSumSquare;
    default:
      return Fold::kSum;
  }
}

struct Bound {
  Isa isa;
  Reduce::Kind kind;
  int64_t outer = 1, n = 1, inner = 1;
};

TacticState bind(const TacticState& loaded, const BoundNode& node) {
  const auto& op = *node.op.as<Reduce>();
  const Dims& dims = node.inputs[0].dims;
  Ints axes = neighbouring_axes(op, int64_t(dims.size()));
  CHECK(!axes.empty() && axes.front() >= 0 && axes.back() < int64_t(dims.size()));
  auto b = std::make_shared<Bound>();
  b->isa = *static_cast<const Isa*>(loaded.get());
  b->kind = op.kind;
  for (size_t a = 0; a < dims.size(); ++a)
    (int64_t(a) < axes.front() ? b->outer : int64_t(a) > axes.back() ? b->inner : b->n) *= dims[a];
  return b;
}

float finish(Reduce::Kind kind, float v, int64_t n) {
  switch (kind) {
    case Reduce::Kind::kMean:
      return v / float(n);
    case Reduce::Kind::kL2:
      return std::sqrt(v);
    case Reduce::Kind::kLogSum:
      return std::log(v);
    default:
      return v;
  }
}

void run(const TacticState& bound, const RunCall& call) {
  const auto& b = *static_cast<const Bound*>(bound.get());
  const float* from = call.inputs[0].as<float>();
  float* to = call.outputs[0].as<float>();
  Fold fold = fold_of(b.kind);
  if (b.inner == 1) {
    int64_t rows = std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, b.n));
    return parallel_for((b.outer + rows - 1) / rows, call.max_threads, [&](int64_t task) {
      for (int64_t o = task * rows; o < std::min(b.outer, (task + 1) * rows); ++o)
        to[o] = finish(b.kind, fold_row(b.isa, fold, from + o * b.n, b.n), b.n);
    });
  }
  constexpr int64_t kColumns = 64;
  int64_t chunks = (b.inner + kColumns - 1) / kColumns;
  parallel_for(b.outer * chunks, call.max_threads, [&](int64_t task) {
    int64_t o = task / chunks, c = task % chunks * kColumns,
            width = std::min(kColumns, b.inner - c);
    float* row = to + o * b.inner + c;
    fold_columns(b.isa, fold, row, from + o * b.n * b.inner + c, b.n, b.inner, width);
    for (int64_t i = 0; i < width; ++i) row[i] = finish(b.kind, row[i], b.n);
  });
}

const Tactic kRows[] = {
    {.name = "cpu.reduce",
     .op = Reduce::kName,
     .supports = supports,
     .configs = configs,
     .load = load,
     .bind = bind,
     .run = run},
};

}  // namespace

std::span<const Tactic> reduce_tactics() { return kRows; }

}  // namespace vitrify::cpu
