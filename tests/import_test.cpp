// The importer: names, scopes, captures, local functions, and a clear answer to every bad model.
#include <gtest/gtest.h>

#include "onnx/signatures.h"
#include "onnx_writer.h"

namespace vitrify::onnx::testing {
namespace {

const DType kF = DType::kFloat32;
Message f32(const std::string& name, const std::vector<Extent>& extents) {
  return value_info(name, tensor_type(kF, extents));
}

/// The message of the error that importing throws; "" when it does not.
std::string error_of(const std::string& bytes) {
  try {
    import_bytes(bytes);
  } catch (const Error& e) {
    EXPECT_NE(e.kind(), ErrorKind::kInternal) << e.what();
    return e.what();
  }
  return "";
}
#define EXPECT_REFUSED(bytes, part)                                      \
  do {                                                                   \
    std::string what = error_of(bytes);                                  \
    EXPECT_NE(what.find(part), std::string::npos) << "[" << what << "]"; \
  } while (false)

std::vector<float> run(const vitrify::Graph& g, std::vector<Value> inputs) {
  Value v = interpret(g, std::move(inputs)).at(0);
  auto span = v.tensor.span<float>();
  return {span.begin(), span.end()};
}
Tensor floats(const std::vector<float>& v) { return Tensor::of(kF, {int64_t(v.size())}, v); }
using F = std::vector<float>;

TEST(Import, NamesSymbolsAndOrigins) {
  auto g = import_bytes(model(graph({{node("Add", {"x", "y"}, {"z"}, {}, "", "sum")},
                                     {f32("x", {"n", "", 3}), f32("y", {"n", 1, 3})},
                                     {f32("z", {"n", "", 3})}})));
  ASSERT_EQ(g.inputs.size(), 2u);
  EXPECT_EQ(g.type(g.inputs[0].value).str(), "f32[n, x_1, 3]");
  EXPECT_EQ(g.outputs[0].name, "z");
  EXPECT_EQ(g.node(g.outputs[0].value).origins, std::vector<std::string>{"sum"});
  EXPECT_EQ(g.value_names.at(g.outputs[0].value), "z");
}

TEST(Import, UnnamedNodesGetTheirIndex) {
  auto g =
      import_bytes(model(graph({{node("Relu", {"x"}, {"z"})}, {f32("x", {2})}, {f32("z", {2})}})));
  EXPECT_EQ(g.node(g.outputs[0].value).origins, std::vector<std::string>{"#0 Relu"});
}

TEST(Import, InitializersAreConstantsEvenWhenInputs) {
  auto g = import_bytes(model(graph({{node("Add", {"x", "w"}, {"z"})},
                                     {f32("x", {2}), f32("w", {2})},
                                     {f32("z", {2})},
                                     {tensor("w", floats({1, 2}))}}),
                              8, 3));
  ASSERT_EQ(g.inputs.size(), 1u);
  EXPECT_EQ(run(g, {floats({10, 20})}), (F{11, 22}));
}

TEST(Import, GivenShapes) {
  ImportOptions options;
  options.input_shapes = {{"x", {5}}};
  std::string bytes =
      model(graph({{node("Relu", {"x"}, {"z"})}, {f32("x", {"n"})}, {f32("z", {"n"})}}));
  auto g = import_bytes(bytes, options);
  EXPECT_EQ(g.type(g.outputs[0].value).str(), "f32[5]");
  options.input_shapes = {{"y", {5}}};
  EXPECT_THROW(import_bytes(bytes, options), Error);
  options.input_shapes = {{"x", {5, 5}}};
  EXPECT_THROW(import_bytes(bytes, options), Error);
}

Message unranked(const std::string& name, DType dtype = kF) {
  return value_info(name, unranked_type(dtype));
}
Tensor ones(const Dims& dims) { return Tensor::of(kF, dims, F(size_t(element_count(dims)), 1.F)); }
std::string one_node(const Message& n, const std::vector<Message>& inputs,
                     const std::vector<Message>& initializers = {}, int64_t version = 18) {
  return model(graph({{n}, inputs, {unranked("z")}, initializers}), version);
}

TEST(Import, TakesTheRankFromTheOperator) {
  const Message window = attribute("kernel_shape", std::vector<int64_t>{2, 2});
  const Tensor w = ones({1, 1, 2, 2}), x = ones({1, 1, 3, 3}), small = ones({1, 1, 1, 2});
  auto first = [&](const std::string& bytes, const Tensor& in) {
    const auto g = import_bytes(bytes);
    return run(g, {in});
  };
  auto conv = one_node(node("Conv", {"x", "w"}, {"z"}), {unranked("x")}, {tensor("w", w)});
  EXPECT_EQ(first(conv, x), (F{4, 4, 4, 4}));
  EXPECT_EQ(import_bytes(conv).outputs.size(), 1u);
  EXPECT_TRUE(import_bytes(conv).type(import_bytes(conv).outputs[0].value).has_rank());
  EXPECT_EQ(
      first(one_node(node("ConvTranspose", {"x", "w"}, {"z"}), {unranked("x")}, {tensor("w", w)}),
            small),
      (F{1, 2, 1, 1, 2, 1}));
  EXPECT_EQ(first(one_node(node("MaxPool", {"x"}, {"z"}, {window}), {unranked("x")}), x),
            (F{1, 1, 1, 1}));
  EXPECT_EQ(first(one_node(node("AveragePool", {"x"}, {"z"}, {window}), {unranked("x")}), x),
            (F{1, 1, 1, 1}));
  EXPECT_EQ(first(one_node(node("Resize", {"x", "", "s"}, {"z"}), {unranked("x")},
                           {tensor("s", Tensor::of(kF, {4}, F{1, 1, 2, 1}))}),
                  small),
            (F{1, 1, 1, 1}));
  EXPECT_EQ(first(one_node(node("Resize", {"x", "", "", "s"}, {"z"}), {unranked("x")},
                           {tensor("s", Tensor::ints({1, 1, 1, 3}))}),
                  small),
            (F{1, 1, 1}));
  EXPECT_EQ(first(one_node(node("LayerNormalization", {"x", "s"}, {"z"}), {unranked("x")},
                           {tensor("s", floats({1, 1}))}),
                  small),
            (F{0, 0}));
  const auto g = import_bytes(conv);
  EXPECT_THROW(interpret(g, {floats({1, 2, 3})}), Error);  // another rank
}

TEST(Import, SaysHowToGiveARank) {
  const std::string bn = one_node(node("InstanceNormalization", {"x", "s", "s"}, {"z"}),
                                  {unranked("x")}, {tensor("s", floats({1, 1}))});
  auto refused = [&](const ImportOptions& options) {
    try {
      import_bytes(bn, options);
      return std::string();
    } catch (const Error& e) {
      return std::string(e.what());
    }
  };
  EXPECT_REFUSED(bn, "--profile NAME=1x3x224x224");
  ImportOptions options;
  options.unranked_shapes = {{"x", {-1, 2, 4}}};
  auto g = import_bytes(bn, options);
  EXPECT_EQ(g.type(g.inputs[0].value).str(), "f32[x_0, 2, 4]");
  EXPECT_EQ(g.type(g.outputs[0].value).str(), "f32[x_0, 2, 4]");
  options.unranked_shapes = {{"y", {1}}};
  EXPECT_NE(refused(options).find("there is no input 'y': the model has x"), std::string::npos);
}

TEST(Import, TakesTheKernelFromComputedWeights) {
  const std::vector<Message> inputs{f32("x", {1, 1, "h", 3}), f32("w", {1, 1, "a", "b"})};
  const Tensor x = ones({1, 1, 3, 3}), w = ones({1, 1, 2, 3});
  auto g = import_bytes(one_node(node("Conv", {"x", "w"}, {"z"}), inputs));
  EXPECT_EQ(run(g, {x, w}), (F{6, 6}));
  EXPECT_EQ(run(g, {x, ones({1, 1, 3, 1})}), (F{3, 3, 3}));
  EXPECT_THROW(interpret(g, {x, ones({1, 1, 5, 1})}), Error);  // wider than x
  g = import_bytes(one_node(node("Conv", {"x", "w"}, {"z"}), {inputs[0], unranked("w")}));
  EXPECT_EQ(run(g, {x, w}), (F{6, 6}));
  g = import_bytes(one_node(node("ConvTranspose", {"x", "w"}, {"z"}), inputs));
  EXPECT_EQ(run(g, {ones({1, 1, 1, 3}), ones({1, 1, 2, 1})}), F(6, 1.F));
  const Message i8 = value_info("x", tensor_type(DType::kInt8, {1, 1, 2, 2}));
  const Message w8 = value_info("w", tensor_type(DType::kInt8, {1, 1, "a", "b"}));
  g = import_bytes(model(
      graph({{node("ConvInteger", {"x", "w"}, {"z"})}, {i8, w8}, {unranked("z", DType::kInt32)}})));
  auto bytes = [](const Dims& dims) {
    return Tensor::of(DType::kInt8, dims, std::vector<int8_t>(size_t(element_count(dims)), 2));
  };
  const Value v = interpret(g, {bytes({1, 1, 2, 2}), bytes({1, 1, 2, 1})}).at(0);
  EXPECT_EQ(v.tensor.dims(), (Dims{1, 1, 1, 2}));
  EXPECT_EQ(v.tensor.span<int32_t>()[0], 8);
}

TEST(Import, KeepsNamedInitializersAsInputs) {
  const std::string bytes = model(graph({{node("Add", {"x", "w"}, {"z"})},
                                         {f32("x", {2}), f32("w", {2})},
                                         {f32("z", {2})},
                                         {tensor("w", floats({1, 2})), tensor("v", floats({1}))}}));
  ImportOptions options;
  options.unranked_shapes = {{"w", {2}}};
  auto g = import_bytes(bytes, options);
  ASSERT_EQ(g.inputs.size(), 2u);
  EXPECT_EQ(run(g, {floats({10, 20}), floats({3, 4})}), (F{13, 24}));
  options.unranked_shapes = {{"v", {1}}};
  try {
    import_bytes(bytes, options);
    FAIL() << "an initializer that is no input";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("'v' is an initializer"), std::string::npos) << e.what();
  }
}

TEST(Import, KnowsEveryOperatorsSignature) {
  for (const ImportRow& row : import_table())
    EXPECT_TRUE(find_signature(row.domain, row.op, INT64_MAX)) << row.op;
  EXPECT_EQ(find_signature("", "Pad", 10)->attributes, "mode pads! value");
  EXPECT_EQ(find_signature("", "Pad", 10)->max_inputs, 1);
  EXPECT_EQ(find_signature("ai.onnx", "Pad", 11)->attributes, "mode");
  EXPECT_EQ(find_signature("ai.onnx", "Pad", 11)->max_inputs, 3);
  EXPECT_EQ(find_signature("", "Concat", 13)->max_inputs, -1);
  EXPECT_FALSE(find_signature("", "NoSuchOperator", 18));
}

TEST(Import, RefusesSurplusInputsAndMissingAttributes) {
  const std::vector<Message> two = {f32("x", {2}), f32("w", {7})};
  EXPECT_REFUSED(one_node(node("Add", {"x", "x", "w"}, {"z"}), two), "takes at most 2");
  EXPECT_REFUSED(one_node(node("Relu", {"x", "w"}, {"z"}), two), "takes at most 1");
  EXPECT_REFUSED(one_node(node("Concat", {"x", "w"}, {"z"}), two), "attribute 'axis' is missing");
  EXPECT_EQ(error_of(one_node(node("Relu", {"x", ""}, {"z"}), two)), "");
  const std::vector<Message> columns = {f32("x", {2, 1}), f32("w", {2, 3})};
  EXPECT_EQ(error_of(one_node(node("Concat", {"x", "w"}, {"z"}), columns, {}, 1)), "");
  const std::vector<Message> three = {f32("x", {2, 3}), f32("w", {3, 5}), f32("c", {7, 2, 5})};
  EXPECT_REFUSED(one_node(node("Gemm", {"x", "w", "c"}, {"z"}), three), "C of rank 3");
}

TEST(Import, RefusesUnknownAttributes) {
  auto relu = [](const char* name, int64_t version) {
    return one_node(node("Relu", {"x"}, {"z"}, {attribute(name, int64_t{1})}, "", "act"),
                    {f32("x", {2})}, {}, version);
  };
  EXPECT_REFUSED(relu("alpha", 18),
                 "act (Relu, opset 18): attribute 'alpha' is unknown: at opset 18");
  EXPECT_EQ(error_of(relu("__tag", 18)), "");
  auto softmax = [](const char* name) {
    return one_node(node("Softmax", {"x"}, {"z"}, {attribute(name, int64_t{1})}),
                    {f32("x", {2, 2})});
  };
  EXPECT_EQ(error_of(softmax("axis")), "");
  EXPECT_REFUSED(softmax("Axis"), "the operator has axis");
  auto norm = [](int64_t version) {  // what a later version dropped
    return one_node(node("BatchNormalization", {"x", "s", "s", "s", "s"}, {"z"},
                         {attribute("spatial", int64_t{1})}),
                    {f32("x", {1, 2, 3})}, {tensor("s", floats({1, 1}))}, version);
  };
  EXPECT_EQ(error_of(norm(7)), "");
  EXPECT_REFUSED(norm(9), "'spatial' is unknown");
}

TEST(Import, TellsOfDeclaredShapesThatAreWrong) {
  auto bytes = [](const Message& declared, const Message& between) {
    return model(graph({{node("Relu", {"x"}, {"t"}, {}, "", "first"), node("Neg", {"t"}, {"z"})},
                        {f32("x", {2, "n"})},
                        {declared}})
                     .sub(13, between));
  };
  std::vector<Contradiction> found;
  ImportOptions options;
  options.contradictions = &found;
  import_bytes(bytes(f32("z", {2, 7}), f32("t", {"m", 4})), options);
  EXPECT_TRUE(found.empty());
  import_bytes(bytes(f32("z", {3, "n"}), f32("t", {2})), options);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].value + found[0].declared + found[0].inferred, "t[2][2, n]");
  EXPECT_EQ(found[0].origins, Names{"first"});
  EXPECT_EQ(found[1].value + found[1].declared + found[1].inferred, "z[3, n][2, n]");
  EXPECT_REFUSED(bytes(f32("z", {2, "n"}), value_info("t", tensor_type(DType::kInt8, {2, 3}))),
                 "'t' is f32[2, n], but declared with element type i8");
}

TEST(Import, Constants) {
  auto g =
      import_bytes(model(graph({{node("Constant", {}, {"c"}, {attribute("value", floats({3}))}),
                                 node("Constant", {}, {"d"}, {attribute("value_float", 2.f)}),
                                 node("Mul", {"x", "c"}, {"a"}), node("Add", {"a", "d"}, {"z"})},
                                {f32("x", {1})},
                                {f32("z", {1})}})));
  EXPECT_EQ(run(g, {floats({5})}), (F{17}));
  EXPECT_REFUSED(model(graph({{node("Constant", {}, {"c"})}, {}, {f32("c", {})}})), "Constant");
  EXPECT_REFUSED(
      model(graph(
          {{node("Constant", {}, {"c"}, {attribute("value", int64_t{3})})}, {}, {f32("c", {})}})),
      "value");
}

// ---- Bad models ----

Message relu_graph(const Names& in, const Names& out) {
  return graph({{node("Relu", in, out, {}, "", "the_node")}, {f32("x", {2})}, {f32("z", {2})}});
}

TEST(ImportErrors, Names) {
  EXPECT_REFUSED(model(relu_graph({"nowhere"}, {"z"})), "'nowhere' is defined nowhere");
  EXPECT_REFUSED(model(relu_graph({"nowhere"}, {"z"})), "the_node");
  EXPECT_REFUSED(model(relu_graph({"z"}, {"z"})), "cycle");
  EXPECT_REFUSED(model(relu_graph({"x"}, {"x"})), "taken already");
  EXPECT_REFUSED(model(relu_graph({"x"}, {"y"})), "output 'z' is defined nowhere");
  EXPECT_REFUSED(model(relu_graph({""}, {"z"})), "missing");
  EXPECT_REFUSED(
      model(graph({{node("Relu", {"b"}, {"a"}), node("Relu", {"a"}, {"b"})}, {}, {f32("b", {2})}})),
      "cycle");
  EXPECT_REFUSED(model(graph({{}, {f32("x", {1}), f32("x", {1})}, {f32("x", {1})}})),
                 "two inputs are named");
}

TEST(ImportErrors, Versions) {
  EXPECT_REFUSED(model(relu_graph({"x"}, {"z"}), 28), "opset 28");
  EXPECT_REFUSED(model(relu_graph({"x"}, {"z"}), 0), "begin at 1");
  EXPECT_REFUSED(model(relu_graph({"x"}, {"z"}), 18, 99), "IR version 99");
  EXPECT_REFUSED(
      model(graph({{node("Relu", {"x"}, {"z"}, {}, "strange")}, {f32("x", {2})}, {f32("z", {2})}})),
      "domain 'strange'");
  EXPECT_EQ(error_of(model(relu_graph({"x"}, {"z"}))), "");
}

TEST(ImportErrors, Types) {
  EXPECT_REFUSED(model(graph({{node("Relu", {"x"}, {"z"})},
                              {f32("x", {2})},
                              {value_info("z", tensor_type(DType::kInt32, {2}))}})),
                 "element type i32");
  EXPECT_REFUSED(
      model(graph({{node("Relu", {"x"}, {"z"})}, {f32("x", {int64_t(-5)})}, {f32("z", {2})}})),
      "extent -5");
  EXPECT_REFUSED(model(graph({{node("Relu", {"x"}, {"z"})},
                              {value_info("x", tensor_type(DType(99), {2}))},
                              {f32("z", {2})}})),
                 "element type");
  EXPECT_REFUSED(model(graph({{node("Add", {"x", "y"}, {"z"}, {}, "", "sum")},
                              {f32("x", {2}), f32("y", {3})},
                              {f32("z", {2})}})),
                 "sum");
}

TEST(ImportErrors, AllAtOnce) {
  Message g = graph({{node("Nonsense", {"x"}, {"a"}, {}, "", "first"),
                      node("Relu", {"a"}, {"b"}, {}, "", "skipped"),
                      node("Rubbish", {"x"}, {"c"}, {}, "", "second"), node("Relu", {"x"}, {"z"})},
                     {f32("x", {2})},
                     {f32("z", {2}), f32("b", {2})}});
  std::string what = error_of(model(g));
  EXPECT_NE(what.find("first"), std::string::npos) << what;
  EXPECT_NE(what.find("second"), std::string::npos) << what;
  EXPECT_EQ(what.find("skipped"), std::string::npos) << what;
  std::vector<ImportProblem> problems;
  vitrify::Graph partial = import_bytes(model(g), {}, &problems);
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_EQ(problems[0].op, "Nonsense");
  EXPECT_EQ(problems[0].opset, 18);
  EXPECT_EQ(partial.outputs.size(), 1u);
}

// ---- Local functions ----

const std::vector<Message> kScaled = {
    function("local", "Scaled", {"a"}, {"c"},
             {node("Constant", {}, {"k"}, {attribute_reference("value_float", "k", 1)}),
              node("Mul", {"a", "k"}, {"c"})},
             {"k"})};

TEST(ImportFunctions, AttributesByReference) {
  Message g = graph({{node("Scaled", {"x"}, {"y"}, {attribute("k", 3.f)}, "local", "three"),
                      node("Scaled", {"y"}, {"z"}, {attribute("k", 2.f)}, "local")},
                     {f32("x", {2})},
                     {f32("z", {2})}});
  vitrify::Graph imported = import_bytes(model(g, 18, 8, kScaled));
  EXPECT_EQ(run(imported, {floats({1, 2})}), (F{6, 12}));
}

TEST(ImportFunctions, Nested) {
  std::vector<Message> functions = kScaled;
  functions.push_back(
      function("local", "Twice", {"a"}, {"c"},
               {node("Scaled", {"a"}, {"b"}, {attribute("k", 2.f)}, "local"),
                node("Scaled", {"b"}, {"c"}, {attribute_reference("k", "second", 1)}, "local")},
               {"second"}));
  Message g = graph({{node("Twice", {"x"}, {"z"}, {attribute("second", 5.f)}, "local")},
                     {f32("x", {2})},
                     {f32("z", {2})}});
  EXPECT_EQ(run(import_bytes(model(g, 18, 8, functions)), {floats({1, 2})}), (F{10, 20}));
}

TEST(ImportFunctions, RecursionIsRefused) {
  std::vector<Message> functions = {
      function("local", "A", {"a"}, {"b"}, {node("B", {"a"}, {"b"}, {}, "local")}),
      function("local", "B", {"a"}, {"b"}, {node("A", {"a"}, {"b"}, {}, "local")})};
  Message g = graph({{node("A", {"x"}, {"z"}, {}, "local")}, {f32("x", {2})}, {f32("z", {2})}});
  EXPECT_REFUSED(model(g, 18, 8, functions), "calls itself");
}

TEST(ImportFunctions, ExpansionIsBounded) {
  std::vector<Message> functions = {
      function("local", "F0", {"a"}, {"b"}, {node("Relu", {"a"}, {"b"})})};
  for (int i = 1; i < 40; ++i) {
    std::string inner = cat("F", i - 1);
    functions.push_back(
        function("local", cat("F", i), {"a"}, {"b"},
                 {node(inner, {"a"}, {"c"}, {}, "local"), node(inner, {"c"}, {"b"}, {}, "local")}));
  }
  Message g = graph({{node("F39", {"x"}, {"z"}, {}, "local")}, {f32("x", {2})}, {f32("z", {2})}});
  EXPECT_REFUSED(model(g, 18, 8, functions), "expands to more than");
}

// ---- Control flow ----

Message scalar_info(const std::string& name, DType dtype) {
  return value_info(name, tensor_type(dtype, {}));
}
Message branch(const std::vector<Message>& nodes, const std::string& result,
               const std::vector<Message>& initializers = {}) {
  return graph({nodes, {}, {value_info(result, unranked_type(kF))}, initializers}, "branch");
}
Tensor truth(bool v) {
  Tensor t(DType::kBool, {});
  set_int(t, 0, v);
  return t;
}

/// z = c ? x + w : x * y, where w is a constant of the outer graph.
Message choice() {
  return graph(
      {{node("Relu", {"y"}, {"r"}),
        node("If", {"c"}, {"z"},
             {graph_attribute("then_branch", branch({node("Add", {"x", "w"}, {"t"})}, "t")),
              graph_attribute("else_branch", branch({node("Mul", {"x", "r"}, {"e"})}, "e"))})},
       {scalar_info("c", DType::kBool), f32("x", {"n"}), f32("y", {"n"})},
       {f32("z", {"n"})},
       {tensor("w", floats({100}))}});
}

TEST(ImportControl, BranchesCapture) {
  vitrify::Graph g = import_bytes(model(choice()));
  EXPECT_EQ(g.type(g.outputs[0].value).str(), "f32[n]");
  const auto* op = g.node(g.outputs[0].value).op.as<If>();
  ASSERT_NE(op, nullptr);
  EXPECT_EQ(op->then_graph->inputs.size(), 1u);  // x; w is a constant inside, too
  EXPECT_EQ(op->else_graph->inputs.size(), 2u);
  EXPECT_EQ(run(g, {truth(true), floats({1, 2}), floats({3, -4})}), (F{101, 102}));
  EXPECT_EQ(run(g, {truth(false), floats({1, 2}), floats({3, -4})}), (F{3, 0}));
}

TEST(ImportControl, KnownConditionsImportTheirBranchAlone) {
  Message g = graph(
      {{node("Size", {"x"}, {"s"}), node("Equal", {"s", "three"}, {"c"}),
        node("If", {"c"}, {"z"},
             {graph_attribute("then_branch", branch({node("Neg", {"x"}, {"t"})}, "t")),
              graph_attribute("else_branch", branch({node("Nonsense", {"x"}, {"e"})}, "e"))})},
       {f32("x", {3})},
       {f32("z", {3})},
       {tensor("three", Tensor::scalar(int64_t{3}))}});
  vitrify::Graph imported = import_bytes(model(g));
  EXPECT_EQ(imported.node(imported.outputs[0].value).op.label(), "neg");
}

/// A loop's body over (iteration, condition, "v"), which it carries as "w"; scan outputs follow.
Message loop_body(const std::vector<Message>& nodes, const Message& carried,
                  const std::vector<Message>& scans = {},
                  const std::vector<Message>& initializers = {}) {
  GraphParts parts{nodes,
                   {scalar_info("i", DType::kInt64), scalar_info("go", DType::kBool), carried},
                   {scalar_info("goes_on", DType::kBool), value_info("w", unranked_type(kF))},
                   initializers};
  parts.nodes.push_back(node("Identity", {"go"}, {"goes_on"}));
  for (const Message& s : scans) parts.outputs.push_back(s);
  return graph(parts, "body");
}

TEST(ImportControl, LoopsKeepInvariantExtentsAndStackScans) {
  Message body = loop_body({node("Add", {"v", "x"}, {"w"}), node("Neg", {"w"}, {"s"})},
                           f32("v", {"anything"}), {value_info("s", unranked_type(kF))});
  Message g = graph({{node("Loop", {"m", "", "x"}, {"z", "all"}, {graph_attribute("body", body)})},
                     {scalar_info("m", DType::kInt64), f32("x", {"n"})},
                     {f32("z", {"n"}), f32("all", {"m", "n"})}});
  vitrify::Graph imported = import_bytes(model(g));
  EXPECT_EQ(imported.type(imported.outputs[0].value).str(), "f32[n]");
  EXPECT_EQ(imported.type(imported.outputs[1].value).shape->at(1).str(), "n");
  std::vector<Value> out = interpret(imported, {Tensor::scalar(int64_t{3}), floats({1, 2})});
  EXPECT_EQ(double_at(out[0].tensor, 1), 8);
  EXPECT_EQ(out[1].tensor.dims(), (Dims{3, 2}));
  EXPECT_EQ(double_at(out[1].tensor, 5), -8);
  out = interpret(imported, {Tensor::scalar(int64_t{0}), floats({1, 2})});
  EXPECT_EQ(double_at(out[0].tensor, 1), 2);
  EXPECT_EQ(out[1].tensor.dims()[0], 0);
}

TEST(ImportControl, LoopsWidenWhatGrows) {
  Message body = loop_body({node("Concat", {"v", "x"}, {"w"}, {attribute("axis", int64_t{0})})},
                           f32("v", {2}));
  Message g = graph({{node("Loop", {"m", "", "x"}, {"z"}, {graph_attribute("body", body)})},
                     {scalar_info("m", DType::kInt64), f32("x", {2})},
                     {f32("z", {"k"})}});
  vitrify::Graph imported = import_bytes(model(g));
  EXPECT_EQ(run(imported, {Tensor::scalar(int64_t{2}), floats({1, 2})}), (F{1, 2, 1, 2, 1, 2}));
  EXPECT_EQ(run(imported, {Tensor::scalar(int64_t{0}), floats({1, 2})}), (F{1, 2}));
}

TEST(ImportControl, LoopsEndByTheirCondition) {
  Message body =
      graph({{node("Add", {"v", "one"}, {"w"}), node("Less", {"w", "five"}, {"goes_on"})},
             {scalar_info("i", DType::kInt64), scalar_info("go", DType::kBool), f32("v", {1})},
             {scalar_info("goes_on", DType::kBool), f32("w", {1})},
             {tensor("one", floats({1})), tensor("five", floats({5}))}},
            "body");
  Message g = graph({{node("Loop", {"", "c", "x"}, {"z"}, {graph_attribute("body", body)})},
                     {scalar_info("c", DType::kBool), f32("x", {1})},
                     {f32("z", {1})}});
  vitrify::Graph imported = import_bytes(model(g));
  EXPECT_EQ(run(imported, {truth(true), floats({1.5})}), (F{5.5}));
  EXPECT_EQ(run(imported, {truth(false), floats({1.5})}), (F{1.5}));
}

TEST(ImportControl, BodiesCaptureThroughBodies) {
  Message inner = loop_body({node("Add", {"v", "far"}, {"w"})}, f32("v", {1}));
  Message outer =
      graph({{node("Loop", {"m", "", "v"}, {"w"}, {graph_attribute("body", inner)}),
              node("Identity", {"go"}, {"goes_on"})},
             {scalar_info("i", DType::kInt64), scalar_info("go", DType::kBool), f32("v", {1})},
             {scalar_info("goes_on", DType::kBool), f32("w", {1})}},
            "outer");
  Message g = graph({{node("Relu", {"y"}, {"far"}),
                      node("Loop", {"m", "", "x"}, {"z"}, {graph_attribute("body", outer)})},
                     {scalar_info("m", DType::kInt64), f32("x", {1}), f32("y", {1})},
                     {f32("z", {1})}});
  vitrify::Graph imported = import_bytes(model(g));
  EXPECT_EQ(run(imported, {Tensor::scalar(int64_t{3}), floats({1}), floats({10})}), (F{91}));
}

TEST(ImportControl, ScansOfOpset8HaveABatch) {
  Message body = graph({{node("Add", {"s", "x"}, {"t"}), node("Identity", {"t"}, {"y"})},
                        {f32("s", {2}), f32("x", {2})},
                        {f32("t", {2}), f32("y", {2})}},
                       "body");
  Message g =
      graph({{node("Scan", {"", "init", "xs"}, {"last", "all"},
                   {graph_attribute("body", body), attribute("num_scan_inputs", int64_t{1})})},
             {f32("init", {2, 2}), f32("xs", {2, 3, 2})},
             {f32("last", {2, 2}), f32("all", {2, 3, 2})}});
  vitrify::Graph imported = import_bytes(model(g, 8, 3));
  EXPECT_EQ(imported.type(imported.outputs[1].value).str(), "f32[2, 3, 2]");
  Tensor xs(kF, {2, 3, 2});
  for (int64_t i = 0; i < xs.size(); ++i) set_double(xs, i, double(i));
  EXPECT_EQ(run(imported, {Tensor(kF, {2, 2}), xs}), (F{6, 9, 24, 27}));
}

TEST(ImportControl, BadBodies) {
  auto loop = [](const Message& body) {
    return model(graph(
        {{node("Loop", {"m", "", "x"}, {"z"}, {graph_attribute("body", body)}, "", "the_loop")},
         {scalar_info("m", DType::kInt64), f32("x", {2})},
         {f32("z", {2})}}));
  };
  EXPECT_REFUSED(loop(graph({{}, {}, {}})), "the_loop");
  EXPECT_REFUSED(loop(loop_body({node("Neg", {"hidden"}, {"w"})}, f32("v", {2}))),
                 "'hidden' is defined nowhere");
  EXPECT_REFUSED(
      loop(loop_body({node("Cast", {"v"}, {"w"}, {attribute("to", int64_t{11})})}, f32("v", {2}))),
      "f64[2] after it");
  Message deep = branch({node("Neg", {"x"}, {"t"})}, "t");
  for (int i = 0; i < 40; ++i)
    deep =
        branch({node("If", {"c"}, {"t"},
                     {graph_attribute("then_branch", deep),
                      graph_attribute("else_branch", branch({node("Neg", {"x"}, {"t"})}, "t"))})},
               "t");
  EXPECT_REFUSED(
      model(graph(
          {{node("If", {"c"}, {"z"},
                 {graph_attribute("then_branch", deep), graph_attribute("else_branch", deep)})},
           {scalar_info("c", DType::kBool), f32("x", {2})},
           {f32("z", {2})}})),
      "nested");
}

TEST(ImportControl, SequenceMapRunsItsBodyPerElement) {
  Message body = graph({{node("Add", {"e", "y"}, {"t"}), node("Mul", {"t", "far"}, {"r"})},
                        {f32("e", {"any"}), f32("y", {1})},
                        {f32("r", {"any"})}},
                       "body");
  Message g =
      graph({{node("SequenceConstruct", {"x", "y"}, {"s"}), node("Relu", {"y"}, {"far"}),
              node("SequenceMap", {"s", "y"}, {"mapped"}, {graph_attribute("body", body)}),
              node("ConcatFromSequence", {"mapped"}, {"z"}, {attribute("axis", int64_t{0})})},
             {f32("x", {2}), f32("y", {1})},
             {f32("z", {"k"})}});
  EXPECT_EQ(run(import_bytes(model(g)), {floats({1, 2}), floats({3})}), (F{12, 15, 18}));
}

}  // namespace
}  // namespace vitrify::onnx::testing
