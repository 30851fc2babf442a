// What a running context promises besides right answers: an end on request, a limit on memory,
// bools of any byte.
#include "runtime/context.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "base/run_scope.h"
#include "base/thread_pool.h"
#include "builder/builder.h"
#include "compare.h"
#include "onnx_writer.h"
#include "ops/table.h"
#include "runtime/engine_file.h"

namespace vitrify {
namespace {

using namespace onnx::testing;  // NOLINT: a test
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::shared_ptr<const Engine> build(Graph graph) {
  BuildOptions options;
  options.timing = false;
  return load_engine(build_graph(std::move(graph), options).engine);
}

/// Runs the context and sets the flag after `delay` seconds; the seconds from then on.
double cancel_after(Context& context, double delay, Status& status) {
  std::atomic<bool> cancelled = false;
  Clock::time_point at;
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::duration<double>(delay));
    at = Clock::now();
    cancelled = true;
  });
  status = context.run({.cancelled = &cancelled});
  other.join();
  return seconds_since(at);
}

/// A loop without a trip count that goes on as long as its state's first element is below `end`.
Graph loop_until_end(bool scans) {
  std::vector<Message> nodes = {
      node("Identity", {"v"}, {"w"}),
      node("ReduceMax", {"v"}, {"most"}, {attribute("keepdims", int64_t{0})}),
      node("Less", {"most", "end"}, {"go_on"})};
  std::vector<Message> outputs = {value_info("go_on", tensor_type(DType::kBool, {})),
                                  value_info("w", tensor_type(DType::kFloat32, {2}))};
  if (scans) {
    nodes.push_back(node("Identity", {"v"}, {"part"}));
    outputs.push_back(value_info("part", tensor_type(DType::kFloat32, {2})));
  }
  const Message body = graph({nodes,
                              {value_info("i", tensor_type(DType::kInt64, {})),
                               value_info("c", tensor_type(DType::kBool, {})),
                               value_info("v", tensor_type(DType::kFloat32, {2}))},
                              outputs,
                              {}});
  std::vector<std::string> results = {"y"};
  if (scans) results.push_back("parts");
  GraphParts parts{
      {node("Loop", {"", "start", "x"}, results, {graph_attribute("body", body)}, "", "the_loop")},
      {value_info("start", tensor_type(DType::kBool, {})),
       value_info("x", tensor_type(DType::kFloat32, {2})),
       value_info("end", tensor_type(DType::kFloat32, {}))},
      {value_info("y", tensor_type(DType::kFloat32, {2}))},
      {}};
  if (scans) parts.outputs.push_back(value_info("parts", tensor_type(DType::kFloat32, {"n", 2})));
  return import_bytes(model(graph(parts)));
}

void set_loop_inputs(Context& context, float end) {
  context.set_input(0, Tensor::of<uint8_t>(DType::kBool, {}, {1})).check();
  context.set_input(1, Tensor::of<float>(DType::kFloat32, {2}, {1, 2})).check();
  context.set_input(2, Tensor::scalar(end)).check();
}

TEST(Context, SubnormalResultsBecomeZeroUnlessKept) {
  GraphParts parts{{node("Mul", {"x", "x"}, {"y"})},
                   {value_info("x", tensor_type(DType::kFloat32, {"n"}))},
                   {value_info("y", tensor_type(DType::kFloat32, {"n"}))},
                   {}};
  const auto engine = build(import_bytes(model(onnx::testing::graph(parts))));
  const auto largest_square = [&](float x, int64_t n) {
    Context context(engine);
    context.set_input(0, Tensor::of<float>(DType::kFloat32, {n}, std::vector<float>(size_t(n), x)))
        .check();
    context.run().check();
    const auto y = context.output(0).tensor.span<float>();
    return *std::ranges::max_element(y);
  };
  for (int64_t n : {1, 37, 100000}) {
    EXPECT_EQ(largest_square(1e-20f, n), 0);
    EXPECT_FLOAT_EQ(largest_square(1e-18f, n), 1e-36f);
    ::setenv("VITRIFY_KEEP_SUBNORMALS", "1", 1);
    EXPECT_EQ(largest_square(1e-20f, n), 1e-20f * 1e-20f);
    ::unsetenv("VITRIFY_KEEP_SUBNORMALS");
  }
  volatile float tiny = 1e-20f;
  EXPECT_NE(tiny * tiny, 0);  // the caller's own mode is as it was
}

TEST(Context, SubnormalOperandsCount) {
  GraphParts parts{{node("ArgMax", {"x"}, {"y"},
                         {attribute("axis", int64_t{1}), attribute("keepdims", int64_t{0})})},
                   {value_info("x", tensor_type(DType::kFloat32, {4, "n"}))},
                   {value_info("y", unranked_type(DType::kInt64))},
                   {}};
  Context context(build(import_bytes(model(onnx::testing::graph(parts)))));
  const float s = 1e-39f;
  context
      .set_input(0, Tensor::of<float>(DType::kFloat32, {4, 3},
                                      {s, 3 * s, 2 * s, 0, -s, s, -s, -3 * s, -2 * s, -1, s, 0}))
      .check();
  context.run().check();
  const auto y = context.output(0).tensor.span<int64_t>();
  EXPECT_EQ(Ints(y.begin(), y.end()), (Ints{1, 2, 0, 1}));
}

TEST(Context, EndsAnEndlessLoop) {
  Context context(build(loop_until_end(false)));
  set_loop_inputs(context, 100);
  Status status;
  EXPECT_LT(cancel_after(context, 0.05, status), 1);
  EXPECT_TRUE(status.cancelled);
  EXPECT_FALSE(status.ok);
  EXPECT_FALSE(context.output(0).has_value());
  set_loop_inputs(context, 0);
  context.run().check();
  EXPECT_EQ(context.output(0).tensor.data<float>()[1], 2);
}

TEST(Context, StopsALoopThatFillsMemory) {
  Context context(build(loop_until_end(true)), {.memory_limit = 1 << 20});
  set_loop_inputs(context, 100);
  const Status status = context.run();
  EXPECT_FALSE(status.ok);
  EXPECT_EQ(int(status.kind), int(ErrorKind::kUser));
  EXPECT_NE(status.message.find("limit of 1048576"), std::string::npos) << status.message;
  EXPECT_NE(status.origin.find("the_loop"), std::string::npos) << status.origin;
  for (int i = 0; i < 3; ++i) {
    set_loop_inputs(context, 0);
    context.run().check();
    EXPECT_EQ(context.output(1).tensor.dims(), (Dims{1, 2}));
  }
}

TEST(Context, EndsABigStep) {
  GraphBuilder b = make_builder();
  const int64_t n = 3072;
  const Type type = Type::tensor(DType::kFloat32, Shape{Dim(n), Dim(n)});
  ValueId x = b.input("x", type);
  b.output("y", b.add(MatMul{}, {x, b.input("w", type)}));
  Context context(build(b.finish()));
  context.set_input(0, Tensor(DType::kFloat32, {n, n})).check();
  context.set_input(1, Tensor(DType::kFloat32, {n, n})).check();
  context.run().check();
  const auto start = Clock::now();
  context.run().check();
  const double whole = seconds_since(start);
  Status status;
  EXPECT_LT(cancel_after(context, whole / 10, status), whole / 2);
  EXPECT_TRUE(status.cancelled);
  context.run().check();
  EXPECT_EQ(context.output(0).tensor.data<float>()[0], 0);
}

TEST(RunScope, EndsParallelLoops) {
  for (int threads : {1, 2}) {
    std::atomic<bool> cancelled = false;
    std::atomic<int> calls = 0;
    RunScope scope(nullptr, &cancelled);
    parallel_for(1000, threads, [&](int64_t) {
      if (++calls == 10) cancelled = true;
    });
    EXPECT_GE(calls, 10);
    EXPECT_LE(calls, 10 + threads);
    cancelled = false;  // what was left undone stays known
    EXPECT_THROW(check_cancelled(), Cancelled);
  }
  EXPECT_NO_THROW(check_cancelled());
}

TEST(RunScope, ChargesTensorsAsLongAsTheyLive) {
  auto account = std::make_shared<MemoryAccount>(1000);
  Tensor kept;
  {
    RunScope scope(account, nullptr);
    kept = Tensor(DType::kFloat32, {64});
    EXPECT_EQ(account->held(), 256);
    EXPECT_THROW(Tensor(DType::kFloat32, {200}), Error);
    EXPECT_THROW(Tensor(DType::kString, {int64_t{1} << 40}), Error);
    { Tensor strings(DType::kString, {2}); }
    EXPECT_EQ(account->held(), 256);
  }
  Tensor free(DType::kFloat32, {1000});
  EXPECT_EQ(account->held(), 256);
  kept = {};
  EXPECT_EQ(account->held(), 0);
}

/// Outputs: a and b, a == b, float(a), not a, a.
Graph bools(bool constant) {
  GraphBuilder b = make_builder();
  const Type type = Type::tensor(DType::kBool, Shape{Dim(4)});
  const Tensor odd = Tensor::of<uint8_t>(DType::kBool, {4}, {2, 0, 1, 255});
  ValueId x = constant ? b.constant(odd) : b.input("a", type), y = b.input("b", type);
  b.output("and", b.add(Binary{BinaryKind::kAnd}, {x, y}));
  b.output("equal", b.add(Binary{BinaryKind::kEqual}, {x, y}));
  b.output("cast", b.add(Cast{DType::kFloat32}, {x}));
  b.output("not", b.add(Unary{UnaryKind::kNot}, {x}));
  b.output("same", x);
  return b.finish();
}

void expect_bools(const std::vector<Value>& got) {
  using Bytes = std::vector<uint8_t>;
  auto bytes = [&](size_t o) {
    const uint8_t* data = got[o].tensor.data<uint8_t>();
    return Bytes(data, data + 4);
  };
  EXPECT_EQ(bytes(0), (Bytes{1, 0, 0, 1}));
  EXPECT_EQ(bytes(1), (Bytes{1, 0, 0, 1}));
  EXPECT_EQ(difference(got[2].tensor, Tensor::of<float>(DType::kFloat32, {4}, {1, 0, 1, 1}), 0),
            "");
  EXPECT_EQ(bytes(3), (Bytes{0, 1, 0, 0}));
  EXPECT_EQ(bytes(4), (Bytes{1, 0, 1, 1}));
}

TEST(Bools, AreNormalForKernels) {
  std::vector<uint8_t> memory = {2, 0, 1, 255};
  const Value x = Tensor::view(DType::kBool, {4}, memory.data());
  const Value y = Tensor::of<uint8_t>(DType::kBool, {4}, {1, 7, 0, 3});
  for (bool constant : {false, true}) {
    SCOPED_TRACE(constant);
    const Graph graph = bools(constant);
    const std::vector<Value> inputs = constant ? std::vector{y} : std::vector{x, y};
    expect_bools(interpret(graph, inputs));
    Context context(build(graph));
    for (size_t i = 0; i < inputs.size(); ++i) context.set_input(i, inputs[i]).check();
    context.run().check();
    std::vector<Value> got;
    for (size_t o = 0; o < 5; ++o) got.push_back(context.output(o));
    expect_bools(got);
  }
  EXPECT_EQ(memory, (std::vector<uint8_t>{2, 0, 1, 255}));  // the caller's: not written to
}

TEST(Bools, BoundInPlaceAreReadAnewByEveryRun) {
  std::vector<uint8_t> memory = {1, 0, 1, 1};
  Context context(build(bools(false)));
  context.set_input(0, Tensor::view(DType::kBool, {4}, memory.data())).check();
  context.set_input(1, Tensor::of<uint8_t>(DType::kBool, {4}, {1, 1, 0, 1})).check();
  for (uint8_t truth : {1, 2, 1, 128}) {
    memory[0] = truth, memory[3] = truth;
    context.run().check();
    std::vector<Value> got;
    for (size_t o = 0; o < 5; ++o) got.push_back(context.output(o));
    expect_bools(got);
  }
}

/// Extents of no whole multiple, which only the kernel tells, between transposes that passes push.
TEST(Context, RunsWhatFollowsExtentsThatOnlyAKernelTells) {
  GraphParts parts{{node("Transpose", {"x"}, {"t"}, {attribute("perm", Ints{2, 1, 3, 0})}),
                    node("Resize", {"t", "", "scales"}, {"r"}, {}),
                    node("Transpose", {"r"}, {"back"}, {attribute("perm", Ints{3, 1, 0, 2})}),
                    node("MaxPool", {"back"}, {"p"}, {attribute("kernel_shape", Ints{2, 2})}),
                    node("Shape", {"p"}, {"shape"}), node("Reshape", {"p", "shape"}, {"y"})},
                   {value_info("x", tensor_type(DType::kFloat32, {"b", 3, "h", "w"}))},
                   {value_info("y", unranked_type(DType::kFloat32))},
                   {tensor("scales", Tensor::of<float>(DType::kFloat32, {4}, {1.3F, 1, 1.7F, 1}))}};
  const Graph graph = import_bytes(model(onnx::testing::graph(parts)));
  Context context(build(graph));
  for (const Dims& dims : {Dims{2, 3, 10, 9}, Dims{1, 3, 5, 12}}) {
    Tensor x(DType::kFloat32, dims);
    for (int64_t i = 0; i < x.size(); ++i) x.data<float>()[i] = float(i * 7 % 23);
    context.set_input(0, x).check();
    context.run().check();
    EXPECT_EQ(difference(context.output(0).tensor, interpret(graph, {x})[0].tensor, 0), "");
  }
}

/// What kernels put into sequences, optionals and states as it was given must not lie in memory
/// that later steps, or later runs, write.
TEST(Context, KeepsWhatIsHandedThrough) {
  std::vector<Message> nodes = {node("Exp", {"x"}, {"a"}), node("SequenceConstruct", {"a"}, {"s"}),
                                node("Optional", {"a"}, {"opt"})};
  for (int i = 0; i < 4; ++i)
    nodes.push_back(node("Softmax", {i ? cat("m", i - 1) : "x"}, {cat("m", i)}));
  nodes.push_back(node("ReduceSum", {"m3"}, {"sum"}));  // so that m0 … lie in the arena
  nodes.push_back(node("SequenceAt", {"s", "p"}, {"y"}));
  nodes.push_back(node("OptionalGetElement", {"opt"}, {"z"}));
  GraphParts parts{nodes,
                   {value_info("x", tensor_type(DType::kFloat32, {"n", 8})),
                    value_info("p", tensor_type(DType::kInt64, {}))},
                   {value_info("y", unranked_type(DType::kFloat32)),
                    value_info("z", unranked_type(DType::kFloat32)),
                    value_info("sum", unranked_type(DType::kFloat32))},
                   {}};
  const Graph graph = import_bytes(model(onnx::testing::graph(parts)));
  Context context(build(graph));
  for (int64_t rows : {3, 1, 40}) {
    Tensor x(DType::kFloat32, {rows, 8});
    for (int64_t i = 0; i < x.size(); ++i) x.data<float>()[i] = float(i % 5) - 2;
    const std::vector<Value> inputs = {x, Tensor::scalar(int64_t{0})};
    for (size_t i = 0; i < 2; ++i) context.set_input(i, inputs[i]).check();
    context.run().check();
    const std::vector<Value> expected = interpret(graph, inputs);
    for (size_t o = 0; o < 3; ++o)
      EXPECT_EQ(difference(context.output(o).tensor, expected[o].tensor, 1e-5), "") << o;
  }
}

/// An optional that is handed through belongs to the output, too.
TEST(Context, OutputsOutliveTheInputsThatTheyAre) {
  GraphBuilder b = make_builder();
  const Type held = Type::tensor(DType::kFloat32, {Dim::symbol("n")});
  b.output("y", b.input("x", Type::optional(held)));
  Context context(build(b.finish()));
  auto owner = std::make_shared<std::vector<float>>(100, 7.0f);
  const std::weak_ptr<std::vector<float>> alive = owner;
  context.set_input(0, Tensor::view(DType::kFloat32, {100}, owner->data(), owner)).check();
  owner.reset();
  context.run().check();
  context.set_input(0, Tensor(DType::kFloat32, {2})).check();
  ASSERT_FALSE(alive.expired());
  EXPECT_EQ(context.output(0).tensor.data<float>()[99], 7);
  context.run().check();
  EXPECT_TRUE(alive.expired());
}

/// A request that fails for its values costs later ones nothing.
TEST(Context, StaysReadyAfterAnIndexOutOfRange) {
  GraphBuilder b = make_builder();
  const ValueId x = b.input("x", Type::tensor(DType::kFloat32, {Dim::symbol("n"), 8}));
  const ValueId at = b.input("at", Type::tensor(DType::kInt64, {1}));
  b.output("y", b.add(Gather{0}, {b.add(Softmax{1}, {b.add(Softmax{0}, {x})}), at}));
  Context context(build(b.finish()));
  const Binding* ready = nullptr;
  for (const int64_t index : {0, 99, 1}) {
    context.set_input(0, Tensor(DType::kFloat32, {4, 8})).check();
    context.set_input(1, Tensor::ints({index})).check();
    EXPECT_EQ(context.run().ok, index != 99);
    if (!ready) ready = context.binding();
    ASSERT_NE(ready, nullptr);
    EXPECT_EQ(context.binding(), ready) << index;
  }
}

TEST(Context, MaximaOfSubnormalsAreAmongThem) {
  GraphBuilder b = make_builder();
  const ValueId x = b.input("x", Type::tensor(DType::kFloat32, {Dim::symbol("n"), 20}));
  for (const auto kind : {Reduce::Kind::kMax, Reduce::Kind::kMin})
    for (const int64_t axis : {0, 1})
      b.output(cat("y", int(kind), axis), b.add(Reduce{kind, {axis}, false}, {x}));
  const Graph graph = b.finish();
  Context context(build(graph));
  Tensor tiny(DType::kFloat32, {20, 20});
  for (int64_t i = 0; i < tiny.size(); ++i) tiny.data<float>()[i] = float(i - 200) * 1e-43f;
  const std::vector<Value> expected = interpret(graph, {tiny});
  context.set_input(0, tiny).check();
  context.run().check();
  for (size_t o = 0; o < expected.size(); ++o)
    for (int64_t i = 0; i < 20; ++i)
      EXPECT_EQ(double_at(context.output(o).tensor, i), double_at(expected[o].tensor, i)) << o;
}

TEST(Context, KeepsFactsInSequencesFromRunToRun) {
  GraphParts parts{{node("NonZero", {"x"}, {"where"}), node("Shape", {"where"}, {"shape"}),
                    node("SequenceConstruct", {"shape"}, {"s"})},
                   {value_info("x", tensor_type(DType::kFloat32, {4}))},
                   {value_info("s", sequence_type(tensor_type(DType::kInt64, {2})))},
                   {}};
  Context context(build(import_bytes(model(onnx::testing::graph(parts)))));
  const auto shape_of = [&](std::vector<float> x) {
    context.set_input(0, Tensor::of<float>(DType::kFloat32, {4}, x)).check();
    context.run().check();
    return context.output(0).sequence->at(0).tensor;
  };
  const Tensor three = shape_of({1, 0, 2, 3}), one = shape_of({0, 0, 1, 0});
  EXPECT_EQ(three.data<int64_t>()[1], 3);
  EXPECT_EQ(one.data<int64_t>()[1], 1);
}

/// A body finds out in the run whether it has room.
TEST(Context, ShapesWithoutRoomTakeNoneFromOthers) {
  const std::vector<Message> chain = {node("Softmax", {"x"}, {"a"}),
                                      node("Transpose", {"a"}, {"b"}),
                                      node("Softmax", {"b"}, {"y"})};
  const auto body = [](std::vector<Message> nodes, const char* name) {
    return onnx::testing::graph(
        {std::move(nodes), {}, {value_info(name, unranked_type(DType::kFloat32))}, {}});
  };
  const Message branch =
      node("If", {"c"}, {"y"},
           {graph_attribute("then_branch", body(chain, "y")),
            graph_attribute("else_branch", body({node("Transpose", {"x"}, {"t"})}, "t"))});
  for (const auto& nodes : {chain, std::vector<Message>{branch}}) {
    GraphParts parts{nodes,
                     {value_info("x", tensor_type(DType::kFloat32, {"m", "n"})),
                      value_info("c", tensor_type(DType::kBool, {}))},
                     {value_info("y", tensor_type(DType::kFloat32, {"n", "m"}))},
                     {}};
    const auto engine = build(import_bytes(model(onnx::testing::graph(parts))));
    int checked = 0;
    for (int64_t limit = 3000; limit < 12000; limit += 500) {
      const auto runs = [&](Context& context, int64_t m, bool c) {
        context.set_input(0, Tensor(DType::kFloat32, {m, 8})).check();
        context.set_input(1, Tensor::of<uint8_t>(DType::kBool, {}, {c})).check();
        return context.run().ok;
      };
      ContextOptions options;
      options.memory_limit = limit;
      for (int64_t rows : {60, 100, 150, 1000})
        for (bool c : {true, false}) {
          Context fresh(engine, options), used(engine, options);
          if (runs(used, rows, true)) continue;
          if (!runs(fresh, 40, c)) continue;
          for (int again = 0; again < 2; ++again)
            EXPECT_TRUE(runs(used, 40, c)) << limit << " after " << rows;
          ++checked;
        }
    }
    EXPECT_GT(checked, 20);
  }
}

}  // namespace
}  // namespace vitrify
