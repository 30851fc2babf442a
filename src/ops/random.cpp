#include "ops/random.h"

#include <atomic>
#include <bit>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "ops/samples.h"

namespace vitrify {

PhiloxBlock philox(PhiloxBlock x, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    uint64_t a = uint64_t{0xD2511F53} * x[0], b = uint64_t{0xCD9E8D57} * x[2];
    x = {uint32_t(b >> 32) ^ x[1] ^ key[0], uint32_t(b), uint32_t(a >> 32) ^ x[3] ^ key[1],
         uint32_t(a)};
    key = {key[0] + 0x9E3779B9, key[1] + 0xBB67AE85};
  }
  return x;
}

std::array<double, 2> RandomStream::pair(uint64_t block) const {
  PhiloxBlock x =
      philox({uint32_t(block), uint32_t(block >> 32), uint32_t(stream_), uint32_t(stream_ >> 32)},
             {uint32_t(seed_), uint32_t(seed_ >> 32)});
  auto unit = [](uint32_t high, uint32_t low) {
    return double((uint64_t{high} << 32 | low) >> 11) * 0x1p-53;
  };
  return {unit(x[0], x[1]), unit(x[2], x[3])};
}

double RandomStream::uniform(uint64_t i) const { return pair(i / 2)[i % 2]; }

double RandomStream::normal(uint64_t i) const {
  auto [a, b] = pair(i / 2);
  double radius = std::sqrt(-2 * std::log1p(-a)), angle = 2 * std::numbers::pi * b;
  return radius * (i % 2 ? std::sin(angle) : std::cos(angle));
}

void infer_random(InferContext& c) {
  const auto& op = *c.op().as<Random>();
  require(op.dtype != DType::kUndefined && op.dtype != DType::kString,
          "cannot draw numbers of type ", name(op.dtype));
  bool needs_input = op.kind == Random::Kind::kBernoulli || op.kind == Random::Kind::kMultinomial;
  require(!needs_input || c.has(0), "needs an input");
  if (!c.has(0)) {
    for (const Dim& d : op.shape)
      require(!d.is_constant() || d.value() >= 0, "the extent ", d.str(), " is negative");
    return c.output(Type::tensor(op.dtype, op.shape));
  }
  c.expect_tensor(0);
  const Shape* x = c.shape(0);
  if (op.kind != Random::Kind::kMultinomial)
    return c.output(x ? Type::tensor(op.dtype, *x) : Type::unranked(op.dtype));
  require(!x || x->size() == 2, "expects [batch, classes], got ", c.type(0).str());
  require(op.sample_size >= 0, "sample_size is ", op.sample_size);
  c.output(Type::tensor(op.dtype, {x ? (*x)[0] : c.fresh(0, 0), op.sample_size}));
}

namespace {
RandomStream stream_of(const Random& op) {
  static std::atomic<uint64_t> unseeded{1};
  if (op.has_seed) return {std::bit_cast<uint64_t>(op.seed), 0};
  return {0, unseeded.fetch_add(1)};
}

Dims result_dims(ReferenceCall& call, const Random& op) {
  if (call.has(0)) return call.in(0).dims();
  Dims dims;
  for (const Dim& d : op.shape) dims.push_back(call.dim(d));
  return dims;
}

/// Draws classes with probability proportional to the exponentials of a row.
void draw_classes(ReferenceCall& call, const Random& op, const RandomStream& stream) {
  const Tensor& x = call.in(0);
  require(x.rank() == 2 && x.dims()[1] > 0, "multinomial: expects [batch, classes], got ",
          str(x.dims()));
  int64_t batch = x.dims()[0], classes = x.dims()[1];
  Tensor& y = call.out(0, op.dtype, {batch, op.sample_size});
  std::vector<double> sums(static_cast<size_t>(classes));
  for (int64_t b = 0; b < batch; ++b) {
    double most = -INFINITY, sum = 0;
    for (int64_t j = 0; j < classes; ++j) most = std::max(most, double_at(x, b * classes + j));
    for (int64_t j = 0; j < classes; ++j)
      sums[size_t(j)] = sum += std::exp(double_at(x, b * classes + j) - most);
    for (int64_t s = 0; s < op.sample_size; ++s) {
      double u = stream.uniform(uint64_t(b * op.sample_size + s)) * sum;
      int64_t drawn = 0;
      while (drawn + 1 < classes && !(u < sums[size_t(drawn)])) ++drawn;
      set_int(y, b * op.sample_size + s, drawn);
    }
  }
}
}  // namespace

void reference_random(ReferenceCall& call) {
  const auto& op = *call.op().as<Random>();
  RandomStream stream = stream_of(op);
  if (op.kind == Random::Kind::kMultinomial) return draw_classes(call, op, stream);
  Tensor& y = call.out(0, op.dtype, result_dims(call, op));
  for (int64_t i = 0; i < y.size(); ++i) {
    if (op.kind == Random::Kind::kUniform)
      set_double(y, i, op.a + (op.b - op.a) * stream.uniform(uint64_t(i)));
    else if (op.kind == Random::Kind::kNormal)
      set_double(y, i, op.a + op.b * stream.normal(uint64_t(i)));
    else
      set_double(y, i, stream.uniform(uint64_t(i)) < double_at(call.in(0), i));
  }
}

std::vector<Sample> samples_random(uint64_t seed) {
  SampleRandom random(seed);
  auto seeded = [](Random op, double value) {
    op.has_seed = true, op.seed = value;
    return op;
  };
  Random uniform{.kind = Random::Kind::kUniform, .dtype = DType::kFloat32, .shape = {3, 5}},
      normal{.kind = Random::Kind::kNormal, .dtype = DType::kFloat16, .shape = {7}},
      like{.kind = Random::Kind::kNormal, .dtype = DType::kFloat64, .shape = {}},
      bernoulli{.kind = Random::Kind::kBernoulli, .dtype = DType::kBool, .shape = {}},
      multinomial{.kind = Random::Kind::kMultinomial, .dtype = DType::kInt32, .shape = {}};
  multinomial.sample_size = 4;
  return {{seeded(uniform, 1), {}},
          {seeded(normal, 2), {}},
          {seeded(like, 3), {random_tensor(random, DType::kInt64, {2, 0, 3})}},
          {seeded(bernoulli, 4), {random_tensor(random, DType::kFloat32, {4, 5}, 0, 1)}},
          {seeded(multinomial, 5), {random_tensor(random, DType::kFloat32, {3, 6})}}};
}

}  // namespace vitrify
