// Attributes of sliding windows, for importers of convolution and pooling.
#pragma once

#include "onnx/importer.h"

namespace vitrify::onnx {

/// kernel_shape (or `kernel` when absent), strides, dilations, pads, auto_pad and ceil_mode over
/// `axes` spatial axes. User error on lists of the wrong length.
Window window_of(const NodeContext& context, size_t axes, Ints kernel);
/// The number of spatial axes of a channels-first value; where its rank is unknown that of `w`
/// (weights [M, C, k…], or no value) or of the window's attributes. Refuses when nothing tells it.
size_t spatial_axes(const NodeContext& context, ValueId x, ValueId w = {});
/// The kernel's extents in convolution weights, or nothing while they are not known.
Ints weight_kernel(const NodeContext& context, ValueId w);

}  // namespace vitrify::onnx
