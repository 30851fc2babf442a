// Attention without the score matrix: for a block of queries of one head, scores are computed,
// masked and normalised in a buffer that stays in the cache, then multiplied with the values. Keys
// and values are packed once per head. A task is one head, so results do not depend on the number
// of threads.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/families.h"
#include "backend/cpu/kernels/gemm.h"
#include "backend/cpu/kernels/softmax.h"
#include "backend/cpu/tactic_parts.h"
#include "base/error.h"
#include "base/thread_pool.h"

namespace vitrify::cpu {

namespace {

constexpr int64_t kScoreFloats = 1 << 16;  // of a block of queries: 256 KiB
constexpr int kMaxTasks = 64;

Refusal supports(const NodeView& n) {
  for (int i = 0; i < 3; ++i)
    if (n.inputs[size_t(i)].dtype != DType::kFloat32 || !n.inputs[size_t(i)].has_rank())
      return "q, k and v are not f32 of known rank";
  if (n.inputs.size() > 3 && n.inputs[3].is_tensor() && !n.inputs[3].has_rank())
    return "the mask's rank is unknown";
  return {};
}

struct Bound {
  Isa isa;
  int64_t batch, heads, groups, queries, keys, size, value_size;
  Dims q, k, v, y;  ///< strides
  Dims mask;        ///< strides over [batch, heads, queries, keys], 0 where it broadcasts
  bool has_mask = false, bool_mask = false;
  float scale = 1, softcap = 0;
  bool causal = false;
  int64_t block = 1;  ///< queries at a time
  int64_t packed_k = 0, packed_v = 0, score_floats = 0, gemm_floats = 0, per_task = 0;
  int tasks = 1;
};

int64_t round_up(int64_t n) { return (n + 15) / 16 * 16; }

GemmArgs score_args(const Bound& b, int64_t rows) {
  GemmArgs g;
  g.isa = b.isa, g.m = rows, g.n = b.keys, g.k = b.size;
  g.a_row_stride = b.q[2], g.a_col_stride = b.q[3];
  g.c_row_stride = b.keys;
  return g;
}
GemmArgs value_args(const Bound& b, int64_t rows) {
  GemmArgs g;
  g.isa = b.isa, g.m = rows, g.n = b.value_size, g.k = b.keys;
  g.a_row_stride = b.keys;
  g.c_row_stride = b.y[2];
  return g;
}

void bind_mask(Bound& b, const BoundNode& n) {
  b.mask = Dims(4, 0);
  b.has_mask = n.inputs.size() > 3 && n.input_types[3].is_tensor();
  if (!b.has_mask) return;
  b.bool_mask = n.input_types[3].dtype == DType::kBool;
  require(b.bool_mask || n.input_types[3].dtype == DType::kFloat32,
          "attention: the mask is neither bool nor f32");
  const Extents& m = n.inputs[3];
  Dims whole{b.batch, b.heads, b.queries, b.keys};
  require(m.dims.size() <= 4, "attention: the mask has rank ", m.dims.size());
  size_t lead = 4 - m.dims.size();
  for (size_t a = 0; a < m.dims.size(); ++a) {
    require(m.dims[a] == 1 || m.dims[a] == whole[lead + a], "attention: the mask ", str(m.dims),
            " does not broadcast to ", str(whole));
    if (m.dims[a] != 1) b.mask[lead + a] = m.strides[a];
  }
}

TacticState bind(const TacticState& loaded, const BoundNode& n) {
  const auto& op = *n.op.as<Attention>();
  auto bound = std::make_shared<Bound>();
  Bound& b = *bound;
  const Dims &q = n.inputs[0].dims, &k = n.inputs[1].dims, &v = n.inputs[2].dims;
  require(q.size() == 4 && k.size() == 4 && v.size() == 4,
          "attention: q, k and v must have rank 4");
  b.isa = isa_of(loaded);
  const Dims& y = n.outputs[0].dims;
  b.batch = y[0], b.heads = y[1], b.groups = k[1], b.queries = y[2], b.keys = k[2], b.size = q[3],
  b.value_size = v[3];
  require(k[0] == q[0] && v[0] == q[0] && v[1] == b.groups && v[2] == b.keys && k[3] == b.size &&
              b.groups > 0 && q[1] % b.groups == 0,
          "attention: shapes ", str(q), ", ", str(k), " and ", str(v), " do not fit");
  b.q = n.inputs[0].strides, b.k = n.inputs[1].strides, b.v = n.inputs[2].strides,
  b.y = n.outputs[0].strides;
  for (size_t a = 0; a < 3; ++a) {  // where the mask widens
    require(q[a] == y[a] || (q[a] == 1 && op.mask_widens), "attention: q ", str(q),
            " does not give ", str(y));
    if (q[a] != y[a]) b.q[a] = 0;
  }
  if (q[0] != y[0]) b.k[0] = b.v[0] = 0;
  bind_mask(b, n);
  b.scale = float(op.scale), b.softcap = float(op.softcap), b.causal = op.causal;
  b.block = std::clamp<int64_t>(kScoreFloats / std::max<int64_t>(1, b.keys), 6, 192);
  b.block = std::max<int64_t>(1, std::min(b.block, b.queries));
  b.packed_k = packed_b_floats(b.isa, b.size, b.keys),
  b.packed_v = packed_b_floats(b.isa, b.keys, b.value_size);
  b.score_floats = round_up(b.block * b.keys);
  b.gemm_floats = round_up(std::max(gemm_workspace_floats(score_args(b, b.block)),
                                    gemm_workspace_floats(value_args(b, b.block))));
  b.per_task = b.packed_k + b.packed_v + b.score_floats + b.gemm_floats;
  b.tasks = int(std::clamp<int64_t>(b.batch * b.heads, 1, std::clamp(n.max_threads, 1, kMaxTasks)));
  return bound;
}

int64_t workspace(const TacticState& bound) {
  const auto& b = bound_as<Bound>(bound);
  return b.per_task * b.tasks * 4;
}

void mask_row(const Bound& b, const std::byte* mask, int64_t at, float* row) {
  int64_t step = b.mask[3];
  if (b.bool_mask) {
    const auto* m = reinterpret_cast<const uint8_t*>(mask) + at;
    for (int64_t j = 0; j < b.keys; ++j)
      if (!m[j * step]) row[j] = -std::numeric_limits<float>::infinity();
  } else {
    const auto* m = reinterpret_cast<const float*>(mask) + at;
    if (step == 1)
      for (int64_t j = 0; j < b.keys; ++j) row[j] += m[j];
    else
      for (int64_t j = 0; j < b.keys; ++j) row[j] += m[j * step];
  }
}

/// Scale, softcap, mask and softmax of the scores of queries first … first + rows.
void normalize(const Bound& b, const RunCall& call, int64_t n, int64_t h, int64_t first,
               int64_t rows, float* scores) {
  for (int64_t i = 0; i < rows; ++i) {
    float* row = scores + i * b.keys;
    for (int64_t j = 0; j < b.keys; ++j) row[j] *= b.scale;
    if (b.softcap > 0)
      for (int64_t j = 0; j < b.keys; ++j) row[j] = b.softcap * std::tanh(row[j] / b.softcap);
    if (b.has_mask)
      mask_row(b, call.inputs[3].data, n * b.mask[0] + h * b.mask[1] + (first + i) * b.mask[2],
               row);
    if (b.causal)
      for (int64_t j = first + i + 1; j < b.keys; ++j)
        row[j] = -std::numeric_limits<float>::infinity();
  }
  softmax_rows(b.isa, scores, scores, rows, b.keys, b.keys, false);
}

void run_head(const Bound& b, const RunCall& call, int64_t n, int64_t h, float* work) {
  float *packed_k = work, *packed_v = packed_k + b.packed_k, *scores = packed_v + b.packed_v,
        *gemm_work = scores + b.score_floats;
  int64_t g = h / (b.heads / b.groups);
  const float* q = call.inputs[0].as<float>() + n * b.q[0] + h * b.q[1];
  const float* k = call.inputs[1].as<float>() + n * b.k[0] + g * b.k[1];
  const float* v = call.inputs[2].as<float>() + n * b.v[0] + g * b.v[1];
  float* y = call.outputs[0].as<float>() + n * b.y[0] + h * b.y[1];
  pack_b(b.isa, b.size, b.keys, k, b.k[3], b.k[2], packed_k);
  pack_b(b.isa, b.keys, b.value_size, v, b.v[2], b.v[3], packed_v);
  for (int64_t first = 0; first < b.queries; first += b.block) {
    int64_t rows = std::min(b.block, b.queries - first);
    GemmArgs s = score_args(b, rows), o = value_args(b, rows);
    s.a = q + first * b.q[2], s.b = packed_k, s.c = scores, s.workspace = gemm_work;
    gemm(s);
    normalize(b, call, n, h, first, rows, scores);
    o.a = scores, o.b = packed_v, o.c = y + first * b.y[2], o.workspace = gemm_work;
    gemm(o);
  }
}

void run(const TacticState& bound, const RunCall& call) {
  const auto& b = bound_as<Bound>(bound);
  int64_t heads = b.batch * b.heads;
  if (heads == 0 || b.queries == 0 || b.value_size == 0) return;
  // Heads are dealt out to as many tasks as there are workspaces.
  parallel_for(b.tasks, call.max_threads, [&](int64_t task) {
    float* work = reinterpret_cast<float*>(call.workspace) + task * b.per_task;
    for (int64_t i = heads * task / b.tasks; i < heads * (task + 1) / b.tasks; ++i)
      run_head(b, call, i / b.heads, i % b.heads, work);
  });
}

/// Heads that were split off the last axis of a projection are read where they lie.
bool takes_permuted(const NodeView&, const Config&, int32_t input, const Ints&) {
  return input < 3;
}

const Tactic kRows[] = {
    {.name = "cpu.attention",
     .op = Attention::kName,
     .supports = supports,
     .configs = isa_configs,
     .load = load_isa,
     .bind = bind,
     .workspace = workspace,
     .run = run,
     .strided_inputs = 7,
     .strided_outputs = 1,
     .takes_permuted = takes_permuted},
};

}  // namespace

std::span<const Tactic> attention_tactics() { return kRows; }

}  // namespace vitrify::cpu
