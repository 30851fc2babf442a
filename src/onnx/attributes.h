// Which attributes an operator has at an opset, by ONNX's operator schemas.
#pragma once

#include <optional>
#include <string_view>

#include "onnx/model.h"

namespace vitrify::onnx {

/// The names with a space between; nothing for an operator or version that is not ONNX's.
std::optional<std::string_view> known_attributes(std::string_view domain, std::string_view op,
                                                 int64_t opset);
/// User error for an attribute that the node's operator does not have at `opset`.
void check_attributes(const Node& node, int64_t opset);

}  // namespace vitrify::onnx
