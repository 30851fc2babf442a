// Normalisations: batch, layer, RMS, instance, group, Lp, mean-variance, local response.
#include "onnx/import_norm.h"

#include "base/error.h"

namespace vitrify::onnx {

namespace {

ValueId mul(NodeContext& c, ValueId a, ValueId b) { return c.binary(BinaryKind::kMul, a, b); }
ValueId add(NodeContext& c, ValueId a, ValueId b) { return c.binary(BinaryKind::kAdd, a, b); }
ValueId sub(NodeContext& c, ValueId a, ValueId b) { return c.binary(BinaryKind::kSub, a, b); }
ValueId div(NodeContext& c, ValueId a, ValueId b) { return c.binary(BinaryKind::kDiv, a, b); }

/// Parameters are combined in at least f32.
DType wide(DType dtype) { return dtype == DType::kFloat64 ? dtype : DType::kFloat32; }

ValueId mean_over(NodeContext& c, ValueId x, const Ints& axes, bool keepdims) {
  return c.add(Reduce{.kind = Reduce::Kind::kMean,
                      .axes = axes,
                      .keepdims = keepdims,
                      .empty_means_all = false,
                      .epilogue = {}},
               {x});
}
/// Mean and variance over `axes`, in f32 or wider.
struct Moments {
  ValueId mean, variance;
};
Moments moments(NodeContext& c, ValueId x, const Ints& axes, bool keepdims) {
  x = c.cast(x, wide(c.dtype(x)));
  ValueId kept = mean_over(c, x, axes, true);
  ValueId centred = sub(c, x, kept);
  ValueId variance = mean_over(c, mul(c, centred, centred), axes, keepdims);
  return {keepdims ? kept : mean_over(c, x, axes, false), variance};
}
/// 1 / sqrt(variance + epsilon)
ValueId inverse_deviation(NodeContext& c, ValueId variance, double epsilon) {
  ValueId sum = add(c, variance, c.scalar(epsilon, c.dtype(variance)));
  return c.unary(UnaryKind::kReciprocal, c.unary(UnaryKind::kSqrt, sum));
}

/// A vector of one number a channel, shaped so that it broadcasts over a value of rank `rank` whose
/// channels are axis 1.
ValueId per_channel(NodeContext& c, ValueId v, int rank) {
  if (rank <= 2) return v;
  require(c.known_rank(v) == 1, "expects one number a channel, got ", c.type(v).str());
  Shape shape = *c.type(v).shape;
  shape.resize(size_t(rank - 1), Dim(1));
  return c.reshape(v, shape);
}

Ints axes_between(int64_t begin, int64_t end) {
  Ints axes;
  for (int64_t a = begin; a < end; ++a) axes.push_back(a);
  return axes;
}

// ---- BatchNormalization ----

/// x * a + b with a = scale / sqrt(variance + epsilon), b = bias - mean * a.
ValueId batch_normalize(NodeContext& c, ValueId mean, ValueId variance) {
  ValueId x = c.in(0);
  DType dtype = c.dtype(x), compute = wide(dtype);
  auto parameter = [&](ValueId v) { return c.cast(v, compute); };
  ValueId a = mul(c, parameter(c.in(1)),
                  inverse_deviation(c, parameter(variance), c.float_attribute("epsilon", 1e-5F)));
  ValueId b = sub(c, parameter(c.in(2)), mul(c, parameter(mean), a));
  int rank = c.known_rank(x);
  ValueId scaled = mul(c, x, per_channel(c, c.cast(a, dtype), rank));
  return add(c, scaled, per_channel(c, c.cast(b, dtype), rank));
}

/// `old` * momentum + `fresh` * (1 - momentum)
ValueId running(NodeContext& c, ValueId old, ValueId fresh, double momentum) {
  DType dtype = c.dtype(old), compute = wide(dtype);
  ValueId kept = mul(c, c.cast(old, compute), c.scalar(momentum, compute));
  ValueId added = mul(c, c.cast(fresh, compute), c.scalar(1 - momentum, compute));
  return c.cast(add(c, kept, added), dtype);
}

void batch_normalization(NodeContext& c, bool training) {
  require(c.int_attribute("spatial", 1) == 1,
          "normalising every activation on its own (spatial = 0) has no equivalent since opset 9");
  if (!training) return c.outputs({batch_normalize(c, c.in(3), c.in(4))});
  int rank = c.known_rank(c.in(0));
  Ints axes = axes_between(2, rank);
  axes.insert(axes.begin(), 0);
  Moments m = moments(c, c.in(0), axes, false);
  double momentum = c.float_attribute("momentum", 0.9F);
  c.outputs({batch_normalize(c, m.mean, m.variance), running(c, c.in(3), m.mean, momentum),
             running(c, c.in(4), m.variance, momentum), c.cast(m.mean, c.dtype(c.in(3))),
             c.cast(m.variance, c.dtype(c.in(4)))});
}
/// Until opset 13 training was meant by naming more outputs.
void import_batch_normalization_legacy(NodeContext& c) {
  batch_normalization(c, c.output_count() > 1);
}
void import_batch_normalization(NodeContext& c) {
  batch_normalization(c, c.int_attribute("training_mode", 0) != 0);
}

// ---- Layer and RMS ----

Ints trailing_axes(NodeContext& c, ValueId x) {
  const int64_t first = c.int_attribute("axis", -1);
  if (c.rank(x) < 0 && first < 0) {
    require(first >= -kMaxRank, "axis ", first, " is out of range");
    return axes_between(first, 0);
  }
  int rank = c.known_rank(x);
  return axes_between(c.axis(first, rank), rank);
}

void import_layer_normalization(NodeContext& c) {
  ValueId x = c.in(0);
  Ints axes = trailing_axes(c, x);
  double epsilon = c.float_attribute("epsilon", 1e-5F);
  ValueId y = mul(c, c.add(Normalize{axes, epsilon, false, {}}, {x}), c.in(1));
  if (c.has(2)) y = add(c, y, c.in(2));
  if (!c.wants(1) && !c.wants(2)) return c.outputs({y});
  Moments m = moments(c, x, axes, true);
  DType stash = DType(c.int_attribute("stash_type", 1));
  require(is_float(stash), "stash_type must be a floating type");
  c.outputs({y, c.cast(m.mean, stash), c.cast(inverse_deviation(c, m.variance, epsilon), stash)});
}

void import_rms_normalization(NodeContext& c) {
  ValueId x = c.in(0), scale = c.in(1);
  double epsilon = c.float_attribute("epsilon", 1e-5F);
  ValueId y = c.add(Normalize{trailing_axes(c, x), epsilon, true, {}}, {x});
  c.outputs({mul(c, c.cast(y, c.dtype(scale)), scale)});
}

// ---- Instance and group ----

void import_instance_normalization(NodeContext& c) {
  ValueId x = c.in(0);
  int rank = c.known_rank(x);
  require(rank >= 3, "expects at least 3 dims, got ", c.type(x).str());
  Normalize op{axes_between(2, rank), c.float_attribute("epsilon", 1e-5F), false, {}};
  ValueId y = mul(c, c.add(op, {x}), per_channel(c, c.in(1), rank));
  c.outputs({add(c, y, per_channel(c, c.in(2), rank))});
}

/// Scale and bias are one a group in opset 18, one a channel since 21.
void group_normalization(NodeContext& c, bool per_group) {
  ValueId x = c.in(0);
  int rank = c.known_rank(x);
  require(rank >= 2, "expects at least 2 dims, got ", c.type(x).str());
  int64_t groups = c.int_attribute("num_groups", 0);
  Shape whole = *c.type(x).shape, grouped = whole;
  require(groups > 0 && (!whole[1].is_constant() || whole[1].value() % groups == 0),
          "num_groups must divide the ", whole[1].str(), " channels, but is ", groups);
  grouped[1] = floor_div(whole[1], groups);
  grouped.insert(grouped.begin() + 1, Dim(groups));
  Normalize op{axes_between(2, rank + 1), c.float_attribute("epsilon", 1e-5F), false, {}};
  ValueId y = c.add(op, {c.reshape(x, grouped)});
  if (!per_group) y = c.reshape(y, whole);
  int parameter_rank = per_group ? rank + 1 : rank;
  y = mul(c, y, per_channel(c, c.in(1), parameter_rank));
  y = add(c, y, per_channel(c, c.in(2), parameter_rank));
  c.outputs({per_group ? c.reshape(y, whole) : y});
}
void import_group_normalization_18(NodeContext& c) { group_normalization(c, true); }
void import_group_normalization(NodeContext& c) { group_normalization(c, false); }

// ---- The others ----

/// x / ‖x‖ along an axis; where the norm is 0, the result is 0.
void import_lp_normalization(NodeContext& c) {
  ValueId x = c.in(0);
  int64_t p = c.int_attribute("p", 2);
  require(p == 1 || p == 2, "p must be 1 or 2, not ", p);
  Reduce op{.kind = p == 1 ? Reduce::Kind::kL1 : Reduce::Kind::kL2,
            .axes = {c.int_attribute("axis", -1)},
            .epilogue = {}};
  ValueId norm = c.add(op, {x});
  ValueId zero = c.scalar(0, c.dtype(x));
  ValueId none = c.binary(BinaryKind::kEqual, norm, zero);
  ValueId divisor = c.add(Select{}, {none, c.scalar(1, c.dtype(x)), norm});
  c.outputs({div(c, x, divisor)});
}

/// (x - mean) / (deviation + 1e-9): an epsilon of 1e-18 under the root is the same where the
/// deviation is 0, and lost in rounding elsewhere.
void import_mean_variance_normalization(NodeContext& c) {
  Ints axes = c.ints_attribute("axes", {0, 2, 3});
  c.outputs({c.add(Normalize{axes, 1e-18, false, {}}, {c.in(0)})});
}

void import_lrn(NodeContext& c) {
  require(c.has_attribute("size"), "attribute 'size' is missing");
  Lrn op{.axis = 1,
         .size = c.int_attribute("size", 1),
         .alpha = c.float_attribute("alpha", 1e-4F),
         .beta = c.float_attribute("beta", 0.75),
         .bias = c.float_attribute("bias", 1)};
  c.outputs({c.add(op, {c.in(0)})});
}

constexpr ImportRow kRows[] = {
    {"", "BatchNormalization", 1, import_batch_normalization_legacy},
    {"", "BatchNormalization", 14, import_batch_normalization},
    {"", "LayerNormalization", 17, import_layer_normalization},
    {"", "RMSNormalization", 23, import_rms_normalization},
    {"", "InstanceNormalization", 1, import_instance_normalization},
    {"", "GroupNormalization", 18, import_group_normalization_18},
    {"", "GroupNormalization", 21, import_group_normalization},
    {"", "LpNormalization", 1, import_lp_normalization},
    {"", "MeanVarianceNormalization", 9, import_mean_variance_normalization},
    {"", "LRN", 1, import_lrn},
};

}  // namespace

std::span<const ImportRow> norm_rows() { return kRows; }

}  // namespace vitrify::onnx
