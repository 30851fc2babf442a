// Ops that make tensors out of shapes, indices and conditions: rows of the op table.
#pragma once

#include "ops/op_info.h"

namespace vitrify {

void infer_dims_value(InferContext&);
void infer_shape_of(InferContext&);
void infer_size_of(InferContext&);
void infer_range(InferContext&);
void infer_eye_like(InferContext&);
void infer_one_hot(InferContext&);
void infer_trilu(InferContext&);
void infer_nonzero(InferContext&);
void infer_compress(InferContext&);
void infer_unique(InferContext&);
void infer_reverse_sequence(InferContext&);

void reference_dims_value(ReferenceCall&);
void reference_shape_of(ReferenceCall&);
void reference_size_of(ReferenceCall&);
void reference_range(ReferenceCall&);
void reference_eye_like(ReferenceCall&);
void reference_one_hot(ReferenceCall&);
void reference_trilu(ReferenceCall&);
void reference_nonzero(ReferenceCall&);
void reference_compress(ReferenceCall&);
void reference_unique(ReferenceCall&);
void reference_reverse_sequence(ReferenceCall&);

std::vector<Sample> samples_dims_value(uint64_t seed);
std::vector<Sample> samples_shape_of(uint64_t seed);
std::vector<Sample> samples_size_of(uint64_t seed);
std::vector<Sample> samples_range(uint64_t seed);
std::vector<Sample> samples_eye_like(uint64_t seed);
std::vector<Sample> samples_one_hot(uint64_t seed);
std::vector<Sample> samples_trilu(uint64_t seed);
std::vector<Sample> samples_nonzero(uint64_t seed);
std::vector<Sample> samples_compress(uint64_t seed);
std::vector<Sample> samples_unique(uint64_t seed);
std::vector<Sample> samples_reverse_sequence(uint64_t seed);

}  // namespace vitrify
