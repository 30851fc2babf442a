// Taking dense tensors apart along an axis and putting them together, for every element type
// (strings and packed ones too). What sequences and scans share.
#pragma once

#include <span>

#include "ir/tensor.h"

namespace vitrify {

/// t[…, begin : begin + count, …] along `axis`; user error when out of range.
Tensor slice_axis(const Tensor& t, int64_t axis, int64_t begin, int64_t count);
/// The concatenation along `axis`; user error when types or other extents differ, or there are
/// none.
Tensor concat_axis(std::span<const Tensor> parts, int64_t axis);
/// The sub-tensor at `index` of `axis`, which it then lacks.
Tensor take_axis(const Tensor& t, int64_t axis, int64_t index);
/// The parts side by side along a new axis.
Tensor stack_axis(std::span<const Tensor> parts, int64_t axis);

}  // namespace vitrify
