// How many inputs and which attributes an operator has at an opset, by ONNX's operator schemas.
#pragma once

#include <optional>
#include <string_view>

#include "onnx/model.h"

namespace vitrify::onnx {

struct Signature {
  int64_t max_inputs;           ///< -1: any number
  std::string_view attributes;  ///< with a space between, "!" after one that must be given
};

/// Nothing for an operator or version that is not ONNX's.
std::optional<Signature> find_signature(std::string_view domain, std::string_view op,
                                        int64_t opset);
/// User error for a surplus input, and for an attribute that is missing or that the node's operator
/// does not have at `opset`.
void check_signature(const Node& node, int64_t opset);

}  // namespace vitrify::onnx
