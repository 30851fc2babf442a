// The tactic of recurrent layers: the inputs of all steps are multiplied at once, then the steps
// run one after the other on packed recurrent weights.
//
// Packed, for each direction: W transposed; R transposed (GRU: gates z r, then h); biases [rows]
// that are added with the input; GRU: the recurrent bias of h [hidden]. Each part is filled up to
// 16 floats; a 64-byte header of sizes comes first.
#include <algorithm>
#include <cstring>

#include "backend/cpu/families.h"
#include "backend/cpu/kernels/gemm.h"
#include "backend/cpu/kernels/recurrent.h"
#include "backend/cpu/tactic_parts.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "ops/recurrent.h"

namespace vitrify::cpu {

namespace {

constexpr int64_t kHeaderBytes = 64;
using Kind = Recurrent::Kind;

struct Header {
  int64_t input = 0, hidden = 0;
};

int64_t round_up(int64_t n) { return checked_add(n, 15) / 16 * 16; }

/// Where the parts of one direction lie, in floats.
struct Parts {
  int64_t rows = 0, first_rows = 0;  ///< columns of R's first product; GRU: those of z and r
  int64_t w = 0, r = 0, r_last = 0, bias = 0, hidden_bias = 0, total = 0;
};

Parts make_parts(Isa isa, Kind kind, const Header& h) {
  Parts p;
  p.rows = checked_mul(recurrent_gates(kind), h.hidden);
  p.first_rows = kind == Kind::kGru ? 2 * h.hidden : p.rows;
  p.r = packed_b_floats(isa, h.input, p.rows);
  p.r_last = checked_add(p.r, packed_b_floats(isa, h.hidden, p.first_rows));
  p.bias = checked_add(p.r_last,
                       kind == Kind::kGru ? packed_b_floats(isa, h.hidden, h.hidden) : int64_t{0});
  p.hidden_bias = checked_add(p.bias, round_up(p.rows));
  p.total = checked_add(p.hidden_bias, round_up(h.hidden));
  return p;
}

Refusal supports(const NodeView& n) {
  const auto& op = *n.op.as<Recurrent>();
  for (const Type& t : n.inputs)
    if (t.is_tensor() && t.dtype != DType::kFloat32)
      return t.dtype == DType::kInt32 ? "sequences have lengths of their own"
                                      : cat("an operand is ", name(t.dtype), ", not f32");
  for (const Type& t : n.inputs)
    if (t.is_tensor() && !t.has_rank()) return "an operand's rank is unknown";
  auto given = [&](size_t i) { return i < n.inputs.size() && n.inputs[i].is_tensor(); };
  if (!n.constants[1] || !n.constants[2]) return "the weights are not constant";
  if (given(3) && !n.constants[3]) return "the biases are not constant";
  if (given(7)) return "there are peepholes";
  if (op.input_forget) return "input and forget gates are coupled";
  if (op.clip > 0) return "the gates are clipped";
  const auto defaults = default_activations(op.kind);
  for (size_t i = 0; i < op.activations.size(); ++i)
    if (op.activations[i] != defaults[i % defaults.size()]) return "an unusual activation";
  const Dims &w = n.constants[1]->dims(), &r = n.constants[2]->dims();
  const int64_t d = recurrent_directions(op), rows = recurrent_gates(op.kind) * op.hidden_size;
  if (w.size() != 3 || w[0] != d || w[1] != rows || r != Dims{d, rows, op.hidden_size})
    return "the weights' shapes do not fit";
  if (given(3) && n.constants[3]->dims() != Dims{d, 2 * rows}) return "the biases do not fit";
  return {};
}

/// A direction's biases: all that can be are added to the input's.
void pack_biases(const Recurrent& op, const Tensor* b, int64_t d, const Parts& p, float* to) {
  std::fill_n(to + p.bias, p.total - p.bias, 0.0f);
  if (!b) return;
  for (int64_t i = 0; i < p.rows; ++i) {
    const auto w = float(double_at(*b, d * 2 * p.rows + i));
    const auto r = float(double_at(*b, d * 2 * p.rows + p.rows + i));
    const bool late = op.kind == Kind::kGru && op.linear_before_reset && i >= p.first_rows;
    to[p.bias + i] = late ? w : w + r;
    if (late) to[p.hidden_bias + i - p.first_rows] = r;
  }
}

std::vector<std::byte> prepare(const NodeView& n, const Config& config) {
  const auto& op = *n.op.as<Recurrent>();
  const Isa isa = parse_isa(config);
  const Header h{n.constants[1]->dims()[2], op.hidden_size};
  const Parts p = make_parts(isa, op.kind, h);
  const int64_t directions = recurrent_directions(op);
  Tensor floats(DType::kFloat32, {directions, p.total});  // aligned, as packing wants it
  for (int64_t d = 0; d < directions; ++d) {
    float* to = floats.data<float>() + d * p.total;
    const std::byte* w = n.constants[1]->raw() + d * p.rows * h.input * 4;
    const std::byte* r = n.constants[2]->raw() + d * p.rows * h.hidden * 4;
    pack_b(isa, h.input, p.rows, w, 1, h.input, to);
    pack_b(isa, h.hidden, p.first_rows, r, 1, h.hidden, to + p.r);
    if (op.kind == Kind::kGru)
      pack_b(isa, h.hidden, h.hidden, r + p.first_rows * h.hidden * 4, 1, h.hidden, to + p.r_last);
    pack_biases(op, n.inputs.size() > 3 ? n.constants[3] : nullptr, d, p, to);
  }
  std::vector<std::byte> bytes(size_t(kHeaderBytes) + floats.bytes());
  std::memcpy(bytes.data(), &h, sizeof h);
  std::memcpy(bytes.data() + kHeaderBytes, floats.raw(), floats.bytes());
  return bytes;
}

struct Loaded {
  Isa isa = Isa::kBaseline;
  Header header;
  Parts parts;
  const float* packed = nullptr;
};

TacticState load(const Op& any, const Config& config, std::span<const std::byte> bytes) {
  const auto& op = *any.as<Recurrent>();
  auto state = std::make_shared<Loaded>();
  state->isa = isa_of(load_isa(any, config, {}));
  require(bytes.size() >= size_t(kHeaderBytes), "packed weights are cut off");
  std::memcpy(&state->header, bytes.data(), sizeof state->header);
  const Header& h = state->header;
  require(h.input >= 0 && h.input < int64_t{1} << 31 && h.hidden == op.hidden_size &&
              h.hidden > 0 && h.hidden < int64_t{1} << 31,
          "packed weights have absurd sizes");
  state->parts = make_parts(state->isa, op.kind, h);
  const int64_t floats = checked_mul(state->parts.total, recurrent_directions(op));
  require(int64_t(bytes.size()) == checked_add(kHeaderBytes, checked_mul(floats, 4)),
          "packed weights have ", bytes.size(), " bytes, which does not fit the layer");
  state->packed = reinterpret_cast<const float*>(bytes.data() + kHeaderBytes);
  return state;
}

struct Bound {
  Loaded l;
  Kind kind{};
  bool late_reset = false;  ///< GRU: linear_before_reset
  bool reverse = false;     ///< of direction 0
  int64_t directions = 1, steps = 0, batch = 0;
  int64_t x_step = 0, x_item = 0;  ///< rows of the input, which is [steps · batch, input]
  int64_t y_step = 0, y_item = 0, y_direction = 0, h_item = 0, h_direction = 0;
  bool has_h = false, has_c = false;
  int max_threads = 1;
  int64_t products = 0, states = 0, gemm = 0, per_direction = 0;  ///< floats of workspace
};

/// All steps' inputs against W.
GemmArgs input_product(const Bound& b) {
  GemmArgs g;
  g.isa = b.l.isa, g.m = b.steps * b.batch, g.n = b.l.parts.rows, g.k = b.l.header.input;
  g.a_row_stride = g.k, g.c_row_stride = g.n;
  g.max_threads = b.max_threads;
  return g;
}
/// One step's hidden states against `columns` of R.
GemmArgs hidden_product(const Bound& b, int64_t columns) {
  GemmArgs g;
  g.isa = b.l.isa, g.m = b.batch, g.n = columns, g.k = b.l.header.hidden;
  g.a_row_stride = g.k, g.c_row_stride = columns;
  g.max_threads = b.max_threads;
  return g;
}

void check_shapes(const BoundNode& n, const Bound& b, bool batch_first) {
  const int64_t hidden = b.l.header.hidden;
  const Dims state =
      batch_first ? Dims{b.batch, b.directions, hidden} : Dims{b.directions, b.batch, hidden};
  const Dims y = batch_first ? Dims{b.batch, b.steps, b.directions, hidden}
                             : Dims{b.steps, b.directions, b.batch, hidden};
  require(n.inputs[0].dims[2] == b.l.header.input, "the weights are for inputs of ",
          b.l.header.input, ", x has ", n.inputs[0].dims[2]);
  require(n.outputs[0].dims == y, "the result has another shape than the layer");
  for (size_t o = 1; o < n.outputs.size(); ++o)
    require(n.outputs[o].dims == state, "a final state has another shape than the layer");
  for (size_t i : {size_t(5), size_t(6)})
    if (i < n.inputs.size() && n.input_types[i].is_tensor())
      require(n.inputs[i].dims == state, "an initial state has another shape than the layer");
}

TacticState bind(const TacticState& loaded, const BoundNode& n) {
  const auto& op = *n.op.as<Recurrent>();
  auto bound = std::make_shared<Bound>();
  Bound& b = *bound;
  b.l = bound_as<Loaded>(loaded);
  require(n.inputs.size() >= 3 && n.inputs[0].dims.size() == 3, "recurrent: x must have rank 3");
  b.kind = op.kind, b.late_reset = op.linear_before_reset;
  b.reverse = op.direction == Recurrent::Direction::kReverse;
  b.directions = recurrent_directions(op);
  b.steps = n.inputs[0].dims[op.batch_first ? 1 : 0];
  b.batch = n.inputs[0].dims[op.batch_first ? 0 : 1];
  b.max_threads = n.max_threads;
  check_shapes(n, b, op.batch_first);
  const int64_t d = b.directions, h = b.l.header.hidden;
  b.x_step = op.batch_first ? 1 : b.batch, b.x_item = op.batch_first ? b.steps : 1;
  b.y_step = op.batch_first ? d * h : d * b.batch * h;
  b.y_item = op.batch_first ? b.steps * d * h : h;
  b.y_direction = op.batch_first ? h : b.batch * h;
  b.h_item = op.batch_first ? d * h : h;
  b.h_direction = op.batch_first ? h : b.batch * h;
  b.has_h = n.inputs.size() > 5 && n.input_types[5].is_tensor();
  b.has_c = n.inputs.size() > 6 && n.input_types[6].is_tensor();
  b.products = round_up(checked_mul(checked_mul(b.steps, b.batch), b.l.parts.rows));
  b.states = round_up(b.batch * h);
  b.gemm = round_up(std::max({gemm_workspace_floats(input_product(b)),
                              gemm_workspace_floats(hidden_product(b, b.l.parts.first_rows)),
                              gemm_workspace_floats(hidden_product(b, h))}));
  const int64_t gates = round_up(b.batch * b.l.parts.first_rows);
  b.per_direction = checked_add(b.products, gates + 4 * b.states + b.gemm);
  return bound;
}

int64_t workspace(const TacticState& state) {
  const auto& b = bound_as<Bound>(state);
  return checked_mul(checked_mul(b.per_direction, b.directions), 4);
}

/// One direction: its weights and buffers.
class DirectionRun {
 public:
  DirectionRun(const Bound& b, const RunCall& call, int64_t d, int threads)
      : b_(b), call_(call), d_(d), threads_(threads), n_(b.l.header.hidden) {
    weights_ = b.l.packed + d * b.l.parts.total;
    products_ = reinterpret_cast<float*>(call.workspace) + d * b.per_direction;
    h_ = products_ + b.products, c_ = h_ + b.states;
    extra_ = c_ + b.states, candidate_ = extra_ + b.states;
    gemm_ = candidate_ + b.states, gates_ = gemm_ + b.gemm;
  }

  void multiply_inputs() {
    GemmArgs g = input_product(b_);
    g.a = call_.inputs[0].as<float>(), g.b = weights_, g.c = products_;
    g.epilogue.bias = weights_ + b_.l.parts.bias;
    g.workspace = gemm_, g.max_threads = threads_;
    gemm(g);
  }

  void run_steps() {
    load_state(5, b_.has_h, h_), load_state(6, b_.has_c, c_);
    const bool reverse = d_ == 1 || b_.reverse;
    for (int64_t s = 0; s < b_.steps; ++s) {
      const int64_t at = reverse ? b_.steps - 1 - s : s;
      step(products_ + at * b_.x_step * b_.l.parts.rows);
      if (float* y = call_.outputs[0].as<float>())
        for (int64_t i = 0; i < b_.batch; ++i)
          std::copy_n(h_ + i * n_, n_, y + at * b_.y_step + d_ * b_.y_direction + i * b_.y_item);
    }
    store_state(1, h_), store_state(2, c_);
  }

 private:
  void load_state(size_t input, bool given, float* to) const {
    if (!given) return void(std::fill_n(to, b_.batch * n_, 0.0f));
    const float* from = call_.inputs[input].as<float>() + d_ * b_.h_direction;
    for (int64_t i = 0; i < b_.batch; ++i) std::copy_n(from + i * b_.h_item, n_, to + i * n_);
  }
  void store_state(size_t output, const float* from) const {
    if (output >= call_.outputs.size() || !call_.outputs[output].data) return;
    float* to = call_.outputs[output].as<float>() + d_ * b_.h_direction;
    for (int64_t i = 0; i < b_.batch; ++i) std::copy_n(from + i * n_, n_, to + i * b_.h_item);
  }

  /// to = from · R + (what `epilogue` adds).
  void multiply(const float* from, int64_t part, int64_t columns, const Epilogue& epilogue,
                float* to) const {
    GemmArgs g = hidden_product(b_, columns);
    g.a = from, g.b = weights_ + part, g.c = to, g.epilogue = epilogue;
    g.workspace = gemm_, g.max_threads = threads_;
    gemm(g);
  }

  void step(const float* x) {
    const Parts& p = b_.l.parts;
    Epilogue add;
    add.residual = x, add.residual_stride = b_.x_item * p.rows;
    multiply(h_, p.r, p.first_rows, add, gates_);
    if (b_.kind == Kind::kGru) return step_gru(x);
    for (int64_t i = 0; i < b_.batch; ++i)
      if (b_.kind == Kind::kLstm)
        lstm_cell(b_.l.isa, gates_ + i * p.rows, n_, c_ + i * n_, h_ + i * n_);
      else
        rnn_cell(b_.l.isa, gates_ + i * p.rows, n_, h_ + i * n_);
  }

  void step_gru(const float* x) {
    const Parts& p = b_.l.parts;
    Epilogue add;
    const float* from = h_;
    if (b_.late_reset) {
      add.bias = weights_ + p.hidden_bias;
    } else {
      add.residual = x + 2 * n_, add.residual_stride = b_.x_item * p.rows;
      for (int64_t i = 0; i < b_.batch; ++i)
        reset_hidden(b_.l.isa, gates_ + i * 2 * n_ + n_, h_ + i * n_, n_, extra_ + i * n_);
      from = extra_;
    }
    multiply(from, p.r_last, n_, add, candidate_);
    for (int64_t i = 0; i < b_.batch; ++i)
      gru_cell(b_.l.isa, gates_ + i * 2 * n_, x + i * b_.x_item * p.rows + 2 * n_,
               candidate_ + i * n_, b_.late_reset, n_, h_ + i * n_);
  }

  const Bound& b_;
  const RunCall& call_;
  int64_t d_;
  int threads_;
  int64_t n_;
  const float* weights_;
  float *products_, *h_, *c_, *extra_, *candidate_, *gemm_, *gates_;
};

void run(const TacticState& state, const RunCall& call) {
  const auto& b = bound_as<Bound>(state);
  if (b.batch == 0) return;
  const int threads = std::min(b.max_threads, call.max_threads);
  for (int64_t d = 0; d < b.directions && b.steps > 0; ++d)
    DirectionRun(b, call, d, threads).multiply_inputs();
  // Two directions run side by side; one has all threads for its products.
  if (b.directions == 1) return DirectionRun(b, call, 0, threads).run_steps();
  parallel_for(b.directions, threads, [&](int64_t d) { DirectionRun(b, call, d, 1).run_steps(); });
}

const Tactic kRows[] = {
    {.name = "cpu.recurrent",
     .op = Recurrent::kName,
     .supports = supports,
     .configs = isa_configs,
     .prepare = prepare,
     .load = load,
     .bind = bind,
     .workspace = workspace,
     .run = run,
     .packed_inputs = 2 | 4 | 8},
};

}  // namespace

std::span<const Tactic> recurrent_tactics() { return kRows; }

}  // namespace vitrify::cpu
