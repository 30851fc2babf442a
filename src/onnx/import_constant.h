// The Constant operator, in all its attribute forms.
#pragma once

#include "onnx/importer.h"

namespace vitrify::onnx {

void import_constant(NodeContext& c);

}  // namespace vitrify::onnx
