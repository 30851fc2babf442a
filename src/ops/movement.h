// Data movement that keeps every element: rows of the op table. Each op has a shape rule, a
// reference kernel and sample cases; all share one cost, the bytes that they move.
#pragma once

#include "ops/op_info.h"

namespace vitrify {

void infer_transpose(InferContext&);
void infer_reshape(InferContext&);
void infer_expand(InferContext&);
void infer_squeeze(InferContext&);
void infer_unsqueeze(InferContext&);
void infer_concat(InferContext&);
void infer_slice(InferContext&);
void infer_slice_dynamic(InferContext&);
void infer_pad(InferContext&);
void infer_tile(InferContext&);

void reference_transpose(ReferenceCall&);
void reference_reshape(ReferenceCall&);
void reference_expand(ReferenceCall&);
void reference_squeeze(ReferenceCall&);
void reference_unsqueeze(ReferenceCall&);
void reference_concat(ReferenceCall&);
void reference_slice(ReferenceCall&);
void reference_slice_dynamic(ReferenceCall&);
void reference_pad(ReferenceCall&);
void reference_tile(ReferenceCall&);

std::vector<Sample> samples_transpose(uint64_t seed);
std::vector<Sample> samples_reshape(uint64_t seed);
std::vector<Sample> samples_expand(uint64_t seed);
std::vector<Sample> samples_squeeze(uint64_t seed);
std::vector<Sample> samples_unsqueeze(uint64_t seed);
std::vector<Sample> samples_concat(uint64_t seed);
std::vector<Sample> samples_slice(uint64_t seed);
std::vector<Sample> samples_slice_dynamic(uint64_t seed);
std::vector<Sample> samples_pad(uint64_t seed);
std::vector<Sample> samples_tile(uint64_t seed);

/// Every result element read once and written once, 4 bytes each: types are not known here.
Cost cost_movement(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs);

}  // namespace vitrify
