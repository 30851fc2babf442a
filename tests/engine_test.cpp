// Engines end to end: build, write, load, run, against the interpreter.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>

#include "base/error.h"
#include "builder/builder.h"
#include "ops/table.h"
#include "runtime/context.h"
#include "runtime/engine_file.h"

namespace vitrify {
namespace {

Tensor ramp(Dims dims, float start = -3) {
  Tensor t(DType::kFloat32, std::move(dims));
  for (int64_t i = 0; i < t.size(); ++i) set_double(t, i, start + 0.37 * double(i % 29));
  return t;
}

std::shared_ptr<const Engine> build(const Graph& graph, BuildOptions options = {}) {
  return load_engine(build_graph(graph, options).engine);
}

void expect_equal(const Value& got, const Value& want) {
  ASSERT_EQ(int(got.kind), int(want.kind));
  if (got.kind != Value::Kind::kTensor) return;
  ASSERT_EQ(got.tensor.dims(), want.tensor.dims());
  ASSERT_EQ(got.tensor.dtype(), want.tensor.dtype());
  for (int64_t i = 0; i < got.tensor.size(); ++i)
    ASSERT_NEAR(double_at(got.tensor, i), double_at(want.tensor, i), 1e-5) << "element " << i;
}

/// Runs the engine and the interpreter on the same inputs.
void expect_agreement(const Graph& graph, Context& context, const std::vector<Value>& inputs) {
  std::vector<Value> want = interpret(graph, inputs);
  for (size_t i = 0; i < inputs.size(); ++i) context.set_input(i, inputs[i]).check();
  for (int repeat = 0; repeat < 2; ++repeat) {
    context.run().check();
    for (size_t o = 0; o < want.size(); ++o) expect_equal(context.output(o), want[o]);
  }
}

Shape shape(std::initializer_list<Dim> dims) { return dims; }
Dim n() { return Dim::symbol("n"); }

/// Two branches over a symbolic batch, a reshape, a slice and a concat.
Graph branchy() {
  GraphBuilder b = make_builder();
  ValueId x = b.input("x", Type::tensor(DType::kFloat32, shape({n(), 4, 6})));
  ValueId w = b.constant(ramp({6}), "w");
  ValueId a = b.add(Binary{BinaryKind::kAdd}, {x, w}, {"add_0"});
  ValueId r = b.add(Unary{UnaryKind::kRelu}, {a}, {"relu_0"});
  ValueId flat = b.add(Reshape{shape({n(), 24})}, {r}, {"flatten_0"});
  ValueId m = b.add(Binary{BinaryKind::kMul}, {a, r}, {"mul_0"});
  b.output("flat", flat);
  b.output("product", m);
  b.output("same", flat);
  return b.finish();
}

TEST(Engine, RunsAGraphOfSymbolicShape) {
  Graph graph = branchy();
  Context context(build(graph));
  for (int64_t batch : {1, 3, 0, 3, 7}) expect_agreement(graph, context, {ramp({batch, 4, 6})});
}

TEST(Engine, RefusesWrongInputs) {
  Context context(build(branchy()));
  Status missing = context.run();
  EXPECT_FALSE(missing.ok);
  EXPECT_NE(missing.message.find("'x'"), std::string::npos) << missing.message;
  EXPECT_FALSE(context.set_input(0, ramp({2, 4, 5})).ok);
  EXPECT_FALSE(context.set_input(0, Tensor(DType::kInt64, {2, 4, 6})).ok);
  EXPECT_FALSE(context.set_input(1, ramp({2, 4, 6})).ok);
}

TEST(Engine, RefusesShapesOutsideOfTheProfile) {
  BuildOptions options;
  options.profiles = {{{"x", {1, 4, 6}, {2, 4, 6}, {4, 4, 6}}},
                      {{"x", {8, 4, 6}, {8, 4, 6}, {9, 4, 6}}}};
  Graph graph = branchy();
  Context context(build(graph, options));
  for (int64_t batch : {1, 4, 8, 9}) expect_agreement(graph, context, {ramp({batch, 4, 6})});
  for (int64_t batch : {0, 5, 7, 10}) {
    context.set_input(0, ramp({batch, 4, 6})).check();
    Status status = context.run();
    EXPECT_FALSE(status.ok);
    EXPECT_NE(status.message.find("profile"), std::string::npos) << status.message;
  }
}

TEST(Engine, CanBeCancelled) {
  Context context(build(branchy()));
  context.set_input(0, ramp({2, 4, 6})).check();
  std::atomic<bool> cancel = true;
  Status status = context.run({.cancelled = &cancel});
  EXPECT_TRUE(status.cancelled);
  cancel = false;
  EXPECT_TRUE(context.run({.cancelled = &cancel}).ok);
}

TEST(Engine, TwoBuildsAreIdentical) {
  BuildOptions options;
  options.timing = false;
  auto one = build_graph(branchy(), options).engine, two = build_graph(branchy(), options).engine;
  ASSERT_EQ(one->bytes().size(), two->bytes().size());
  EXPECT_TRUE(std::equal(one->bytes().begin(), one->bytes().end(), two->bytes().begin()));
}

TEST(Engine, IsWrittenToAFile) {
  const std::string path = testing::TempDir() + "/branchy.engine";
  BuildOptions options;
  options.output = path;
  Graph graph = branchy();
  build_graph(graph, options);
  Context context(load_engine(path));
  expect_agreement(graph, context, {ramp({2, 4, 6})});
  std::filesystem::remove(path);
}

/// Exporters name the extents of each input apart, so that the mask may widen the scores.
TEST(Engine, FusesAttentionUnderAMaskOfOtherExtents) {
  const auto dim = [](const char* name) { return Dim::symbol(name); };
  const auto f32 = [](Shape s) { return Type::tensor(DType::kFloat32, std::move(s)); };
  GraphBuilder b = make_builder();
  const ValueId q = b.input("q", f32({dim("b"), 2, dim("s"), 4}));
  const ValueId k = b.input("k", f32({dim("b"), 2, dim("t"), 4}));
  const ValueId v = b.input("v", f32({dim("b"), 2, dim("t"), 3}));
  const ValueId mask = b.input("mask", f32({dim("mb"), 1, dim("ms"), dim("mt")}));
  const ValueId scores = b.add(MatMul{false, true}, {q, k});
  const ValueId scaled =
      b.add(Binary{BinaryKind::kDiv}, {scores, b.constant(Tensor::scalar(2.0F))});
  const ValueId masked = b.add(Binary{BinaryKind::kAdd}, {scaled, mask});
  b.output("y", b.add(MatMul{}, {b.add(Softmax{-1}, {masked}), v}));
  const Graph graph = b.finish();
  const auto engine = build(graph);
  ASSERT_EQ(engine->plans()[0].plan.steps.size(), 1u);
  EXPECT_EQ(engine->plans()[0].plan.steps[0].tactic, "cpu.attention");
  Context context(engine);
  const std::pair<Dims, Dims> shapes[] = {
      {{2, 2, 5, 4}, {2, 1, 1, 6}}, {{2, 2, 5, 4}, {1, 1, 5, 6}}, {{1, 2, 5, 4}, {3, 1, 1, 6}},
      {{1, 2, 1, 4}, {3, 1, 7, 1}}, {{2, 2, 1, 4}, {2, 1, 0, 6}}, {{3, 2, 1, 4}, {1, 1, 70, 6}}};
  for (const auto& [query, m] : shapes) {
    SCOPED_TRACE(cat(str(query), " under ", str(m)));
    expect_agreement(
        graph, context,
        {ramp(query), ramp({query[0], 2, 6, 4}, -2), ramp({query[0], 2, 6, 3}, -1), ramp(m)});
  }
  context.set_input(3, ramp({4, 1, 1, 6})).check();
  EXPECT_FALSE(context.run().ok);  // q has a batch of 3
}

/// Files of earlier format versions load and answer as they did, or are refused as unsupported.
TEST(Engine, OldFilesLoadOrAreRefused) {
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator("tests/fixtures")) {
    ++found;
    try {
      Context context(load_engine(entry.path().string()));
      context.set_input(0, Tensor::of<float>(DType::kFloat32, {1, 3}, {1, 2, 3})).check();
      context.run().check();
      expect_equal(context.output(0), Tensor::of<float>(DType::kFloat32, {1, 3}, {2, 6, 3}));
    } catch (const Error& e) {
      EXPECT_EQ(int(e.kind()), int(ErrorKind::kUnsupported)) << entry.path() << ": " << e.what();
    }
  }
  EXPECT_GE(found, 1);
}

}  // namespace
}  // namespace vitrify
