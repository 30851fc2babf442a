// Small models of every family of ops that has fast kernels: what runs without allocating.
#pragma once

#include "onnx_writer.h"
#include "ops/interpreter.h"

namespace vitrify::allocation_cases {

using namespace onnx::testing;  // NOLINT: a test

constexpr DType kF32 = DType::kFloat32;
constexpr int64_t kN = -1;  ///< in the extents of an input: the one that changes

inline Tensor ramp(DType dtype, Dims dims, double start) {
  Tensor t(dtype, std::move(dims));
  for (int64_t i = 0; i < t.size(); ++i) set_double(t, i, start + 0.07 * double(i % 29));
  return t;
}
inline Message weight(const std::string& name, Dims dims, float start = -1) {
  return tensor(name, ramp(kF32, std::move(dims), start));
}
inline Message ints(const std::string& name, const std::vector<int64_t>& values) {
  return tensor(name, Tensor::ints(values));
}
inline Message number(const std::string& name, float v) { return tensor(name, Tensor::scalar(v)); }
using Ints = std::vector<int64_t>;
inline Message attr(const std::string& name, int64_t v) { return attribute(name, v); }
inline Message attr(const std::string& name, const Ints& v) { return attribute(name, v); }
inline Message text(const std::string& name, const std::string& v) {
  return Message().string(1, name).string(4, v).number(20, 3);
}

struct CaseInput {
  std::string name;
  Dims dims;
  DType dtype = kF32;
};
struct Case {
  std::string name;
  std::vector<CaseInput> inputs;
  std::vector<Message> weights, nodes;
  Names outputs = {"y"};
  DType output_type = kF32;
  std::vector<StatePair> states = {};
  std::string has_op = {};  ///< an op that the engine must hold, for the case to be what it says
};

const CaseInput kImage = {"x", {kN, 8, 9, 9}};
const CaseInput kRows = {"x", {kN, 5, 16}};

inline std::vector<Case> convolutions() {
  const Message pads = attr("pads", Ints{1, 1, 1, 1});
  return {
      {"convolutions and a product",
       {{"x", {kN, 8, 7, kN}}},
       {weight("w", {16, 8, 3, 3}), weight("v", {8, 16, 3, 3}), weight("m", {8, 12})},
       {node("Conv", {"x", "w"}, {"a"}, {pads}), node("Conv", {"a", "v"}, {"b"}, {pads}),
        node("Transpose", {"b"}, {"c"}, {attr("perm", Ints{0, 2, 3, 1})}),
        node("MatMul", {"c", "m"}, {"y"})}},
      {"a strided convolution",
       {kImage},
       {weight("w", {16, 8, 5, 5}), weight("b", {16})},
       {node("Conv", {"x", "w", "b"}, {"y"}, {attr("strides", Ints{2, 2})})}},
      {"a convolution of sequences",
       {{"x", {kN, 8, 20}}},
       {weight("w", {16, 8, 3})},
       {node("Conv", {"x", "w"}, {"y"})}},
      {"a depthwise convolution",
       {kImage},
       {weight("w", {8, 1, 3, 3}), weight("b", {8})},
       {node("Conv", {"x", "w", "b"}, {"a"}, {pads, attr("group", 8)}),
        node("Relu", {"a"}, {"y"})}},
      {"a grouped convolution",
       {kImage},
       {weight("w", {16, 4, 3, 3})},
       {node("Conv", {"x", "w"}, {"y"}, {pads, attr("group", 2)})}},
      {"a transposed convolution",
       {kImage},
       {weight("w", {8, 4, 3, 3}), weight("b", {4})},
       {node("ConvTranspose", {"x", "w", "b"}, {"y"}, {attr("strides", Ints{2, 2})})}},
      {"a residual block",
       {kImage},
       {weight("w", {8, 8, 3, 3}), weight("v", {8, 8, 1, 1})},
       {node("Conv", {"x", "w"}, {"a"}, {pads}), node("Sigmoid", {"a"}, {"s"}),
        node("Mul", {"a", "s"}, {"g"}), node("Conv", {"g", "v"}, {"b"}),
        node("Add", {"b", "x"}, {"c"}), node("Relu", {"c"}, {"y"})}},
      {.name = "a region",
       .inputs = {{"x", {kN, 3, 130, 130}}},
       .weights = {weight("w", {16, 3, 3, 3})},
       .nodes = {node("Conv", {"x", "w"}, {"a"}, {pads}), node("Relu", {"a"}, {"r"}),
                 node("MaxPool", {"r"}, {"y"},
                      {attr("kernel_shape", Ints{2, 2}), attr("strides", Ints{2, 2})})},
       .has_op = "region"},
      {"a product of two inputs",
       {{"x", {kN, 4, 16}}, {"z", {kN, 16, 8}}},
       {},
       {node("MatMul", {"x", "z"}, {"y"})}},
      {"a product with a bias and an activation",
       {{"x", {kN, 16}}},
       {weight("w", {16, 40}), weight("b", {40})},
       {node("Gemm", {"x", "w", "b"}, {"a"}), node("Tanh", {"a"}, {"y"})}},
  };
}

inline std::vector<Case> pools_and_reductions() {
  const std::vector<Message> window = {attr("kernel_shape", Ints{3, 3}),
                                       attr("strides", Ints{2, 2}), attr("pads", Ints{1, 1, 1, 1})};
  return {
      {"max and average pools",
       {kImage},
       {},
       {node("MaxPool", {"x"}, {"a"}, window), node("AveragePool", {"x"}, {"b"}, window),
        node("Add", {"a", "b"}, {"y"})}},
      {"global pools",
       {kImage},
       {},
       {node("GlobalAveragePool", {"x"}, {"a"}), node("GlobalMaxPool", {"x"}, {"b"}),
        node("Sub", {"a", "b"}, {"y"})}},
      {"sums, means and extremes",
       {kImage},
       {ints("space", {2, 3}), ints("channels", {1}), ints("last", {3})},
       {node("ReduceMean", {"x", "space"}, {"a"}), node("ReduceSum", {"x", "channels"}, {"b"}),
        node("ReduceMax", {"x", "last"}, {"c"}), node("ReduceMin", {"x"}, {"d"}),
        node("ReduceL2", {"x", "channels"}, {"e"}), node("ReduceLogSumExp", {"x", "last"}, {"f"})},
       {"a", "b", "c", "d", "e", "f"}},
      {.name = "the largest of a row",
       .inputs = {kRows},
       .weights = {},
       .nodes = {node("ArgMax", {"x"}, {"y"}, {attr("axis", -1)})},
       .output_type = DType::kInt64},
  };
}

inline std::vector<Case> norms() {
  return {
      {"softmax",
       {kRows},
       {},
       {node("Softmax", {"x"}, {"a"}), node("LogSoftmax", {"a"}, {"b"}, {attr("axis", 1)}),
        node("Softmax", {"b"}, {"y"}, {attr("axis", 1)})}},
      {"layer normalization",
       {kRows},
       {weight("s", {16}), weight("b", {16})},
       {node("LayerNormalization", {"x", "s", "b"}, {"y"})}},
      {"layer normalization in parts",
       {kRows},
       {ints("last", {-1}), number("two", 2), number("eps", 1e-5f), weight("s", {16}),
        weight("b", {16})},
       {node("ReduceMean", {"x", "last"}, {"m"}), node("Sub", {"x", "m"}, {"d"}),
        node("Pow", {"d", "two"}, {"q"}), node("ReduceMean", {"q", "last"}, {"v"}),
        node("Add", {"v", "eps"}, {"e"}), node("Sqrt", {"e"}, {"r"}),
        node("Div", {"d", "r"}, {"h"}), node("Mul", {"h", "s"}, {"g"}),
        node("Add", {"g", "b"}, {"y"})}},
      {"RMS normalization",
       {kRows},
       {weight("s", {16})},
       {node("RMSNormalization", {"x", "s"}, {"y"})}},
      {"group normalization",
       {kImage},
       {weight("s", {8}), weight("b", {8})},
       {node("GroupNormalization", {"x", "s", "b"}, {"y"}, {attr("num_groups", 2)})}},
      {"instance and batch normalization",
       {kImage},
       {weight("s", {8}), weight("b", {8}), weight("m", {8}), weight("v", {8}, 0.5f)},
       {node("InstanceNormalization", {"x", "s", "b"}, {"a"}),
        node("BatchNormalization", {"a", "s", "b", "m", "v"}, {"y"})}},
  };
}

inline std::vector<Case> attentions() {
  const CaseInput q = {"q", {kN, 2, 6, 8}}, k = {"k", {kN, 2, 5, 8}}, v = {"v", {kN, 2, 5, 8}};
  return {
      {"attention", {q, k, v}, {}, {node("Attention", {"q", "k", "v"}, {"y"})}},
      {"causal attention with a mask",
       {q, k, v, {"mask", {6, 5}}},
       {},
       {node("Attention", {"q", "k", "v", "mask"}, {"y"}, {attr("is_causal", 1)})}},
      {"attention in parts",
       {q, k, v, {"mask", {kN, 1, 1, 5}}},
       {number("scale", 0.35f)},
       {node("Transpose", {"k"}, {"t"}, {attr("perm", Ints{0, 1, 3, 2})}),
        node("MatMul", {"q", "t"}, {"s"}), node("Mul", {"s", "scale"}, {"u"}),
        node("Add", {"u", "mask"}, {"a"}), node("Softmax", {"a"}, {"p"}),
        node("MatMul", {"p", "v"}, {"y"})}},
      {"heads split off a projection",
       {kRows},
       {weight("wq", {16, 16}), weight("wk", {16, 16}), weight("wv", {16, 16}),
        ints("heads", {0, 0, 2, 8}), ints("rows", {0, 0, 16})},
       {node("MatMul", {"x", "wq"}, {"q"}), node("MatMul", {"x", "wk"}, {"k"}),
        node("MatMul", {"x", "wv"}, {"v"}), node("Reshape", {"q", "heads"}, {"q4"}),
        node("Reshape", {"k", "heads"}, {"k4"}), node("Reshape", {"v", "heads"}, {"v4"}),
        node("Transpose", {"q4"}, {"qt"}, {attr("perm", Ints{0, 2, 1, 3})}),
        node("Transpose", {"k4"}, {"kt"}, {attr("perm", Ints{0, 2, 3, 1})}),
        node("Transpose", {"v4"}, {"vt"}, {attr("perm", Ints{0, 2, 1, 3})}),
        node("MatMul", {"qt", "kt"}, {"s"}), node("Softmax", {"s"}, {"p"}),
        node("MatMul", {"p", "vt"}, {"o"}),
        node("Transpose", {"o"}, {"ot"}, {attr("perm", Ints{0, 2, 1, 3})}),
        node("Reshape", {"ot", "rows"}, {"y"})}},
  };
}

inline std::vector<Case> pointwise_chains() {
  return {
      {"a chain with broadcasts",
       {kImage, {"z", {8, 1, 1}}, {"row", {9}}},
       {number("low", -0.5f), number("high", 0.7f)},
       {node("Mul", {"x", "z"}, {"a"}), node("Add", {"a", "row"}, {"b"}), node("Erf", {"b"}, {"c"}),
        node("Clip", {"c", "low", "high"}, {"d"}), node("Exp", {"d"}, {"e"}),
        node("HardSwish", {"e"}, {"f"}), node("Div", {"f", "x"}, {"y"})}},
      {"comparing, choosing and casting",
       {kRows, {"b", {kN, 5, 1}, DType::kBool}, {"i", {kN, 5, 16}, DType::kInt32}},
       {number("zero", 0)},
       {node("Greater", {"x", "zero"}, {"g"}), node("And", {"g", "b"}, {"c"}),
        node("Cast", {"i"}, {"f"}, {attr("to", 1)}), node("Where", {"c", "x", "f"}, {"y"})}},
      {.name = "integers",
       .inputs = {{"x", {kN, 7}, DType::kInt64}, {"z", {7}, DType::kInt64}},
       .weights = {},
       .nodes = {node("Add", {"x", "z"}, {"a"}), node("Mul", {"a", "x"}, {"b"}),
                 node("Max", {"b", "z"}, {"y"})},
       .output_type = DType::kInt64},
      {"one quantised and back",
       {kImage},
       {number("s", 0.1f), tensor("z", Tensor::of<uint8_t>(DType::kUint8, {}, {7}))},
       {node("QuantizeLinear", {"x", "s", "z"}, {"q"}),
        node("DequantizeLinear", {"q", "s", "z"}, {"y"})}},
  };
}

inline std::vector<Case> movements() {
  return {
      {"transposes",
       {kImage},
       {},
       {node("Transpose", {"x"}, {"y"}, {attr("perm", Ints{3, 0, 2, 1})})}},
      {"slices and concatenation",
       {kImage, {"z", {kN, 3, 9, 9}}},
       {ints("begin", {1, 0}), ints("end", {7, 9}), ints("axes", {1, 3}), ints("steps", {2, 3}),
        ints("end1", {5}), ints("begin1", {2}), ints("axis1", {1})},
       {node("Slice", {"x", "begin", "end", "axes", "steps"}, {"s"}),
        node("Slice", {"x", "begin1", "end1", "axis1"}, {"a"}), node("Relu", {"z"}, {"r"}),
        node("Concat", {"a", "r", "z"}, {"y"}, {attr("axis", 1)})},
       {"y", "s"}},
      {"splits and reshapes",
       {kImage},
       {ints("shape", {0, 4, -1})},
       {node("Split", {"x"}, {"a", "b"}, {attr("axis", 1), attr("num_outputs", 2)}),
        node("Mul", {"a", "b"}, {"c"}), node("Reshape", {"c", "shape"}, {"y"})}},
      {"gathering rows",
       {{"x", {kN, 5}, DType::kInt64}},
       {weight("table", {8, 16}), ints("some", {3, 0, 1})},
       {node("Gather", {"table", "x"}, {"a"}),
        node("Gather", {"a", "some"}, {"y"}, {attr("axis", 1)})}},
      {"padding",
       {kImage},
       {ints("pads", {0, 0, 1, 2, 0, 0, 2, 1}), number("value", 3)},
       {node("Pad", {"x", "pads", "value"}, {"y"})}},
      {"resizing",
       {kImage},
       {tensor("scales", Tensor::of<float>(kF32, {4}, {1, 1, 2, 2})), weight("w", {8, 8, 1, 1})},
       {node("Conv", {"x", "w"}, {"a"}),
        node("Resize", {"a", "", "scales"}, {"b"}, {text("mode", "nearest")}),
        node("Conv", {"b", "w"}, {"c"}),
        node("Resize", {"c", "", "scales"}, {"d"}, {text("mode", "linear")}),
        node("Conv", {"d", "w"}, {"y"})}},
      {"expanding",
       {{"x", {kN, 1, 6}}},
       {ints("shape", {1, 4, 1})},
       {node("Expand", {"x", "shape"}, {"y"})}},
      {"depth to space",
       {kImage},
       {},
       {node("DepthToSpace", {"x"}, {"y"}, {attr("blocksize", 2)})}},
      {"outputs that are views, inputs and the same",
       {kImage},
       {ints("begin", {2}), ints("end", {6}), ints("axis", {3})},
       {node("Relu", {"x"}, {"a"}), node("Slice", {"a", "begin", "end", "axis"}, {"b"}),
        node("Transpose", {"a"}, {"c"}, {attr("perm", Ints{0, 2, 3, 1})}),
        node("Identity", {"x"}, {"d"}), node("Identity", {"a"}, {"e"})},
       {"a", "b", "c", "d", "e"}},
  };
}

inline Case recurrent(const std::string& op, int64_t gates, bool both) {
  const int64_t d = both ? 2 : 1;
  std::vector<Message> attributes = {attr("hidden_size", 4)};
  if (both) attributes.push_back(text("direction", "bidirectional"));
  return {
      (both ? "bidirectional " : "") + op,
      {{"x", {7, kN, 6}}},
      {weight("w", {d, 4 * gates, 6}), weight("r", {d, 4 * gates, 4}), weight("b", {d, 8 * gates})},
      {node(op, {"x", "w", "r", "b"}, {"y", "h"}, attributes)},
      {"y", "h"}};
}

inline std::vector<Case> recurrences() {
  return {recurrent("LSTM", 4, false), recurrent("LSTM", 4, true), recurrent("GRU", 3, false),
          recurrent("GRU", 3, true), recurrent("RNN", 1, false)};
}

/// Its final states are the next run's initial ones.
inline Case lstm_with_states() {
  return {.name = "LSTM with states",
          .inputs = {{"x", {7, kN, 6}}, {"h0", {1, kN, 4}}, {"c0", {1, kN, 4}}},
          .weights = {weight("w", {1, 16, 6}), weight("r", {1, 16, 4}), weight("b", {1, 32})},
          .nodes = {node("LSTM", {"x", "w", "r", "b", "", "h0", "c0"}, {"y", "h", "c"},
                         {attr("hidden_size", 4)})},
          .outputs = {"y", "h", "c"},
          .states = {{"h0", "h"}, {"c0", "c"}}};
}

/// y = sigmoid(condition ? relu(x·w) + z : v - 2x) with v the rows of an input under other extents:
/// captures of inputs, of views of them, and of what other steps give. `small`: its greatest, so
/// that other shapes need another arena, but no other output.
inline Case branches(const char* name, bool inner, bool small) {
  const std::vector<Message> outputs = {value_info("r", unranked_type(kF32))};
  Message yes = graph({{node("MatMul", {"x", "w"}, {"a"}), node("Relu", {"a"}, {"b"}),
                        node("Add", {"b", "z"}, {"r"})},
                       {},
                       outputs,
                       {}});
  const Message no = graph({{node("Sub", {"v", "t"}, {"r"})}, {}, outputs, {}});
  if (inner)
    yes = graph({{node("If", {"other"}, {"r"},
                       {graph_attribute("then_branch", no), graph_attribute("else_branch", yes)})},
                 {},
                 outputs,
                 {}});
  return {name,
          {{"x", {kN, 16}},
           {"z", {16}},
           {"u", {kN, 4, 4}},
           {"c", {}, DType::kBool},
           {"other", {}, DType::kBool}},
          {weight("w", {16, 16}), ints("flat", {0, 16})},
          {node("Add", {"x", "x"}, {"t"}), node("Reshape", {"u", "flat"}, {"v"}),
           node("If", {"c"}, {"i"},
                {graph_attribute("then_branch", yes), graph_attribute("else_branch", no)}),
           node("Sigmoid", {"i"}, {small ? "s" : "y"}), node("Not", {"other"}, {"n"}),
           node("ReduceMax", {small ? "s" : "x"}, {small ? "y" : "unused"})}};
}

/// Branches that capture a value whose extent is no bare name: twice the input's.
inline Case branches_of_twice() {
  auto branch = [](const char* op) {
    return graph({{node(op, {"t", "first"}, {"r"}, {attr("keepdims", 0)})},
                  {},
                  {value_info("r", unranked_type(kF32))},
                  {}});
  };
  return {"branches that capture twice the extent",
          {{"x", {kN, 6}}, {"c", {}, DType::kBool}},
          {ints("first", {0})},
          {node("Concat", {"x", "x"}, {"t"}, {attr("axis", 0)}),
           node("If", {"c"}, {"r"},
                {graph_attribute("then_branch", branch("ReduceMean")),
                 graph_attribute("else_branch", branch("ReduceMax"))}),
           node("Tanh", {"r"}, {"y"})}};
}

/// Carries a sum and a count that swap places, and scans: under a trip count that the engine knows.
inline Case counted_loop(const char* name, int64_t trips, bool unused) {
  const Message body =
      graph({{node("MatMul", {"h", "w"}, {"a"}), node("Add", {"a", "z"}, {"b"}),
              node("Tanh", {"b"}, {"h2"}), node("Mul", {"g", "h2"}, {"s"}),
              node("Identity", {"on"}, {"on2"})},
             {value_info("i", tensor_type(DType::kInt64, {})),
              value_info("on", tensor_type(DType::kBool, {})), value_info("h", unranked_type(kF32)),
              value_info("g", unranked_type(kF32))},
             {value_info("on2", unranked_type(DType::kBool)), value_info("g", unranked_type(kF32)),
              value_info("h2", unranked_type(kF32)), value_info("s", unranked_type(kF32))},
             {}});
  std::vector<Message> nodes = {
      node("Relu", {"x"}, {"x1"}), node("Reshape", {"u", "flat"}, {"v"}),
      node("Loop", {"trips", "", "x1", "v"}, {"h1", "g1", "scanned"},
           {graph_attribute("body", body)}),
      node("ReduceSum", {"scanned", "first"}, {"total"}, {attr("keepdims", 0)}),
      node("Add", {"total", unused ? "x" : "g1"}, {"y"})};
  return {name,
          {{"x", {kN, 16}}, {"z", {16}}, {"u", {kN, 4, 4}}},
          {weight("w", {16, 16}), ints("flat", {0, 16}), ints("first", {0}),
           tensor("trips", Tensor::scalar(trips))},
          std::move(nodes),
          {"y"},
          kF32,
          {},
          "loop on"};
}

/// Ends when the data says so; the counter is part of the sum.
inline Case conditional_loop() {
  const Message body = graph(
      {{node("Cast", {"i"}, {"j"}, {attr("to", 1)}), node("Add", {"h", "j"}, {"a"}),
        node("Mul", {"a", "z"}, {"h2"}), node("ReduceMax", {"h2"}, {"m"}, {attr("keepdims", 0)}),
        node("Less", {"m", "limit"}, {"on2"})},
       {value_info("i", tensor_type(DType::kInt64, {})),
        value_info("on", tensor_type(DType::kBool, {})), value_info("h", unranked_type(kF32))},
       {value_info("on2", unranked_type(DType::kBool)), value_info("h2", unranked_type(kF32))},
       {}});
  return {"a loop that its data ends",
          {{"x", {kN, 5}}, {"z", {5}}, {"c", {}, DType::kBool}},
          {number("limit", 3), tensor("most", Tensor::scalar(int64_t(9)))},
          {node("Abs", {"x"}, {"a"}),
           node("Loop", {"most", "c", "a"}, {"y"}, {graph_attribute("body", body)})},
          {"y"},
          kF32,
          {},
          "loop on"};
}

/// h = tanh(h + a_t·w), with a along its second axis and backwards, b along its first; gives h, the
/// products and, along the last axis and backwards, h + b_t.
inline Case scan(const char* name, bool inner) {
  const Message step = node("Add", {"p", "h"}, {"q"});
  const Message captured = graph({{step}, {}, {value_info("q", unranked_type(kF32))}, {}});
  const Message first = inner ? node("If", {"c"}, {"q"},
                                     {graph_attribute("then_branch", captured),
                                      graph_attribute("else_branch", captured)})
                              : step;
  const Message body =
      graph({{node("MatMul", {"a", "w"}, {"p"}), first, node("Tanh", {"q"}, {"h2"}),
              node("Add", {"h2", "b"}, {"s"})},
             {value_info("h", unranked_type(kF32)), value_info("a", unranked_type(kF32)),
              value_info("b", unranked_type(kF32))},
             {value_info("h2", unranked_type(kF32)), value_info("p", unranked_type(kF32)),
              value_info("s", unranked_type(kF32))},
             {}});
  return {name,
          {{"x", {kN, 7, 6}}, {"b", {7, kN, 6}}, {"h0", {kN, 6}}, {"c", {}, DType::kBool}},
          {weight("w", {6, 6})},
          {node("Scan", {"h0", "x", "b"}, {"h1", "p1", "y"},
                {attr("num_scan_inputs", 2), attr("scan_input_axes", Ints{1, 0}),
                 attr("scan_input_directions", Ints{1, 0}), attr("scan_output_axes", Ints{1, -1}),
                 attr("scan_output_directions", Ints{0, 1}), graph_attribute("body", body)})},
          {"y", "h1", "p1"},
          kF32,
          {},
          "scan on"};
}

inline std::vector<Case> all_cases() {
  std::vector<Case> all;
  for (auto& family : {convolutions(), pools_and_reductions(), norms(), attentions(),
                       pointwise_chains(), movements(), recurrences()})
    all.insert(all.end(), family.begin(), family.end());
  all.push_back(branches("branches", false, false));
  all.push_back(branches("branches with a small result", false, true));
  all.push_back(branches("branches within branches", true, false));
  all.push_back(branches_of_twice());
  all.push_back(counted_loop("a counted loop", 5, false));
  all.push_back(counted_loop("a loop that never runs", 0, false));
  all.push_back(counted_loop("a loop of which one result is used", 3, true));
  all.push_back(conditional_loop());
  all.push_back(scan("a scan", false));
  all.push_back(scan("branches within a scan", true));
  return all;
}

inline Graph import_case(const Case& c) {
  GraphParts parts{c.nodes, {}, {}, c.weights};
  for (const CaseInput& i : c.inputs) {
    std::vector<Extent> extents;
    for (int64_t d : i.dims) extents.push_back(d == kN ? Extent("batch_size") : Extent(d));
    parts.inputs.push_back(value_info(i.name, tensor_type(i.dtype, extents)));
  }
  for (const auto& o : c.outputs)
    parts.outputs.push_back(value_info(o, unranked_type(c.output_type)));
  Graph imported = import_bytes(model(graph(parts), 23, 10));
  imported.states = c.states;
  return imported;
}

}  // namespace vitrify::allocation_cases
