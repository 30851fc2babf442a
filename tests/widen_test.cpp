// Models in f16 and bf16: the conversions of the CPU backend against base/small_float.h, and
// widened graphs against the interpreter on the graphs as they were.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>

#include "backend/cpu/kernels/body.h"
#include "backend/cpu/kernels/convert.h"
#include "base/error.h"
#include "base/small_float.h"
#include "builder/builder.h"
#include "compare.h"
#include "passes/pipeline.h"
#include "random_graph.h"
#include "runtime/context.h"
#include "runtime/engine_file.h"

namespace vitrify {
namespace {

const SmallFloat& format_of(DType half) { return half == DType::kFloat16 ? kFloat16 : kBFloat16; }

class Halves : public testing::TestWithParam<DType> {
 protected:
  uint32_t encoded(float v) const { return encode(format_of(GetParam()), double(v), false); }
  float decoded(uint32_t code) const { return float(decode(format_of(GetParam()), code)); }
};

bool same(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) ||
         std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

/// Every value of the type, what lies next to it and halfway to the next, and any bits at all.
std::vector<float> floats_around(DType half) {
  std::vector<float> all;
  for (uint32_t code = 0; code < 0x10000; ++code) {
    const float v = float(decode(format_of(half), code));
    const uint32_t bits = std::bit_cast<uint32_t>(v);
    const uint32_t tie = half == DType::kFloat16 ? 0x1000 : 0x8000;
    for (uint32_t b : {bits, bits + 1, bits - 1, bits + tie, bits + tie + 1, bits + tie - 1})
      all.push_back(std::bit_cast<float>(b));
    if (half == DType::kFloat16 && std::isfinite(v))  // between subnormals
      for (float step : {0x1p-25f, 0x1.000002p-25f, 0x1.fffffep-26f}) all.push_back(v + step);
  }
  std::mt19937_64 random(5);
  for (int i = 0; i < 200001; ++i) all.push_back(std::bit_cast<float>(uint32_t(random())));
  return all;
}

TEST_P(Halves, ConvertAsSmallFloatSays) {
  const std::vector<float> floats = floats_around(GetParam());
  std::vector<uint16_t> codes(0x10000), narrow(floats.size());
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = uint16_t(i);
  std::vector<float> wide(codes.size());
  for (int isa = 0; isa <= int(cpu::max_isa()); ++isa) {
    cpu::load_floats(cpu::Isa(isa), GetParam(), reinterpret_cast<const std::byte*>(codes.data()),
                     int64_t(codes.size()), wide.data());
    for (size_t i = 0; i < codes.size(); ++i)
      ASSERT_TRUE(same(wide[i], decoded(codes[i]))) << "isa " << isa << " code " << i;
    cpu::store_floats(cpu::Isa(isa), GetParam(), floats.data(), int64_t(floats.size()),
                      reinterpret_cast<std::byte*>(narrow.data()));
    for (size_t i = 0; i < floats.size(); ++i)
      ASSERT_TRUE(same(decoded(narrow[i]), decoded(encoded(floats[i]))))
          << "isa " << isa << " of " << floats[i] << ": " << narrow[i];
  }
}

TEST_P(Halves, RoundInsideOfABodyAsSmallFloatSays) {
  const std::vector<float> floats = floats_around(GetParam());
  BodyStep down{.code = BodyStep::Code::kCast, .args = {0, -1, -1}, .dtype = GetParam()};
  BodyStep up{.code = BodyStep::Code::kCast, .args = {1, -1, -1}, .dtype = DType::kFloat32};
  BodyStep negate{.unary = UnaryKind::kNeg, .args = {2, -1, -1}, .dtype = DType::kFloat32};
  const DType types[] = {DType::kFloat32};
  const cpu::BodyProgram program = cpu::compile_body({1, {down, up, negate}, {}}, types);
  std::vector<float> rounded(floats.size());
  for (int isa = 0; isa <= int(cpu::max_isa()); ++isa) {
    const cpu::BodyOperand x{reinterpret_cast<const std::byte*>(floats.data()), 1};
    std::byte* y = reinterpret_cast<std::byte*>(rounded.data());
    cpu::run_body_row(cpu::Isa(isa), program, &x, &y, int64_t(floats.size()));
    for (size_t i = 0; i < floats.size(); ++i)
      ASSERT_TRUE(same(-rounded[i], decoded(encoded(floats[i]))))
          << "isa " << isa << " of " << floats[i] << ": " << rounded[i];
  }
}

// ---- Whole graphs ----

Tensor in_half(const Tensor& x, DType half) {
  Tensor y(half, x.dims());
  for (int64_t i = 0; i < x.size(); ++i) set_double(y, i, double_at(x, i));
  return y;
}

/// The graph with every f32 in `half`.
Graph in_half(const Graph& graph, DType half) {
  GraphBuilder b = make_builder();
  b.continue_from(graph);
  std::map<ValueId, ValueId> map;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& n = graph.nodes[i];
    const auto index = int32_t(i);
    if (auto* input = n.op.as<Input>()) {
      Type type = n.types[0];
      if (type.dtype == DType::kFloat32) type.dtype = half;
      map[{index, 0}] = b.input(input->name, type);
      continue;
    }
    if (auto* c = n.op.as<Constant>(); c && n.types[0].dtype == DType::kFloat32) {
      map[{index, 0}] = b.constant(in_half(c->data->tensor, half));
      continue;
    }
    if (n.op.is<Constant>()) {
      copy_node(b, graph, index, map);
      continue;
    }
    Op op = n.op;
    if (auto* cast = op.as<Cast>(); cast && cast->to == DType::kFloat32) op = Cast{half};
    std::vector<ValueId> inputs;
    for (ValueId v : n.inputs) inputs.push_back(v.valid() ? map.at(v) : ValueId{});
    const ValueId first = b.add(op, inputs, n.origins, int(n.types.size()), &n);
    for (int32_t o = 0; o < int32_t(n.types.size()); ++o) map[{index, o}] = {first.node, o};
  }
  for (const auto& o : graph.outputs) b.output(o.name, map.at(o.value));
  return b.finish();
}

struct HalfCase {
  Graph graph;
  std::vector<Value> inputs, expected;
};

/// Nothing where the inputs break a guard.
std::optional<HalfCase> half_case(uint64_t seed, DType half) {
  RandomGraph random(seed);
  HalfCase c{in_half(random.graph, half), {}, {}};
  for (const Value& v : random.inputs) c.inputs.push_back(in_half(v.tensor, half));
  try {
    c.expected = interpret(c.graph, c.inputs);
  } catch (const Error& e) {
    if (e.message().find("give inputs that fit") == std::string::npos) throw;
    return {};
  }
  return c;
}

/// A result may be one rounding off, and what is computed from it again.
double tolerance(DType half) { return half == DType::kFloat16 ? 2e-2 : 16e-2; }

/// What cancels is as far off as its operands, which are about 1.
std::string disagreement(const HalfCase& c, const std::vector<Value>& got, DType half) {
  return difference(got, c.expected, tolerance(half), 1);
}

int count_nodes(const Graph& g, const std::function<bool(const Node&)>& is) {
  return int(std::count_if(g.nodes.begin(), g.nodes.end(), is));
}
bool is_half_matmul_or_conv(const Node& n) {
  return (n.op.is<MatMul>() || n.op.is<Conv>()) && n.types[0].dtype != DType::kFloat32;
}

TEST_P(Halves, WideningKeepsResults) {
  int compared = 0, contractions = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    auto c = half_case(seed, GetParam());
    if (!c) continue;
    const Graph after = widen_halves(c->graph, {.pass = "widen_halves"});
    contractions += count_nodes(c->graph, is_half_matmul_or_conv);
    EXPECT_EQ(count_nodes(after, is_half_matmul_or_conv), 0);
    EXPECT_EQ(disagreement(*c, interpret(after, c->inputs), GetParam()), "")
        << "graph " << seed << "\n"
        << print(c->graph) << "became\n"
        << print(after);
    ++compared;
  }
  EXPECT_GE(compared, 250);
  EXPECT_GE(contractions, 100);
}

TEST_P(Halves, PipelineKeepsResults) {
  for (uint64_t seed = 1000; seed <= 1250; ++seed) {
    auto c = half_case(seed, GetParam());
    if (!c) continue;
    const Graph after = run_pipeline(c->graph, {});
    EXPECT_EQ(disagreement(*c, interpret(after, c->inputs), GetParam()), "")
        << "graph " << seed << "\n"
        << print(c->graph) << "became\n"
        << print(after);
  }
}

TEST_P(Halves, EnginesAgreeWithTheInterpreter) {
  int compared = 0;
  for (uint64_t seed = 5000; seed < 5150; ++seed) {
    auto c = half_case(seed, GetParam());
    if (!c) continue;
    BuildOptions options;
    options.timing = seed % 4 == 0;
    options.passes.enabled = seed % 3 != 0;
    Context context(load_engine(build_graph(c->graph, options).engine));
    for (size_t i = 0; i < c->inputs.size(); ++i) context.set_input(i, c->inputs[i]).check();
    context.run().check();
    std::vector<Value> got;
    for (size_t o = 0; o < c->expected.size(); ++o) got.push_back(context.output(o));
    EXPECT_EQ(disagreement(*c, got, GetParam()), "") << "graph " << seed << "\n" << print(c->graph);
    ++compared;
  }
  EXPECT_GE(compared, 100);
}

Tensor ramp(DType dtype, Dims dims) {
  Tensor t(dtype, std::move(dims));
  for (int64_t i = 0; i < t.size(); ++i) set_double(t, i, 0.37 * double(i % 29) - 3);
  return t;
}

/// Two convolutions with bias and relu, and a residual.
Graph residual_block(DType half) {
  GraphBuilder b = make_builder();
  const ValueId x = b.input("x", Type::tensor(half, {Dim(1), Dim(6), Dim(6), Dim(8)}));
  ValueId y = x;
  for (int i = 0; i < 2; ++i) {
    const std::vector<std::string> origin{cat("conv_", i)};
    Conv conv;
    conv.window = {{3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}};
    y = b.add(conv, {y, b.constant(ramp(half, {8, 8, 3, 3}))}, origin);
    y = b.add(Binary{BinaryKind::kAdd}, {y, b.constant(ramp(half, {8}))}, origin);
    if (i) y = b.add(Binary{BinaryKind::kAdd}, {y, x}, {"residual"});
    y = b.add(Unary{UnaryKind::kRelu}, {y}, {cat("relu_", i)});
  }
  b.output("y", y);
  return b.finish();
}

TEST_P(Halves, StayWideFromOpToOp) {
  const Graph after = run_pipeline(residual_block(GetParam()), {});
  // One cast of the input, one of the output: roundings are in the epilogues.
  EXPECT_EQ(count_nodes(after, [](const Node& n) { return n.op.is<Cast>(); }), 2) << print(after);
  EXPECT_EQ(count_nodes(after, [](const Node& n) { return n.op.is<Pointwise>(); }), 0);
  int rounds = 0;
  for (const Node& n : after.nodes)
    if (auto* conv = n.op.as<Conv>())
      for (const BodyStep& s : conv->epilogue.steps) rounds += s.dtype == GetParam();
  EXPECT_EQ(rounds, 3) << print(after);  // after each bias, and after the residual
}

TEST_P(Halves, TheModelsRoundingsStay) {
  // 2048 + 1 is no f16, 256 + 1 no bf16: only in f32 would anything be left of the 1.
  const float big = GetParam() == DType::kFloat16 ? 2048 : 256;
  GraphBuilder b = make_builder();
  const ValueId x = b.input("x", Type::tensor(GetParam(), {Dim(40)}));
  ValueId sum = b.add(Binary{BinaryKind::kAdd},
                      {x, b.constant(in_half(Tensor::scalar(1.f), GetParam()))}, {"add"});
  b.output("y", b.add(Binary{BinaryKind::kSub}, {sum, x}, {"sub"}));
  Tensor input(GetParam(), {40});
  for (int64_t i = 0; i < 40; ++i) set_double(input, i, big);
  Context context(load_engine(build_graph(b.finish(), {}).engine));
  context.set_input(0, input).check();
  context.run().check();
  for (int64_t i = 0; i < 40; ++i) EXPECT_EQ(double_at(context.output(0).tensor, i), 0);
}

TEST_P(Halves, AttendAsOneOp) {
  GraphBuilder b = make_builder();
  HalfCase c;
  std::vector<ValueId> qkv;
  for (std::string_view name : {"q", "k", "v"}) {
    qkv.push_back(
        b.input(std::string(name), Type::tensor(GetParam(), {Dim(2), Dim(3), Dim(5), Dim(4)})));
    c.inputs.push_back(ramp(GetParam(), {2, 3, 5, 4}));
  }
  ValueId y = b.add(MatMul{false, true}, {qkv[0], qkv[1]}, {"scores"});
  const Tensor scale = in_half(Tensor::scalar(0.125f), GetParam());
  y = b.add(Binary{BinaryKind::kMul}, {y, b.constant(scale)}, {"scale"});
  y = b.add(Softmax{-1}, {y}, {"softmax"});
  b.output("y", b.add(MatMul{}, {y, qkv[2]}, {"attend"}));
  c.graph = b.finish();
  c.expected = interpret(c.graph, c.inputs);
  const Graph after = run_pipeline(c.graph, {});
  EXPECT_EQ(count_nodes(after, [](const Node& n) { return n.op.is<Attention>(); }), 1);
  EXPECT_EQ(disagreement(c, interpret(after, c.inputs), GetParam()), "") << print(after);
}

TEST_P(Halves, AreToldAndCanBeLeftAlone) {
  const Graph graph = residual_block(GetParam());
  Trace trace;
  PipelineOptions options;
  options.trace = &trace;
  run_pipeline(graph, options);
  const auto told = [&](const Decision& d) {
    return d.rule.ends_with(" in f32") && !d.where.empty();
  };
  EXPECT_GE(std::count_if(trace.begin(), trace.end(), told), 2);
  trace.clear();
  options.disabled_passes = {"widen_halves"};
  EXPECT_EQ(count_nodes(run_pipeline(graph, options), is_half_matmul_or_conv), 2);
  EXPECT_EQ(std::count_if(trace.begin(), trace.end(), told), 0);
  options.disabled_passes.clear();
  options.computing_types = {DType::kFloat32, GetParam()};
  EXPECT_EQ(count_nodes(run_pipeline(graph, options), is_half_matmul_or_conv), 2);
}

INSTANTIATE_TEST_SUITE_P(Types, Halves, testing::Values(DType::kFloat16, DType::kBFloat16),
                         [](const auto& info) { return std::string(name(info.param)); });

}  // namespace
}  // namespace vitrify
