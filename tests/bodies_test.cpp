// Bodies of control flow have plans of their own: what they hold runs on fast tactics, too, and
// gives what the interpreter gives.
#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "builder/builder.h"
#include "compare.h"
#include "onnx_writer.h"
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

// ---- Memory and inputs from run to run ----

using onnx::testing::GraphParts, onnx::testing::Message, onnx::testing::attribute,
    onnx::testing::graph_attribute, onnx::testing::node, onnx::testing::tensor_type,
    onnx::testing::value_info;

constexpr DType kF32 = DType::kFloat32, kBool = DType::kBool;

Tensor filled(DType dtype, Dims dims, double v) {
  Tensor t(dtype, std::move(dims));
  for (int64_t i = 0; i < t.size(); ++i) set_double(t, i, v);
  return t;
}

std::shared_ptr<const Engine> build(const GraphParts& parts, std::vector<StatePair> states = {}) {
  Graph graph = onnx::testing::import_bytes(onnx::testing::model(onnx::testing::graph(parts)));
  graph.states = std::move(states);
  return build(graph, true);
}

Message branch(const Message& only, const std::string& output, const Message& type) {
  return onnx::testing::graph({{only}, {}, {value_info(output, type)}, {}});
}

TEST(Bodies, RoomThatOneShapeLacksIsThereForOthers) {
  const Message body = onnx::testing::graph(
      {{node("Add", {"s", "a"}, {"t"})},
       {value_info("s", tensor_type(kF32, {"m"})), value_info("a", tensor_type(kF32, {"m"}))},
       {value_info("t", tensor_type(kF32, {"m"}))},
       {}});
  Context context(
      build({{node("Neg", {"s0"}, {"s1"}),
              node("Scan", {"s1", "x"}, {"y"},
                   {attribute("num_scan_inputs", int64_t{1}), graph_attribute("body", body)})},
             {value_info("s0", tensor_type(kF32, {"m"})),
              value_info("x", tensor_type(kF32, {"n", "m"}))},
             {value_info("y", tensor_type(kF32, {"m"}))},
             {}}),
      {.memory_limit = 1 << 20});
  auto run = [&](int64_t m) {
    context.set_input(0, filled(kF32, {m}, 1)).check();
    context.set_input(1, filled(kF32, {2, m}, 2)).check();
    return context.run();
  };
  const Status big = run(1 << 20);
  EXPECT_NE(big.message.find("raise the limit"), std::string::npos) << big.message;
  for (int64_t m : {10, 20, 30}) {
    run(m).check();
    EXPECT_EQ(context.output(0).tensor.data<float>()[m - 1], 3);
  }
  // What one shape needs does not add up over the shapes that are kept ready.
  for (int64_t m = 30'000; m < 40'000; m += 1000) run(m).check();
}

TEST(Bodies, ALimitThatOneRunMeetsIsMetByMore) {
  const Message some = tensor_type(kF32, {"q"}), number = tensor_type(kF32, {});
  const auto engine = build(
      {{node("Greater", {"z", "zero"}, {"c"}),
        node("If", {"c"}, {"o"},
             {graph_attribute("then_branch", branch(node("Compress", {"x", "m"}, {"o1"},
                                                         {attribute("axis", int64_t{0})}),
                                                    "o1", some)),
              graph_attribute("else_branch", branch(node("Identity", {"x"}, {"o2"}), "o2", some))}),
        node("ReduceSum", {"o"}, {"y"}, {attribute("keepdims", int64_t{0})})},
       {value_info("x", tensor_type(kF32, {"n"})), value_info("m", tensor_type(kBool, {"n"})),
        value_info("z", number), value_info("zero", number)},
       {value_info("y", number)},
       {}});
  bool met = false;
  for (int64_t limit = 100'000; limit < 2'000'000 && !met; limit += 50'000) {
    Context context(engine, {.memory_limit = limit});
    context.set_input(0, filled(kF32, {50'000}, 1)).check();
    context.set_input(1, filled(kBool, {50'000}, 1)).check();
    context.set_input(2, filled(kF32, {}, 1)).check();
    context.set_input(3, filled(kF32, {}, 0)).check();
    met = context.run().ok;
    for (int i = 0; met && i < 3; ++i) {
      const Status again = context.run();
      EXPECT_TRUE(again.ok) << limit << ": " << again.message;
    }
  }
  EXPECT_TRUE(met);
}

/// A state of bools grows; the first was given as bytes that are not 1.
TEST(Bodies, CopiesOfBoolsDoNotOutliveTheirRun) {
  const Message number = tensor_type(kF32, {});
  const auto engine = build(
      {{node("Concat", {"s", "x"}, {"t"}, {attribute("axis", int64_t{0})}),
        node("Reshape", {"s", "flat"}, {"v"}),
        node("If", {"c"}, {"y"},
             {graph_attribute(
                  "then_branch",
                  onnx::testing::graph(
                      {{node("Cast", {"v"}, {"f"}, {attribute("to", int64_t{1})}),
                        node("ReduceSum", {"f"}, {"y1"}, {attribute("keepdims", int64_t{0})})},
                       {},
                       {value_info("y1", number)},
                       {}})),
              graph_attribute("else_branch",
                              branch(node("Identity", {"zero"}, {"y2"}), "y2", number))})},
       {value_info("s", tensor_type(kBool, {"c"})), value_info("x", tensor_type(kBool, {"k"})),
        value_info("c", tensor_type(kBool, {}))},
       {value_info("t", tensor_type(kBool, {"ck"})), value_info("y", number)},
       {onnx::testing::tensor("flat", Tensor::ints({1, -1})),
        onnx::testing::tensor("zero", Tensor::scalar(0.0f))}},
      {{"s", "t"}});
  Context context(engine);
  constexpr int64_t kMore = 1 << 22;
  Tensor twos(kBool, {10});
  std::fill_n(reinterpret_cast<uint8_t*>(twos.raw()), 10, uint8_t{2});
  context.set_input(0, twos).check();
  context.set_input(1, filled(kBool, {kMore}, 1)).check();
  context.set_input(2, filled(kBool, {}, 1)).check();
  for (int64_t expected : {int64_t{10}, 10 + kMore}) {
    context.run().check();
    EXPECT_EQ(context.output(1).tensor.data<float>()[0], float(expected));
  }
  context.set_input(0, twos).check();
  context.run().check();
  context.reset();
  context.run().check();
  EXPECT_EQ(context.output(1).tensor.data<float>()[0], 0);
}

TEST(Bodies, AFailedRunLeavesStatesUnset) {
  const Message rows = tensor_type(kF32, {"b"});
  Context context(build(
      {{node("Add", {"s", "x"}, {"t"}), node("Mul", {"t", "y"}, {"u"})},
       {value_info("s", rows), value_info("x", rows), value_info("y", tensor_type(kF32, {1}))},
       {value_info("t", rows), value_info("u", rows)},
       {}},
      {{"s", "t"}}));
  context.set_input(1, filled(kF32, {2}, 1)).check();
  EXPECT_NE(context.run().message.find("'y' is not set"), std::string::npos);
  context.set_input(1, filled(kF32, {3}, 1)).check();
  context.set_input(2, filled(kF32, {1}, 1)).check();
  for (float expected : {1, 2}) {
    context.run().check();
    EXPECT_EQ(context.output(0).tensor.data<float>()[2], expected);
  }
}

}  // namespace
}  // namespace vitrify
