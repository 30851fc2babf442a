// An installed tree: find_package(vitrify) from a small outside project, which runs an engine with
// the runtime library alone.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "model_bytes.h"

namespace {

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Package, WorksFromOutside) {
  std::string name = testing::TempDir() + "/vitrify_package_XXXXXX";
  const std::string folder = mkdtemp(name.data());
  auto must = [&](const std::string& command) {
    const int status = std::system((command + " >" + folder + "/log 2>&1 </dev/null").c_str());
    ASSERT_EQ(status, 0) << command << "\n" << read(folder + "/log");
  };
  const std::string prefix = folder + "/prefix", engine = folder + "/m.engine";
  model_bytes::write_file(folder + "/m.onnx", model_bytes::to_bytes(model_bytes::small_model()));
  must("cmake --install " VITRIFY_BUILD_DIR " --prefix " + prefix);
  must(prefix + "/bin/vitrify build " + folder + "/m.onnx -o " + engine + " --no-timing");
  must("cmake -S " VITRIFY_SOURCE_DIR "/tests/consumer -B " + folder +
       "/build -DCMAKE_BUILD_TYPE=Release \"-DCMAKE_CXX_FLAGS=" VITRIFY_TEST_FLAGS
       "\" \"-DCMAKE_C_FLAGS=" VITRIFY_TEST_FLAGS "\" -DCMAKE_PREFIX_PATH=" +
       prefix);
  must("cmake --build " + folder + "/build");
  must(folder + "/build/consumer " + engine);
  EXPECT_EQ(read(folder + "/log"), "2 6 3 -1 -2 0 ");
  must(folder + "/build/consumer_c " + engine);
  EXPECT_EQ(read(folder + "/log"), "2 6 3");
  must("ldd " + folder + "/build/consumer");
  EXPECT_NE(read(folder + "/log").find("libvitrify_runtime.so"), std::string::npos);
  EXPECT_EQ(read(folder + "/log").find("libvitrify.so"), std::string::npos);
  // An operator of the host's own: built into an engine by one process, run by another.
  model_bytes::Model custom = model_bytes::small_model();
  custom.nodes.push_back({"Prefix", {"x"}, {"sums"}, "example.ops", {{"start", 5}}});
  custom.nodes.push_back({"Neg", {"sums"}, {"less"}});
  custom.outputs = {{"less", model_bytes::kFloat, {"m", "3"}}};
  model_bytes::write_file(folder + "/custom.onnx", model_bytes::to_bytes(custom));
  must(folder + "/build/custom_op_build " + folder + "/custom.onnx " + folder + "/custom.engine");
  must(folder + "/build/custom_op_run " + folder + "/custom.engine");
  EXPECT_EQ(read(folder + "/log"), "-5 -5 -5 -6 -7 -8 -16 -27 -38 \n");
  must("ldd " + folder + "/build/custom_op_run");
  EXPECT_EQ(read(folder + "/log").find("libvitrify.so"), std::string::npos);
  // A program without the operator says what it lacks.
  EXPECT_NE(std::system((folder + "/build/consumer " + folder + "/custom.engine 2>" + folder +
                         "/log >/dev/null")
                            .c_str()),
            0);
  EXPECT_NE(read(folder + "/log").find("example.ops.Prefix is not registered"), std::string::npos)
      << read(folder + "/log");
  // Nothing but the interface is visible (libraries with sanitizers in them keep their symbols).
  const bool plain = std::string(VITRIFY_TEST_FLAGS).empty();
  for (const char* library : {"/lib/libvitrify.so", "/lib/libvitrify_runtime.so"}) {
    must("nm -D --defined-only --format=posix " + prefix + library);
    std::istringstream symbols(read(folder + "/log"));
    int count = 0;
    for (std::string line; std::getline(symbols, line); ++count)
      EXPECT_TRUE(!plain || line.rfind("vitrify_", 0) == 0) << line;
    EXPECT_GT(count, 50);
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
