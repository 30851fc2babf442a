// Bodies of control flow have plans of their own: what they hold runs on fast tactics, too, and
// gives what the interpreter gives.
#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "builder/builder.h"
#include "compare.h"
#include "ops/interpreter.h"
#include "ops/table.h"
#include "runtime/context.h"
#include "runtime/engine_file.h"

namespace vitrify {
namespace {

Tensor random(const Dims& dims, unsigned seed, float scale = 1) {
  std::mt19937 r(seed);
  Tensor t(DType::kFloat32, dims);
  for (int64_t i = 0; i < t.size(); ++i)
    t.data<float>()[i] = scale * (float(r() % 2001) / 1000 - 1);
  return t;
}

Type image() {
  return Type::tensor(DType::kFloat32,
                      Shape{Dim::symbol("n"), Dim(3), Dim::symbol("h"), Dim::symbol("w")});
}

ValueId conv_relu(GraphBuilder& b, ValueId x, unsigned seed) {
  const Window same{{3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}};
  const ValueId weights = b.constant(random({3, 3, 3, 3}, seed, 0.2f));
  ValueId y = b.add(Transpose{{0, 2, 3, 1}}, {x});
  y = b.add(Conv{same, 1}, {y, weights}, {"conv"});
  y = b.add(Transpose{{0, 3, 1, 2}}, {y});
  return b.add(Unary{UnaryKind::kRelu}, {y}, {"relu"});
}

/// x → conv → relu, and x · 0.5 where the iteration is odd, as an If inside.
GraphRef loop_body() {
  GraphBuilder b = make_builder();
  const ValueId i = b.input("i", Type::tensor(DType::kInt64, Shape{}));
  const ValueId going = b.input("going", Type::tensor(DType::kBool, Shape{}));
  const ValueId x = b.input("x", image());
  const ValueId bias = b.input("bias", Type::tensor(DType::kFloat32, Shape{Dim(1)}));
  ValueId y = b.add(Binary{BinaryKind::kAdd}, {conv_relu(b, x, 1), bias});
  GraphBuilder half = make_builder(), same = make_builder();
  half.output("y", conv_relu(half, half.input("x", image()), 2));
  same.output("y", same.input("x", image()));
  If branch{std::make_shared<const Graph>(half.finish()),
            std::make_shared<const Graph>(same.finish()), 1};
  const ValueId two = b.constant(Tensor::scalar(int64_t{2}));
  const ValueId one = b.constant(Tensor::scalar(int64_t{1}));
  const ValueId odd =
      b.add(Binary{BinaryKind::kEqual}, {b.add(Binary{BinaryKind::kMod}, {i, two}), one});
  y = b.add(std::move(branch), {odd, y, y});
  b.output("going", going);
  b.output("x", y);
  b.output("mean", b.add(Reduce{Reduce::Kind::kMean, {1, 2, 3}, false}, {y}));
  return std::make_shared<const Graph>(b.finish());
}

Graph loop_graph() {
  GraphBuilder b = make_builder();
  const ValueId x = b.input("x", image());
  const ValueId trips = b.input("trips", Type::tensor(DType::kInt64, Shape{}));
  const ValueId bias = b.input("bias", Type::tensor(DType::kFloat32, Shape{Dim(1)}));
  const ValueId y = b.add(Loop{loop_body(), 1}, {trips, {}, x, bias}, {"loop"}, 2);
  b.output("y", y);
  b.output("means", {y.node, 1});
  return b.finish();
}

std::shared_ptr<const Engine> build(const Graph& graph, bool passes) {
  BuildOptions options;
  options.timing = false;
  options.passes.enabled = passes;
  return load_engine(build_graph(graph, options).engine);
}

class Bodies : public testing::TestWithParam<bool> {};

TEST_P(Bodies, AgreeWithTheInterpreter) {
  const Graph graph = loop_graph();
  const auto engine = build(graph, GetParam());
  EXPECT_EQ(engine->bodies().size(), 3u);
  Context context(engine);
  unsigned seed = 0;
  for (Dims dims : {Dims{1, 3, 9, 7}, Dims{2, 3, 16, 16}, Dims{1, 3, 9, 7}, Dims{0, 3, 4, 4}})
    for (int64_t trips : {0, 1, 5}) {
      const std::vector<Value> inputs{random(dims, ++seed), Tensor::scalar(trips),
                                      random({1}, seed)};
      for (size_t i = 0; i < inputs.size(); ++i) context.set_input(i, inputs[i]).check();
      context.run().check();
      const std::vector<Value> expected = interpret(graph, inputs);
      for (size_t o = 0; o < expected.size(); ++o)
        EXPECT_EQ(difference(context.output(o), expected[o], 1e-4), "")
            << str(dims) << " output " << o << " after " << trips;
    }
}

INSTANTIATE_TEST_SUITE_P(Passes, Bodies, testing::Bool());

TEST(Bodies, RunOnFastTactics) {
  const auto engine = build(loop_graph(), true);
  int convolutions = 0;
  for (const auto& [graph, body] : engine->bodies())
    for (const Step& s : body->plans().front().plan.steps) {
      const Op& op = body->graph().nodes[size_t(s.node)].op;
      if (!op.is<Conv>()) continue;
      ++convolutions;
      EXPECT_FALSE(s.is_reference());
    }
  EXPECT_EQ(convolutions, 2);
}

TEST(Bodies, ErrorsNameTheNodeInside) {
  GraphBuilder inner = make_builder();
  inner.input("i", Type::tensor(DType::kInt64, Shape{}));
  const ValueId going = inner.input("going", Type::tensor(DType::kBool, Shape{}));
  const ValueId at = inner.input("at", Type::tensor(DType::kInt64, Shape{Dim(1)}));
  inner.output("going", going);
  inner.output("at", at);
  inner.output("row", inner.add(Gather{0}, {inner.constant(random({4, 2}, 1)), at}, {"lookup"}));
  GraphBuilder b = make_builder();
  const ValueId start = b.input("start", Type::tensor(DType::kInt64, Shape{Dim(1)}));
  const ValueId y = b.add(Loop{std::make_shared<const Graph>(inner.finish()), 1},
                          {b.constant(Tensor::scalar(int64_t{2})), {}, start}, {"loop"}, 2);
  b.output("rows", {y.node, 1});
  Context context(build(b.finish(), true));
  context.set_input(0, Tensor::ints({7})).check();
  const Status status = context.run();
  EXPECT_FALSE(status.ok);
  EXPECT_EQ(int(status.kind), int(ErrorKind::kUser));
  EXPECT_EQ(status.origin, "lookup") << status.message;
}

}  // namespace
}  // namespace vitrify
