// fold_affine: per-channel scales after a convolution or matmul go into the constant weights, and
// shifts meet in one bias: batch norm disappears.
#include <algorithm>

#include "base/error.h"
#include "passes/pipeline.h"

namespace vitrify {
namespace {

Window plain_window(Rng& r) {
  return {{3, 3}, {int64_t(r() % 2 + 1), 1}, {1, 1}, {1, int64_t(r() % 2)}, {1, 0}};
}
Pattern conv(Pattern x, Pattern w, std::string_view name) {
  return op<Conv>(
             {std::move(x), std::move(w)},
             [](Rng& r) {
               return Conv{plain_window(r), 1};
             },
             [](const Conv& c) { return c.epilogue.empty(); })
      .as(name);
}
Pattern conv_transpose(Pattern x, Pattern w, std::string_view name) {
  return op<ConvTranspose>(
             {std::move(x), std::move(w)},
             [](Rng& r) {
               return ConvTranspose{plain_window(r), 1, {}, {}};
             },
             [](const ConvTranspose& c) { return c.epilogue.empty() && c.group == 1; })
      .as(name);
}
Pattern matmul(Pattern x, Pattern w, std::string_view name) {
  return op<MatMul>(
             {std::move(x), std::move(w)}, [](Rng&) { return MatMul{}; },
             [](const MatMul& o) { return o.epilogue.empty(); })
      .as(name);
}

/// The scale as a vector of `channels` (or one number), when it varies along the last axis alone.
bool per_channel(const Tensor& s, int64_t channels) {
  if (s.dtype() != DType::kFloat32) return false;
  if (s.size() == 1) return true;
  return s.size() == channels && s.rank() > 0 && s.dims().back() == channels;
}

/// w * s with s laid along `axis` of w, and the scaled op; the result's shape must not change.
ValueId scaled(Match& m, std::string_view name, size_t axis) {
  const Tensor &w = m.constant("w"), &s = m.constant("s");
  bool fits = w.dtype() == DType::kFloat32 && axis < size_t(w.rank()) && m.is_of_root_type(m[name]);
  if (!fits || !per_channel(s, w.dims()[axis])) return {};
  Shape lined(size_t(w.rank()), Dim(1));
  if (s.size() != 1) lined[axis] = s.size();
  ValueId scale = m.add(Reshape{lined}, {m["s"]});
  ValueId weights = m.binary(BinaryKind::kMul, m["w"], scale);
  return m.add(m.builder().node(m[name]).op, {m["x"], weights});
}

std::map<std::string_view, Tensor> conv_sample(Rng& r) {
  int64_t channels = int64_t(r() % 3 + 1), filters = int64_t(r() % 4 + 1);
  Dims scale = r() % 3 ? Dims{filters} : r() % 2 ? Dims{1, 1, 1, filters} : Dims{};
  return {{"x", random_floats(r, {int64_t(r() % 3), 5, 4, channels})},
          {"w", random_floats(r, {filters, channels, 3, 3})},
          {"s", random_floats(r, scale)},
          {"b", random_floats(r, {filters})}};
}
std::map<std::string_view, Tensor> conv_transpose_sample(Rng& r) {
  int64_t channels = int64_t(r() % 3 + 1), filters = int64_t(r() % 4 + 1);
  return {{"x", random_floats(r, {int64_t(r() % 2 + 1), 4, 3, channels})},
          {"w", random_floats(r, {channels, filters, 3, 3})},
          {"s", random_floats(r, {filters})}};
}
std::map<std::string_view, Tensor> matmul_sample(Rng& r) {
  int64_t k = int64_t(r() % 4), n = int64_t(r() % 5 + 1);
  return {{"x", random_floats(r, {int64_t(r() % 3), k})},
          {"w", random_floats(r, {k, n})},
          {"s", random_floats(r, r() % 2 ? Dims{n} : Dims{})}};
}
std::map<std::string_view, Tensor> shift_sample(Rng& r) {
  int64_t n = int64_t(r() % 5 + 1);
  return {{"x", random_floats(r, {int64_t(r() % 4), n})},
          {"b", random_floats(r, r() % 2 ? Dims{n} : Dims{})},
          {"s", random_floats(r, {n})}};
}

/// Moves the scale inside, next to the op whose weights may take it.
ValueId distribute(Match& m) {
  const Node& x = m.builder().node(m["x"]);
  bool contraction = x.op.is<Conv>() || x.op.is<MatMul>() || x.op.is<ConvTranspose>();
  bool in_test = x.op.is<Input>();
  if ((!contraction && !in_test) || m.type("x").dtype != DType::kFloat32 ||
      !m.is_of_root_type(m["x"]))
    return {};
  if (contraction && !m.builder().constant_of(x.inputs[1])) return {};
  ValueId product = m.binary(BinaryKind::kMul, m["x"], m["s"]);
  return m.binary(BinaryKind::kAdd, product, m.binary(BinaryKind::kMul, m["b"], m["s"]));
}

const Rule kRules[] = {
    {"conv(x, w) * s -> conv(x, w * s)", mul(conv(any("x"), constant("w"), "c"), constant("s")),
     [](Match& m) { return scaled(m, "c", 0); }, conv_sample},
    {"conv_transpose(x, w) * s -> conv_transpose(x, w * s)",
     mul(conv_transpose(any("x"), constant("w"), "c"), constant("s")),
     [](Match& m) { return scaled(m, "c", 1); }, conv_transpose_sample},
    {"matmul(x, w) * s -> matmul(x, w * s)",
     mul(matmul(any("x"), constant("w"), "c"), constant("s")),
     [](Match& m) {
       const Tensor& w = m.constant("w");
       if (w.rank() != 2) return ValueId{};
       return scaled(m, "c", m.op<MatMul>("c").transpose_b ? 0 : 1);
     },
     matmul_sample},
    {"(x + b) * s -> x * s + b * s", mul(add(any("x"), constant("b")), constant("s")), distribute,
     shift_sample},
};

}  // namespace

std::span<const Rule> affine_rules() { return kRules; }

Graph fold_affine(const Graph& graph, const PassContext& context) {
  Graph folded = apply_rules(graph, kRules, context);
  PassContext quiet = context;
  quiet.trace = nullptr;  // the products were decided above
  return simplify(fold_constants(folded, quiet), quiet);
}

}  // namespace vitrify
