// The tactic of arg_reduce: lines of `length`, `inner` apart.
#include <algorithm>
#include <limits>

#include "backend/cpu/families.h"
#include "backend/cpu/kernels/reduce.h"
#include "backend/cpu/tactic_parts.h"
#include "base/error.h"
#include "base/thread_pool.h"

namespace vitrify::cpu {

namespace {

struct Bound {
  Isa isa = Isa::kBaseline;
  bool max = true, last = false;
  int64_t outer = 1, length = 1, inner = 1;
};

Refusal supports(const NodeView& n) {
  if (n.inputs[0].dtype != DType::kFloat32) return "x is not f32";
  return n.inputs[0].has_rank() ? "" : "the rank of x is unknown";
}

TacticState bind(const TacticState& isa, const BoundNode& n) {
  const auto& op = *n.op.as<ArgReduce>();
  const Dims& dims = n.inputs[0].dims;
  auto bound = std::make_shared<Bound>();
  bound->isa = isa_of(isa), bound->max = op.max, bound->last = op.select_last;
  const size_t axis = axis_of(op.axis, dims.size());
  for (size_t a = 0; a < dims.size(); ++a)
    (a < axis ? bound->outer : a == axis ? bound->length : bound->inner) *= dims[a];
  require(bound->length > 0 || bound->outer * bound->inner == 0,
          "nothing to choose from along an empty axis");
  require(element_count(n.outputs[0].dims) == bound->outer * bound->inner,
          "the result of arg_reduce has another size");
  return bound;
}

constexpr int64_t kTaskFloats = 1 << 16;
constexpr int64_t kColumns = 256;

/// Columns [c, c + n) of one block of lines.
void columns(const Bound& b, const float* x, int64_t n, int64_t* to) {
  float best[kColumns];
  std::copy_n(x, n, best);
  std::fill_n(to, n, int64_t{0});
  for (int64_t k = 1; k < b.length; ++k) {
    const float* v = x + k * b.inner;
    for (int64_t c = 0; c < n; ++c) {
      const bool better = b.max ? v[c] > best[c] : v[c] < best[c];
      const bool take = better || (b.last && v[c] == best[c]);
      best[c] = take ? v[c] : best[c];
      to[c] = take ? k : to[c];
    }
  }
}

void run(const TacticState& state, const RunCall& call) {
  const auto& b = bound_as<Bound>(state);
  const float* x = call.inputs[0].as<float>();
  auto* y = call.outputs[0].as<int64_t>();
  if (b.outer == 0 || b.inner == 0) return;
  if (b.inner == 1) {
    const int64_t rows = std::max<int64_t>(1, kTaskFloats / b.length);
    return parallel_for((b.outer + rows - 1) / rows, call.max_threads, [&](int64_t t) {
      for (int64_t o = t * rows; o < std::min(b.outer, (t + 1) * rows); ++o)
        y[o] = arg_row(b.isa, b.max, b.last, x + o * b.length, b.length);
    });
  }
  const int64_t chunks = (b.inner + kColumns - 1) / kColumns;
  parallel_for(b.outer * chunks, call.max_threads, [&](int64_t t) {
    const int64_t o = t / chunks, c = t % chunks * kColumns;
    columns(b, x + o * b.length * b.inner + c, std::min(kColumns, b.inner - c),
            y + o * b.inner + c);
  });
}

const Tactic kRows[] = {
    {.name = "cpu.arg_reduce",
     .op = ArgReduce::kName,
     .supports = supports,
     .configs = isa_configs,
     .load = load_isa,
     .bind = bind,
     .run = run},
};

}  // namespace

std::span<const Tactic> arg_reduce_tactics() { return kRows; }

}  // namespace vitrify::cpu
