// The builder's choice among tactics: wrong ones are refused with a reason, wherever they stand.
#include <gtest/gtest.h>

#include "backend/backend.h"
#include "base/error.h"
#include "builder/parts.h"
#include "builder/sampled_contraction.h"
#include "compare.h"
#include "ops/table.h"

namespace vitrify {
namespace {

Tensor ramp(Dims dims, float start) {
  Tensor t(DType::kFloat32, std::move(dims));
  for (int64_t i = 0; i < t.size(); ++i) set_double(t, i, start + 0.037 * double(i * 7 % 129));
  return t;
}

Type floats(std::initializer_list<Dim> dims) { return Type::tensor(DType::kFloat32, Shape(dims)); }

BodyStep add_step() {
  BodyStep add{.code = BodyStep::Code::kBinary, .binary = BinaryKind::kAdd};
  add.args[0] = 0, add.args[1] = 1, add.dtype = DType::kFloat32;
  return add;
}

struct OneNode {
  Graph graph;
  int32_t node = -1;
};
OneNode finish(GraphBuilder& b, ValueId y) {
  b.output("y", y);
  Graph graph = b.finish();
  return {graph, graph.outputs[0].value.node};
}

/// 64 x 64 pixels of 32 channels by 3x3x32x40 with a bias: 94 MFLOP, so elements are sampled.
OneNode big_conv() {
  GraphBuilder b = make_builder();
  Conv conv{{{3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}}, 1, {.inputs = 2, .steps = {add_step()}}};
  ValueId x = b.input("x", floats({1, 64, 64, 32}));
  return finish(b,
                b.add(conv, {x, b.constant(ramp({40, 32, 3, 3}, -2)), b.constant(ramp({40}, 1))}));
}
OneNode small_matmul() {
  GraphBuilder b = make_builder();
  ValueId x = b.input("x", floats({5, 7}));
  return finish(b, b.add(MatMul{}, {x, b.constant(ramp({7, 9}, -1))}));
}

/// The real tactic of the node, which planted ones call before they spoil its answer.
const Tactic* real = nullptr;
int64_t outputs = 0;  ///< elements of output 0
int64_t spoiled = 0;  ///< the element that `run_spoiled` changes

void run_spoiled(const TacticState& state, const RunCall& call) {
  real->run(state, call);
  call.outputs[0].as<float>()[spoiled] += 100;
}
void run_too_far(const TacticState& state, const RunCall& call) {
  real->run(state, call);
  call.outputs[0].as<float>()[outputs + 3] = 1;
}
void run_nothing(const TacticState&, const RunCall&) {}
TacticState load_fails(const Op&, const Config&, std::span<const std::byte>) {
  fail("17 is too odd");
}
TacticState load_breaks(const Op&, const Config&, std::span<const std::byte>) {
  fail_internal("our mistake");
}

struct Planted {
  Tactic tactic;
  Config config;
  explicit Planted(const OneNode& s, decltype(Tactic::run) run) {
    NodeInfo info(s.graph, s.node);
    real = tactics_for(s.graph.nodes[size_t(s.node)].op.name()).front();
    config = real->configs(info.view()).front();
    outputs = 1;
    for (const Dim& d : *info.node->types[0].shape) outputs *= d.value();
    tactic = *real;
    tactic.name = "test.wrong", tactic.run = run;
  }
  AbleTactic wrong() const { return {&tactic, config}; }
  AbleTactic right() const { return {real, config}; }
};

Choice choose(const OneNode& s, std::vector<AbleTactic> able, bool timing = true) {
  Choice choice;
  choose_among(s.graph, s.node, {}, 1, timing, able, choice);
  return choice;
}

void expect_refused(const Candidate& c, const std::string& why) {
  EXPECT_EQ(c.tactic, "test.wrong");
  EXPECT_NE(c.refusal.find(why), std::string::npos) << c.refusal;
}

void wrong_is_refused(const OneNode& s, const Planted& p, const std::string& why) {
  const Choice first = choose(s, {p.wrong(), p.right()});
  EXPECT_EQ(first.tactic, real->name);
  EXPECT_TRUE(first.unchecked.empty()) << first.unchecked;
  expect_refused(first.candidates[0], why);
  EXPECT_EQ(first.candidates[1].refusal, "");
  const Choice last = choose(s, {p.right(), p.right(), p.wrong()});
  EXPECT_EQ(last.tactic, real->name);
  EXPECT_GT(last.candidates[0].milliseconds, 0);
  EXPECT_LT(last.candidates[2].milliseconds, 0);
  expect_refused(last.candidates[2], why);
  for (const std::vector<AbleTactic>& all :
       {std::vector{p.wrong()}, std::vector{p.wrong(), p.wrong()}}) {
    const Choice none = choose(s, all);
    EXPECT_EQ(none.tactic, kReference);
    EXPECT_EQ(none.config, "");
    for (const Candidate& c : none.candidates) expect_refused(c, why);
  }
}

TEST(Choose, RefusesAWrongTacticWhereverItStands) {
  for (const OneNode& s : {big_conv(), small_matmul()}) {
    Planted p(s, run_spoiled);
    for (int64_t at : {int64_t(0), outputs - 1}) {
      spoiled = at;
      wrong_is_refused(s, p, cat(" at element ", at, " of output 0"));
    }
  }
}

TEST(Choose, RefusesWhatWritesTooFarOrNotAtAll) {
  for (const OneNode& s : {big_conv(), small_matmul()}) {
    wrong_is_refused(s, Planted(s, run_too_far), "writes outside of output 0");
    wrong_is_refused(s, Planted(s, run_nothing), "nan instead of ");
  }
}

TEST(Choose, RecordsWhyATacticDoesNotTakeTheShapes) {
  const OneNode s = small_matmul();
  Planted p(s, run_nothing);
  p.tactic.load = load_fails;
  wrong_is_refused(s, p, "17 is too odd");
}

TEST(Choose, LetsOurOwnMistakesThrough) {
  const OneNode s = small_matmul();
  Planted p(s, run_nothing);
  p.tactic.load = load_breaks;
  EXPECT_THROW(choose(s, {p.wrong()}), Error);
}

TEST(Choose, TakesTheTablesOrderWhenOnlyARunTellsTheShapes) {
  GraphBuilder b = make_builder();
  ValueId x = b.input("x", floats({Dim::symbol("n"), 7}));
  const OneNode s = finish(b, b.add(MatMul{}, {x, b.constant(ramp({7, 9}, -1))}));
  real = find_tactic("cpu.matmul");
  const Config config = real->configs(NodeInfo(s.graph, s.node).view()).front();
  const Choice choice = choose(s, {{real, config}, {find_tactic("cpu.matmul.packed"), config}});
  EXPECT_EQ(choice.tactic, "cpu.matmul");
  EXPECT_NE(choice.unchecked.find("'n' is not known"), std::string::npos) << choice.unchecked;
}

TEST(Choose, TimesNothingWhereTheShapesDoNotFit) {
  GraphBuilder b = make_builder();
  auto named = [](const char* rows, const char* columns) {
    return floats({Dim::symbol(rows), Dim::symbol(columns)});
  };
  const ValueId x = b.input("x", named("r", "c")), y = b.input("y", named("s", "d"));
  const OneNode s = finish(b, b.add(Concat{1}, {x, y}));
  std::vector<AbleTactic> able;
  for (const Tactic* tactic : tactics_for(Concat::kName))
    able.emplace_back(
        tactic, tactic->configs ? tactic->configs(NodeInfo(s.graph, s.node).view()).front() : "");
  ASSERT_FALSE(able.empty());
  Choice choice;
  choose_among(s.graph, s.node, {{"r", 2}, {"c", 300}, {"s", 400}, {"d", 300}}, 1, true, able,
               choice);
  EXPECT_NE(choice.unchecked.find("2 and 400"), std::string::npos) << choice.unchecked;
  EXPECT_EQ(choice.tactic, able.front().first->name);
}

/// What is picked without timing from all that run the node, however they are ordered.
std::string predicted(const OneNode& s) {
  NodeInfo info(s.graph, s.node);
  std::vector<AbleTactic> able;
  for (const Tactic* tactic : tactics_for(s.graph.nodes[size_t(s.node)].op.name()))
    if (tactic->supports(info.view()).empty())
      for (const Config& config : tactic->configs(info.view())) able.emplace_back(tactic, config);
  EXPECT_GT(able.size(), 1u);
  const Choice choice = choose(s, able, false);
  EXPECT_FALSE(choice.measured);
  for (const Candidate& c : choice.candidates) EXPECT_GT(c.milliseconds, 0) << c.config;
  std::reverse(able.begin(), able.end());
  EXPECT_EQ(choose(s, able, false).config, choice.config);
  const std::string word = choice.config.substr(choice.config.find(' ') + 1);
  return choice.tactic == "cpu.conv" ? word : choice.tactic;
}

OneNode conv_of(int64_t size, int64_t channels, int64_t results, int64_t kernel, int64_t stride,
                int64_t group = 1) {
  GraphBuilder b = make_builder();
  const int64_t pad = kernel / 2;
  Conv conv{{{kernel, kernel}, {stride, stride}, {1, 1}, {pad, pad}, {pad, pad}}, group, {}};
  ValueId x = b.input("x", floats({1, size, size, channels}));
  return finish(b,
                b.add(conv, {x, b.constant(ramp({results, channels / group, kernel, kernel}, 0))}));
}

TEST(Choose, PredictsWhatUsuallyIsFastest) {
  EXPECT_EQ(predicted(conv_of(224, 3, 64, 7, 2)), "banded");
  EXPECT_EQ(predicted(conv_of(56, 16, 96, 1, 1)), "implicit_gemm");
  EXPECT_EQ(predicted(conv_of(56, 96, 96, 3, 1, 96)), "depthwise");
  EXPECT_EQ(predicted(conv_of(56, 64, 64, 3, 1)), "winograd4");
  EXPECT_EQ(predicted(small_matmul()), "cpu.matmul.packed");
}

/// Every output of every sample, element by element.
TEST(Choose, ComputesElementsAsTheReferenceDoes) {
  int cases = 0;
  for (const char* name : {Conv::kName, ConvTranspose::kName, MatMul::kName}) {
    const OpInfo* row = nullptr;
    for (size_t i = 0; i < op_count(); ++i)
      if (op_info(i).name == name) row = &op_info(i);
    for (const Sample& sample : row->samples(5)) {
      if (!can_sample_contraction(sample.op)) continue;
      GraphBuilder b = make_builder();
      std::vector<ValueId> values;
      std::vector<Value> inputs(sample.inputs.begin(), sample.inputs.end());
      for (const Tensor& t : sample.inputs)
        values.push_back(b.input(cat("x", values.size()), t.type()));
      const ValueId y = b.add(sample.op, values, {}, sample.outputs);
      const Node& node = b.node(y);
      std::vector<Value> expected(node.types.size());
      run_reference(node, inputs, expected, {});
      const Dims dims = expected[0].tensor.dims();
      const std::vector<int64_t> positions = sample_positions(dims, 1 << 20);
      const std::vector<Tensor> got = sample_contraction(node, inputs, dims, positions);
      ASSERT_EQ(got.size(), expected.size());
      for (size_t o = 0; o < got.size(); ++o)
        EXPECT_EQ(difference(got[o].reshaped(dims), expected[o].tensor,
                             small_float_format(expected[o].tensor.dtype()) ? 1e-2 : 1e-6),
                  "")
            << sample.op.label() << " " << expected[o].tensor.type().str();
      ++cases;
    }
  }
  EXPECT_GT(cases, 30);
}

TEST(Choose, SamplesCornersAndTails) {
  EXPECT_EQ(sample_positions({2, 3}, 8), (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_TRUE(sample_positions({0, 3}, 8).empty());
  const std::vector<int64_t> some = sample_positions({2, 100, 130}, 1000);
  EXPECT_GE(some.size(), 256u);
  for (int64_t corner : {0, 129, 99 * 130, 100 * 130, 2 * 100 * 130 - 1})
    EXPECT_TRUE(std::binary_search(some.begin(), some.end(), corner)) << corner;
  int64_t tail = 0;
  for (int64_t p : some) tail += p % 130 >= 128;
  EXPECT_GT(tail, int64_t(some.size()) / 8);
}

}  // namespace
}  // namespace vitrify
