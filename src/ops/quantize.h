// Quantisation. Formulas: ONNX's QuantizeLinear and DequantizeLinear: y = saturate(round(x / scale)
// + zero_point), ties to even; x = (y - zero_point) * scale. Division and product are in fp32, or
// in the op's `precision`.
#pragma once

#include "ops/op_info.h"

namespace vitrify {

void infer_quantize(InferContext& context);
void reference_quantize(ReferenceCall& call);
std::vector<Sample> samples_quantize(uint64_t seed);

void infer_dequantize(InferContext& context);
void reference_dequantize(ReferenceCall& call);
std::vector<Sample> samples_dequantize(uint64_t seed);

Cost cost_quantize(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs);

/// Inclusive range of an integer type of up to 32 bits; user error for others.
struct IntegerRange {
  int64_t low, high;
};
IntegerRange integer_range(DType dtype);

}  // namespace vitrify
