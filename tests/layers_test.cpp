// Lower layers never include higher ones: reads the #include lines of the sources.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

namespace {

namespace fs = std::filesystem;

/// What each folder may include besides itself; "api" stands for everything below include/.
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"base", {}},
    {"ir", {"base"}},
    {"ops", {"base", "ir"}},
    {"onnx", {"base", "ir", "ops"}},
    {"rewrite", {"base", "ir", "ops"}},
    {"backend", {"base", "ir", "ops"}},
    {"passes", {"base", "ir", "ops", "rewrite"}},
    {"runtime", {"base", "ir", "ops", "backend"}},
    {"builder", {"base", "ir", "ops", "onnx", "rewrite", "backend", "passes", "runtime"}},
    {"api", {"base", "ir", "ops", "onnx", "rewrite", "backend", "passes", "runtime", "builder", "vitrify"}},
};

/// The first folder of a quoted include, or "".
std::string included_folder(const std::string& line) {
  const std::string start = "#include \"";
  if (line.rfind(start, 0) != 0) return {};
  std::string path = line.substr(start.size(), line.find('"', start.size()) - start.size());
  size_t slash = path.find('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

TEST(Layers, LowerNeverIncludesHigher) {
  int files = 0;
  for (const auto& [folder, allowed] : kMayInclude) {
    ASSERT_TRUE(fs::exists("src/" + folder)) << "run from the repository's root";
    for (const auto& entry : fs::recursive_directory_iterator("src/" + folder)) {
      std::string extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp") continue;
      ++files;
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) {
        std::string target = included_folder(line);
        if (target.empty() || target == folder || target == "hwy") continue;
        EXPECT_TRUE(allowed.count(target)) << entry.path() << " includes " << line;
      }
    }
  }
  EXPECT_GT(files, 100);
}

TEST(Layers, TheCommandLineUsesOnlyThePublicInterface) {
  for (const auto& entry : fs::directory_iterator("cli")) {
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      std::string target = included_folder(line);
      EXPECT_TRUE(target.empty() || target == "vitrify") << entry.path() << " includes " << line;
    }
  }
}

TEST(Layers, EnvironmentIsReadOnlyThroughKnobs) {
  for (const auto& entry : fs::recursive_directory_iterator("src")) {
    if (!entry.is_regular_file() || entry.path().filename() == "knobs.cpp") continue;
    std::ifstream in(entry.path());
    std::string text((std::istreambuf_iterator<char>(in)), {});
    EXPECT_EQ(text.find("getenv("), std::string::npos) << entry.path();
  }
}

}  // namespace
