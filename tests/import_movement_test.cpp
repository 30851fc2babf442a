// Importers of data movement: the forms of old opsets, parameters that only a run knows, and inputs
// of unknown rank give what the newest form with constants gives.
#include <gtest/gtest.h>

#include "onnx_writer.h"

namespace vitrify::onnx::testing {
namespace {

using Longs = std::vector<int64_t>;

Tensor iota(Dims dims) {
  Tensor t(DType::kInt64, std::move(dims));
  for (int64_t i = 0; i < t.size(); ++i) t.data<int64_t>()[i] = i;
  return t;
}

struct Case {
  int64_t opset;
  Message node;                    ///< inputs x, a, b, c; outputs y and further ones
  Tensor x;                        ///< always a run-time input
  std::vector<Tensor> parameters;  ///< a, b, c
  Longs expected;                  ///< the elements of y
  Dims dims;                       ///< of y
};

/// How the model is told about x and the parameters.
enum class Knowledge { kConstants, kSymbols, kRun, kUnranked };

Message input_type(const Tensor& t, Knowledge knowledge, const std::string& name) {
  std::vector<Extent> extents;
  for (size_t a = 0; a < t.dims().size(); ++a)
    extents.push_back(knowledge == Knowledge::kSymbols ? Extent((name + std::to_string(a)).c_str())
                                                       : Extent(t.dims()[a]));
  return knowledge == Knowledge::kUnranked ? unranked_type(t.dtype())
                                           : tensor_type(t.dtype(), extents);
}

Tensor run(const Case& c, Knowledge knowledge) {
  GraphParts parts{{c.node}, {value_info("x", input_type(c.x, knowledge, "x"))}, {}, {}};
  parts.outputs.push_back(value_info("y", unranked_type(c.x.dtype())));
  std::vector<Value> inputs{c.x};
  for (size_t i = 0; i < c.parameters.size(); ++i) {
    std::string name(1, char('a' + i));
    const Tensor& t = c.parameters[i];
    if (knowledge == Knowledge::kConstants || knowledge == Knowledge::kSymbols) {
      parts.initializers.push_back(tensor(name, t));
    } else {
      parts.inputs.push_back(value_info(name, input_type(t, knowledge, name)));
      inputs.emplace_back(t);
    }
  }
  return interpret(import_bytes(model(graph(parts), c.opset)), std::move(inputs))[0].tensor;
}

void check(const std::vector<Case>& cases, std::initializer_list<Knowledge> knowledges) {
  for (size_t i = 0; i < cases.size(); ++i)
    for (Knowledge knowledge : knowledges) {
      SCOPED_TRACE(cat("case ", i, ", knowledge ", int(knowledge)));
      try {
        Tensor y = run(cases[i], knowledge);
        EXPECT_EQ(to_ints(y), cases[i].expected);
        EXPECT_EQ(y.dims(), cases[i].dims);
      } catch (const Error& e) {
        ADD_FAILURE() << e.what();
      }
    }
}

Message op(const std::string& name, const std::string& inputs,
           const std::vector<Message>& attributes = {}, Names outputs = {"y"}) {
  Names names;
  for (char c : inputs) names.push_back(c == '-' ? "" : std::string(1, c));
  return node(name, names, outputs, attributes);
}
Message ints(const std::string& name, const Longs& values) { return attribute(name, values); }
Message number(const std::string& name, int64_t value) { return attribute(name, value); }

TEST(ImportMovement, OldFormsWithAttributes) {
  check(
      {
          {1,
           op("Slice", "x", {ints("starts", {1}), ints("ends", {9}), ints("axes", {1})}),
           iota({2, 3}),
           {},
           {1, 2, 4, 5},
           {2, 2}},
          {1,
           op("Slice", "x", {ints("starts", {-1}), ints("ends", {INT64_MAX})}),
           iota({3}),
           {},
           {2},
           {1}},
          {1, op("Pad", "x", {ints("paddings", {1, 0})}), iota({2}), {}, {0, 0, 1}, {3}},
          {2,
           op("Pad", "x", {ints("pads", {0, 1}), attribute("value", 7.f)}),
           iota({2}),
           {},
           {0, 1, 7},
           {3}},
          {2, op("Split", "x", {ints("split", {1, 2})}, {"y", "z"}), iota({3}), {}, {0}, {1}},
          {2, op("Split", "x", {number("axis", 1)}, {"y", "z"}), iota({1, 4}), {}, {0, 1}, {1, 2}},
          {1, op("Squeeze", "x", {ints("axes", {0})}), iota({1, 1, 2}), {}, {0, 1}, {1, 2}},
          {1, op("Unsqueeze", "x", {ints("axes", {0, 2})}), iota({2}), {}, {0, 1}, {1, 2, 1}},
          {1,
           op("Reshape", "x", {ints("shape", {0, -1})}),
           iota({2, 1, 2}),
           {},
           {0, 1, 2, 3},
           {2, 2}},
          {1,
           op("Tile", "xab"),
           iota({1, 2}),
           {Tensor::ints({2}), Tensor::ints({1})},
           {0, 1, 0, 1},
           {1, 4}},
          {1, op("Concat", "xx"), iota({1, 2}), {}, {0, 1, 0, 1}, {1, 4}},
          {9,
           op("Scatter", "xab"),
           iota({3}),
           {Tensor::ints({-1}), Tensor::ints({9})},
           {0, 1, 9},
           {3}},
      },
      {Knowledge::kConstants, Knowledge::kSymbols});
}

TEST(ImportMovement, ParametersOfARun) {
  auto i = [](Longs v) { return Tensor::ints(v); };
  check(
      {
          {13, op("Slice", "xabc"), iota({2, 3}), {i({-1}), i({INT64_MIN}), i({-1})}, {}, {2, 0}},
          {13, op("Slice", "xab"), iota({4}), {i({1}), i({-1})}, {1, 2}, {2}},
          {18, op("Pad", "xa-b"), iota({1, 2}), {i({1, 0}), i({-1})}, {0, 0, 1}, {1, 3}},
          {13,
           op("Split", "xa", {number("axis", -1)}, {"y", "z"}),
           iota({2, 3}),
           {i({1, 2})},
           {0, 3},
           {2, 1}},
          {14, op("Reshape", "xa"), iota({2, 3}), {i({-1, 0})}, {0, 1, 2, 3, 4, 5}, {2, 3}},
          {14,
           op("Reshape", "xa", {number("allowzero", 1)}),
           iota({2, 0}),
           {i({0, 7})},
           {},
           {0, 7}},
          {13, op("Squeeze", "xa"), iota({2, 1}), {i({-1})}, {0, 1}, {2}},
          {13, op("Squeeze", "x"), iota({2, 1}), {}, {0, 1}, {2}},
          {13, op("Unsqueeze", "xa"), iota({2}), {i({-1})}, {0, 1}, {2, 1}},
          {13, op("Expand", "xa"), iota({2}), {i({2, 1})}, {0, 1, 0, 1}, {2, 2}},
          {13, op("Tile", "xa"), iota({1, 2}), {i({2, 1})}, {0, 1, 0, 1}, {2, 2}},
          {13, op("Gather", "xa", {number("axis", -1)}), iota({2, 2}), {i({-1})}, {1, 3}, {2, 1}},
          {9,
           op("ConstantOfShape", "x", {attribute("value", Tensor::ints({5}))}),
           i({2}),
           {},
           {5, 5},
           {2}},
      },
      {Knowledge::kConstants, Knowledge::kSymbols, Knowledge::kRun, Knowledge::kUnranked});
}

TEST(ImportMovement, UnknownRanks) {
  check(
      {
          {13, op("Flatten", "x", {number("axis", 2)}), iota({2, 1, 2}), {}, {0, 1, 2, 3}, {2, 2}},
          {13, op("Flatten", "x", {number("axis", -1)}), iota({2, 0, 3}), {}, {}, {0, 3}},
          {13, op("Split", "x", {}, {"y", "z"}), iota({4}), {}, {0, 1}, {2}},
          {18,
           op("Split", "x", {number("num_outputs", 2)}, {"y", "z"}),
           iota({3}),
           {},
           {0, 1},
           {2}},
      },
      {Knowledge::kConstants, Knowledge::kSymbols, Knowledge::kUnranked});
}

}  // namespace
}  // namespace vitrify::onnx::testing
