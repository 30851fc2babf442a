// Detection: greedy suppression of overlapping boxes. Formula: ONNX's NonMaxSuppression.
#pragma once

#include "ops/op_info.h"

namespace vitrify {

/// boxes [B, N, 4], scores [B, C, N] → i64[n, 3] of (batch, class, box), in order of batch, class
/// and falling score (the lower box first where scores are equal).
void infer_nms(InferContext& context);
void reference_nms(ReferenceCall& call);
std::vector<Sample> samples_nms(uint64_t seed);

}  // namespace vitrify
