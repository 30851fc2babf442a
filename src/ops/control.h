// Control flow: rows of the op table. Bodies are closed graphs that bind their own symbols from
// their inputs; the reference interprets them.
#pragma once

#include "ops/op_info.h"

namespace vitrify {

void infer_if(InferContext&);
void infer_loop(InferContext&);
void infer_scan(InferContext&);
void infer_region(InferContext&);

void reference_if(ReferenceCall&);
void reference_loop(ReferenceCall&);
void reference_scan(ReferenceCall&);
void reference_region(ReferenceCall&);

// Of regions: region.cpp.
std::vector<Sample> samples_region(uint64_t seed);
/// The flops of all nodes; the bytes of the region's inputs and outputs alone.
Cost cost_region(const Op&, std::span<const Dims> inputs, std::span<const Dims> outputs);

}  // namespace vitrify
