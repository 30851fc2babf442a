// The rows of the normalisation ops, part of the reduce family.
#pragma once

#include <span>

#include "onnx/importer.h"

namespace vitrify::onnx {
std::span<const ImportRow> norm_rows();
}  // namespace vitrify::onnx
