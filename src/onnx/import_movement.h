// Importers of data movement; their rows are in import_movement.cpp. Each takes the static form of
// its op when shapes and parameters are known in symbols, and the form with inputs otherwise.
#pragma once

#include "onnx/importer.h"

namespace vitrify::onnx {

/// Whether an op on `x` may have `dims` among its attributes. A symbol that only a run gives a
/// value
/// ("?7") is allowed when x's own extents depend on it: then whatever gives the value stays alive
/// and runs first.
bool may_use_dims(const NodeContext& c, ValueId x, const std::vector<Dim>& dims);
/// The known elements of an optional small integer input, or nothing.
Fact known_dims(const NodeContext& c, ValueId v);
/// Elements [begin, end) of one axis, step 1; x itself when these are all.
ValueId slice_axis(NodeContext& c, ValueId x, int64_t axis, const Dim& begin, const Dim& end);

void import_reshape_1(NodeContext& context);
void import_reshape(NodeContext& context);
void import_flatten(NodeContext& context);
void import_squeeze(NodeContext& context);
void import_unsqueeze(NodeContext& context);
void import_expand(NodeContext& context);
void import_constant_of_shape(NodeContext& context);

void import_slice_1(NodeContext& context);
void import_slice(NodeContext& context);
void import_split_1(NodeContext& context);
void import_split(NodeContext& context);
void import_pad_1(NodeContext& context);
void import_pad(NodeContext& context);

}  // namespace vitrify::onnx
