// Tactics of matmul on the kernels of kernels/gemm.h.
#include <algorithm>

#include "backend/cpu/epilogue_plan.h"
#include "backend/cpu/families.h"
#include "backend/cpu/kernels/gemm.h"
#include "backend/cpu/kernels/predict.h"
#include "backend/cpu/packed_weights.h"
#include "backend/cpu/tactic_parts.h"
#include "base/error.h"

namespace vitrify::cpu {

namespace {

bool packed_matmul_takes_permuted(const NodeView&, const Config&, int32_t input, const Ints&) {
  return input == 0;
}
bool matmul_takes_permuted(const NodeView&, const Config&, int32_t input, const Ints&) {
  return input < 2;
}

Refusal matmul_supports(const NodeView& n) {
  if (!all_floats(n)) return "not all operands are f32";
  if (!n.inputs[0].has_rank() || !n.inputs[1].has_rank()) return "an operand's rank is unknown";
  if (n.inputs[0].shape->empty() || n.inputs[1].shape->empty()) return "an operand is a scalar";
  bool vector = n.inputs[0].shape->size() == 1 || n.inputs[1].shape->size() == 1;
  if (vector && !n.op.body()->empty()) return "an epilogue on a product with a vector";
  return check_epilogue(n, 2);
}

/// B of rank 2 is packed at build time.
Refusal packed_matmul_supports(const NodeView& n) {
  if (Refusal r = matmul_supports(n); !r.empty()) return r;
  if (!n.constants[1]) return "b is not constant";
  if (n.constants[1]->rank() != 2) return "b is not a matrix";
  return {};
}

std::vector<std::byte> prepare(const NodeView& n, const Config& config) {
  Isa isa = runnable_isa(config);
  const Tensor& b = *n.constants[1];
  bool transposed = n.op.as<MatMul>()->transpose_b;
  PackedHeader h;
  h.in_channels = b.dims()[transposed ? 1 : 0], h.out_channels = b.dims()[transposed ? 0 : 1];
  int64_t floats = packed_b_floats(isa, h.in_channels, h.out_channels);
  std::vector<std::byte> bytes = with_header(h, floats);
  pack_into(bytes, floats, [&](float* out) {
    pack_b(isa, h.in_channels, h.out_channels, b.raw(), transposed ? 1 : b.dims()[1],
           transposed ? b.dims()[1] : 1, out);
  });
  return bytes;
}

struct State {
  Isa isa;
  int64_t k = -1, n = -1;  ///< of packed weights
  const float* packed = nullptr;
};

TacticState load(const Op&, const Config& config, std::span<const std::byte> bytes) {
  auto state = std::make_shared<State>();
  state->isa = runnable_isa(config);
  if (bytes.empty()) return state;
  PackedHeader h = read_header(bytes);
  for (int64_t v : {h.in_channels, h.out_channels})
    require(v >= 0 && v < (int64_t{1} << 40), "packed weights have an absurd size ", v);
  state->k = h.in_channels, state->n = h.out_channels;
  state->packed = floats_of(bytes, packed_b_floats(state->isa, state->k, state->n));
  return state;
}

struct Bound {
  GemmArgs args;
  EpiloguePlan epilogue;
  std::vector<int64_t> a_offsets, b_offsets, c_offsets;
};

/// One operand as batch axes over a matrix; a vector becomes a matrix of one row or column.
struct Matrix {
  Dims batch, batch_strides;
  int64_t rows, columns, row_stride, column_stride;
};
Matrix as_matrix(const Extents& e, bool transposed, bool is_left) {
  if (e.dims.size() == 1) {
    if (is_left) return {{}, {}, 1, e.dims[0], 0, e.strides[0]};
    return {{}, {}, e.dims[0], 1, e.strides[0], 1};
  }
  size_t r = e.dims.size();
  Matrix m{Dims(e.dims.begin(), e.dims.end() - 2),
           Dims(e.strides.begin(), e.strides.end() - 2),
           e.dims[r - 2],
           e.dims[r - 1],
           e.strides[r - 2],
           e.strides[r - 1]};
  if (transposed) std::swap(m.rows, m.columns), std::swap(m.row_stride, m.column_stride);
  return m;
}

/// Element offsets of every batch entry, axes of extent 1 broadcast.
std::vector<int64_t> batch_offsets(const Dims& batch, const Matrix& m) {
  int64_t count = element_count(batch);
  std::vector<int64_t> offsets;
  offsets.reserve(size_t(count));
  size_t skip = batch.size() - m.batch.size();
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i, at = 0;
    for (size_t a = batch.size(); a-- > 0;) {
      int64_t index = rest % batch[a];
      rest /= batch[a];
      if (a >= skip && m.batch[a - skip] != 1) at += index * m.batch_strides[a - skip];
    }
    offsets.push_back(at);
  }
  return offsets;
}

bool evenly_spaced(const std::vector<int64_t>& offsets, int64_t step) {
  for (size_t i = 0; i < offsets.size(); ++i)
    if (offsets[i] != int64_t(i) * step) return false;
  return true;
}

TacticState bind(const TacticState& loaded, const BoundNode& n) {
  const auto& state = bound_as<State>(loaded);
  const auto& op = *n.op.as<MatMul>();
  auto bound = std::make_shared<Bound>();
  Matrix a = as_matrix(n.inputs[0], op.transpose_a, true),
         b = as_matrix(n.inputs[1], op.transpose_b, false);
  require(a.columns == b.rows, "matmul of ", a.columns, " columns with ", b.rows, " rows");
  require(!state.packed || (state.k == b.rows && state.n == b.columns),
          "the weights are for another matrix");
  Dims batch = broadcast_dims(a.batch, b.batch);
  GemmArgs& g = bound->args;
  g.isa = state.isa, g.max_threads = n.max_threads;
  g.m = a.rows, g.n = b.columns, g.k = a.columns;
  g.a_row_stride = a.row_stride, g.a_col_stride = a.column_stride;
  g.packed_b = state.packed != nullptr;
  g.b = state.packed;
  g.b_row_stride = b.row_stride, g.b_col_stride = b.column_stride;
  g.c_row_stride = b.columns;
  if (n.inputs[1].dims.size() > 1 && n.inputs[0].dims.size() > 1)
    g.c_row_stride = n.outputs[0].strides[n.outputs[0].strides.size() - 2];
  g.batch = element_count(batch);
  bound->a_offsets = batch_offsets(batch, a), bound->b_offsets = batch_offsets(batch, b);
  for (int64_t i = 0; i < g.batch; ++i) bound->c_offsets.push_back(i * g.m * g.n);
  bool one_b = evenly_spaced(bound->b_offsets, 0);
  if (one_b && evenly_spaced(bound->a_offsets, g.m * g.a_row_stride) &&
      (g.m > 1 || g.a_row_stride == g.k)) {
    g.m *= g.batch, g.batch = 1;  // one tall product
  } else if (one_b && g.m == 1 && evenly_spaced(bound->a_offsets, g.k)) {
    g.m = g.batch, g.a_row_stride = g.k, g.batch = 1;
  }
  if (g.batch > 1)
    g.a_offsets = bound->a_offsets.data(),
    g.b_offsets = g.packed_b ? nullptr : bound->b_offsets.data(),
    g.c_offsets = bound->c_offsets.data();
  bound->epilogue = bind_epilogue(state.isa, n, 2);
  return bound;
}

double predict_matmul(const BoundNode& n, const Config& config, bool packed_b) {
  const auto& op = *n.op.as<MatMul>();
  const Matrix a = as_matrix(n.inputs[0], op.transpose_a, true),
               b = as_matrix(n.inputs[1], op.transpose_b, false);
  const double batch = double(element_count(broadcast_dims(a.batch, b.batch)));
  const bool one = b.batch.empty();  // one tall product
  return predict_product(runnable_isa(config), one ? 1 : batch, double(a.rows) * (one ? batch : 1),
                         double(b.columns), double(a.columns), packed_b, n.max_threads);
}
double matmul_predict(const BoundNode& n, const Config& config) {
  return predict_matmul(n, config, false);
}
double packed_matmul_predict(const BoundNode& n, const Config& config) {
  return predict_matmul(n, config, true);
}

int64_t workspace(const TacticState& bound) {
  return gemm_workspace_floats(bound_as<Bound>(bound).args) * 4;
}

void run(const TacticState& bound, const RunCall& call) {
  const auto& b = bound_as<Bound>(bound);
  GemmArgs g = b.args;
  if (g.m == 0 || g.n == 0 || g.batch == 0) return;
  g.a = call.inputs[0].as<float>();
  if (!g.packed_b) g.b = call.inputs[1].as<float>();
  g.c = call.outputs[0].as<float>();
  g.workspace = reinterpret_cast<float*>(call.workspace);
  g.max_threads = call.max_threads;
  EpilogueRun epilogue;
  g.epilogue = make_epilogue(b.epilogue, call, 2, g.n, epilogue);
  gemm(g);
}

const Tactic kRows[] = {
    {.name = "cpu.matmul.packed",
     .op = MatMul::kName,
     .supports = packed_matmul_supports,
     .configs = isa_configs,
     .prepare = prepare,
     .load = load,
     .bind = bind,
     .workspace = workspace,
     .run = run,
     .packed_inputs = 2,
     .strided_inputs = 1,
     .takes_permuted = packed_matmul_takes_permuted,
     .overwrites = overwrites_residual,
     .predict = packed_matmul_predict},
    {.name = "cpu.matmul",
     .op = MatMul::kName,
     .supports = matmul_supports,
     .configs = isa_configs,
     .load = load,
     .bind = bind,
     .workspace = workspace,
     .run = run,
     .strided_inputs = 3,
     .takes_permuted = matmul_takes_permuted,
     .overwrites = overwrites_residual,
     .predict = matmul_predict},
};

}  // namespace

std::span<const Tactic> matmul_tactics() { return kRows; }

}  // namespace vitrify::cpu
