// Pooling. Pool is channels-last, [N, spatial…, C], with any number of spatial axes; MaxPoolIndices
// and MaxUnpool keep ONNX's layout. Formulas: ONNX's operator specification. NaN wins a maximum.
#pragma once

#include "ops/op_info.h"

namespace vitrify {

void infer_pool(InferContext& context);
void reference_pool(ReferenceCall& call);
Cost cost_pool(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs);
std::vector<Sample> samples_pool(uint64_t seed);

void infer_max_pool_indices(InferContext& context);
void reference_max_pool_indices(ReferenceCall& call);
std::vector<Sample> samples_max_pool_indices(uint64_t seed);

void infer_max_unpool(InferContext& context);
void reference_max_unpool(ReferenceCall& call);
std::vector<Sample> samples_max_unpool(uint64_t seed);

}  // namespace vitrify
