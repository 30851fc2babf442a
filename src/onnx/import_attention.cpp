// Attention, FlexAttention, LinearAttention and RotaryEmbedding, composed of IR ops around the one
// Attention op.
#include <cmath>
#include <limits>

#include "base/error.h"
#include "onnx/families.h"
#include "onnx/import_movement.h"
#include "ops/classic.h"

namespace vitrify::onnx {

namespace {

const Shape& shape_of(const NodeContext& c, ValueId v) {
  c.known_rank(v);
  return *c.type(v).shape;
}

/// [B, S, H·D] as [B, H, S, D].
ValueId split_heads(NodeContext& c, ValueId x, int64_t heads) {
  const Shape s = shape_of(c, x);
  require(s.size() == 3, "expected [batch, sequence, hidden], got ", c.type(x).str());
  require(heads > 0, "needs the number of heads for inputs of rank 3");
  if (s[2].is_constant())
    require(s[2].value() % heads == 0, "a hidden size of ", s[2].str(), " is no multiple of ",
            heads, " heads");
  return c.transpose(c.reshape(x, {s[0], s[1], heads, floor_div(s[2], heads)}), {0, 2, 1, 3});
}

/// [B, H, S, D] as [B, S, H·D].
ValueId join_heads(NodeContext& c, ValueId x) {
  const Shape s = shape_of(c, x);
  return c.reshape(c.transpose(x, {0, 2, 1, 3}), {s[0], s[2], s[1] * s[3]});
}

/// The attribute, or 1 / sqrt(head size). Where only a run knows the size, q is scaled there.
double scale_of(NodeContext& c, ValueId& q) {
  if (c.has_attribute("scale")) return c.float_attribute("scale", 1);
  const Dim size = shape_of(c, q)[3];
  if (size.is_constant()) return 1 / std::sqrt(double(size.value()));
  ValueId extent = c.cast(c.reshape(c.add(ShapeOf{3, 4}, {q}), {}), DType::kFloat32);
  ValueId scale = c.unary(UnaryKind::kReciprocal, c.unary(UnaryKind::kSqrt, extent));
  q = c.binary(BinaryKind::kMul, q, c.cast(scale, c.dtype(q)));
  return 1;
}

/// 0 … n - 1 for the extent of one axis, i64.
ValueId positions(NodeContext& c, ValueId x, int64_t axis) {
  ValueId extent = c.reshape(c.add(ShapeOf{axis, axis + 1}, {x}), {});
  return c.add(Range{}, {c.constant(Tensor::scalar(int64_t{0})), extent,
                         c.constant(Tensor::scalar(int64_t{1}))});
}

ValueId as_column(NodeContext& c, ValueId v) { return c.reshape(v, {shape_of(c, v)[0], 1}); }

// ---- Masks ----

ValueId infinity(NodeContext& c, DType dtype) {
  return c.scalar(-std::numeric_limits<double>::infinity(), dtype);
}

/// Both conditions: `mask` is bool or additive or absent, `allowed` bool.
ValueId restrict_mask(NodeContext& c, ValueId mask, ValueId allowed, DType dtype) {
  if (!mask.valid()) return allowed;
  if (c.dtype(mask) == DType::kBool) return c.binary(BinaryKind::kAnd, mask, allowed);
  return c.add(Select{}, {allowed, mask, infinity(c, dtype)});
}

/// A mask for fewer keys than there are masks the rest out.
ValueId widen_mask(NodeContext& c, ValueId mask, const Dim& keys) {
  const Shape s = shape_of(c, mask);
  require(!s.empty(), "the mask is a scalar");
  Dim missing = keys - s.back();
  if (missing == Dim(0) || (s.back() == Dim(1) && c.opset() < 24)) return mask;
  if (!may_use_dims(c, mask, {missing}))
    fail_unsupported("the extents of mask and keys must be known before the run");
  std::vector<Dim> pads(s.size() * 2, 0);
  pads.back() = missing;
  ValueId value =
      c.dtype(mask) == DType::kBool ? c.scalar(0, DType::kBool) : infinity(c, c.dtype(mask));
  return c.add(Pad{Pad::Mode::kConstant, pads}, {mask, value});
}

struct Heads {
  ValueId q, k, v, mask, past;  ///< past: the keys before these, or no value
  bool causal;
};

/// The causal mask of queries that come after `past` keys: query i sees keys 0 … past + i.
ValueId causal_mask(NodeContext& c, const Heads& h) {
  ValueId row = positions(c, h.q, 2);
  if (h.past.valid()) row = c.binary(BinaryKind::kAdd, row, c.add(ShapeOf{2, 3}, {h.past}));
  return c.binary(BinaryKind::kLessEqual, positions(c, h.k, 2), as_column(c, row));
}

ValueId padding_mask(NodeContext& c, ValueId k, ValueId lengths) {
  require(c.known_rank(lengths) == 1, "nonpad_kv_seqlen must have rank 1");
  ValueId column = c.reshape(lengths, {shape_of(c, lengths)[0], 1, 1, 1});
  return c.binary(BinaryKind::kLess, positions(c, k, 2), column);
}

// ---- The long way, when scores are wanted ----

/// Repeats the heads of k or v so that every query head has its own.
ValueId repeat_heads(NodeContext& c, ValueId x, const Dim& heads) {
  const Shape s = shape_of(c, x);
  if (s[1] == heads) return x;
  Dim times = floor_div(heads, s[1]);
  ValueId each = c.reshape(x, {s[0], s[1], 1, s[2], s[3]});
  each = c.add(Expand{{s[0], s[1], times, s[2], s[3]}}, {each});
  return c.reshape(each, {s[0], heads, s[2], s[3]});
}

ValueId scaled_scores(NodeContext& c, ValueId q, ValueId k, double scale) {
  ValueId keys = repeat_heads(c, k, shape_of(c, q)[1]);
  ValueId root = c.scalar(std::sqrt(scale), c.dtype(q));
  return c.add(MatMul{false, true, {}},
               {c.binary(BinaryKind::kMul, q, root), c.binary(BinaryKind::kMul, keys, root)});
}

struct Scored {
  ValueId y, scores;
};

/// Attention with the score matrix as a value, taken at stage `mode` (ONNX's
/// qk_matmul_output_mode).
Scored attend_openly(NodeContext& c, const Heads& h, double scale, double softcap, int64_t mode,
                     DType precision) {
  DType dtype = c.dtype(h.q);
  ValueId x = scaled_scores(c, h.q, h.k, scale), taken = x;
  if (softcap > 0) {
    ValueId cap = c.scalar(softcap, dtype);
    x = c.binary(BinaryKind::kMul, c.unary(UnaryKind::kTanh, c.binary(BinaryKind::kDiv, x, cap)),
                 cap);
  }
  if (mode == 1) taken = x;
  ValueId mask = h.mask;
  if (h.causal) mask = restrict_mask(c, mask, causal_mask(c, h), dtype);
  if (mask.valid() && c.dtype(mask) == DType::kBool)
    x = c.add(Select{}, {mask, x, infinity(c, dtype)});
  else if (mask.valid())
    x = c.binary(BinaryKind::kAdd, x, mask);
  if (mode == 2) taken = x;
  x = c.add(Softmax{-1}, {c.cast(x, precision)});
  if (mode == 3) taken = c.cast(x, dtype);
  ValueId v = c.cast(repeat_heads(c, h.v, shape_of(c, h.q)[1]), precision);
  return {c.cast(c.add(MatMul{}, {x, v}), dtype), taken};
}

ValueId attend(NodeContext& c, Heads h, double scale, double softcap) {
  DType dtype = c.dtype(h.q);
  if (h.causal && h.past.valid()) {
    h.mask = restrict_mask(c, h.mask, causal_mask(c, h), dtype);
    h.causal = false;
  }
  std::vector<ValueId> inputs{h.q, h.k, c.cast(h.v, dtype)};
  if (h.mask.valid()) inputs.push_back(h.mask);
  return c.add(Attention{scale, softcap, h.causal}, std::move(inputs));
}

// ---- Attention ----

/// Concatenates the past, if there is one.
ValueId with_past(NodeContext& c, ValueId now, ValueId past) {
  return past.valid() ? c.add(Concat{2}, {past, now}) : now;
}

void import_attention(NodeContext& c) {
  bool flat = c.known_rank(c.in(0)) == 3;
  int64_t heads = c.int_attribute("q_num_heads", 0), groups = c.int_attribute("kv_num_heads", 0);
  require(c.has(4) == c.has(5), "past_key and past_value go together");
  auto unpack = [&](int i, int64_t n) { return flat ? split_heads(c, c.in(i), n) : c.in(i); };
  Heads h{unpack(0, heads), unpack(1, groups), unpack(2, groups),
          c.optional_in(3), c.optional_in(4),  c.int_attribute("is_causal", 0) != 0};
  h.k = with_past(c, h.k, h.past), h.v = with_past(c, h.v, c.optional_in(5));
  for (ValueId v : {h.q, h.k, h.v})
    require(c.known_rank(v) == 4, "expects q, k and v of rank 3 or 4, got ", c.type(v).str());
  ValueId present_value = h.v;
  DType dtype = c.dtype(h.q);
  if (h.mask.valid()) h.mask = widen_mask(c, h.mask, shape_of(c, h.k)[2]);
  if (c.has(6)) h.mask = restrict_mask(c, h.mask, padding_mask(c, h.k, c.in(6)), dtype);
  double scale = scale_of(c, h.q);
  double softcap = c.float_attribute("softcap", 0);
  DType precision = c.dtype_attribute("softmax_precision", dtype);
  require(is_float(precision), "softmax_precision is ", name(precision));
  Scored result;
  // Attention computes in f32 at least: only a precision beyond that needs the long way.
  if (c.wants(3) || (precision == DType::kFloat64 && dtype != DType::kFloat64))
    result =
        attend_openly(c, h, scale, softcap, c.int_attribute("qk_matmul_output_mode", 0), precision);
  else
    result.y = attend(c, h, scale, softcap);
  c.outputs({flat ? join_heads(c, result.y) : result.y, h.k, present_value, result.scores});
}

// ---- FlexAttention ----

void import_flex_attention(NodeContext& c) {
  ValueId q = c.in(0), k = c.in(1), v = c.in(2);
  DType dtype = c.dtype(q);
  DType precision = c.dtype_attribute("softmax_precision",
                                      dtype == DType::kFloat64 ? DType::kFloat64 : DType::kFloat32);
  for (ValueId x : {q, k, v})
    require(c.known_rank(x) == 4, "expects q, k and v of rank 4, got ", c.type(x).str());
  double scale = scale_of(c, q);
  auto modified = [&](ValueId x, std::string_view name) {
    if (!c.has_attribute(name)) return x;
    std::vector<ValueId> results = c.inline_graph(name, {x});
    require(results.size() == 1, name, " must have one output, got ", results.size());
    return results[0];
  };
  ValueId keys = repeat_heads(c, k, shape_of(c, q)[1]);
  ValueId scores = c.cast(c.add(MatMul{false, true, {}}, {q, keys}), precision);
  scores = c.binary(BinaryKind::kMul, scores, c.scalar(scale, precision));
  ValueId weights = c.add(Softmax{-1}, {modified(scores, "score_mod")});
  weights = modified(weights, "prob_mod");
  ValueId values = c.cast(repeat_heads(c, v, shape_of(c, q)[1]), precision);
  c.outputs({c.cast(c.add(MatMul{}, {weights, values}), dtype)});
}

// ---- LinearAttention ----

void import_linear_attention(NodeContext& c) {
  std::vector<ValueId> inputs;
  for (int i = 0; i < 6; ++i) inputs.push_back(c.optional_in(i));
  while (!inputs.empty() && !inputs.back().valid()) inputs.pop_back();
  Classic op = make_classic("linear_attention",
                            {{"kv_num_heads", c.int_attribute("kv_num_heads", 0)},
                             {"q_num_heads", c.int_attribute("q_num_heads", 0)},
                             {"scale", c.float_attribute("scale", 0)},
                             {"update_rule", c.string_attribute("update_rule", "gated_delta")}});
  ValueId y = c.add(std::move(op), std::move(inputs), 2);
  c.outputs({y, {y.node, 1}});
}

// ---- RotaryEmbedding ----

/// The half-size caches for each token, as [B or 1, S, 1, half] to go with [B, S, H, half].
ValueId rotary_cache(NodeContext& c, int input) {
  ValueId cache = c.in(input);
  if (c.has(3)) cache = c.add(Gather{0}, {cache, c.in(3)});
  const Shape s = shape_of(c, cache);
  require(s.size() == 3, "the cache has shape ", str(s), " where [batch, sequence, half] is due");
  return c.reshape(cache, {s[0], s[1], 1, s[2]});
}

/// The two numbers of each pair: halves of the last axis, or its even and odd elements.
std::pair<ValueId, ValueId> rotary_pairs(NodeContext& c, ValueId x, const Dim& half,
                                         bool interleaved) {
  int64_t step = interleaved ? 2 : 1;
  Dim second = interleaved ? Dim(1) : half;
  return {c.add(Slice{{3}, {0}, {half}, {step}}, {x}),
          c.add(Slice{{3}, {second}, {half}, {step}}, {x})};
}

/// How many numbers of each head are rotated.
Dim rotary_size(const NodeContext& c, const Dim& head) {
  int64_t size = c.int_attribute("rotary_embedding_dim", 0);
  Dim rotated = size ? Dim(size) : head;
  if (rotated.is_constant() && head.is_constant())
    require(rotated.value() > 0 && rotated.value() % 2 == 0 && rotated.value() <= head.value(),
            "cannot rotate ", rotated.str(), " of ", head.str(), " numbers a head");
  return rotated;
}

void import_rotary_embedding(NodeContext& c) {
  ValueId x = c.in(0);
  const Shape original = shape_of(c, x);
  bool flat = original.size() == 3, interleaved = c.int_attribute("interleaved", 0) != 0;
  int64_t heads = c.int_attribute("num_heads", 0);
  require(flat || original.size() == 4, "expects rank 3 or 4, got ", c.type(x).str());
  require(!flat || heads > 0, "num_heads is needed for an input of rank 3");
  x = flat ? c.reshape(x, {original[0], original[1], heads, floor_div(original[2], heads)})
           : c.transpose(x, {0, 2, 1, 3});
  const Shape tokens = shape_of(c, x);  // [B, S, H, D]
  Dim size = rotary_size(c, tokens[3]), half = floor_div(size, 2);
  ValueId cosine = rotary_cache(c, 1), sine = rotary_cache(c, 2);
  auto [a, b] = rotary_pairs(c, x, half, interleaved);
  auto mul = [&](ValueId p, ValueId q) { return c.binary(BinaryKind::kMul, p, q); };
  ValueId real = c.binary(BinaryKind::kSub, mul(cosine, a), mul(sine, b));
  ValueId imaginary = c.binary(BinaryKind::kAdd, mul(sine, a), mul(cosine, b));
  ValueId y;
  if (interleaved) {
    Shape pair{tokens[0], tokens[1], tokens[2], half, 1};
    y = c.add(Concat{4}, {c.reshape(real, pair), c.reshape(imaginary, pair)});
    y = c.reshape(y, {tokens[0], tokens[1], tokens[2], size});
  } else {
    y = c.add(Concat{3}, {real, imaginary});
  }
  if (size != tokens[3]) y = c.add(Concat{3}, {y, slice_axis(c, x, 3, size, tokens[3])});
  c.outputs({flat ? c.reshape(y, original) : c.transpose(y, {0, 2, 1, 3})});
}

constexpr ImportRow kRows[] = {
    {"", "Attention", 23, import_attention},
    {"", "LinearAttention", 27, import_linear_attention},
    {"", "RotaryEmbedding", 23, import_rotary_embedding},
    {"ai.onnx.preview", "FlexAttention", 1, import_flex_attention},
};

}  // namespace

std::span<const ImportRow> attention_imports() { return kRows; }

}  // namespace vitrify::onnx
