// Linear attention: a recurrence over a [d_k, d_v] state per head instead of a softmax over keys.
// Formulas: the ONNX operator LinearAttention.
#include <cmath>

#include "ops/attention.h"
#include "ops/classic.h"
#include "ops/dispatch.h"
#include "ops/moved_facts.h"
#include "ops/samples.h"

namespace vitrify {

namespace {

struct UpdateRule {
  bool gated, delta;
};

UpdateRule update_rule(const ClassicAttributes& attributes) {
  std::string rule = attributes.text("update_rule", "gated_delta");
  if (rule == "linear") return {false, false};
  if (rule == "gated") return {true, false};
  if (rule == "delta") return {false, true};
  if (rule == "gated_delta") return {true, true};
  fail("update_rule '", rule, "' is unknown");
}

struct HeadCounts {
  int64_t queries, keys;
};
HeadCounts head_counts(const ClassicAttributes& attributes) {
  HeadCounts n{attributes.integer("q_num_heads", 0), attributes.integer("kv_num_heads", 0)};
  require(n.keys > 0 && n.queries > 0 && n.queries % n.keys == 0, n.queries,
          " query heads are no multiple of ", n.keys);
  return n;
}

void infer_linear_attention(InferContext& c) {
  ClassicAttributes attributes(c.op());
  UpdateRule rule = update_rule(attributes);
  HeadCounts heads = head_counts(attributes);
  for (int i = 0; i < 3; ++i) {
    c.expect_tensor(i);
    require(is_float(c.dtype(i)) && c.dtype(i) == c.dtype(0), "inputs have types ",
            name(c.dtype(0)), " and ", name(c.dtype(i)));
    if (c.shape(i)) require(c.shape(i)->size() == 3, "input ", i, " must have rank 3");
  }
  require(rule.gated == c.has(4), rule.gated ? "the rule needs a decay" : "the rule has no decay");
  require(rule.delta == c.has(5), rule.delta ? "the rule needs a beta" : "the rule has no beta");
  const Shape *q = c.shape(0), *v = c.shape(2);
  Shape y = c.fresh_shape(0, 3), state = c.fresh_shape(1, 4);
  state[1] = heads.keys;
  if (q) {
    y[0] = state[0] = (*q)[0], y[1] = (*q)[1];
    state[2] = floor_div((*q)[2], heads.queries);
  }
  if (v) {
    state[3] = floor_div((*v)[2], heads.keys);
    y[2] = state[3] * heads.queries;
  }
  c.output(Type::tensor(c.dtype(0), std::move(y)));
  c.output(Type::tensor(c.has(3) ? c.dtype(3) : c.dtype(0), std::move(state)));
}

struct Extents {
  int64_t batch, steps, query_heads, key_heads, key_size, value_size;
};

Extents read_extents(ReferenceCall& call, HeadCounts heads) {
  const Dims &q = call.in(0).dims(), &k = call.in(1).dims(), &v = call.in(2).dims();
  require(q.size() == 3 && k.size() == 3 && v.size() == 3, "linear_attention: rank 3 is needed");
  Extents e{q[0], q[1], heads.queries, heads.keys, q[2] / heads.queries, v[2] / heads.keys};
  require(q[2] == e.key_size * heads.queries &&
              k == Dims{e.batch, e.steps, heads.keys * e.key_size} &&
              v == Dims{e.batch, e.steps, heads.keys * e.value_size},
          "linear_attention: shapes ", str(q), ", ", str(k), " and ", str(v), " do not fit");
  return e;
}

/// decay and beta: [B, T, columns]; column of (head, key element).
struct Gate {
  Tensor data;
  int64_t columns = 0;
  bool per_element = false;
  double at(int64_t row, int64_t head, int64_t element, int64_t size) const {
    int64_t column = per_element ? head * size + element : columns == 1 ? 0 : head;
    return double_at(data, row * columns + column);
  }
};

Gate read_gate(ReferenceCall& call, int i, const Extents& e,
               std::initializer_list<int64_t> allowed) {
  Gate g;
  if (!call.has(i)) return g;
  const Dims& dims = call.in(i).dims();
  require(dims.size() == 3 && dims[0] == e.batch && dims[1] == e.steps, "linear_attention: input ",
          i, " has shape ", str(dims));
  g.data = call.in(i), g.columns = dims[2];
  bool fits = false;
  for (int64_t n : allowed) fits |= n == dims[2];
  require(fits, "linear_attention: input ", i, " has ", dims[2], " columns");
  g.per_element = dims[2] != e.key_heads && dims[2] != 1;
  return g;
}

/// One step of one head's state; `written` is scratch for what is written.
void update_state(const Extents& e, const double* k, const double* v, double beta, bool delta,
                  double* state, std::vector<double>& written) {
  for (int64_t m = 0; m < e.value_size; ++m) {
    double old = 0;
    for (int64_t d = 0; delta && d < e.key_size; ++d) old += state[d * e.value_size + m] * k[d];
    written[size_t(m)] = delta ? beta * (v[m] - old) : v[m];
  }
  for (int64_t d = 0; d < e.key_size; ++d)
    for (int64_t m = 0; m < e.value_size; ++m)
      state[d * e.value_size + m] += k[d] * written[size_t(m)];
}

void reference_linear_attention(ReferenceCall& call) {
  ClassicAttributes attributes(call.op());
  UpdateRule rule = update_rule(attributes);
  Extents e = read_extents(call, head_counts(attributes));
  require(rule.gated == call.has(4) && rule.delta == call.has(5),
          "linear_attention: decay or beta is missing or not wanted");
  double scale = attributes.number("scale", 0);
  if (scale == 0) scale = 1 / std::sqrt(double(e.key_size));
  Gate decay = read_gate(call, 4, e, {e.key_heads, e.key_heads * e.key_size}),
       beta = read_gate(call, 5, e, {e.key_heads, 1});
  auto doubles = [](const Tensor& t) {
    std::vector<double> out(size_t(t.size()));
    for (int64_t i = 0; i < t.size(); ++i) out[size_t(i)] = double_at(t, i);
    return out;
  };
  std::vector<double> q = doubles(call.in(0)), k = doubles(call.in(1)), v = doubles(call.in(2));
  Dims state_dims{e.batch, e.key_heads, e.key_size, e.value_size};
  std::vector<double> states(size_t(element_count(state_dims))), written(size_t(e.value_size));
  if (call.has(3)) {
    require(call.in(3).dims() == state_dims, "linear_attention: the state has shape ",
            str(call.in(3).dims()), ", expected ", str(state_dims));
    states = doubles(call.in(3));
  }
  Tensor y(DType::kFloat64, {e.batch, e.steps, e.query_heads * e.value_size});
  int64_t shared = e.query_heads / e.key_heads, area = e.key_size * e.value_size;
  for (int64_t row = 0; row < e.batch * e.steps; ++row)
    for (int64_t h = 0; h < e.key_heads; ++h) {
      double* state = states.data() + (row / e.steps * e.key_heads + h) * area;
      if (rule.gated)
        for (int64_t i = 0; i < area; ++i)
          state[i] *= std::exp(decay.at(row, h, i / e.value_size, e.key_size));
      update_state(e, k.data() + (row * e.key_heads + h) * e.key_size,
                   v.data() + (row * e.key_heads + h) * e.value_size,
                   rule.delta ? beta.at(row, h, 0, e.key_size) : 1, rule.delta, state, written);
      for (int64_t g = h * shared; g < (h + 1) * shared; ++g)
        for (int64_t d = 0; d < e.key_size; ++d)
          for (int64_t m = 0; m < e.value_size; ++m)
            y.data<double>()[(row * e.query_heads + g) * e.value_size + m] +=
                scale * q[size_t((row * e.query_heads + g) * e.key_size + d)] *
                state[d * e.value_size + m];
    }
  Tensor& out = call.out(0, call.in(0).dtype(), y.dims());
  for (int64_t i = 0; i < y.size(); ++i) set_double(out, i, y.data<double>()[i]);
  if (!call.wants(1)) return;
  Tensor& last = call.out(1, call.has(3) ? call.in(3).dtype() : call.in(0).dtype(), state_dims);
  for (int64_t i = 0; i < last.size(); ++i) set_double(last, i, states[size_t(i)]);
}

std::vector<Sample> samples_linear_attention(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  auto draw = [&](Dims dims, DType dtype = DType::kFloat32) {
    return random_tensor(random, dtype, dims, -0.6, 0.6);
  };
  auto add = [&](std::string rule, int64_t heads, std::vector<Tensor> inputs) {
    Classic op = make_classic("linear_attention", {{"kv_num_heads", int64_t{2}},
                                                   {"q_num_heads", heads},
                                                   {"scale", 0.0},
                                                   {"update_rule", std::move(rule)}});
    samples.push_back({std::move(op), std::move(inputs), 2});
  };
  Tensor k = draw({1, 3, 6}), v = draw({1, 3, 10}), state = draw({1, 2, 3, 5});
  add("linear", 2, {draw({1, 3, 6}), k, v});
  add("gated", 4, {draw({1, 3, 12}), k, v, state, draw({1, 3, 6})});
  add("delta", 2, {draw({1, 3, 6}), k, v, Tensor(), Tensor(), draw({1, 3, 1})});
  add("gated_delta", 2, {draw({1, 3, 6}), k, v, state, draw({1, 3, 2}), draw({1, 3, 2})});
  return samples;
}

constexpr ClassicRow kRows[] = {
    {"linear_attention", infer_linear_attention, reference_linear_attention,
     samples_linear_attention},
};

}  // namespace

std::span<const ClassicRow> attention_classics() { return kRows; }

}  // namespace vitrify
