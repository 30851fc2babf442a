// The runtime's promises: memory plans, shared engines, states, data-dependent extents.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <thread>

#include "base/error.h"
#include "builder/builder.h"
#include "compare.h"
#include "ops/interpreter.h"
#include "ops/table.h"
#include "runtime/context.h"
#include "runtime/engine_file.h"
#include "runtime/memory_planner.h"

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

Shape shape(std::initializer_list<Dim> dims) { return dims; }

TEST(MemoryPlanner, NeverOverlapsAndStaysNearTheBound) {
  std::mt19937_64 random(7);
  double total = 0, bound = 0;
  for (int round = 0; round < 200; ++round) {
    std::vector<Block> blocks(1 + random() % 60);
    for (Block& b : blocks) {
      b.first = int32_t(random() % 50);
      b.last = b.first + int32_t(random() % 6);
      b.bytes = int64_t(1 + random() % 5000);
    }
    const int64_t size = plan_arena(blocks);
    for (const Block& b : blocks) {
      ASSERT_EQ(b.offset % kBlockAlignment, 0);
      ASSERT_LE(b.offset + b.bytes, size);
    }
    for (size_t i = 0; i < blocks.size(); ++i)
      for (size_t j = 0; j < i; ++j) {
        const Block &a = blocks[i], &b = blocks[j];
        if (a.first > b.last || b.first > a.last) continue;
        ASSERT_TRUE(a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset);
      }
    ASSERT_GE(size, arena_lower_bound(blocks));
    total += double(size), bound += double(arena_lower_bound(blocks));
  }
  EXPECT_LE(total, 1.02 * bound);
}

/// Two convolutions and a matmul with symbolic batch and width: all on fast tactics.
Graph fast_graph() {
  GraphBuilder b = make_builder();
  const Dim n = Dim::symbol("n"), w = Dim::symbol("w");
  ValueId x = b.input("x", Type::tensor(DType::kFloat32, shape({n, 8, w, 8})));
  Window window{{3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}};
  ValueId y = b.add(Conv{window, 1}, {x, b.constant(ramp({16, 8, 3, 3}, -0.3f))});
  ValueId z = b.add(Conv{window, 1}, {y, b.constant(ramp({8, 16, 3, 3}, -0.3f))});
  b.output("z", b.add(MatMul{}, {z, b.constant(ramp({8, 12}, -0.3f))}));
  return b.finish();
}

TEST(Context, IsAsGoodOnAllThreads) {
  Graph graph = fast_graph();
  auto engine = build(graph);
  ASSERT_EQ(engine->reference_steps(), 0);
  std::vector<std::string> problems(4);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      Context context(engine, {.max_threads = 1 + t % 2});
      for (int i = 0; i < 20 && problems[size_t(t)].empty(); ++i) {
        const Value x = ramp({1 + (t + i) % 3, 8, 5 + i % 4, 8}, float(t));
        context.set_input(0, x).check();
        context.run().check();
        problems[size_t(t)] = difference(context.output(0), interpret(graph, {x})[0], 1e-3);
      }
    });
  for (auto& t : threads) t.join();
  for (const auto& p : problems) EXPECT_EQ(p, "");
}

TEST(Context, ResultsDoNotDependOnTheThreadCount) {
  auto engine = build(fast_graph());
  std::vector<Tensor> results;
  for (int threads : {1, 2, 0}) {
    Context context(engine, {.max_threads = threads});
    context.set_input(0, ramp({3, 8, 19, 8})).check();
    context.run().check();
    results.push_back(context.output(0).tensor.clone());
  }
  for (const Tensor& t : results) EXPECT_EQ(std::memcmp(t.raw(), results[0].raw(), t.bytes()), 0);
}

TEST(Context, KeepsWithinItsMemoryLimit) {
  Context context(build(fast_graph()), {.memory_limit = 1 << 20});
  context.set_input(0, ramp({1, 8, 8, 8})).check();
  EXPECT_TRUE(context.run().ok);
  context.set_input(0, ramp({64, 8, 64, 8})).check();
  const Status status = context.run();
  EXPECT_FALSE(status.ok);
  EXPECT_NE(status.message.find("limit"), std::string::npos) << status.message;
  context.set_input(0, ramp({1, 8, 8, 8})).check();
  EXPECT_TRUE(context.run().ok);
}

/// Error of a run with the limit; the message names the node, the need, the limit and the way out.
void expect_no_room(const Graph& graph, Dims dims, int64_t limit, const std::string& where,
                    std::vector<std::string> parts) {
  Context context(build(graph), {.memory_limit = limit});
  context.set_input(0, ramp(std::move(dims))).check();
  const Status status = context.run();
  EXPECT_FALSE(status.ok);
  EXPECT_EQ(int(status.kind), int(ErrorKind::kUser));
  EXPECT_EQ(status.origin, where);
  parts.insert(parts.end(), {cat("memory limit of ", limit), "raise the limit"});
  for (const std::string& part : parts)
    EXPECT_NE(status.message.find(part), std::string::npos) << status.message;
}

TEST(Context, NamesTheNodeThatNeedsTooMuch) {
  GraphBuilder b = make_builder();
  const Dim n = Dim::symbol("n");
  ValueId x = b.input("x", Type::tensor(DType::kFloat32, shape({n, 8})));
  auto product = [&](ValueId v, int64_t from, int64_t to, const char* name) {
    return b.add(MatMul{}, {v, b.constant(ramp({from, to}, -0.3f))}, {name});
  };
  ValueId v = product(product(product(x, 8, 16, "first"), 16, 64, "wide"), 64, 32, "narrow");
  b.output("y", product(v, 32, 1, "last"));
  // At its fullest, the arena holds what "narrow" reads and writes: 64 and 32 floats a row.
  expect_no_room(
      b.finish(), {1000, 8}, 100000, "narrow",
      {"most is in use at 'narrow' (matmul): ", " bytes, of 2 values and its workspace"});
  GraphBuilder large = make_builder();
  x = large.input("x", Type::tensor(DType::kFloat32, shape({n})));
  large.output("y", large.add(Unary{UnaryKind::kNeg}, {x}, {"minus"}));
  expect_no_room(large.finish(), {1000}, 3999, "minus",
                 {"no room for 4000 bytes", "for output 'y'"});
}

TEST(Context, RefusesAbsurdExtents) {
  GraphBuilder b = make_builder();
  const Dim n = Dim::symbol("n");
  ValueId x = b.input("x", Type::tensor(DType::kFloat32, shape({n})));
  ValueId big = b.add(Expand{shape({n * n * n * n * n * n * n, n})}, {x});
  b.output("y", b.add(Unary{UnaryKind::kRelu}, {big}));
  Context context(build(b.finish()));
  context.set_input(0, ramp({3})).check();
  EXPECT_TRUE(context.run().ok);
  for (int64_t size : {100, 1000, 100000}) {
    context.set_input(0, ramp({size})).check();
    const Status status = context.run();
    EXPECT_FALSE(status.ok);
    EXPECT_EQ(int(status.kind), int(ErrorKind::kUser)) << status.message;
  }
}

/// nonzero(x) → gather → its count as an output: extents that only the data tell.
Graph data_dependent() {
  GraphBuilder b = make_builder();
  const Dim n = Dim::symbol("n");
  ValueId x = b.input("x", Type::tensor(DType::kFloat32, shape({n})));
  ValueId positive = b.add(Unary{UnaryKind::kRelu}, {x});
  ValueId where = b.add(NonZero{}, {positive});
  ValueId index = b.add(Reshape{shape({b.type(where).shape->at(1)})}, {where});
  ValueId found = b.add(Gather{0}, {x, index});
  b.output("found", b.add(Unary{UnaryKind::kNeg}, {found}));
  b.output("shape", b.add(ShapeOf{}, {found}));
  b.output("positive", positive);
  return b.finish();
}

TEST(Context, RunsDataDependentExtents) {
  Graph graph = data_dependent();
  for (bool passes : {false, true}) {
    BuildOptions options;
    options.passes.enabled = passes;
    Context context(build(graph, options));
    for (float start : {-3.f, -20.f, 1.f, -3.f})
      for (int64_t n : {7, 0, 30}) {
        const Value x = ramp({n}, start);
        context.set_input(0, x).check();
        context.run().check();
        std::vector<Value> got;
        for (size_t o = 0; o < 3; ++o) got.push_back(context.output(o));
        EXPECT_EQ(difference(got, interpret(graph, {x}), 1e-6), "");
      }
  }
}

TEST(Context, CarriesStates) {
  GraphBuilder b = make_builder();
  ValueId x = b.input("x", Type::tensor(DType::kFloat32, shape({2})));
  ValueId sum = b.input("sum", Type::tensor(DType::kFloat32, shape({2})));
  b.output("next", b.add(Binary{BinaryKind::kAdd}, {x, sum}));
  b.graph().states = {{"sum", "next"}};
  Context context(build(b.finish()));
  context.set_input(0, Tensor::of<float>(DType::kFloat32, {2}, {1, 2})).check();
  for (float run = 1; run <= 3; ++run) {
    context.run().check();
    EXPECT_EQ(context.output(0).tensor.data<float>()[1], 2 * run);
  }
  context.reset();
  context.run().check();
  EXPECT_EQ(context.output(0).tensor.data<float>()[1], 2);
}

/// A value that is an output, read by a concat, sliced and reshaped.
TEST(Context, SharesMemoryOnlyWhereItMay) {
  GraphBuilder b = make_builder();
  const Dim n = Dim::symbol("n");
  Window w1{{1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
  ValueId x = b.input("x", Type::tensor(DType::kFloat32, shape({n, 4, 4, 8})));
  auto conv = [&](ValueId v, int64_t in, float start) {
    return b.add(Conv{w1, 1}, {v, b.constant(ramp({8, in, 1, 1}, start))});
  };
  ValueId p = conv(x, 8, -1), q = conv(x, 8, -2);
  ValueId joined = b.add(Concat{3}, {p, q});
  ValueId again = b.add(Concat{3}, {joined, conv(joined, 16, -3)});
  ValueId left = b.add(Slice{{3}, {Dim(2)}, {Dim(16)}, {1}}, {again});
  b.output("left", conv(left, 16, -1));
  b.output("sum", b.add(Binary{BinaryKind::kAdd}, {conv(again, 24, -1), conv(p, 8, -4)}));
  b.output("flat", b.add(Reshape{shape({n, 24 * 16})}, {again}));
  Graph graph = b.finish();
  auto engine = build(graph);
  int concats = 0;
  for (const Alias& a : engine->plans()[0].plan.aliases) concats += a.kind == Alias::Kind::kConcat;
  EXPECT_GE(concats, 2);
  Context context(engine);
  for (int64_t batch : {1, 3}) {
    const Value input = ramp({batch, 4, 4, 8});
    context.set_input(0, input).check();
    context.run().check();
    std::vector<Value> got;
    for (size_t o = 0; o < 3; ++o) got.push_back(context.output(o));
    EXPECT_EQ(difference(got, interpret(graph, {input}), 1e-4), "");
  }
}

}  // namespace
}  // namespace vitrify
