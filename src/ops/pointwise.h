// Pointwise ops: Unary, Binary, Select, Cast, BitCast and Pointwise.
#pragma once

#include "ops/op_info.h"

namespace vitrify {

void infer_unary(InferContext& context);
void infer_binary(InferContext& context);
void infer_select(InferContext& context);
void infer_cast(InferContext& context);
void infer_bitcast(InferContext& context);
void infer_pointwise(InferContext& context);

void reference_unary(ReferenceCall& call);
void reference_binary(ReferenceCall& call);
void reference_select(ReferenceCall& call);
void reference_cast(ReferenceCall& call);
void reference_bitcast(ReferenceCall& call);
void reference_pointwise(ReferenceCall& call);

std::vector<Sample> samples_unary(uint64_t seed);
std::vector<Sample> samples_binary(uint64_t seed);
std::vector<Sample> samples_select(uint64_t seed);
std::vector<Sample> samples_cast(uint64_t seed);
std::vector<Sample> samples_bitcast(uint64_t seed);
std::vector<Sample> samples_pointwise(uint64_t seed);

/// Operations per result element by kind of step; 4 bytes an element.
Cost cost_pointwise(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs);

}  // namespace vitrify
