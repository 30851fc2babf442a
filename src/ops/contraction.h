// Matrix products and Einstein sums. MatMul has numpy's semantics: 1-D operands are a row (a) or a
// column (b) that the result then lacks; leading axes broadcast. Sums are held in double.
#pragma once

#include <string>
#include <vector>

#include "ops/op_info.h"

namespace vitrify {

void infer_matmul(InferContext& context);
void reference_matmul(ReferenceCall& call);
Cost cost_matmul(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs);
std::vector<Sample> samples_matmul(uint64_t seed);

/// An equation over operands of known ranks: every axis has a label, 0 … labels - 1. The axes of an
/// ellipsis have labels of their own.
struct EinsumLabels {
  std::vector<std::vector<int>> inputs;  ///< a label an axis
  std::vector<int> output;
  int labels = 0;
};
/// User error on bad syntax and on ranks that do not fit it.
EinsumLabels parse_einsum(const std::string& equation, const std::vector<int>& ranks);

void infer_einsum(InferContext& context);
void reference_einsum(ReferenceCall& call);
Cost cost_einsum(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs);
std::vector<Sample> samples_einsum(uint64_t seed);

}  // namespace vitrify
