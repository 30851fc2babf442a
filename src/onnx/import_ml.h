// Shared by the importers of ai.onnx.ml.
#pragma once

#include <span>
#include <string_view>

#include "onnx/importer.h"

namespace vitrify::onnx {

constexpr std::string_view kMlDomain = "ai.onnx.ml";

/// The attribute `post_transform` applied to f32 scores [N, targets].
ValueId post_transform(NodeContext& c, ValueId scores);
/// Constants of numbers.
Tensor doubles_tensor(const std::vector<double>& values);
Tensor floats_tensor(const std::vector<double>& values);
/// The class labels that a classifier's attributes name (one of the two), rank 1.
Tensor class_labels(NodeContext& c, std::string_view ints_name);
/// labels[index] for an index tensor.
ValueId pick_labels(NodeContext& c, Tensor labels, ValueId index);

std::span<const ImportRow> linear_rows();  // import_linear.cpp
std::span<const ImportRow> svm_rows();     // import_svm.cpp
std::span<const ImportRow> tree_rows();    // import_tree.cpp

}  // namespace vitrify::onnx
