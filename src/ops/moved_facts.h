// Values of small integer tensors known before a run: how data movement carries them along.
#pragma once

#include "ops/op_info.h"

namespace vitrify {

constexpr int64_t kMaxFactElements = 1024;

/// The fact of output 0, which has `type`, of an op that only moves elements of the inputs
/// `moved`: the reference kernel runs on their positions. None unless those have facts, the other
/// inputs and the op's extents are plain numbers, and the result is a small i32 or i64 tensor.
/// Facts of tensors of rank above 1 list the elements in row-major order.
Fact moved_fact(const InferContext& context, const Type& type, void (*reference)(ReferenceCall&),
                std::initializer_list<int> moved);
/// The same for an op whose inputs are all moved (Concat).
Fact moved_fact_of_all(const InferContext& context, const Type& type,
                       void (*reference)(ReferenceCall&));

/// Bounds of a Dim when every symbol may be any extent ≥ 0.
Interval any_bounds(const Dim& d);
/// min and max that fold when the bounds decide.
Dim lesser(const Dim& a, const Dim& b);
Dim greater(const Dim& a, const Dim& b);
/// One extent out of two that must be equal: the constant one if there is one. User error when both
/// are constant and differ.
Dim unify(const Dim& a, const Dim& b, std::string_view what);

/// The result shape of ONNX's Reshape when `target` is known: 0 copies (unless allow_zero), -1 is
/// computed. None when the rank of x is needed and unknown.
std::optional<Shape> reshape_target(const Shape* x, const std::vector<Dim>& target,
                                    bool allow_zero);
/// x[start:end:step] by ONNX's rules over an axis of `extent`.
struct SliceRange {
  Dim begin, size;
};
SliceRange slice_range(const Dim& extent, Dim start, Dim end, int64_t step);

}  // namespace vitrify
