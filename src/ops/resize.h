// Resampling. Resize works in any layout, along its `axes`; GridSample keeps ONNX's. Formulas:
// ONNX's operator specification and its node tests.
#pragma once

#include "ops/op_info.h"

namespace vitrify {

void infer_resize(InferContext& context);
void reference_resize(ReferenceCall& call);
Cost cost_resize(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs);
std::vector<Sample> samples_resize(uint64_t seed);

/// How one axis is resampled: output j is Σ weights[j][i] · input[first[j] + i], positions clamped
/// to the input; `outside[j]` (empty: never): the extrapolation value instead.
struct ResizeAxis {
  int64_t in = 0, out = 0, taps = 1;
  std::vector<int64_t> first;   ///< one an output
  std::vector<double> weights;  ///< [out][taps]; nearest: none
  std::vector<bool> outside;
};
/// `scale` is output over input before rounding; roi_begin and roi_end are fractions of the extent.
ResizeAxis resize_axis(const Resize& op, int64_t in, int64_t out, double scale, double roi_begin,
                       double roi_end);
/// Every axis of `op.axes` (all of x's when empty), from the inputs of a call.
struct ResizePlan {
  Ints axes;
  std::vector<ResizeAxis> each;  ///< along `axes`
  Dims dims;                     ///< the result's
};
ResizePlan resize_plan(ReferenceCall& call);

void infer_grid_sample(InferContext& context);
void reference_grid_sample(ReferenceCall& call);
Cost cost_grid_sample(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs);
std::vector<Sample> samples_grid_sample(uint64_t seed);

}  // namespace vitrify
