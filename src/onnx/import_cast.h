// The rows of casts, choices and clips, part of the pointwise family.
#pragma once

#include <span>

#include "onnx/importer.h"

namespace vitrify::onnx {
std::span<const ImportRow> cast_rows();
}  // namespace vitrify::onnx
