// Tactics of quantize and dequantize with a scale for the tensor or for each index of an axis:
// bodies over the operands.
#include "backend/cpu/families.h"
#include "backend/cpu/pointwise_step.h"
#include "backend/cpu/tactic_parts.h"
#include "base/error.h"

namespace vitrify::cpu {

namespace {

/// Integers that floats hold exactly, sums of two of them too.
bool is_short(DType d) {
  return d == DType::kUint8 || d == DType::kInt8 || d == DType::kUint16 || d == DType::kInt16;
}

class Steps {
 public:
  explicit Steps(int32_t inputs) { body_.inputs = inputs; }
  int32_t binary(BinaryKind kind, int32_t a, int32_t b) {
    BodyStep s{.code = BodyStep::Code::kBinary, .binary = kind, .dtype = DType::kFloat32};
    s.args[0] = a, s.args[1] = b;
    return add(s);
  }
  int32_t round(int32_t a) {
    BodyStep s{.unary = UnaryKind::kRound, .dtype = DType::kFloat32};
    s.args[0] = a;
    return add(s);
  }
  int32_t cast(int32_t a, DType to) {
    BodyStep s{.code = BodyStep::Code::kCast, .dtype = to};
    s.args[0] = a;
    return add(s);
  }
  Body take() { return std::move(body_); }

 private:
  int32_t add(const BodyStep& s) {
    body_.steps.push_back(s);
    return body_.inputs + int32_t(body_.steps.size()) - 1;
  }
  Body body_;
};

/// (x, scale, zero?) → saturate(round(x / scale) + zero)
Body quantize_body(bool has_zero, DType to) {
  Steps s(has_zero ? 3 : 2);
  int32_t v = s.round(s.binary(BinaryKind::kDiv, 0, 1));
  if (has_zero) v = s.binary(BinaryKind::kAdd, v, s.cast(2, DType::kFloat32));
  s.cast(v, to);
  return s.take();
}
/// (x, scale, zero?) → (x - zero) · scale
Body dequantize_body(bool has_zero) {
  Steps s(has_zero ? 3 : 2);
  int32_t v = s.cast(0, DType::kFloat32);
  if (has_zero) v = s.binary(BinaryKind::kSub, v, s.cast(2, DType::kFloat32));
  s.binary(BinaryKind::kMul, v, 1);
  return s.take();
}

bool has_zero(std::span<const Type> inputs) { return inputs.size() > 2 && inputs[2].is_tensor(); }

int64_t axis_field(const Op& op) {
  return op.is<Quantize>() ? op.as<Quantize>()->axis : op.as<Dequantize>()->axis;
}
int64_t block_field(const Op& op) {
  return op.is<Quantize>() ? op.as<Quantize>()->block_size : op.as<Dequantize>()->block_size;
}

Refusal check_scales(const NodeView& n) {
  if (Refusal r = check_ranks(n, kMaxLoopRank); !r.empty()) return r;
  if (block_field(n.op) > 0) return "scales come in blocks";
  if (n.inputs[1].dtype != DType::kFloat32) return "the scale is not f32";
  return {};
}

Refusal quantize_supports(const NodeView& n) {
  const DType precision = n.op.as<Quantize>()->precision;
  if (precision != DType::kUndefined && precision != DType::kFloat32)
    return cat("it rounds to ", name(precision));
  if (n.inputs[0].dtype != DType::kFloat32) return "x is not f32";
  if (!is_short(n.outputs[0].dtype)) return cat("no quantisation to ", name(n.outputs[0].dtype));
  return check_scales(n);
}

Refusal dequantize_supports(const NodeView& n) {
  const DType from = n.inputs[0].dtype;
  if (!is_short(from) && (from != DType::kInt32 || has_zero(n.inputs)))
    return cat("no dequantisation of ", name(from));
  if (n.outputs[0].dtype != DType::kFloat32) return "the result is not f32";
  return check_scales(n);
}

/// A scale or zero point as it broadcasts to x.
Extents along_axis(const Extents& given, const Dims& x, int64_t axis) {
  if (element_count(given.dims) == 1) return {{1}, {1}};
  const size_t a = axis_of(axis, x.size());
  require(given.dims == Dims{x[a]}, "scale or zero_point of shape ", str(given.dims),
          " does not fit ", str(x), " along axis ", axis);
  Dims dims(x.size() - a, 1), strides(x.size() - a, 1);
  dims[0] = x[a];
  return {dims, strides};
}

TacticState bind(const TacticState& isa, const BoundNode& n) {
  const bool zero = has_zero(n.input_types);
  const DType to = n.output_types[0].dtype;
  const Body body = n.op.is<Quantize>() ? quantize_body(zero, to) : dequantize_body(zero);
  std::vector<Extents> operands{n.inputs[0]};
  std::vector<DType> types;
  for (size_t i = 0; i < (zero ? 3u : 2u); ++i) {
    types.push_back(n.input_types[i].dtype);
    if (i > 0) operands.push_back(along_axis(n.inputs[i], n.inputs[0].dims, axis_field(n.op)));
  }
  return bind_body(isa_of(isa), body, operands, types, n.outputs, {&to, 1});
}

const Tactic kRows[] = {
    {.name = "cpu.quantize",
     .op = Quantize::kName,
     .supports = quantize_supports,
     .configs = isa_configs,
     .load = load_isa,
     .bind = bind,
     .run = run_bound_body,
     .strided_inputs = 1,
     .strided_outputs = 1},
    {.name = "cpu.dequantize",
     .op = Dequantize::kName,
     .supports = dequantize_supports,
     .configs = isa_configs,
     .load = load_isa,
     .bind = bind,
     .run = run_bound_body,
     .strided_inputs = 1,
     .strided_outputs = 1},
};

}  // namespace

std::span<const Tactic> quantize_tactics() { return kRows; }

}  // namespace vitrify::cpu
