// Reductions: Reduce, ArgReduce, Softmax, Cumulative and TopK.
#pragma once

#include "ops/op_info.h"

namespace vitrify {

/// The reduced axes, sorted: `axes` made non-negative; none given means all of them when
/// `empty_means_all`. User error on repeats and axes out of range.
Ints reduced_axes(const Ints& axes, bool empty_means_all, int64_t rank);
/// The extents after a reduction over sorted `axes`.
Shape reduced_shape(const Shape& shape, const Ints& axes, bool keepdims);
Dims reduced_dims(const Dims& dims, const Ints& axes, bool keepdims);

void infer_reduce(InferContext& context);
void infer_arg_reduce(InferContext& context);
void infer_softmax(InferContext& context);
void infer_cumulative(InferContext& context);
void infer_topk(InferContext& context);

void reference_reduce(ReferenceCall& call);
void reference_arg_reduce(ReferenceCall& call);
void reference_softmax(ReferenceCall& call);
void reference_cumulative(ReferenceCall& call);
void reference_topk(ReferenceCall& call);

std::vector<Sample> samples_reduce(uint64_t seed);
std::vector<Sample> samples_arg_reduce(uint64_t seed);
std::vector<Sample> samples_softmax(uint64_t seed);
std::vector<Sample> samples_cumulative(uint64_t seed);
std::vector<Sample> samples_topk(uint64_t seed);

/// A few operations per input element; 4 bytes an element.
Cost cost_reduction(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs);

}  // namespace vitrify
