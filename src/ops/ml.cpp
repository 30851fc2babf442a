// Ops of classical machine learning that are no compositions of others: decision trees, maps from
// label to label, and two rare score transforms. Models' tables come as constant inputs.
#include <algorithm>
#include <cmath>
#include <map>

#include "ops/classic.h"
#include "ops/dispatch.h"

namespace vitrify {

namespace {

// ---- tree_ensemble: (x, nodes, splits, roots, leaf targets, leaf weights, members) ----
// `nodes` is i64[n, 6], a row a node: mode, feature, where to go when true, when false, whether a
// NaN goes the true way, and where the members of a set test begin. In a leaf the two ways are the
// range of its entries in the leaf tables. Sets of members end with NaN.

enum class Mode : int64_t { kLeq, kLess, kGeq, kGreater, kEqual, kNotEqual, kMember, kLeaf };
constexpr int64_t kModes = 8, kColumns = 6;

struct Trees {
  Tensor nodes, splits, roots, targets, weights, members;
  int64_t n_targets = 1;
  std::string aggregate;

  const int64_t* row(int64_t i) const { return nodes.data<int64_t>() + i * kColumns; }
  int64_t count() const { return nodes.dims()[0]; }
};

bool in_range(int64_t v, int64_t end) { return v >= 0 && v < end; }

/// Everything that the walk takes on trust: ranges, and lengths of parallel tables.
void check_trees(const Trees& t, int64_t features) {
  require(t.nodes.rank() == 2 && t.nodes.dims()[1] == kColumns && t.splits.size() == t.count() &&
              t.targets.size() == t.weights.size(),
          "the tables of a tree ensemble differ in length");
  for (int64_t i = 0; i < t.count(); ++i) {
    const int64_t* n = t.row(i);
    require(in_range(n[0], kModes), "a tree node has the unknown mode ", n[0]);
    if (Mode(n[0]) == Mode::kLeaf) {
      require(n[2] >= 0 && n[2] <= n[3] && n[3] <= t.targets.size(), "a leaf has no entries");
      continue;
    }
    require(in_range(n[1], features), "a tree node tests feature ", n[1], " of ", features);
    require(in_range(n[2], t.count()) && in_range(n[3], t.count()), "a tree node leads nowhere");
    require(Mode(n[0]) != Mode::kMember || in_range(n[5], t.members.size() + 1),
            "a tree node's set is missing");
  }
  for (int64_t root : t.roots.span<int64_t>())
    require(in_range(root, t.count()), "a tree has no root");
  for (int64_t target : t.targets.span<int64_t>())
    require(in_range(target, t.n_targets), "a leaf counts for target ", target, " of ",
            t.n_targets);
}

bool is_member(const Trees& t, int64_t begin, double v) {
  for (int64_t i = begin; i < t.members.size(); ++i) {
    double m = t.members.data<double>()[i];
    if (std::isnan(m)) return false;
    if (m == v) return true;
  }
  return false;
}

bool test(const Trees& t, int64_t node, double v) {
  const int64_t* n = t.row(node);
  double split = t.splits.data<double>()[node];
  if (n[4] && std::isnan(v)) return true;
  switch (Mode(n[0])) {
    case Mode::kLeq:
      return v <= split;
    case Mode::kLess:
      return v < split;
    case Mode::kGeq:
      return v >= split;
    case Mode::kGreater:
      return v > split;
    case Mode::kEqual:
      return v == split;
    case Mode::kNotEqual:
      return v != split;
    default:
      return is_member(t, n[5], v);
  }
}

int64_t find_leaf(const Trees& t, int64_t root, const Tensor& x, int64_t row_begin) {
  int64_t node = root;
  for (int64_t steps = 0; steps <= t.count(); ++steps) {
    const int64_t* n = t.row(node);
    if (Mode(n[0]) == Mode::kLeaf) return node;
    node = test(t, node, double_at(x, row_begin + n[1])) ? n[2] : n[3];
  }
  fail("a tree runs in a circle");
}

void infer_tree_ensemble(InferContext& context) {
  require(context.input_count() == 7, "expected seven inputs");
  context.expect_tensor(0);
  DType dtype = context.dtype(0);
  require(dtype == DType::kFloat32 || dtype == DType::kFloat64, "expected f32 or f64, got ",
          name(dtype));
  int64_t targets = ClassicAttributes(context.op()).integer("n_targets", 1);
  require(targets > 0, "n_targets must be positive");
  const Shape* shape = context.shape(0);
  if (!shape) return context.output(Type::unranked(dtype));
  require(shape->size() == 1 || shape->size() == 2, "expected [N, F], got ", context.type(0).str());
  context.output(Type::tensor(dtype, {shape->size() == 2 ? shape->front() : Dim(1), Dim(targets)}));
}

/// One row: all trees' leaves, brought together target by target.
void score_row(const Trees& t, const Tensor& x, int64_t row_begin, Tensor& y, int64_t row) {
  std::vector<double> scores(size_t(t.n_targets));
  std::vector<bool> seen(size_t(t.n_targets));
  bool least = t.aggregate == "MIN", most = t.aggregate == "MAX";
  for (int64_t root : t.roots.span<int64_t>()) {
    const int64_t* leaf = t.row(find_leaf(t, root, x, row_begin));
    for (int64_t i = leaf[2]; i < leaf[3]; ++i) {
      auto target = size_t(t.targets.data<int64_t>()[i]);
      double w = t.weights.data<double>()[i], s = scores[target];
      bool first = !seen[target];
      scores[target] = least  ? (first ? w : std::min(s, w))
                       : most ? (first ? w : std::max(s, w))
                              : s + w;
      seen[target] = true;
    }
  }
  double divisor = t.aggregate == "AVERAGE" ? double(std::max<int64_t>(t.roots.size(), 1)) : 1;
  for (int64_t k = 0; k < t.n_targets; ++k)
    set_double(y, row * t.n_targets + k, scores[size_t(k)] / divisor);
}

void reference_tree_ensemble(ReferenceCall& call) {
  ClassicAttributes attributes(call.op());
  const Tensor& x = call.in(0);
  require(x.rank() == 1 || x.rank() == 2, "expected [N, F]");
  const DType types[] = {DType::kInt64, DType::kFloat64, DType::kInt64,
                         DType::kInt64, DType::kFloat64, DType::kFloat64};
  for (int i = 1; i < 7; ++i)
    require(call.in(i).dtype() == types[i - 1], "a table of a tree ensemble has the wrong type");
  Trees t{call.in(1),
          call.in(2),
          call.in(3),
          call.in(4),
          call.in(5),
          call.in(6),
          attributes.integer("n_targets", 1),
          attributes.text("aggregate", "SUM")};
  int64_t features = x.dims().back(), rows = x.rank() == 2 ? x.dims()[0] : 1;
  check_trees(t, features);
  Tensor& y = call.out(0, x.dtype(), {rows, t.n_targets});
  for (int64_t r = 0; r < rows; ++r) score_row(t, x, r * features, y, r);
}

// ---- map_labels: (x, keys, values, default) ----

void infer_map_labels(InferContext& context) {
  require(context.input_count() == 4, "expected four inputs");
  for (int i = 0; i < 4; ++i) context.expect_tensor(i);
  require(context.dtype(0) == context.dtype(1) && context.dtype(2) == context.dtype(3),
          "keys must be of the input's type and the default of the values'");
  Type type = context.type(0);
  type.dtype = context.dtype(2);
  context.output(type);
}

/// Where each element of x stands among the keys (the first such place), or -1. NaN finds NaN.
template <class K, class At>
std::vector<int64_t> find_keys(const Tensor& x, const Tensor& keys, At at) {
  std::map<K, int64_t> places;
  int64_t nan_place = -1;
  for (int64_t i = keys.size(); i-- > 0;) {
    K key = at(keys, i);
    if (key != key)
      nan_place = i;
    else
      places[key] = i;
  }
  std::vector<int64_t> found;
  for (int64_t i = 0; i < x.size(); ++i) {
    K key = at(x, i);
    auto place = key != key ? places.end() : places.find(key);
    found.push_back(key != key ? nan_place : place == places.end() ? -1 : place->second);
  }
  return found;
}

void reference_map_labels(ReferenceCall& call) {
  const Tensor &x = call.in(0), &keys = call.in(1), &values = call.in(2), &otherwise = call.in(3);
  require(keys.size() == values.size() && otherwise.size() == 1,
          "keys and values differ in number");
  std::vector<int64_t> found;
  if (x.dtype() == DType::kString)
    found = find_keys<std::string>(
        x, keys, [](const Tensor& t, int64_t i) { return t.data<std::string>()[i]; });
  else if (is_float(x.dtype()))
    found = find_keys<double>(x, keys, double_at);
  else
    found = find_keys<int64_t>(x, keys, int_at);
  Tensor y = call.out(0, values.dtype(), x.dims());
  dispatch_bytes(values.dtype(), [&]<class T>() {
    for (int64_t i = 0; i < x.size(); ++i) {
      int64_t at = found[size_t(i)];
      y.data<T>()[i] = at < 0 ? otherwise.data<T>()[0] : values.data<T>()[at];
    }
  });
}

// ---- Score transforms ----

void infer_same(InferContext& context) {
  require(context.input_count() == 1, "expected one input");
  context.expect_tensor(0);
  require(context.dtype(0) == DType::kFloat32, "expected f32, got ", name(context.dtype(0)));
  context.output(context.type(0));
}

/// Softmax over the last axis among the scores that are not 0; those stay 0.
void reference_softmax_zero(ReferenceCall& call) {
  const Tensor& x = call.in(0);
  Tensor& y = call.out(0, DType::kFloat32, x.dims());
  int64_t length = x.rank() ? x.dims().back() : 1;
  constexpr float kZero = 1e-7F;
  for (int64_t begin = 0; begin < x.size(); begin += length) {
    const float* from = x.data<float>() + begin;
    float* to = y.data<float>() + begin;
    float highest = *std::max_element(from, from + length), sum = 0;
    for (int64_t i = 0; i < length; ++i) {
      to[i] = std::fabs(from[i]) > kZero ? std::exp(from[i] - highest) : 0;
      sum += to[i];
    }
    for (int64_t i = 0; i < length && sum != 0; ++i) to[i] /= sum;
  }
}

/// √2 · erf⁻¹(2x - 1), erf⁻¹ by Winitzki's approximation (2008), as common runtimes do.
void reference_probit(ReferenceCall& call) {
  const Tensor& x = call.in(0);
  Tensor& y = call.out(0, DType::kFloat32, x.dims());
  for (int64_t i = 0; i < x.size(); ++i) {
    float v = 2 * x.data<float>()[i] - 1, sign = v < 0 ? -1.0F : 1.0F;
    float log = std::log((1 - v) * (1 + v));
    float a = 2 / (float(M_PI) * 0.147F) + 0.5F * log;
    y.data<float>()[i] =
        float(M_SQRT2) * sign * std::sqrt(-a + std::sqrt(a * a - 1 / 0.147F * log));
  }
}

constexpr ClassicRow kRows[] = {
    {"tree_ensemble", infer_tree_ensemble, reference_tree_ensemble},
    {"map_labels", infer_map_labels, reference_map_labels},
    {"softmax_zero", infer_same, reference_softmax_zero},
    {"probit", infer_same, reference_probit},
};

}  // namespace

std::span<const ClassicRow> ml_classics() { return kRows; }

}  // namespace vitrify
