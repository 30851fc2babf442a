// Gather and scatter: rows of the op table. Indices come from models: every one is checked against
// its extent, and negative ones count from the end.
#pragma once

#include "ops/op_info.h"

namespace vitrify {

void infer_gather(InferContext&);
void infer_gather_elements(InferContext&);
void infer_gather_nd(InferContext&);
void infer_scatter_elements(InferContext&);
void infer_scatter_nd(InferContext&);

void reference_gather(ReferenceCall&);
void reference_gather_elements(ReferenceCall&);
void reference_gather_nd(ReferenceCall&);
void reference_scatter_elements(ReferenceCall&);
void reference_scatter_nd(ReferenceCall&);

std::vector<Sample> samples_gather(uint64_t seed);
std::vector<Sample> samples_gather_elements(uint64_t seed);
std::vector<Sample> samples_gather_nd(uint64_t seed);
std::vector<Sample> samples_scatter_elements(uint64_t seed);
std::vector<Sample> samples_scatter_nd(uint64_t seed);

}  // namespace vitrify
