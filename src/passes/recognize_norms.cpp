// recognize_norms: layer norm, RMS norm and softmax as exporters write them in pieces.
#include <algorithm>

#include "base/error.h"
#include "passes/pipeline.h"

namespace vitrify {

namespace {

Pattern reduce(Reduce::Kind kind, Pattern x, std::string_view name) {
  return op<Reduce>(
             {std::move(x)},
             [kind](Rng&) {
               return Reduce{kind, {1}};
             },
             [kind](const Reduce& r) {
               return r.kind == kind && r.keepdims && !r.axes.empty() && r.epilogue.empty();
             })
      .as(name);
}
Pattern mean(Pattern x, std::string_view name) {
  return reduce(Reduce::Kind::kMean, std::move(x), name);
}
Pattern sqrt(Pattern x) { return unary(UnaryKind::kSqrt, std::move(x)); }
Pattern reciprocal(Pattern x) { return unary(UnaryKind::kReciprocal, std::move(x)); }

std::map<std::string_view, Tensor> rows(Rng& r) {
  Tensor x(DType::kFloat32, {int64_t(r() % 4), int64_t(r() % 5 + 2)});
  for (int64_t i = 0; i < x.size(); ++i) set_double(x, i, double(r() % 1000) / 100 - 5);
  Tensor eps(DType::kFloat32, Dims(r() % 4, 1));  // of rank 3: more axes than x has
  set_double(eps, 0, 1e-3);
  return {{"x", x}, {"eps", eps}};
}

/// x - mean(x); its two appearances in a layer norm are one shared node.
Pattern centered(std::string_view name) {
  return sub(any("x"), mean(any("x"), "mean").keep()).as(name).keep();
}

/// For f32 alone, and where no constant of one element has axes that x lacks.
bool keeps_type(Match& m) {
  return m.type("x").dtype == DType::kFloat32 && m.is_of_root_type(m["x"]);
}
bool one_number(Match& m, std::string_view name) { return m.constant(name).size() == 1; }

ValueId layer_norm(Match& m) {
  const auto &mean_op = m.op<Reduce>("mean"), &variance = m.op<Reduce>("variance");
  if (!one_number(m, "eps") || mean_op.axes != variance.axes || !keeps_type(m)) return {};
  return m.add(Normalize{mean_op.axes, double_at(m.constant("eps"), 0), false}, {m["x"]});
}
ValueId rms_norm(Match& m) {
  if (!one_number(m, "eps") || !keeps_type(m)) return {};
  return m.add(Normalize{m.op<Reduce>("variance").axes, double_at(m.constant("eps"), 0), true},
               {m["x"]});
}
ValueId softmax(Match& m) {
  const auto &sum = m.op<Reduce>("sum"), &top = m.op<Reduce>("top");
  if (sum.axes.size() != 1 || sum.axes != top.axes || !keeps_type(m)) return {};
  return m.add(Softmax{sum.axes[0]}, {m["x"]});
}

Pattern deviation(Pattern square) {
  return sqrt(add(mean(std::move(square), "variance"), constant("eps")));
}
Pattern square(Pattern x, Pattern again) { return mul(std::move(x), std::move(again)); }

Pattern exponentials() {
  return unary(UnaryKind::kExp, sub(any("x"), reduce(Reduce::Kind::kMax, any("x"), "top")))
      .as("e")
      .keep();
}

const Rule kRules[] = {
    {"(x - mean(x)) / sqrt(mean(pow(x - mean(x), 2)) + eps) -> normalize(x)",
     div(centered("d"), deviation(pow(centered("d"), scalar(2)))), layer_norm, rows},
    {"(x - mean(x)) / sqrt(mean((x - mean(x))²) + eps) -> normalize(x)",
     div(centered("d"), deviation(square(centered("d"), centered("d")))), layer_norm, rows},
    {"(x - mean(x)) * reciprocal(sqrt(mean((x - mean(x))²) + eps)) -> normalize(x)",
     mul(centered("d"), reciprocal(deviation(square(centered("d"), centered("d"))))), layer_norm,
     rows},
    {"x / sqrt(mean(x²) + eps) -> normalize(x){rms}",
     div(any("x"), deviation(square(any("x"), any("x")))), rms_norm, rows},
    {"x / sqrt(mean(pow(x, 2)) + eps) -> normalize(x){rms}",
     div(any("x"), deviation(pow(any("x"), scalar(2)))), rms_norm, rows},
    {"x * reciprocal(sqrt(mean(x²) + eps)) -> normalize(x){rms}",
     mul(any("x"), reciprocal(deviation(square(any("x"), any("x"))))), rms_norm, rows},
    {"exp(x - max(x)) / sum(exp(x - max(x))) -> softmax(x)",
     div(exponentials(), reduce(Reduce::Kind::kSum, exponentials(), "sum")), softmax,
     [](Rng& r) {
       Tensor x(DType::kFloat32, {int64_t(r() % 4), int64_t(r() % 5 + 1)});
       for (int64_t i = 0; i < x.size(); ++i) set_double(x, i, double(r() % 1000) / 100 - 5);
       return std::map<std::string_view, Tensor>{{"x", x}};
     }},
};

}  // namespace

std::span<const Rule> norm_rules() { return kRules; }

Graph recognize_norms(const Graph& graph, const PassContext& context) {
  return apply_rules(graph, kRules, context);
}

}  // namespace vitrify
