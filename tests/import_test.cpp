// The importer: names, scopes, captures, local functions, and a clear answer to every bad model.
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace vitrify::onnx::testing
