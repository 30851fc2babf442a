// Constant, If, Loop and Scan.
#include "onnx/families.h"
#include "onnx/import_constant.h"
#include "onnx/importer.h"

namespace vitrify::onnx {

namespace {
constexpr ImportRow kRows[] = {
    {"", "Constant", 1, import_constant},
};
}  // namespace

std::span<const ImportRow> control_imports() { return kRows; }

}  // namespace vitrify::onnx
