// Random numbers: RandomUniform, RandomNormal, their Like forms, Bernoulli and Multinomial.
#include "base/error.h"
#include "onnx/families.h"
#include "onnx/importer.h"

namespace vitrify::onnx {

namespace {

Random random_op(const NodeContext& c, Random::Kind kind, DType otherwise) {
  Random op{.kind = kind, .dtype = c.dtype_attribute("dtype", otherwise), .shape = {}};
  bool uniform = kind == Random::Kind::kUniform;
  op.a = c.float_attribute(uniform ? "low" : "mean", 0);
  op.b = c.float_attribute(uniform ? "high" : "scale", 1);
  op.has_seed = c.has_attribute("seed");
  op.seed = c.float_attribute("seed", 0);
  return op;
}

template <Random::Kind kind>
void import_random(NodeContext& c) {
  Random op = random_op(c, kind, DType::kFloat32);
  for (int64_t d : c.ints_attribute("shape")) op.shape.emplace_back(d);
  c.outputs({c.add(std::move(op), {})});
}

template <Random::Kind kind>
void import_random_like(NodeContext& c) {
  c.outputs({c.add(random_op(c, kind, c.dtype(c.in(0))), {c.in(0)})});
}

void import_multinomial(NodeContext& c) {
  Random op = random_op(c, Random::Kind::kMultinomial, DType::kInt32);
  op.sample_size = c.int_attribute("sample_size", 1);
  c.outputs({c.add(std::move(op), {c.in(0)})});
}

constexpr ImportRow kRows[] = {
    {"", "RandomUniform", 1, import_random<Random::Kind::kUniform>},
    {"", "RandomNormal", 1, import_random<Random::Kind::kNormal>},
    {"", "RandomUniformLike", 1, import_random_like<Random::Kind::kUniform>},
    {"", "RandomNormalLike", 1, import_random_like<Random::Kind::kNormal>},
    {"", "Bernoulli", 15, import_random_like<Random::Kind::kBernoulli>},
    {"", "Multinomial", 7, import_multinomial},
};

}  // namespace

std::span<const ImportRow> random_imports() { return kRows; }

}  // namespace vitrify::onnx
