// Scaled dot-product attention: a row of the op table.
#pragma once

#include "ops/op_info.h"

namespace vitrify {

void infer_attention(InferContext&);
/// A causal mask lets query i see keys 0 … i. A row whose keys are all masked gives NaN, as softmax
/// of -infinities does.
void reference_attention(ReferenceCall&);
std::vector<Sample> samples_attention(uint64_t seed);
Cost cost_attention(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs);

}  // namespace vitrify
