// Where ONNX's own test cases lie in the project's Python environment.
#pragma once

#include <filesystem>

namespace vitrify {

/// <environment>/lib/python3*/site-packages/onnx/backend/test/data, or "" where the environment or
/// the cases in it are missing.
inline std::filesystem::path find_onnx_data() {
  namespace fs = std::filesystem;
  std::error_code ignored;
  for (const auto& python : fs::directory_iterator(".venv/lib", ignored)) {
    fs::path data = python.path() / "site-packages/onnx/backend/test/data";
    if (fs::is_directory(data / "node")) return data;
  }
  return {};
}

}  // namespace vitrify
