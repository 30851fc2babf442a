// Formulas: the ONNX operators RNN, GRU and LSTM. Gate orders: GRU z r h; LSTM i o f c, peepholes
// i o f.
#include "ops/recurrent.h"

#include <algorithm>
#include <cmath>

#include "ops/dispatch.h"
#include "ops/moved_facts.h"
#include "ops/row_product.h"

namespace vitrify {

int64_t recurrent_gates(Recurrent::Kind kind) {
  return kind == Recurrent::Kind::kRnn ? 1 : kind == Recurrent::Kind::kGru ? 3 : 4;
}

std::vector<std::string> default_activations(Recurrent::Kind kind) {
  if (kind == Recurrent::Kind::kRnn) return {"tanh"};
  if (kind == Recurrent::Kind::kGru) return {"sigmoid", "tanh"};
  return {"sigmoid", "tanh", "tanh"};
}

namespace {
struct ActivationRow {
  std::string_view name;
  ActivationDefaults defaults;
  double (*apply)(double x, double alpha, double beta);
};

const ActivationRow kActivations[] = {
    {"relu", {}, [](double x, double, double) { return x < 0 ? 0 : x; }},
    {"tanh", {}, [](double x, double, double) { return std::tanh(x); }},
    {"sigmoid", {}, [](double x, double, double) { return 1 / (1 + std::exp(-x)); }},
    {"affine", {true, true, 1, 0}, [](double x, double a, double b) { return a * x + b; }},
    {"leakyrelu",
     {true, false, 0.01, 0},
     [](double x, double a, double) { return x < 0 ? a * x : x; }},
    {"thresholdedrelu",
     {true, false, 1, 0},
     [](double x, double a, double) { return x > a || x != x ? x : 0; }},
    {"scaledtanh",
     {true, true, 1, 1},
     [](double x, double a, double b) { return a * std::tanh(b * x); }},
    {"hardsigmoid",
     {true, true, 0.2, 0.5},
     [](double x, double a, double b) { return std::min(std::max(a * x + b, 0.0), 1.0); }},
    {"elu",
     {true, false, 1, 0},
     [](double x, double a, double) { return x < 0 ? a * std::expm1(x) : x; }},
    {"softsign", {}, [](double x, double, double) { return x / (1 + std::fabs(x)); }},
    {"softplus",
     {},
     [](double x, double, double) {
       return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
     }},
};

const ActivationRow& activation_row(std::string_view name) {
  for (const ActivationRow& row : kActivations)
    if (row.name == name) return row;
  fail("activation '", name, "' is unknown");
}

/// An activation with its clip: f(clip(x)).
struct Activation {
  const ActivationRow* row;
  double alpha, beta;
  template <class T>
  T operator()(T x) const {
    return T(row->apply(double(x), alpha, beta));
  }
};
}  // namespace

ActivationDefaults activation_defaults(std::string_view name) {
  return activation_row(name).defaults;
}

// ---- Shapes ----

namespace {
void require_extent(const InferContext& c, int input, size_t axis, const Dim& expected) {
  if (!c.has(input) || !c.shape(input)) return;
  unify((*c.shape(input))[axis], expected, cat("input ", input, ", axis ", axis));
}
void require_rank(const InferContext& c, int input, size_t rank) {
  if (!c.has(input)) return;
  c.expect_tensor(input);
  if (const Shape* s = c.shape(input))
    require(s->size() == rank, "input ", input, " must have rank ", rank, ", not ", s->size());
}
}  // namespace

void infer_recurrent(InferContext& c) {
  const auto& op = *c.op().as<Recurrent>();
  int64_t gates = recurrent_gates(op.kind), directions = recurrent_directions(op),
          hidden = op.hidden_size;
  require(hidden > 0, "hidden_size is ", hidden);
  require(is_float(c.dtype(0)), "cannot compute in ", name(c.dtype(0)));
  constexpr size_t kRanks[] = {3, 3, 3, 2, 1, 3, 3, 2};
  for (int i = 0; i < 8; ++i) {
    require_rank(c, i, kRanks[i]);
    if (c.has(i) && i != 4)
      require(c.dtype(i) == c.dtype(0), "input ", i, " has type ", name(c.dtype(i)), ", not ",
              name(c.dtype(0)));
  }
  int64_t rows = checked_mul(gates, hidden);
  for (int i : {1, 2, 3, 7}) require_extent(c, i, 0, directions);
  for (int i : {1, 2}) require_extent(c, i, 1, rows);
  require_extent(c, 2, 2, hidden);
  require_extent(c, 3, 1, checked_mul(rows, 2));
  require_extent(c, 7, 1, hidden * 3);
  for (int i : {5, 6}) {
    require_extent(c, i, 2, hidden);
    require_extent(c, i, op.batch_first ? 1 : 0, directions);
  }
  size_t batch_axis = op.batch_first ? 0 : 1;
  Dim batch = c.shape(0) ? (*c.shape(0))[batch_axis] : c.fresh(1, int(batch_axis));
  Dim steps = c.shape(0) ? (*c.shape(0))[1 - batch_axis] : c.fresh(0, op.batch_first ? 1 : 0);
  if (c.shape(0) && c.shape(1)) unify((*c.shape(0))[2], (*c.shape(1))[2], "the input size");
  Shape y = op.batch_first ? Shape{batch, steps, directions, hidden}
                           : Shape{steps, directions, batch, hidden};
  Shape last = op.batch_first ? Shape{batch, directions, hidden} : Shape{directions, batch, hidden};
  c.output(Type::tensor(c.dtype(0), std::move(y)));
  c.output(Type::tensor(c.dtype(0), last));
  if (op.kind == Recurrent::Kind::kLstm) c.output(Type::tensor(c.dtype(0), last));
}

// ---- Reference ----

namespace {
/// Extents, and strides in elements of what is addressed by step, batch item and direction.
struct Layout {
  int64_t steps, batch, input, hidden, directions, gates;
  int64_t x_step, x_item, y_step, y_item, y_direction, h_item, h_direction;
};

Layout make_layout(ReferenceCall& call, const Recurrent& op) {
  const Dims& x = call.in(0).dims();
  require(x.size() == 3, "recurrent: the input must have rank 3");
  Layout l{};
  l.steps = x[op.batch_first ? 1 : 0], l.batch = x[op.batch_first ? 0 : 1], l.input = x[2];
  l.hidden = op.hidden_size, l.directions = recurrent_directions(op);
  l.gates = recurrent_gates(op.kind);
  int64_t d = l.directions, h = l.hidden;
  l.x_step = op.batch_first ? l.input : l.batch * l.input;
  l.x_item = op.batch_first ? l.steps * l.input : l.input;
  l.y_step = op.batch_first ? d * h : d * l.batch * h;
  l.y_item = op.batch_first ? l.steps * d * h : h;
  l.y_direction = op.batch_first ? h : l.batch * h;
  l.h_item = op.batch_first ? d * h : h;
  l.h_direction = op.batch_first ? h : l.batch * h;
  return l;
}

Dims state_dims(const Layout& l, bool batch_first) {
  return batch_first ? Dims{l.batch, l.directions, l.hidden}
                     : Dims{l.directions, l.batch, l.hidden};
}

/// Input i in the computing type, its extents checked; zeros when it is left out.
Tensor read_input(ReferenceCall& call, int i, const Dims& dims) {
  if (!call.has(i)) return Tensor(compute_type(call.in(0).dtype()), dims);
  require(call.in(i).dims() == dims, "recurrent: input ", i, " has shape ", str(call.in(i).dims()),
          ", expected ", str(dims));
  require(call.in(i).dtype() == call.in(0).dtype(), "recurrent: inputs differ in type");
  return widen(call.in(i));
}

std::vector<int64_t> read_lengths(ReferenceCall& call, const Layout& l) {
  if (!call.has(4)) return std::vector<int64_t>(size_t(l.batch), l.steps);
  std::vector<int64_t> lengths = to_ints(call.in(4));
  require(int64_t(lengths.size()) == l.batch, "recurrent: ", lengths.size(), " lengths for ",
          l.batch, " sequences");
  for (int64_t n : lengths)
    require(n >= 0 && n <= l.steps, "recurrent: a sequence has length ", n, " of ", l.steps);
  return lengths;
}

std::vector<Activation> read_activations(const Recurrent& op, int64_t direction) {
  std::vector<std::string> names = default_activations(op.kind);
  size_t count = names.size(), first = size_t(direction) * count;
  if (!op.activations.empty()) {
    require(op.activations.size() >= first + count, "recurrent: ", op.activations.size(),
            " activations are too few");
    names.assign(op.activations.begin() + int64_t(first),
                 op.activations.begin() + int64_t(first + count));
  }
  std::vector<Activation> out;
  for (size_t i = 0; i < count; ++i) {
    const ActivationRow& row = activation_row(names[i]);
    size_t at = first + i;
    out.push_back({&row, at < op.alphas.size() ? op.alphas[at] : row.defaults.alpha,
                   at < op.betas.size() ? op.betas[at] : row.defaults.beta});
  }
  return out;
}

/// One direction's weights: w [input, gates·hidden], r [hidden, gates·hidden].
template <class T>
struct Cell {
  const Recurrent& op;
  int64_t hidden, rows;
  std::vector<T> w, r;
  const T *w_bias, *r_bias, *peepholes;
  std::vector<Activation> activations;
  std::vector<T> from_x, from_h, scratch;

  T clip(T v) const {
    if (op.clip <= 0) return v;
    return std::min(std::max(v, T(-op.clip)), T(op.clip));
  }
  T activate(size_t which, T v) const { return activations[which](clip(v)); }

  /// h (and c) of one item become those of the next step.
  void step(const T* x, int64_t input, T* h, T* c) {
    std::copy_n(w_bias, rows, from_x.data());
    std::copy_n(r_bias, rows, from_h.data());
    add_row_product(x, input, w.data(), rows, rows, from_x.data());
    bool late_reset = op.kind == Recurrent::Kind::kGru && !op.linear_before_reset;
    add_row_product(h, hidden, r.data(), rows, late_reset ? 2 * hidden : rows, from_h.data());
    if (op.kind == Recurrent::Kind::kRnn)
      for (int64_t j = 0; j < hidden; ++j)
        h[j] = activate(0, from_x[size_t(j)] + from_h[size_t(j)]);
    else if (op.kind == Recurrent::Kind::kGru)
      step_gru(h);
    else
      step_lstm(h, c);
  }

  T gate(int64_t j) const { return from_x[size_t(j)] + from_h[size_t(j)]; }

  void step_gru(T* h) {
    T *candidate = from_h.data() + 2 * hidden, *update = scratch.data();
    if (op.linear_before_reset) {
      for (int64_t j = 0; j < hidden; ++j) candidate[j] *= activate(0, gate(hidden + j));
    } else {
      for (int64_t j = 0; j < hidden; ++j) update[j] = h[j] * activate(0, gate(hidden + j));
      add_row_product(update, hidden, r.data() + 2 * hidden, rows, hidden, candidate);
    }
    for (int64_t j = 0; j < hidden; ++j) {
      T z = activate(0, gate(j)), next = activate(1, gate(2 * hidden + j));
      h[j] = (1 - z) * next + z * h[j];
    }
  }

  void step_lstm(T* h, T* c) {
    for (int64_t j = 0; j < hidden; ++j) {
      T in = activate(0, gate(j) + peepholes[j] * c[j]);
      T forget = op.input_forget
                     ? 1 - in
                     : activate(0, gate(2 * hidden + j) + peepholes[2 * hidden + j] * c[j]);
      c[j] = forget * c[j] + in * activate(1, gate(3 * hidden + j));
      T out = activate(0, gate(hidden + j) + peepholes[hidden + j] * c[j]);
      h[j] = out * activations[2](c[j]);
    }
  }
};

template <class T>
struct Buffers {
  const T *x, *w, *r, *b, *p;
  T *y, *h, *c;  // y may be null
};

template <class T>
void run_direction(const Recurrent& op, const Layout& l, const std::vector<int64_t>& lengths,
                   int64_t d, const Buffers<T>& t) {
  int64_t rows = l.gates * l.hidden;
  auto n = size_t(rows);
  Cell<T> cell{op,
               l.hidden,
               rows,
               transposed(t.w + d * rows * l.input, rows, l.input),
               transposed(t.r + d * rows * l.hidden, rows, l.hidden),
               t.b + d * 2 * rows,
               t.b + d * 2 * rows + rows,
               t.p + d * 3 * l.hidden,
               read_activations(op, d),
               std::vector<T>(n),
               std::vector<T>(n),
               std::vector<T>(n)};
  bool reverse = d == 1 || op.direction == Recurrent::Direction::kReverse;
  for (int64_t item = 0; item < l.batch; ++item) {
    T* h = t.h + d * l.h_direction + item * l.h_item;
    T* c = t.c + d * l.h_direction + item * l.h_item;
    int64_t length = lengths[size_t(item)];
    for (int64_t s = 0; s < l.steps; ++s) {
      int64_t at = reverse && s < length ? length - 1 - s : s;
      if (s < length) cell.step(t.x + at * l.x_step + item * l.x_item, l.input, h, c);
      if (!t.y) continue;
      T* y = t.y + at * l.y_step + d * l.y_direction + item * l.y_item;
      if (s < length)
        std::copy_n(h, l.hidden, y);
      else
        std::fill_n(y, l.hidden, T(0));
    }
  }
}
}  // namespace

void reference_recurrent(ReferenceCall& call) {
  const auto& op = *call.op().as<Recurrent>();
  DType dtype = call.in(0).dtype();
  require(op.hidden_size > 0 && op.hidden_size < int64_t{1} << 40, "recurrent: hidden_size is ",
          op.hidden_size);
  Layout l = make_layout(call, op);
  int64_t rows = checked_mul(l.gates, l.hidden);
  std::vector<int64_t> lengths = read_lengths(call, l);
  Dims state = state_dims(l, op.batch_first);
  Dims sequence = op.batch_first ? Dims{l.batch, l.steps, l.directions, l.hidden}
                                 : Dims{l.steps, l.directions, l.batch, l.hidden};
  Tensor x = widen(call.in(0)), w = read_input(call, 1, {l.directions, rows, l.input}),
         r = read_input(call, 2, {l.directions, rows, l.hidden}),
         b = read_input(call, 3, {l.directions, 2 * rows}), h = read_input(call, 5, state).clone(),
         c = read_input(call, 6, state).clone(),
         p = read_input(call, 7, {l.directions, 3 * l.hidden});
  Tensor y;
  if (call.wants(0)) y = begin_wide_output(call, 0, dtype, sequence);
  dispatch_float(dtype, [&]<class T>() {
    Buffers<T> buffers{x.data<T>(), w.data<T>(), r.data<T>(), b.data<T>(),
                       p.data<T>(), y.data<T>(), h.data<T>(), c.data<T>()};
    for (int64_t d = 0; d < l.directions; ++d) run_direction(op, l, lengths, d, buffers);
  });
  if (y.defined()) finish_output(call, 0, y);
  for (auto [output, values] : {std::pair{1, &h}, {2, &c}}) {
    if (!call.wants(output)) continue;
    call.out(output, dtype, state);
    store_wide(values->raw(), call.result(output), 0, values->size());
  }
}

// ---- Cost, samples ----

Cost cost_recurrent(const Op& op, std::span<const Dims> inputs, std::span<const Dims>) {
  const auto& o = *op.as<Recurrent>();
  const Dims& x = inputs[0];
  double rows = double(recurrent_gates(o.kind) * o.hidden_size * recurrent_directions(o));
  double columns = double(x[2] + o.hidden_size), items = double(x[0]) * double(x[1]);
  // The weights are read again at every step unless they stay in a cache; count them once.
  return {2 * rows * columns * items, 4 * (rows * columns + items * (columns + rows))};
}

}  // namespace vitrify
