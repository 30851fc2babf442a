// Extents that only a run knows: what does not fit must end as a user error that names the node,
// in the engine (passes on and off) and in the interpreter, never as a crash or a wrong result.
#include <gtest/gtest.h>

#include <random>

#include "builder/builder.h"
#include "compare.h"
#include "onnx_writer.h"
#include "ops/table.h"
#include "random_graph.h"
#include "runtime/context.h"
#include "runtime/engine_file.h"

namespace vitrify {
namespace {

using onnx::testing::attribute;
using onnx::testing::Extent;
using onnx::testing::Message;
using onnx::testing::Names;

constexpr const char* kOk = "";

Tensor random_tensor(const Dims& dims, uint64_t seed) {
  std::mt19937_64 r(seed);
  Tensor t(DType::kFloat32, dims);
  for (int64_t i = 0; i < t.size(); ++i) t.data<float>()[i] = float(r() % 2001) / 500 - 2;
  return t;
}

/// What a run ends as: outputs, or the error's text.
struct Outcome {
  std::vector<Value> outputs;
  std::string error;
  bool internal = false;
};

Outcome run_engine(Context& context, const std::vector<Value>& inputs) {
  Outcome out;
  auto keep = [&](const Status& s) {
    if (s.ok || !out.error.empty()) return;
    out.error = cat(s.origin, ": ", s.message);
    out.internal = s.kind == ErrorKind::kInternal;
  };
  for (size_t i = 0; i < inputs.size(); ++i) keep(context.set_input(i, inputs[i]));
  if (!out.error.empty()) return out;
  keep(context.run());
  for (size_t o = 0; out.error.empty() && o < context.engine().graph().outputs.size(); ++o)
    out.outputs.push_back(context.output(o));
  return out;
}

Outcome run_interpreter(const Graph& graph, const std::vector<Value>& inputs) {
  Outcome out;
  try {
    out.outputs = interpret(graph, inputs);
  } catch (const Error& e) {
    out.error = e.what();
    out.internal = e.kind() == ErrorKind::kInternal;
  }
  return out;
}

std::unique_ptr<Context> make_context(const Graph& graph, bool passes) {
  BuildOptions options;
  options.timing = false;
  options.passes.enabled = passes;
  return std::make_unique<Context>(load_engine(build_graph(graph, options).engine));
}

/// One graph, run with several extents in engines with and without passes and in the interpreter.
class Guarded {
 public:
  explicit Guarded(const Graph& graph) : graph_(graph) {
    for (bool passes : {false, true}) contexts_.push_back(make_context(graph, passes));
  }

  /// "" when all end as they should. `strict`: what the interpreter refuses the engines must
  /// refuse.
  std::string check(const std::vector<Value>& inputs, bool strict) {
    expected_ = run_interpreter(graph_, inputs);
    if (expected_.internal) return "interpreter: " + expected_.error;
    for (size_t c = 0; c < contexts_.size(); ++c) {
      const std::string wrong = compare(run_engine(*contexts_[c], inputs), strict || c == 0);
      if (!wrong.empty()) return cat(c ? "with" : "without", " passes: ", wrong);
    }
    return "";
  }
  const Outcome& expected() const { return expected_; }

 private:
  std::string compare(const Outcome& got, bool strict) const {
    if (got.internal) return "internal error: " + got.error;
    if (expected_.error.empty() && !got.error.empty()) return "refused: " + got.error;
    if (!expected_.error.empty())
      return strict && got.error.empty() ? "accepted, but " + expected_.error : "";
    for (size_t o = 0; o < got.outputs.size(); ++o)
      if (auto d = difference(got.outputs[o], expected_.outputs[o], 2e-3, 0.1); !d.empty())
        return cat("output ", o, ": ", d);
    return "";
  }

  const Graph& graph_;
  std::vector<std::unique_ptr<Context>> contexts_;
  Outcome expected_;
};

// ---- named cases, from ONNX ----

struct Case {
  Message node;
  std::vector<std::vector<Extent>> inputs;
  int outputs = 1;
  std::vector<Message> initializers;
  int64_t opset = 18;
};

struct Run {
  std::vector<Dims> inputs;
  std::string error;  ///< part of the message, or kOk
};

Graph import(const Case& c) {
  onnx::testing::GraphParts parts;
  parts.nodes = {c.node};
  for (size_t i = 0; i < c.inputs.size(); ++i)
    parts.inputs.push_back(onnx::testing::value_info(
        cat("x", i), onnx::testing::tensor_type(DType::kFloat32, c.inputs[i])));
  for (int o = 0; o < c.outputs; ++o)
    parts.outputs.push_back(
        onnx::testing::value_info(cat("y", o), onnx::testing::unranked_type(DType::kFloat32)));
  parts.initializers = c.initializers;
  return onnx::testing::import_bytes(onnx::testing::model(onnx::testing::graph(parts), c.opset));
}

void check_case(const Case& c, const std::vector<Run>& runs) {
  const Graph graph = import(c);
  Guarded guarded(graph);
  for (int round = 0; round < 2; ++round)  // errors must not spoil what is cached
    for (const Run& run : runs) {
      std::vector<Value> inputs;
      std::string shapes;
      for (const Dims& d : run.inputs) inputs.push_back(random_tensor(d, 7)), shapes += str(d);
      EXPECT_EQ(guarded.check(inputs, true), "") << shapes << "\n" << print(graph);
      const std::string& error = guarded.expected().error;
      if (run.error == kOk) {
        EXPECT_EQ(error, "") << shapes;
        continue;
      }
      EXPECT_NE(error.find(run.error), std::string::npos) << shapes << ": " << error;
      EXPECT_NE(error.find("the_node"), std::string::npos) << shapes << ": " << error;
    }
}

Message the_node(const std::string& op, const Names& inputs, int outputs,
                 const std::vector<Message>& attributes = {}) {
  Names names;
  for (int o = 0; o < outputs; ++o) names.push_back(cat("y", o));
  return onnx::testing::node(op, inputs, names, attributes, "", "the_node");
}
Message ints(const std::string& name, const std::vector<int64_t>& values) {
  return onnx::testing::tensor(name, Tensor::ints(values));
}

TEST(Guard, ConcatOfDifferentExtents) {
  check_case(
      {the_node("Concat", {"x0", "x1"}, 1, {attribute("axis", int64_t{1})}), {{"n", 3}, {"m", 3}}},
      {{{{2, 3}, {2, 3}}, kOk},
       {{{2, 3}, {5, 3}}, "extents 2 and 5 differ"},
       {{{5, 3}, {2, 3}}, "extents 5 and 2 differ"},
       {{{2, 3}, {500, 3}}, "n = 2"},
       {{{4, 3}, {4, 3}}, kOk}});
}

TEST(Guard, SplitThatDoesNotAddUp) {
  const Case c{the_node("Split", {"x0", "sizes"}, 2), {{"n", 2}}, 2, {ints("sizes", {3, 3})}};
  check_case(c, {{{{6, 2}}, kOk}, {{{4, 2}}, "n = 4"}, {{{7, 2}}, "n = 7"}, {{{0, 2}}, "n = 0"}});
}

TEST(Guard, SplitInEqualParts) {
  const Case c{the_node("Split", {"x0"}, 2), {{"n", 2}}, 2, {}, 13};
  check_case(c, {{{{6, 2}}, kOk}, {{{5, 2}}, "n = 5"}, {{{0, 2}}, kOk}});
}

TEST(Guard, SplitBySizesThatOnlyARunKnows) {
  using namespace onnx::testing;  // NOLINT: a test
  for (bool ranked : {true, false}) {
    GraphParts parts;
    parts.nodes = {the_node("Split", {"x0", "sizes"}, 2)};
    parts.inputs = {value_info("x0", ranked ? tensor_type(DType::kFloat32, {"n", 2})
                                            : unranked_type(DType::kFloat32)),
                    value_info("sizes", tensor_type(DType::kInt64, {"k"}))};
    for (const char* name : {"y0", "y1"})
      parts.outputs.push_back(value_info(name, unranked_type(DType::kFloat32)));
    const Graph graph = import_bytes(onnx::testing::model(onnx::testing::graph(parts), 18));
    Guarded guarded(graph);
    auto error = [&](int64_t n, const std::vector<int64_t>& sizes) {
      EXPECT_EQ(guarded.check({Value(random_tensor({n, 2}, 1)), Value(Tensor::ints(sizes))}, true),
                "")
          << n << str(sizes) << print(graph);
      return guarded.expected().error;
    };
    EXPECT_EQ(error(6, {2, 4}), "");
    EXPECT_EQ(error(0, {0, 0}), "");
    for (const std::vector<int64_t>& sizes : std::vector<std::vector<int64_t>>{
             {2, 3}, {2, 5}, {7, -1}, {-1, 7}, {6, 6}, {6}, {2, 2, 2}, {}, {INT64_MAX, 7}})
      EXPECT_NE(error(6, sizes).find("the_node"), std::string::npos) << str(sizes);
  }
}

TEST(Guard, ReshapeToAnotherTotal) {
  check_case({the_node("Reshape", {"x0", "shape"}, 1), {{"n", 2}}, 1, {ints("shape", {3, 4})}},
             {{{{6, 2}}, kOk}, {{{5, 2}}, "the_node"}, {{{12, 2}}, "the_node"}});
}

TEST(Guard, ExpandThatDoesNotBroadcast) {
  check_case({the_node("Expand", {"x0", "shape"}, 1), {{"n", 2}}, 1, {ints("shape", {3, 2})}},
             {{{{1, 2}}, kOk}, {{{3, 2}}, kOk}, {{{2, 2}}, "the_node"}, {{{9, 2}}, "the_node"}});
}

TEST(Guard, BinaryThatDoesNotBroadcast) {
  check_case({the_node("Add", {"x0", "x1"}, 1), {{"n", 2}, {"m", 2}}},
             {{{{4, 2}, {4, 2}}, kOk},
              {{{4, 2}, {1, 2}}, kOk},
              {{{1, 2}, {4, 2}}, kOk},
              {{{4, 2}, {3, 2}}, "the_node"}});
}

TEST(Guard, MatMulWithDifferentInnerExtents) {
  check_case({the_node("MatMul", {"x0", "x1"}, 1), {{"a", "n"}, {"m", 5}}},
             {{{{2, 7}, {7, 5}}, kOk},
              {{{2, 7}, {8, 5}}, "contracted extents differ"},
              {{{2, 0}, {0, 5}}, kOk},
              {{{2, 70}, {8, 5}}, "n = 70"}});
}

TEST(Guard, ConvWithOtherChannels) {
  check_case({the_node("Conv", {"x0", "w"}, 1),
              {{1, "c", 8, 8}},
              1,
              {onnx::testing::tensor("w", random_tensor({4, 3, 3, 3}, 1))}},
             {{{{1, 3, 8, 8}}, kOk}, {{{1, 2, 8, 8}}, "c = 2"}, {{{1, 9, 8, 8}}, "c = 9"}});
}

TEST(Guard, ConvLargerThanItsInput) {
  check_case({the_node("Conv", {"x0", "w"}, 1),
              {{1, 3, "h", 8}},
              1,
              {onnx::testing::tensor("w", random_tensor({4, 3, 3, 3}, 1))}},
             {{{{1, 3, 8, 8}}, kOk}, {{{1, 3, 3, 8}}, kOk}, {{{1, 3, 1, 8}}, "the_node"}});
}

TEST(Guard, SqueezeOfMoreThanOne) {
  check_case({the_node("Squeeze", {"x0", "axes"}, 1), {{"n", 2}}, 1, {ints("axes", {0})}},
             {{{{1, 2}}, kOk}, {{{2, 2}}, "the_node"}, {{{0, 2}}, "the_node"}});
}

TEST(Guard, PadThatCropsTooMuch) {
  check_case({the_node("Pad", {"x0", "pads"}, 1), {{"n", 2}}, 1, {ints("pads", {-2, 0, -1, 0})}},
             {{{{5, 2}}, kOk}, {{{3, 2}}, kOk}, {{{2, 2}}, "the_node"}, {{{0, 2}}, "the_node"}});
}

// ---- a slice whose begin no ONNX model can say, only an engine file ----

TEST(Guard, SliceBeyondTheEnd) {
  GraphBuilder b = make_builder();
  const Dim n = Dim::symbol("n");
  ValueId x = b.input("x", Type::tensor(DType::kFloat32, {n, 3}));
  b.output("y", b.add(Slice{{0}, {Dim(1000) * n}, {2}, {1}}, {x}, {"the_node"}));
  const Graph graph = b.finish();
  Guarded guarded(graph);
  for (int64_t extent : {0, 2, 1000}) {
    EXPECT_EQ(guarded.check({Value(random_tensor({extent, 3}, 1))}, true), "");
    EXPECT_NE(guarded.expected().error.find("the_node"), std::string::npos) << extent;
  }
}

// ---- random graphs at extents that break what holds between them ----

class SymbolicGraph {
 public:
  explicit SymbolicGraph(uint64_t seed) : r_(seed), b_(make_builder()) {
    for (int i = 0; i < 3; ++i) add_input(i);
    const int wanted = int(pick(8)) + 2;
    for (int tries = 0, added = 0; added < wanted && tries < 100; ++tries) {
      try {
        values_.push_back(make());
        ++added;
      } catch (const Error& e) {
        if (e.kind() == ErrorKind::kInternal) throw;
      }
    }
    output_unread(b_, values_);
    graph = b_.finish();
  }

  /// Inputs whose symbols are drawn anew: often equal, sometimes 0 or 1.
  std::vector<Value> inputs() {
    static constexpr int64_t kLikely[] = {4, 4, 4, 4, 4, 6, 6, 2, 8, 1, 0, 3};
    std::map<std::string, int64_t> extents;
    const int64_t common = kLikely[pick(std::size(kLikely))];
    std::vector<Value> out;
    for (const auto& input : graph.inputs) {
      Dims dims;
      for (const Dim& d : *graph.type(input.value).shape)
        dims.push_back(d.eval([&](const std::string& name) {
          const int64_t other = kLikely[pick(std::size(kLikely))];
          return extents.emplace(name, pick(6) ? common : other).first->second;
        }));
      out.emplace_back(random_tensor(dims, r_()));
    }
    return out;
  }
  Graph graph;

 private:
  int64_t pick(int64_t n) { return int64_t(r_() % uint64_t(n)); }
  void add_input(int i) {
    Shape shape;
    for (int64_t a = 0, rank = i == 2 ? 4 : 2 + pick(2); a < rank; ++a)
      shape.push_back(pick(3) ? Dim::symbol(cat("s", i * 4 + a)) : Dim(pick(4) ? 4 : 6));
    values_.push_back(b_.input(cat("x", i), Type::tensor(DType::kFloat32, shape)));
  }
  ValueId value() {
    const auto n = int64_t(values_.size());
    return values_[size_t(pick(2) ? pick(n) : n - 1 - pick(std::min<int64_t>(n, 3)))];
  }
  const Shape& shape(ValueId v) { return *b_.type(v).shape; }
  ValueId add(Op op, std::vector<ValueId> in) {
    return b_.add(std::move(op), std::move(in), {cat("n", counter_++)});
  }
  /// An extent: a number, one of the value's own or a little off.
  Dim extent(ValueId x) {
    const Shape& s = shape(x);
    if (s.empty() || pick(3) == 0) return pick(6) ? pick(4) : 7;
    const Dim& d = s[size_t(pick(int64_t(s.size())))];
    return pick(3) ? d : d + pick(3) - 1;
  }
  ValueId weights(const Dims& dims) { return b_.constant(random_tensor(dims, r_())); }

  ValueId make() {
    ValueId x = value();
    const Shape s = shape(x);
    const auto rank = int64_t(s.size());
    if (rank == 0) return add(Unary{UnaryKind::kRelu}, {x});
    const int64_t axis = pick(rank);
    switch (pick(20)) {
      case 0:
      case 1:
      case 2:
        return add(Concat{axis}, {x, value()});
      case 3:
      case 4:
      case 5:
        return add(
            Slice{{axis}, {pick(2) ? Dim(pick(3)) : extent(x)}, {extent(x)}, {pick(4) ? 1 : 2}},
            {x});
      case 6:
      case 7:
        return add(Binary{pick(2) ? BinaryKind::kAdd : BinaryKind::kMul}, {x, value()});
      case 8:
        return add(MatMul{pick(3) == 0, pick(3) == 0}, {x, value()});
      case 9: {
        Shape target;
        for (int64_t a = 0; a < rank; ++a) target.push_back(pick(2) ? s[size_t(a)] : extent(x));
        return add(Expand{target}, {x});
      }
      case 10:
      case 11:
        return reshape(x);
      case 12:
        return add(Squeeze{{axis}}, {x});
      case 13: {
        std::vector<Dim> pads;
        for (int64_t a = 0; a < 2 * rank; ++a) pads.emplace_back(pick(3) ? 0 : pick(5) - 1);
        if (pick(3) == 0) pads[size_t(axis)] = extent(x) - 4;
        return add(Pad{Pad::Mode::kConstant, pads}, {x, b_.constant(Tensor::scalar(1.0f))});
      }
      case 14: {
        Ints permutation;
        for (int64_t a = 0; a < rank; ++a) permutation.push_back((a + 1) % rank);
        return add(Transpose{permutation}, {x});
      }
      case 15:
        return spatial(x);
      case 16:
        return add(Reduce{pick(2) ? Reduce::Kind::kMean : Reduce::Kind::kMax, {axis}}, {x});
      case 17:
        return pick(2) ? add(Softmax{axis}, {x}) : add(Normalize{{axis}}, {x});
      case 18:
        return add(Gather{axis}, {x, b_.constant(Tensor::ints({pick(4), pick(4)}))});
      default:
        return add(Unary{UnaryKind::kSigmoid}, {x});
    }
  }
  ValueId reshape(ValueId x) {
    Shape s = shape(x);
    if (pick(3) == 0) {
      s[size_t(pick(int64_t(s.size())))] = extent(x);
    } else if (s.size() > 1 && pick(2)) {
      s[0] = s[0] * s[1];
      s.erase(s.begin() + 1);
    } else {
      s[0] = floor_div(s[0], 2);
      s.insert(s.begin(), Dim(2));
    }
    return add(Reshape{s}, {x});
  }
  ValueId spatial(ValueId x) {
    require(shape(x).size() == 4, "not spatial");
    const Window w{{2, 2}, {1, pick(2) + 1}, {1, 1}, {0, 0}, {pick(2), 0}};
    switch (pick(3)) {
      case 0:
        return add(Conv{w, 1}, {x, weights({3, pick(2) ? 4 : 6, 2, 2})});
      case 1:
        return add(Pool{pick(2) ? Pool::Kind::kMax : Pool::Kind::kAverage, w, false}, {x});
      default: {
        Resize resize;
        resize.axes = {1, 2};
        return add(resize, {x, {}, {}, b_.constant(Tensor::ints({pick(5) + 1, pick(5) + 1}))});
      }
    }
  }

  std::mt19937_64 r_;
  GraphBuilder b_;
  std::vector<ValueId> values_;
  int counter_ = 0;
};

TEST(Guard, RandomGraphsAtRandomExtents) {
  int fits = 0, refused = 0;
  for (uint64_t seed = 0; seed < 500; ++seed) {
    SymbolicGraph random(seed);
    Guarded guarded(random.graph);
    for (int round = 0; round < 8; ++round) {
      const std::vector<Value> inputs = random.inputs();
      std::string shapes;
      for (const Value& v : inputs) shapes += str(v.tensor.dims());
      ASSERT_EQ(guarded.check(inputs, false), "")
          << "seed " << seed << ", round " << round << " " << shapes << "\n"
          << print(random.graph);
      ++(guarded.expected().error.empty() ? fits : refused);
    }
  }
  EXPECT_GT(fits, 200);  // both ways are really taken
  EXPECT_GT(refused, 200);
}

}  // namespace
}  // namespace vitrify
