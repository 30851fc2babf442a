// Every op: the vocabulary of the IR. An op is a plain struct; its row in ops/table.cpp has its
// shape rule, reference kernel and the rest. Each struct lists its fields once, in `fields`;
// copying, comparing, hashing, printing and parsing follow from that list (ops.cpp).
//
// Layouts: spatial ops that carry a `Window` are channels-last, [N, spatial…, C]; convolution
// weights stay as ONNX has them, [M, C/group, k…]. `epilogue` bodies take their extra operands
// after the op's own inputs, in order, broadcast to the result as in numpy. A parameter that was
// not known at import time comes as a trailing input instead of the attribute, where the comment
// says so.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "ir/body.h"
#include "ir/tensor.h"

namespace vitrify {

struct Graph;
using Ints = std::vector<int64_t>;
using GraphRef = std::shared_ptr<const Graph>;  ///< a closed body; compared by digest

/// A weight or literal: identity is the id, never the bytes.
struct ConstantData {
  int64_t id = -1;   ///< unique within a model
  std::string name;  ///< the initializer's name in the user's model, or empty
  Tensor tensor;     ///< possibly unaligned, in a mapped file
  GraphRef recipe;   ///< for a derived constant: the graph that made it, or null
};
using ConstantRef = std::shared_ptr<const ConstantData>;

/// Window of convolution and pooling over the spatial axes.
struct Window {
  enum class AutoPad : uint8_t { kExplicit, kSameUpper, kSameLower };
  Ints kernel, strides, dilations;  ///< one per spatial axis
  Ints pads_begin, pads_end;        ///< used when auto_pad is kExplicit
  AutoPad auto_pad = AutoPad::kExplicit;
  bool ceil_mode = false;
  bool operator==(const Window&) const = default;
};

// ---- Leaves ----
struct Input {
  std::string name;
  static constexpr auto kName = "input";
  static void fields(auto& s, auto&& f) { f("name", s.name); }
};
struct Constant {
  ConstantRef data;
  static constexpr auto kName = "constant";
  static void fields(auto& s, auto&& f) { f("data", s.data); }
};
/// An int64 tensor of extents known once shapes are bound: rank 1, or rank 0 when `scalar`.
struct DimsValue {
  std::vector<Dim> values;
  bool scalar = false;
  static constexpr auto kName = "dims";
  static void fields(auto& s, auto&& f) {
    f("values", s.values);
    f("scalar", s.scalar);
  }
};

// ---- Pointwise (operands broadcast as in numpy) ----
struct Unary {
  UnaryKind kind{};
  double alpha = 0, beta = 0;
  static constexpr auto kName = "unary";
  static void fields(auto& s, auto&& f) {
    f("kind", s.kind);
    f("alpha", s.alpha);
    f("beta", s.beta);
  }
};
struct Binary {
  BinaryKind kind{};
  static constexpr auto kName = "binary";
  static void fields(auto& s, auto&& f) { f("kind", s.kind); }
};
/// (condition, then, else)
struct Select {
  static constexpr auto kName = "select";
  static void fields(auto&, auto&&) {}
};
struct Cast {
  DType to{};
  bool saturate = true;
  int64_t round_mode = 0;  ///< f8e8m0 only: 0 up, 1 down, 2 nearest
  static constexpr auto kName = "cast";
  static void fields(auto& s, auto&& f) {
    f("to", s.to);
    f("saturate", s.saturate);
    f("round_mode", s.round_mode);
  }
};
struct BitCast {
  DType to{};
  static constexpr auto kName = "bitcast";
  static void fields(auto& s, auto&& f) { f("to", s.to); }
};
struct Pointwise {
  Body body;
  static constexpr auto kName = "pointwise";
  static void fields(auto& s, auto&& f) { f("body", s.body); }
};

// ---- Contractions ----
/// (a, b, epilogue operands…): numpy matmul, with the last two axes of a or b swapped first.
struct MatMul {
  bool transpose_a = false, transpose_b = false;
  Body epilogue;
  static constexpr auto kName = "matmul";
  static void fields(auto& s, auto&& f) {
    f("transpose_a", s.transpose_a);
    f("transpose_b", s.transpose_b);
    f("epilogue", s.epilogue);
  }
};
struct Einsum {
  std::string equation;
  static constexpr auto kName = "einsum";
  static void fields(auto& s, auto&& f) { f("equation", s.equation); }
};
/// (x, w, epilogue operands…); a bias is an epilogue operand of shape [M].
struct Conv {
  Window window;
  int64_t group = 1;
  Body epilogue;
  static constexpr auto kName = "conv";
  static void fields(auto& s, auto&& f) {
    f("window", s.window);
    f("group", s.group);
    f("epilogue", s.epilogue);
  }
};
/// (x, w, epilogue operands…); w is [C, M/group, k…]. window pads crop the result.
struct ConvTranspose {
  Window window;
  int64_t group = 1;
  Ints output_padding;
  Ints output_shape;
  Body epilogue;
  static constexpr auto kName = "conv_transpose";
  static void fields(auto& s, auto&& f) {
    f("window", s.window);
    f("group", s.group);
    f("output_padding", s.output_padding);
    f("output_shape", s.output_shape);
    f("epilogue", s.epilogue);
  }
};
/// (x, w, offset, bias?, mask?): ONNX's layout, channels first.
struct DeformConv {
  Window window;
  int64_t group = 1, offset_group = 1;
  static constexpr auto kName = "deform_conv";
  static void fields(auto& s, auto&& f) {
    f("window", s.window);
    f("group", s.group);
    f("offset_group", s.offset_group);
  }
};

// ---- Pooling ----
/// (x, epilogue operands…)
struct Pool {
  enum class Kind : uint8_t { kMax, kAverage, kLp };
  Kind kind{};
  Window window;
  bool count_include_pad = false;
  int64_t p = 2;
  Body epilogue;
  static constexpr auto kName = "pool";
  static void fields(auto& s, auto&& f) {
    f("kind", s.kind);
    f("window", s.window);
    f("count_include_pad", s.count_include_pad);
    f("p", s.p);
    f("epilogue", s.epilogue);
  }
};
/// x → (y, indices) in ONNX's layout, channels first.
struct MaxPoolIndices {
  Window window;
  bool column_major = false;
  static constexpr auto kName = "max_pool_indices";
  static void fields(auto& s, auto&& f) {
    f("window", s.window);
    f("column_major", s.column_major);
  }
};
/// (x, indices, output_shape?), channels first.
struct MaxUnpool {
  Window window;
  static constexpr auto kName = "max_unpool";
  static void fields(auto& s, auto&& f) { f("window", s.window); }
};

// ---- Reductions ----
/// (x, axes?): the input gives the axes when they were not known; `all` when no axes means all of
/// them.
struct Reduce {
  enum class Kind : uint8_t {
    kSum,
    kMean,
    kMax,
    kMin,
    kProd,
    kL1,
    kL2,
    kLogSum,
    kLogSumExp,
    kSumSquare
  };
  Kind kind{};
  Ints axes;
  bool keepdims = true;
  bool empty_means_all = true;
  Body epilogue;
  static constexpr auto kName = "reduce";
  static void fields(auto& s, auto&& f) {
    f("kind", s.kind);
    f("axes", s.axes);
    f("keepdims", s.keepdims);
    f("empty_means_all", s.empty_means_all);
    f("epilogue", s.epilogue);
  }
};
struct ArgReduce {
  bool max = true;
  int64_t axis = 0;
  bool keepdims = true, select_last = false;
  static constexpr auto kName = "arg_reduce";
  static void fields(auto& s, auto&& f) {
    f("max", s.max);
    f("axis", s.axis);
    f("keepdims", s.keepdims);
    f("select_last", s.select_last);
  }
};
struct Softmax {
  int64_t axis = -1;
  bool log = false;
  static constexpr auto kName = "softmax";
  static void fields(auto& s, auto&& f) {
    f("axis", s.axis);
    f("log", s.log);
  }
};
/// (x, axis)
struct Cumulative {
  bool product = false, exclusive = false, reverse = false;
  static constexpr auto kName = "cumulative";
  static void fields(auto& s, auto&& f) {
    f("product", s.product);
    f("exclusive", s.exclusive);
    f("reverse", s.reverse);
  }
};
/// (x, k) → (values, indices)
struct TopK {
  int64_t axis = -1;
  bool largest = true, sorted = true;
  static constexpr auto kName = "topk";
  static void fields(auto& s, auto&& f) {
    f("axis", s.axis);
    f("largest", s.largest);
    f("sorted", s.sorted);
  }
};

// ---- Normalisation ----
/// (x, epilogue operands…): (x - mean) / sqrt(variance + epsilon) over `axes`; rms: no mean. Scale
/// and bias are ordinary Mul and Add, or the epilogue.
struct Normalize {
  Ints axes;
  double epsilon = 1e-5;
  bool rms = false;
  Body epilogue;
  static constexpr auto kName = "normalize";
  static void fields(auto& s, auto&& f) {
    f("axes", s.axes);
    f("epsilon", s.epsilon);
    f("rms", s.rms);
    f("epilogue", s.epilogue);
  }
};
/// Local response normalisation across `axis`.
struct Lrn {
  int64_t axis = 1, size = 1;
  double alpha = 1e-4, beta = 0.75, bias = 1;
  static constexpr auto kName = "lrn";
  static void fields(auto& s, auto&& f) {
    f("axis", s.axis);
    f("size", s.size);
    f("alpha", s.alpha);
    f("beta", s.beta);
    f("bias", s.bias);
  }
};

// ---- Data movement ----
struct Transpose {
  Ints permutation;
  static constexpr auto kName = "transpose";
  static void fields(auto& s, auto&& f) { f("permutation", s.permutation); }
};
/// (x, shape?): without the input, `shape` is the whole result shape, already without 0 and -1.
/// With it, ONNX's rules hold, `allow_zero` among them.
struct Reshape {
  std::vector<Dim> shape;
  bool allow_zero = false;
  static constexpr auto kName = "reshape";
  static void fields(auto& s, auto&& f) {
    f("shape", s.shape);
    f("allow_zero", s.allow_zero);
  }
};
/// (x, shape?): numpy broadcast of x against the shape.
struct Expand {
  std::vector<Dim> shape;
  static constexpr auto kName = "expand";
  static void fields(auto& s, auto&& f) { f("shape", s.shape); }
};
/// x with axes of extent 1 taken out or put in, for what is not known well enough for a Reshape:
/// (x, axes?); no axes at all squeezes every extent of 1.
struct Squeeze {
  Ints axes;
  static constexpr auto kName = "squeeze";
  static void fields(auto& s, auto&& f) { f("axes", s.axes); }
};
struct Unsqueeze {
  Ints axes;
  static constexpr auto kName = "unsqueeze";
  static void fields(auto& s, auto&& f) { f("axes", s.axes); }
};
struct Concat {
  int64_t axis = 0;
  static constexpr auto kName = "concat";
  static void fields(auto& s, auto&& f) { f("axis", s.axis); }
};
/// x[begin : begin + step*size : step] for each of `axes`; begins and sizes are final (clamped, in
/// range). Unknown ones: SliceDynamic.
struct Slice {
  Ints axes;
  std::vector<Dim> begins, sizes;
  Ints steps;
  static constexpr auto kName = "slice";
  static void fields(auto& s, auto&& f) {
    f("axes", s.axes);
    f("begins", s.begins);
    f("sizes", s.sizes);
    f("steps", s.steps);
  }
};
/// (x, starts, ends, axes?, steps?) by ONNX's rules.
struct SliceDynamic {
  static constexpr auto kName = "slice_dynamic";
  static void fields(auto&, auto&&) {}
};
/// (x, value?, pads?): pads are begins of every axis, then ends; negative ones crop. The third
/// input gives them when they were not known.
struct Pad {
  enum class Mode : uint8_t { kConstant, kReflect, kEdge, kWrap };
  Mode mode{};
  std::vector<Dim> pads;
  static constexpr auto kName = "pad";
  static void fields(auto& s, auto&& f) {
    f("mode", s.mode);
    f("pads", s.pads);
  }
};
/// (x, repeats)
struct Tile {
  static constexpr auto kName = "tile";
  static void fields(auto&, auto&&) {}
};
struct Gather {
  int64_t axis = 0;
  static constexpr auto kName = "gather";
  static void fields(auto& s, auto&& f) { f("axis", s.axis); }
};
struct GatherElements {
  int64_t axis = 0;
  static constexpr auto kName = "gather_elements";
  static void fields(auto& s, auto&& f) { f("axis", s.axis); }
};
struct GatherND {
  int64_t batch_dims = 0;
  static constexpr auto kName = "gather_nd";
  static void fields(auto& s, auto&& f) { f("batch_dims", s.batch_dims); }
};
enum class ScatterReduction : uint8_t { kNone, kAdd, kMul, kMax, kMin };
/// (data, indices, updates)
struct ScatterElements {
  int64_t axis = 0;
  ScatterReduction reduction{};
  static constexpr auto kName = "scatter_elements";
  static void fields(auto& s, auto&& f) {
    f("axis", s.axis);
    f("reduction", s.reduction);
  }
};
struct ScatterND {
  ScatterReduction reduction{};
  static constexpr auto kName = "scatter_nd";
  static void fields(auto& s, auto&& f) { f("reduction", s.reduction); }
};
/// (indices, depth, values)
struct OneHot {
  int64_t axis = -1;
  static constexpr auto kName = "one_hot";
  static void fields(auto& s, auto&& f) { f("axis", s.axis); }
};
/// (x, k?)
struct Trilu {
  bool upper = true;
  static constexpr auto kName = "trilu";
  static void fields(auto& s, auto&& f) { f("upper", s.upper); }
};
struct EyeLike {
  DType dtype{};
  int64_t k = 0;
  static constexpr auto kName = "eye_like";
  static void fields(auto& s, auto&& f) {
    f("dtype", s.dtype);
    f("k", s.k);
  }
};
/// (start, limit, delta)
struct Range {
  static constexpr auto kName = "range";
  static void fields(auto&, auto&&) {}
};
struct ShapeOf {
  int64_t start = 0, end = INT64_MAX;
  static constexpr auto kName = "shape";
  static void fields(auto& s, auto&& f) {
    f("start", s.start);
    f("end", s.end);
  }
};
struct SizeOf {
  static constexpr auto kName = "size";
  static void fields(auto&, auto&&) {}
};
struct NonZero {
  static constexpr auto kName = "nonzero";
  static void fields(auto&, auto&&) {}
};
/// (x, condition); flattens when has_axis is false.
struct Compress {
  bool has_axis = false;
  int64_t axis = 0;
  static constexpr auto kName = "compress";
  static void fields(auto& s, auto&& f) {
    f("has_axis", s.has_axis);
    f("axis", s.axis);
  }
};
/// x → (values, indices, inverse, counts)
struct Unique {
  bool has_axis = false, sorted = true;
  int64_t axis = 0;
  static constexpr auto kName = "unique";
  static void fields(auto& s, auto&& f) {
    f("has_axis", s.has_axis);
    f("sorted", s.sorted);
    f("axis", s.axis);
  }
};
/// (x, lengths)
struct ReverseSequence {
  int64_t time_axis = 0, batch_axis = 1;
  static constexpr auto kName = "reverse_sequence";
  static void fields(auto& s, auto&& f) {
    f("time_axis", s.time_axis);
    f("batch_axis", s.batch_axis);
  }
};
/// (x, roi?, scales?, sizes?): any layout; `axes` are the axes that roi, scales and sizes speak of.
struct Resize {
  enum class Mode : uint8_t { kNearest, kLinear, kCubic };
  enum class Coordinates : uint8_t {
    kHalfPixel,
    kHalfPixelSymmetric,
    kPytorchHalfPixel,
    kAlignCorners,
    kAsymmetric,
    kTfCropAndResize,
    kTfHalfPixelNN
  };
  enum class Nearest : uint8_t { kRoundPreferFloor, kRoundPreferCeil, kFloor, kCeil };
  enum class Aspect : uint8_t { kStretch, kNotLarger, kNotSmaller };
  Mode mode{};
  Coordinates coordinates{};
  Nearest nearest{};
  Aspect aspect{};
  Ints axes;
  double cubic_a = -0.75, extrapolation = 0;
  bool exclude_outside = false, antialias = false;
  static constexpr auto kName = "resize";
  static void fields(auto& s, auto&& f) {
    f("mode", s.mode);
    f("coordinates", s.coordinates);
    f("nearest", s.nearest);
    f("aspect", s.aspect);
    f("axes", s.axes);
    f("cubic_a", s.cubic_a);
    f("extrapolation", s.extrapolation);
    f("exclude_outside", s.exclude_outside);
    f("antialias", s.antialias);
  }
};
/// (x, grid), channels first.
struct GridSample {
  enum class Mode : uint8_t { kLinear, kNearest, kCubic };
  enum class Padding : uint8_t { kZeros, kBorder, kReflection };
  Mode mode{};
  Padding padding{};
  bool align_corners = false;
  static constexpr auto kName = "grid_sample";
  static void fields(auto& s, auto&& f) {
    f("mode", s.mode);
    f("padding", s.padding);
    f("align_corners", s.align_corners);
  }
};

// ---- Quantisation ----
/// (x, scale, zero_point?): per tensor, along `axis`, or in blocks along it when block_size > 0.
struct Quantize {
  int64_t axis = 1, block_size = 0;
  bool saturate = true;
  DType to{};
  DType precision{};
  static constexpr auto kName = "quantize";
  static void fields(auto& s, auto&& f) {
    f("axis", s.axis);
    f("block_size", s.block_size);
    f("saturate", s.saturate);
    f("to", s.to);
    f("precision", s.precision);
  }
};
/// (x, scale, zero_point?)
struct Dequantize {
  int64_t axis = 1, block_size = 0;
  DType to{};
  static constexpr auto kName = "dequantize";
  static void fields(auto& s, auto&& f) {
    f("axis", s.axis);
    f("block_size", s.block_size);
    f("to", s.to);
  }
};

// ---- Recurrent ----
/// (x, w, r, b?, lengths?, h0?, c0?, p?) → (y, y_h, y_c) as ONNX's RNN, GRU and LSTM.
struct Recurrent {
  enum class Kind : uint8_t { kRnn, kGru, kLstm };
  enum class Direction : uint8_t { kForward, kReverse, kBidirectional };
  Kind kind{};
  Direction direction{};
  int64_t hidden_size = 0;
  std::vector<std::string> activations;
  std::vector<double> alphas, betas;
  double clip = 0;
  bool linear_before_reset = false, input_forget = false, batch_first = false;
  static constexpr auto kName = "recurrent";
  static void fields(auto& s, auto&& f) {
    f("kind", s.kind);
    f("direction", s.direction);
    f("hidden_size", s.hidden_size);
    f("activations", s.activations);
    f("alphas", s.alphas);
    f("betas", s.betas);
    f("clip", s.clip);
    f("linear_before_reset", s.linear_before_reset);
    f("input_forget", s.input_forget);
    f("batch_first", s.batch_first);
  }
};

// ---- Attention ----
/// (q, k, v, mask?): softmax(scale·q·kᵀ + mask)·v with q [B, H, S, D], k [B, G, T, D], v [B, G, T,
/// E], H a multiple of G; mask broadcasts to [B, H, S, T], bool (true: attend) or additive. With
/// `mask_widens`, B, H and S of the result are those of q and the mask broadcast together, as adding
/// the mask to the scores makes them.
struct Attention {
  double scale = 1, softcap = 0;
  bool causal = false, mask_widens = false;
  static constexpr auto kName = "attention";
  static void fields(auto& s, auto&& f) {
    f("scale", s.scale);
    f("softcap", s.softcap);
    f("causal", s.causal);
    f("mask_widens", s.mask_widens);
  }
};

// ---- Detection ----
/// (boxes, scores, max_output?, iou?, score?) → i64[n, 3]
struct NonMaxSuppression {
  bool center_point_box = false;
  static constexpr auto kName = "nms";
  static void fields(auto& s, auto&& f) { f("center_point_box", s.center_point_box); }
};

// ---- Control flow: bodies are closed graphs, captures are trailing inputs ----
/// (condition, captures of then…, captures of else…)
struct If {
  GraphRef then_graph, else_graph;
  int64_t then_captures = 0;
  static constexpr auto kName = "if";
  static void fields(auto& s, auto&& f) {
    f("then_graph", s.then_graph);
    f("else_graph", s.else_graph);
    f("then_captures", s.then_captures);
  }
};
/// (trip_count?, condition?, carried × N, captures…) → (carried × N, scans…)
struct Loop {
  GraphRef body;
  int64_t carried = 0;
  static constexpr auto kName = "loop";
  static void fields(auto& s, auto&& f) {
    f("body", s.body);
    f("carried", s.carried);
  }
};
/// (states…, scan inputs…, captures…) → (states…, scan outputs…)
struct Scan {
  GraphRef body;
  int64_t states = 0, scan_inputs = 0;
  Ints input_axes, output_axes, input_reverse, output_reverse;
  static constexpr auto kName = "scan";
  static void fields(auto& s, auto&& f) {
    f("body", s.body);
    f("states", s.states);
    f("scan_inputs", s.scan_inputs);
    f("input_axes", s.input_axes);
    f("output_axes", s.output_axes);
    f("input_reverse", s.input_reverse);
    f("output_reverse", s.output_reverse);
  }
};
/// Several ops run as one step; the reference is the interpreter over the graph.
struct Region {
  GraphRef graph;
  static constexpr auto kName = "region";
  static void fields(auto& s, auto&& f) { f("graph", s.graph); }
};

// ---- Sequences and optionals ----
struct SequenceConstruct {
  static constexpr auto kName = "sequence_construct";
  static void fields(auto&, auto&&) {}
};
struct SequenceEmpty {
  DType dtype{};
  static constexpr auto kName = "sequence_empty";
  static void fields(auto& s, auto&& f) { f("dtype", s.dtype); }
};
struct SequenceAt {
  static constexpr auto kName = "sequence_at";
  static void fields(auto&, auto&&) {}
};
struct SequenceInsert {
  static constexpr auto kName = "sequence_insert";
  static void fields(auto&, auto&&) {}
};
struct SequenceErase {
  static constexpr auto kName = "sequence_erase";
  static void fields(auto&, auto&&) {}
};
struct SequenceLength {
  static constexpr auto kName = "sequence_length";
  static void fields(auto&, auto&&) {}
};
struct ConcatFromSequence {
  int64_t axis = 0;
  bool new_axis = false;
  static constexpr auto kName = "concat_from_sequence";
  static void fields(auto& s, auto&& f) {
    f("axis", s.axis);
    f("new_axis", s.new_axis);
  }
};
struct SplitToSequence {
  int64_t axis = 0;
  bool keepdims = true;
  static constexpr auto kName = "split_to_sequence";
  static void fields(auto& s, auto&& f) {
    f("axis", s.axis);
    f("keepdims", s.keepdims);
  }
};
/// (x?): without the input, an empty optional of the element type.
struct MakeOptional {
  Type element;
  static constexpr auto kName = "optional";
  static void fields(auto& s, auto&& f) { f("element", s.element); }
};
struct OptionalGetElement {
  static constexpr auto kName = "optional_get";
  static void fields(auto&, auto&&) {}
};
struct OptionalHasElement {
  static constexpr auto kName = "optional_has";
  static void fields(auto&, auto&&) {}
};

// ---- Random (impure) ----
/// Kind decides the inputs: uniform and normal none (or a tensor whose shape is taken), bernoulli
/// (probabilities), multinomial (log-probabilities).
struct Random {
  enum class Kind : uint8_t { kUniform, kNormal, kBernoulli, kMultinomial };
  Kind kind{};
  DType dtype{};
  std::vector<Dim> shape;
  double a = 0, b = 1, seed = 0;
  bool has_seed = false;
  int64_t sample_size = 1;
  static constexpr auto kName = "random";
  static void fields(auto& s, auto&& f) {
    f("kind", s.kind);
    f("dtype", s.dtype);
    f("shape", s.shape);
    f("a", s.a);
    f("b", s.b);
    f("seed", s.seed);
    f("has_seed", s.has_seed);
    f("sample_size", s.sample_size);
  }
};

// ---- The long tail: ops that only the reference runs, in ONNX's own layout and with its semantics
// ----
/// An op of fixed meaning with named attributes; `op` is one of the rows of ops/classic.cpp. It
/// keeps the vocabulary small: signal, text, tree and rarely used image ops need no struct each.
struct Classic {
  std::string op;
  std::vector<std::string> names;  ///< attribute names, sorted; values alongside
  std::vector<std::variant<int64_t, double, std::string, Ints, std::vector<double>,
                           std::vector<std::string>>>
      values;
  std::vector<ConstantRef> tensors;  ///< tensor attributes, in the op's own order
  static constexpr auto kName = "classic";
  static void fields(auto& s, auto&& f) {
    f("op", s.op);
    f("names", s.names);
    f("values", s.values);
    f("tensors", s.tensors);
  }
};

/// The user's own op: registered by the host program.
struct Custom {
  std::string domain, op;
  int64_t version = 1;
  std::vector<std::string> names;
  std::vector<std::variant<int64_t, double, std::string, Ints, std::vector<double>,
                           std::vector<std::string>>>
      values;
  static constexpr auto kName = "custom";
  static void fields(auto& s, auto&& f) {
    f("domain", s.domain);
    f("op", s.op);
    f("version", s.version);
    f("names", s.names);
    f("values", s.values);
  }
};

using OpVariant =
    std::variant<Input, Constant, DimsValue, Unary, Binary, Select, Cast, BitCast, Pointwise,
                 MatMul, Einsum, Conv, ConvTranspose, DeformConv, Pool, MaxPoolIndices, MaxUnpool,
                 Reduce, ArgReduce, Softmax, Cumulative, TopK, Normalize, Lrn, Transpose, Reshape,
                 Expand, Squeeze, Unsqueeze, Concat, Slice, SliceDynamic, Pad, Tile, Gather,
                 GatherElements, GatherND, ScatterElements, ScatterND, OneHot, Trilu, EyeLike,
                 Range, ShapeOf, SizeOf, NonZero, Compress, Unique, ReverseSequence, Resize,
                 GridSample, Quantize, Dequantize, Recurrent, Attention, NonMaxSuppression, If,
                 Loop, Scan, Region, SequenceConstruct, SequenceEmpty, SequenceAt, SequenceInsert,
                 SequenceErase, SequenceLength, ConcatFromSequence, SplitToSequence, MakeOptional,
                 OptionalGetElement, OptionalHasElement, Random, Classic, Custom>;

}  // namespace vitrify
