// The random generator: published answers, and distributions of the right shape.
#include "ops/random.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/interpreter.h"
#include "ops/table.h"

namespace vitrify {
namespace {

/// Known answers of Random123's philox4x32-10.
TEST(Random, PhiloxGivesThePublishedBlocks) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}),
            (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Random, MomentsAreRight) {
  RandomStream stream(7, 0);
  double u1 = 0, u2 = 0, n1 = 0, n2 = 0, n4 = 0;
  constexpr int kCount = 200000;
  for (int i = 0; i < kCount; ++i) {
    double u = stream.uniform(uint64_t(i)), n = stream.normal(uint64_t(i));
    ASSERT_TRUE(u >= 0 && u < 1);
    u1 += u, u2 += u * u, n1 += n, n2 += n * n, n4 += n * n * n * n;
  }
  EXPECT_NEAR(u1 / kCount, 0.5, 0.005);
  EXPECT_NEAR(u2 / kCount, 1.0 / 3, 0.005);
  EXPECT_NEAR(n1 / kCount, 0, 0.01);
  EXPECT_NEAR(n2 / kCount, 1, 0.02);
  EXPECT_NEAR(n4 / kCount, 3, 0.1);
}

Tensor draw(const Random& op, std::vector<Value> inputs) {
  GraphBuilder b = make_builder();
  std::vector<ValueId> ids;
  for (const Value& v : inputs) ids.push_back(b.input("x", v.tensor.type()));
  b.output("y", b.add(op, ids));
  return interpret(b.finish(), std::move(inputs))[0].tensor;
}

TEST(Random, SeedsRepeatAndUnseededRunsDiffer) {
  Random op{.kind = Random::Kind::kUniform, .dtype = DType::kFloat32, .shape = {64}};
  auto bytes = [](const Tensor& t) {
    return std::vector<float>(t.data<float>(), t.data<float>() + t.size());
  };
  EXPECT_NE(bytes(draw(op, {})), bytes(draw(op, {})));
  op.has_seed = true;
  EXPECT_EQ(bytes(draw(op, {})), bytes(draw(op, {})));
}

TEST(Random, MultinomialFollowsTheLogits) {
  Random op{.kind = Random::Kind::kMultinomial, .dtype = DType::kInt64, .shape = {}};
  op.has_seed = true, op.sample_size = 40000;
  Tensor logits =
      Tensor::of<float>(DType::kFloat32, {1, 3}, {std::log(1.f), std::log(2.f), std::log(5.f)});
  int counts[3] = {};
  for (int64_t i : to_ints(draw(op, {logits}))) ++counts[i];
  EXPECT_NEAR(counts[0] / 40000.0, 1.0 / 8, 0.01);
  EXPECT_NEAR(counts[1] / 40000.0, 2.0 / 8, 0.01);
  EXPECT_NEAR(counts[2] / 40000.0, 5.0 / 8, 0.01);
}

}  // namespace
}  // namespace vitrify
