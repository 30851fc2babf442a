// Convolutions. Conv and ConvTranspose are channels-last: x is [N, spatial…, C], the result
// [N, spatial…, M]; w is [M, C/group, k…], or [C, M/group, k…] for ConvTranspose, with any number
// of spatial axes. DeformConv keeps ONNX's layout. Formulas: ONNX's operator specification.
#pragma once

#include "ops/op_info.h"

namespace vitrify {

/// A result of x and w where the shape of only one (or none) is known: its rank, if any.
Type half_known(InferContext& context, DType dtype);

void infer_conv(InferContext& context);
void reference_conv(ReferenceCall& call);
Cost cost_conv(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs);
std::vector<Sample> samples_conv(uint64_t seed);

void infer_conv_transpose(InferContext& context);
void reference_conv_transpose(ReferenceCall& call);
Cost cost_conv_transpose(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs);
std::vector<Sample> samples_conv_transpose(uint64_t seed);

void infer_deform_conv(InferContext& context);
void reference_deform_conv(ReferenceCall& call);
Cost cost_deform_conv(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs);
std::vector<Sample> samples_deform_conv(uint64_t seed);

}  // namespace vitrify
