// recognize_attention: matmul - scale - mask - softmax - matmul over heads becomes one Attention,
// which never writes the score matrix to memory.
#include <cmath>

#include "base/error.h"
#include "passes/pipeline.h"

namespace vitrify {
namespace {

Pattern scores() {
  return op<MatMul>(
      {any("q"), any("k")},
      [](Rng&) {
        return MatMul{false, true};
      },
      [](const MatMul& o) { return o.transpose_b && !o.transpose_a && o.epilogue.empty(); });
}
Pattern softmax(Pattern x) {
  return op<Softmax>(
      {std::move(x)}, [](Rng&) { return Softmax{-1}; },
      [](const Softmax& s) { return !s.log && (s.axis == -1 || s.axis == 3); });
}
Pattern attend(Pattern weights) {
  return op<MatMul>(
      {std::move(weights), any("v")}, [](Rng&) { return MatMul{}; },
      [](const MatMul& o) { return !o.transpose_a && !o.transpose_b && o.epilogue.empty(); });
}

/// Of the types whose products are summed in fp32.
bool rank4(Match& m, std::string_view v) {
  const DType t = m.type(v).dtype;
  return m.type(v).has_rank() && m.type(v).shape->size() == 4 &&
         (t == DType::kFloat32 || t == DType::kFloat16 || t == DType::kBFloat16);
}

/// Whether it is not proved that adding the mask leaves the scores their batch, heads and queries:
/// exporters name the extents of each input apart. More keys than k has would not meet v.
bool may_widen(const Shape& mask, const Shape& scores) {
  const size_t more = scores.size() - mask.size();
  for (size_t i = 0; i + 1 < mask.size(); ++i)
    if (!(mask[i] == Dim(1) || mask[i] == scores[more + i])) return true;
  return false;
}

/// q, k, v of equal batch and heads; a scale of one number; a mask that broadcasts to the scores.
ValueId attention(Match& m, bool scaled, bool divide, bool masked) {
  for (std::string_view v : {"q", "k", "v"})
    if (!rank4(m, v)) return {};
  const Shape &q = *m.type("q").shape, &k = *m.type("k").shape, &v = *m.type("v").shape;
  if (!(q[0] == k[0] && k[0] == v[0] && q[1] == k[1] && k[1] == v[1] && k[2] == v[2] &&
        q[3] == k[3]))
    return {};
  double scale = 1;
  if (scaled) {
    const Tensor& s = m.constant("scale");
    if (s.size() != 1 || s.rank() > 1) return {};
    scale = divide ? 1 / double_at(s, 0) : double_at(s, 0);
  }
  std::vector<ValueId> inputs{m["q"], m["k"], m["v"]};
  bool widens = false;
  if (masked) {
    const Type& mask = m.type("mask");
    if (!mask.has_rank() || mask.shape->size() > 4 || mask.dtype != m.type("q").dtype) return {};
    widens = may_widen(*mask.shape, {q[0], q[1], q[2], k[2]});
    inputs.push_back(m["mask"]);
  }
  return m.add(Attention{scale, 0, false, widens}, std::move(inputs));
}

std::map<std::string_view, Tensor> sample(Rng& r) {
  int64_t b = int64_t(r() % 3), h = int64_t(r() % 3 + 1), s = int64_t(r() % 5 + 1),
          t = int64_t(r() % 5 + 1), d = int64_t(r() % 6 + 1);
  const Dims masks[] = {{b, 1, 1, t},
                        {s, t},
                        {b == 1 ? 2 : b, 1, s, t},
                        {1, h == 1 ? 3 : h, s == 1 ? 4 : s, t}};  // some widen the scores
  const Dims& mask = masks[r() % 4];
  return {{"q", random_floats(r, {b, h, s, d})},
          {"k", random_floats(r, {b, h, t, d})},
          {"v", random_floats(r, {b, h, t, d + 1})},
          {"scale", Tensor::scalar(0.25f + float(r() % 4))},
          {"mask", random_floats(r, mask)}};
}

const Rule kRules[] = {
    {"softmax(q kᵀ / scale + mask) v -> attention(q, k, v, mask)",
     attend(softmax(add(div(scores(), constant("scale")), any("mask")))),
     [](Match& m) { return attention(m, true, true, true); }, sample},
    {"softmax(q kᵀ * scale + mask) v -> attention(q, k, v, mask)",
     attend(softmax(add(mul(scores(), constant("scale")), any("mask")))),
     [](Match& m) { return attention(m, true, false, true); }, sample},
    {"softmax(q kᵀ / scale) v -> attention(q, k, v)",
     attend(softmax(div(scores(), constant("scale")))),
     [](Match& m) { return attention(m, true, true, false); }, sample},
    {"softmax(q kᵀ * scale) v -> attention(q, k, v)",
     attend(softmax(mul(scores(), constant("scale")))),
     [](Match& m) { return attention(m, true, false, false); }, sample},
    {"softmax(q kᵀ + mask) v -> attention(q, k, v, mask)",
     attend(softmax(add(scores(), any("mask")))),
     [](Match& m) { return attention(m, false, false, true); }, sample},
    {"softmax(q kᵀ) v -> attention(q, k, v)", attend(softmax(scores())),
     [](Match& m) { return attention(m, false, false, false); }, sample},
};

}  // namespace

std::span<const Rule> attention_rules() { return kRules; }

Graph recognize_attention(const Graph& graph, const PassContext& context) {
  return apply_rules(graph, kRules, context);
}

}  // namespace vitrify
