// Nodes of operators that the host program has registered.
#pragma once

#include "onnx/importer.h"

namespace vitrify::onnx {

/// False when no such operator is registered.
bool import_custom(NodeContext& c);

}  // namespace vitrify::onnx
