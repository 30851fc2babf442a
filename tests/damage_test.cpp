// Damaged models: whatever is wrong in a file, importing it ends in a graph or a vitrify::Error.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "base/error.h"
#include "node_data.h"
#include "onnx/importer.h"

namespace vitrify::onnx {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Empty when that ends as it should.
std::string import_damaged(const std::string& bytes) {
  try {
    std::vector<ImportProblem> problems;
    Model m = parse_model(std::as_bytes(std::span(bytes)), nullptr, {});
    import_model(m, {}, &problems);
    for (const ImportProblem& p : problems)
      if (p.reason.find("check failed") != std::string::npos) return p.reason;
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::kInternal) return e.what();
  } catch (const std::exception& e) {
    return e.what();
  }
  return {};
}

/// One model of each op (the shortest name stands for the op), in a fixed order.
std::vector<fs::path> models() {
  std::vector<fs::path> all;
  for (const auto& entry : fs::directory_iterator(find_onnx_data() / "node"))
    if (fs::exists(entry.path() / "model.onnx")) all.push_back(entry.path() / "model.onnx");
  std::sort(all.begin(), all.end());
  std::set<std::string> seen;
  std::erase_if(all, [&](const fs::path& p) {
    std::string name = p.parent_path().filename();
    return !seen.insert(name.substr(0, name.find('_', 5))).second;
  });
  return all;
}

TEST(Damage, ImportsOrIsRefused) {
  ASSERT_FALSE(find_onnx_data().empty()) << "needs the onnx package in .venv: run `make env`";
  std::mt19937 random(1);
  int reported = 0;
  for (const fs::path& path : models()) {
    const std::string whole = read_file(path);
    for (int round = 0; round < 60 && reported < 20; ++round) {
      std::string bytes = whole;
      for (int k = 0, n = 1 + round % 3; k < n; ++k) {
        size_t at = random() % bytes.size();
        bytes[at] = char(random() % 4 ? bytes[at] ^ (1 << random() % 8) : random());
      }
      std::string problem = import_damaged(bytes);
      if (problem.empty()) continue;
      ++reported;
      ADD_FAILURE() << path.parent_path().filename() << ", round " << round << ": " << problem;
    }
  }
}

}  // namespace
}  // namespace vitrify::onnx
