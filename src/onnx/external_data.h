// Tensors stored in files of their own beside the model. Such a file cannot lie outside the model's
// folder: no absolute path, no "..", no symbolic or hard link, regular files only.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "onnx/model.h"

namespace vitrify::onnx {

struct ExternalBytes {
  std::span<const std::byte> bytes;
  bool whole_file = false;  ///< the entry gives no length: bytes run to the file's end
  std::string location;
  std::shared_ptr<const void> owner;  ///< keeps the mapping
};

/// Throws a user error naming the tensor, the file and what to do.
ExternalBytes find_external(const TensorProto& tensor, const std::string& model_path);

}  // namespace vitrify::onnx
