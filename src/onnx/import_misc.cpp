// What has no family.
#include "onnx/families.h"
#include "onnx/importer.h"

namespace vitrify::onnx {

std::span<const ImportRow> misc_imports() { return {}; }

}  // namespace vitrify::onnx
