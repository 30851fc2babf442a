// Single elements of convolutions and products, epilogue included, straight from the definition.
#pragma once

#include <span>
#include <vector>

#include "ir/graph.h"

namespace vitrify {

/// False for a transposed convolution whose padding follows from its output's extents.
bool can_sample_contraction(const Op& op);

/// Elements `positions` (flat) of every output of a Conv, ConvTranspose or MatMul of tensors;
/// `dims` are the output's extents. One tensor of rank 1 an output. Sums are held in double.
std::vector<Tensor> sample_contraction(const Node& node, std::span<const Value> inputs,
                                       const Dims& dims, std::span<const int64_t> positions);

}  // namespace vitrify
