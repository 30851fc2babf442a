// Normalisation: Normalize and Lrn.
#pragma once

#include "ops/op_info.h"

namespace vitrify {

void infer_normalize(InferContext& context);
void infer_lrn(InferContext& context);
void reference_normalize(ReferenceCall& call);
void reference_lrn(ReferenceCall& call);
std::vector<Sample> samples_normalize(uint64_t seed);
std::vector<Sample> samples_lrn(uint64_t seed);
Cost cost_normalize(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs);
Cost cost_lrn(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs);

}  // namespace vitrify
