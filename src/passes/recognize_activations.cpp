// recognize_activations: activation functions as exporters write them in pieces become one Unary.
#include <cmath>

#include "base/error.h"
#include "passes/pipeline.h"

namespace vitrify {

namespace {

Pattern sigmoid(Pattern x) { return unary(UnaryKind::kSigmoid, std::move(x)); }
Pattern tanh(Pattern x) { return unary(UnaryKind::kTanh, std::move(x)); }
Pattern softplus(Pattern x) { return unary(UnaryKind::kSoftplus, std::move(x)); }
Pattern erf(Pattern x) { return unary(UnaryKind::kErf, std::move(x)); }
/// HardSigmoid or Clip with the given parameters.
Pattern with(UnaryKind kind, double alpha, double beta, Pattern x) {
  return op<Unary>(
      {std::move(x)},
      [=](auto&) {
        return Unary{kind, alpha, beta};
      },
      [=](const Unary& u) {
        return u.kind == kind && std::fabs(u.alpha - alpha) < 1e-6 &&
               std::fabs(u.beta - beta) < 1e-6;
      });
}

constexpr float kSqrt2 = 1.41421356f, kInvSqrt2 = 0.70710678f, kSqrt2OverPi = 0.79788456f,
                kCubic = 0.044715f;

/// The replacement for all: one Unary of x, when constants did not widen the shape.
template <UnaryKind kind>
ValueId to(Match& m) {
  bool float32 = m.type("x").dtype == DType::kFloat32 && m.is_of_root_type(m["x"]);
  return float32 ? m.unary(kind, m["x"], kind == UnaryKind::kSwish ? 1 : 0) : ValueId{};
}

Pattern x() { return any("x"); }
Pattern gelu_inner() { return add(erf(div(x(), scalar(kSqrt2))), scalar(1)); }
Pattern gelu_inner_mul() { return add(erf(mul(x(), scalar(kInvSqrt2))), scalar(1)); }
Pattern cube_pow() { return pow(x(), scalar(3)); }
Pattern cube_mul() { return mul(mul(x(), x()), x()); }
/// tanh(sqrt(2/pi) * (x + 0.044715 x³)) + 1
Pattern gelu_tanh_inner(Pattern cube) {
  return add(tanh(mul(add(x(), mul(std::move(cube), scalar(kCubic))), scalar(kSqrt2OverPi))),
             scalar(1));
}

const Rule kRules[] = {
    {"x * sigmoid(x) -> swish(x)", mul(x(), sigmoid(x())), to<UnaryKind::kSwish>},
    {"x * hard_sigmoid(x) -> hard_swish(x)",
     mul(x(), with(UnaryKind::kHardSigmoid, 1.0 / 6, 0.5, x())), to<UnaryKind::kHardSwish>},
    {"x * clip(x + 3, 0, 6) / 6 -> hard_swish(x)",
     div(mul(x(), with(UnaryKind::kClip, 0, 6, add(x(), scalar(3)))), scalar(6)),
     to<UnaryKind::kHardSwish>},
    {"x * (clip(x + 3, 0, 6) / 6) -> hard_swish(x)",
     mul(x(), div(with(UnaryKind::kClip, 0, 6, add(x(), scalar(3))), scalar(6))),
     to<UnaryKind::kHardSwish>},
    {"clip(x + 3, 0, 6) / 6 -> hard_sigmoid(x)",
     div(with(UnaryKind::kClip, 0, 6, add(x(), scalar(3))), scalar(6)),
     [](Match& m) {
       bool float32 = m.type("x").dtype == DType::kFloat32 && m.is_of_root_type(m["x"]);
       return float32 ? m.unary(UnaryKind::kHardSigmoid, m["x"], 1.0 / 6, 0.5) : ValueId{};
     }},
    {"x * tanh(softplus(x)) -> mish(x)", mul(x(), tanh(softplus(x()))), to<UnaryKind::kMish>},
    {"(x * (erf(x / sqrt 2) + 1)) * 0.5 -> gelu(x)", mul(mul(x(), gelu_inner()), scalar(0.5f)),
     to<UnaryKind::kGelu>},
    {"x * ((erf(x / sqrt 2) + 1) * 0.5) -> gelu(x)", mul(x(), mul(gelu_inner(), scalar(0.5f))),
     to<UnaryKind::kGelu>},
    {"(x * 0.5) * (erf(x / sqrt 2) + 1) -> gelu(x)", mul(mul(x(), scalar(0.5f)), gelu_inner()),
     to<UnaryKind::kGelu>},
    {"(x * (erf(x * rsqrt 2) + 1)) * 0.5 -> gelu(x)", mul(mul(x(), gelu_inner_mul()), scalar(0.5f)),
     to<UnaryKind::kGelu>},
    {"(x * 0.5) * (erf(x * rsqrt 2) + 1) -> gelu(x)", mul(mul(x(), scalar(0.5f)), gelu_inner_mul()),
     to<UnaryKind::kGelu>},
    {"x * ((erf(x * rsqrt 2) + 1) * 0.5) -> gelu(x)", mul(x(), mul(gelu_inner_mul(), scalar(0.5f))),
     to<UnaryKind::kGelu>},
    {"(x * 0.5) * (tanh(… pow(x, 3)) + 1) -> gelu_tanh(x)",
     mul(mul(x(), scalar(0.5f)), gelu_tanh_inner(cube_pow())), to<UnaryKind::kGeluTanh>},
    {"x * ((tanh(… pow(x, 3)) + 1) * 0.5) -> gelu_tanh(x)",
     mul(x(), mul(gelu_tanh_inner(cube_pow()), scalar(0.5f))), to<UnaryKind::kGeluTanh>},
    {"(x * 0.5) * (tanh(… x*x*x) + 1) -> gelu_tanh(x)",
     mul(mul(x(), scalar(0.5f)), gelu_tanh_inner(cube_mul())), to<UnaryKind::kGeluTanh>},
};

}  // namespace

std::span<const Rule> activation_rules() { return kRules; }

Graph recognize_activations(const Graph& graph, const PassContext& context) {
  return apply_rules(graph, kRules, context);
}

}  // namespace vitrify
