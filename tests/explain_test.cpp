// What the builder says of its decisions.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "builder/builder.h"
#include "onnx_writer.h"
#include "passes/explain_changes.h"
#include "random_graph.h"

namespace vitrify {
namespace {

using namespace onnx::testing;

void expect_full(const Decision& d) {
  EXPECT_NE(d.pass, "");
  EXPECT_NE(d.rule, "");
  EXPECT_NE(d.effect, "") << d.rule;
  EXPECT_FALSE(d.where.empty()) << d.pass << ": " << d.rule << ": " << d.effect;
  for (const std::string& name : d.where) EXPECT_NE(name, "") << d.pass << ": " << d.rule;
}

/// Every pass, each on what those before it leave of random graphs.
TEST(Explain, NoPassIsSilent) {
  std::map<std::string_view, int> changed;
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    Graph graph = RandomGraph(seed).graph;
    for (const PassRow& row : pass_table()) {
      Trace trace;
      PipelineOptions options;
      options.trace = &trace;
      Graph after = run_pass(row, graph, options);
      if (!(digest(graph) == digest(after))) {
        ++changed[row.name];
        ASSERT_FALSE(trace.empty()) << row.name << " on graph " << seed << "\n"
                                    << print(graph) << "became\n"
                                    << print(after);
      }
      for (const Decision& d : trace) {
        EXPECT_EQ(d.pass, row.name);
        expect_full(d);
      }
      graph = std::move(after);
    }
  }
  // Random graphs hold no attention, nothing constant, and nothing simple after all rewrites.
  const std::set<std::string_view> idle = {"recognize_attention", "fold_constants",
                                           "fold_constants_again", "simplify_again"};
  for (const PassRow& row : pass_table())
    EXPECT_TRUE(changed[row.name] > 0 || idle.count(row.name)) << row.name;
}

Graph shift_softmax(const Graph& g, const PassContext&) {
  return rewrite_graph(
      g, make_builder(&g), [&](GraphBuilder& b, int32_t n, std::map<ValueId, ValueId>& map) {
        const Node& node = g.nodes[size_t(n)];
        auto* s = node.op.as<Softmax>();
        if (!s) return copy_node(b, g, n, map);
        map[{n, 0}] = b.add(Softmax{s->axis - 1}, {map.at(node.inputs[0])}, node.origins);
      });
}

TEST(Explain, ChangesOfASilentPassAreFound) {
  GraphBuilder b = make_builder();
  ValueId x = b.input("x", Type::tensor(DType::kFloat32, {2, 3}));
  ValueId y = b.add(Softmax{1}, {x}, {"soft"}), z = b.add(Softmax{1}, {y});
  b.graph().value_names[z] = "z";
  b.output("z", z);
  const Graph graph = b.finish();
  Trace trace;
  PipelineOptions options;
  options.trace = &trace;
  run_pass({"silent", shift_softmax, ""}, graph, options);
  ASSERT_EQ(trace.size(), 1u);
  EXPECT_EQ(trace[0].rule, "softmax -> softmax");
  EXPECT_EQ(trace[0].where, (std::vector<std::string>{"soft", "z"}));
  EXPECT_NE(trace[0].effect.find("2 times"), std::string::npos);
  shift_softmax(graph, {.trace = &trace});
  EXPECT_EQ(trace.size(), 1u);
}

Tensor ramp(const Dims& dims) {
  Tensor t(DType::kFloat32, dims);
  for (int64_t i = 0; i < t.size(); ++i) t.data<float>()[i] = float(i % 7) / 8 - 0.3f;
  return t;
}
Message f32(const std::string& name, const std::vector<Extent>& extents) {
  return value_info(name, tensor_type(DType::kFloat32, extents));
}
/// Each node is named as its first result.
Message named(const std::string& op, const Names& in, const Names& out,
              const std::vector<Message>& attributes = {}, const std::string& domain = "") {
  return node(op, in, out, attributes, domain, out[0]);
}

std::string sample_model() {
  Tensor always(DType::kBool, {});
  always.raw()[0] = std::byte{1};
  GraphParts branch;
  branch.nodes = {named("Neg", {"z"}, {"flipped"})};
  branch.outputs = {f32("flipped", {2, 160})};
  GraphParts g;
  g.inputs = {f32("x", {1, 4, 8, 8}), f32("rows", {2, 160})};
  g.initializers = {tensor("w1", ramp({6, 4, 3, 3})),
                    tensor("w2", ramp({6, 4, 3, 3})),
                    tensor("scale", ramp({6, 1, 1})),
                    tensor("table", ramp({160, 160})),
                    tensor("half", Tensor::scalar(0.5f)),
                    tensor("always", always),
                    tensor("flat", Tensor::of<int64_t>(DType::kInt64, {2}, {1, -1}))};
  g.nodes = {named("Conv", {"x", "w1"}, {"conv1"}),
             named("Mul", {"conv1", "scale"}, {"scaled"}),
             named("Conv", {"x", "w2"}, {"conv2"}),
             named("Concat", {"scaled", "conv2"}, {"both"}, {attribute("axis", int64_t{1})}),
             named("Tanh", {"both"}, {"unread"}),
             named("Sigmoid", {"both"}, {"twin1"}),
             named("Sigmoid", {"both"}, {"twin2"}),
             named("Add", {"twin1", "twin2"}, {"sum"}),
             named("Reshape", {"sum", "flat"}, {"y"}),
             named("Add", {"half", "half"}, {"one"}),
             named("MatMul", {"rows", "table"}, {"product"}),
             named("Mul", {"product", "one"}, {"same"}),
             named("Relu", {"same"}, {"positive"}),
             named("Softmax", {"positive"}, {"z"}, {attribute("axis", int64_t{1})}),
             named("If", {"always"}, {"chosen"},
                   {graph_attribute("then_branch", graph(branch)),
                    graph_attribute("else_branch", graph(branch))}),
             named("Twice", {"chosen"}, {"doubled"}, {}, "local"),
             named("Twice", {"doubled"}, {"quadrupled"}, {}, "local")};
  g.outputs = {f32("y", {1, 432}), f32("quadrupled", {2, 160})};
  const Message twice =
      function("local", "Twice", {"a"}, {"b"}, {named("Add", {"a", "a"}, {"b"})}, {}, 11);
  return model(graph(g), 11, 8, {twice});
}

BuildReport report_of(const std::string& bytes,
                      std::vector<std::vector<InputShapes>> profiles = {}) {
  const auto path = std::filesystem::path(::testing::TempDir()) / "explain.onnx";
  std::ofstream(path, std::ios::binary) << bytes;
  BuildOptions options;
  options.timing = false;
  options.profiles = std::move(profiles);
  BuildReport report = build_model(path.string(), options).report;
  std::filesystem::remove(path);
  return report;
}

struct Expected {
  std::string_view pass, rule, where, effect;  ///< parts of them
};

bool found(const Trace& trace, const Expected& e) {
  for (const Decision& d : trace) {
    const bool here = std::find(d.where.begin(), d.where.end(), e.where) != d.where.end();
    if (here && d.pass == e.pass && d.rule.find(e.rule) != std::string::npos &&
        d.effect.find(e.effect) != std::string::npos)
      return true;
  }
  return false;
}

std::string print(const Trace& trace) {
  std::string all;
  for (const Decision& d : trace) {
    all += cat(d.pass, " | ", d.rule, " | ", d.effect, " |");
    for (const auto& w : d.where) all += " " + w;
    all += "\n";
  }
  return all;
}

TEST(Explain, EachKindOfDecisionIsTold) {
  const Expected expected[] = {
      {"import", "Conv-1 -> transpose, conv, transpose", "conv1", "channels-last"},
      {"import", "Conv-1 -> transpose, conv, transpose", "conv2", "2 times"},
      {"import", "Softmax-1 -> ", "z", "older opset"},
      {"import", "Tanh-1 -> nothing", "unread", "nobody needs it"},
      {"import", "equal sigmoids -> one", "twin1", "f32"},
      {"import", "Twice (function) -> its body", "doubled", "inlined in its place (2 times)"},
      {"import", "If-1 -> its body", "chosen", "inlined"},
      {"fold_constants", "op(constants) -> constant", "one", "add(half, half)"},
      {"push_transposes", "transpose, conv, transpose -> ", "conv2", "transposes moved"},
      {"fold_affine", " -> ", "scaled", ""},
      {"fuse_epilogues", "relu(matmul) -> matmul{relu}", "positive", "f32"},
      {"add_aliases", "written in place", "both", "f32"},
      {"add_aliases", "view of x", "y", "f32"},
      {"store_constants", "packed form alone", "product", "table : f32[160, 160]"},
  };
  const Trace trace = report_of(sample_model()).decisions;
  for (const Expected& e : expected)
    EXPECT_TRUE(found(trace, e)) << e.pass << " | " << e.rule << " at " << e.where << " in\n"
                                 << print(trace);
  for (const Decision& d : trace) expect_full(d);
}

/// x has no rank, scale a default, y a wrong shape.
std::string vague_model() {
  GraphParts g;
  const Message scale = value_info("scale", tensor_type(DType::kFloat32, {2}));
  g.inputs = {value_info("x", unranked_type(DType::kFloat32)), scale};
  g.initializers = {tensor("scale", Tensor::of(DType::kFloat32, {2}, std::vector<float>{1, 1}))};
  g.nodes = {named("InstanceNormalization", {"x", "scale", "scale"}, {"y"})};
  g.outputs = {f32("y", {7, 7})};
  return model(graph(g), 11);
}

TEST(Explain, WhatProfilesTellTheImporter) {
  EXPECT_THROW(report_of(vague_model()), Error);
  const InputShapes one{"x", {1, 2, 3}, {1, 2, 3}, {1, 2, 3}}, scale{"scale", {2}, {2}, {2}};
  const InputShapes many{"x", {1, 2, 3}, {2, 2, 3}, {4, 2, 3}};
  const Expected wrong{"import", "declared shape -> inferred shape", "y",
                       "'y' is declared as [7, 7]"};
  BuildReport report = report_of(vague_model(), {{one}});
  EXPECT_EQ(report.profiles.at(0).inputs.size(), 1u);
  EXPECT_TRUE(found(report.decisions, wrong)) << print(report.decisions);
  report = report_of(vague_model(), {{one, scale}, {many, scale}});
  ASSERT_EQ(report.profiles.size(), 2u);
  EXPECT_EQ(report.profiles[1].inputs.at(0).max, (Dims{4, 2, 3}));
  EXPECT_EQ(report.profiles[1].inputs.at(1).name, "scale");
  EXPECT_TRUE(found(report.decisions, {"import", "declared", "y", "but is [x_0, 2, 3]"}))
      << print(report.decisions);
  try {
    report_of(vague_model(), {{one}, {{"x", {1, 2}, {1, 2}, {1, 2}}}});
    ADD_FAILURE() << "two ranks were taken";
  } catch (const Error& e) {
    EXPECT_NE(e.message().find("of rank 3 and 2"), std::string::npos) << e.message();
  }
}

TEST(Explain, DecisionsOfOnePassCanBeLeftOutTogether) {
  GraphBuilder b = make_builder();
  for (const UnaryKind kind : {UnaryKind::kRelu, UnaryKind::kSigmoid}) {
    const ValueId x = b.input(cat("x", int(kind)), Type::tensor(DType::kFloat32, Shape{2, 3}));
    const ValueId product = b.add(MatMul{}, {x, b.constant(ramp({3, 4}))}, {"product"});
    b.output(cat("y", int(kind)), b.add(Unary{kind}, {product}, {"activation"}));
  }
  Trace trace;
  PipelineOptions options;
  options.trace = &trace;
  options.disabled_rules = {"relu(matmul) -> matmul{relu}", "sigmoid(matmul) -> matmul{sigmoid}"};
  run_pipeline(b.finish(), options);
  for (const std::string& rule : options.disabled_rules)
    EXPECT_TRUE(found(trace, {"fuse_epilogues", rule, "activation", kLeftOut})) << print(trace);
  check_left_out(options, trace);
}

TEST(Explain, RulesLeftOutTellWhereTheyWouldHaveFired) {
  GraphBuilder b = make_builder();
  const ValueId x = b.input("x", Type::tensor(DType::kFloat32, Shape{2, 3}));
  const ValueId swish =
      b.add(Binary{BinaryKind::kMul}, {x, b.add(Unary{UnaryKind::kSigmoid}, {x}, {"gate"})}, {"m"});
  b.output("y", b.add(Unary{UnaryKind::kSqrt}, {swish}, {"root"}));
  const std::string rule = "x * sigmoid(x) -> swish(x)";
  Trace trace;
  PipelineOptions options;
  options.trace = &trace;
  options.disabled_rules = {rule};
  run_pipeline(b.finish(), options);
  EXPECT_TRUE(found(trace, {"recognize_activations", rule, "gate", kLeftOut})) << print(trace);
  EXPECT_EQ(std::ranges::count(trace, rule, &Decision::rule), 1) << print(trace);
}

/// What a left-out rule would have made is no node of the model that others could share.
TEST(Explain, RulesLeftOutLeaveNothingBehind) {
  GraphBuilder b = make_builder();
  const ValueId x = b.input("x", Type::tensor(DType::kFloat32, Shape{2, 3}));
  const ValueId two = b.constant(Tensor::scalar(2.0f));
  b.output("y", b.add(Binary{BinaryKind::kPow}, {x, two}, {"power"}));
  b.output("z", b.add(Binary{BinaryKind::kMul}, {x, x}, {"product"}));
  const std::string rule = "pow(x, 2) -> x * x";
  Trace trace;
  PipelineOptions options;
  options.trace = &trace;
  options.disabled_rules = {rule};
  options.disabled_passes = {"fuse_pointwise"};
  const Graph after = run_pipeline(b.finish(), options);
  EXPECT_TRUE(found(trace, {"simplify", rule, "power", kLeftOut})) << print(trace);
  EXPECT_EQ(after.node(after.outputs.at(1).value).origins, std::vector<std::string>{"product"});
}

TEST(Explain, StepsNameTheUsersNodesAndValues) {
  const BuildReport report = report_of(sample_model());
  ASSERT_EQ(report.profiles.size(), report.choices.size());
  ASSERT_EQ(report.profiles.at(0).inputs.size(), 2u);
  EXPECT_EQ(report.profiles[0].inputs[1].name, "rows");
  std::set<std::string> origins, outputs;
  for (const Choice& c : report.choices[0]) {
    EXPECT_FALSE(c.origins.empty()) << c.op;
    EXPECT_FALSE(c.inputs.empty()) << c.op;
    origins.insert(c.origins.begin(), c.origins.end());
    outputs.insert(c.outputs.begin(), c.outputs.end());
  }
  for (const char* name : {"conv1", "product", "positive", "chosen/then_branch/flipped"})
    EXPECT_TRUE(origins.count(name)) << name;
  for (const char* name : {"z", "positive"}) EXPECT_TRUE(outputs.count(name)) << name;
}

}  // namespace
}  // namespace vitrify
