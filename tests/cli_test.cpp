// The command line's contract: exit statuses, JSON on stdout, messages that say what to do.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "model_bytes.h"

namespace {

using namespace model_bytes;  // NOLINT: a test
using Json = nlohmann::json;

struct Result {
  int status = -1;
  std::string out, err;
  Json json() const { return Json::parse(out); }
};

class Cli : public testing::Test {
 protected:
  Cli() {
    std::string name = testing::TempDir() + "/vitrify_cli_XXXXXX";
    folder_ = mkdtemp(name.data());
    write_file(at("m.onnx"), to_bytes(small_model()));
  }
  ~Cli() override { std::filesystem::remove_all(folder_); }
  std::string at(const std::string& name) const { return (folder_ / name).string(); }
  static std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  /// Runs the command; %% stands for the test's folder.
  Result call(std::string words) const {
    for (size_t i; (i = words.find("%%")) != std::string::npos;)
      words.replace(i, 2, folder_.string());
    const std::string command = std::string(VITRIFY_CLI) + " " + words + " >" + at("out") + " 2>" +
                                at("err") + " </dev/null";
    const int raw = std::system(command.c_str());
    return {WIFEXITED(raw) ? WEXITSTATUS(raw) : 1000 + raw, read(at("out")), read(at("err"))};
  }
  void refuses(const std::string& words, const std::string& part) const {
    const Result r = call(words);
    EXPECT_EQ(r.status, 1) << words << "\n" << r.err;
    EXPECT_EQ(r.out, "") << words;
    EXPECT_NE(r.err.find(part), std::string::npos) << words << "\n" << r.err;
  }
  /// A float32 .npy file of version 1.
  void write_npy(const std::string& name, const std::string& shape,
                 const std::vector<float>& values) const {
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + "), }";
    header.resize(117, ' ');
    header += '\n';
    std::string bytes("\x93NUMPY\x01\x00", 8);
    bytes += char(header.size());
    bytes += '\0';
    bytes += header;
    bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * 4);
    write_file(at(name), bytes);
  }
  std::filesystem::path folder_;
};

TEST_F(Cli, BuildsRunsBenchesAndInspects) {
  Result r =
      call("build %%/m.onnx -o %%/m.engine --profile x=1x3:2x3:4x3 --explain %%/why.json --json");
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_TRUE(r.json().contains("build_s"));
  EXPECT_TRUE(Json::parse(read(at("why.json"))).contains("decisions"));
  write_npy("x.npy", "2, 3", {1, 2, 3, -1, -2, -3});
  for (const char* file : {"m.engine", "m.onnx"}) {
    r = call("run %%/" + std::string(file) + " --input x=%%/x.npy --output-dir %%/out_dir --json");
    ASSERT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(r.json()["outputs"][0]["shape"], Json({2, 3}));
    const std::string written = read(at("out_dir/y.npy"));
    const std::array<float, 6> want = {2, 6, 3, -1, -2, 0};
    ASSERT_GT(written.size(), sizeof want);
    EXPECT_EQ(std::memcmp(written.data() + written.size() - sizeof want, want.data(), sizeof want),
              0);
  }
  r = call("bench %%/m.engine --shape x=3x3 --iterations 5 --warmup 1 --layers --json");
  ASSERT_EQ(r.status, 0) << r.err;
  const Json bench = r.json();
  for (const char* key : {"min", "mean", "median", "p90", "p95", "p99", "max"})
    EXPECT_GT(bench["latency_ms"][key].get<double>(), 0) << key;
  for (const char* key : {"throughput_per_s", "build_s", "load_ms", "arena_bytes",
                          "arena_lower_bound_bytes", "weight_bytes", "reference_steps"})
    EXPECT_TRUE(bench[key].is_number()) << key;
  for (const char* key : {"name", "origin", "tactic", "ms", "gflops", "gbytes_per_s"})
    EXPECT_TRUE(bench["layers"][0].contains(key)) << key;
  r = call("inspect %%/m.engine --json");
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(r.json()["inputs"][0]["name"], "x");
  EXPECT_EQ(r.json()["profiles"][0][0]["max"], Json({4, 3}));
  EXPECT_FALSE(r.json()["steps"].empty());
  r = call("inspect %%/m.onnx --json");
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(r.json()["ops"].size(), 3u);
  EXPECT_EQ(call("inspect %%/m.onnx").status, 0);
  r = call("inspect %%/m.onnx --graph imported");
  EXPECT_EQ(r.status, 0);
  EXPECT_NE(r.out.find("matmul"), std::string::npos) << r.out;
  r = call("ops --json");
  EXPECT_EQ(r.status, 0);
  EXPECT_FALSE(r.json()["operators"].empty());
}

TEST_F(Cli, HelpsAndSaysNothingOnStdoutWithoutJson) {
  for (const char* command : {"", "build", "run", "bench", "inspect", "ops"})
    EXPECT_EQ(call(std::string(command) + " --help").status, 0) << command;
  const Result r = call("build %%/m.onnx -o %%/m.engine");
  EXPECT_EQ(r.status, 0);
  EXPECT_EQ(r.out, "");
  EXPECT_EQ(r.err.find('\r'), std::string::npos) << "a progress bar off a terminal";
}

TEST_F(Cli, TwoBuildsAreIdentical) {
  std::filesystem::create_directories(at("elsewhere"));
  std::filesystem::copy(at("m.onnx"), at("elsewhere/n.onnx"));
  ASSERT_EQ(call("build %%/m.onnx -o %%/a.engine --no-timing").status, 0);
  ASSERT_EQ(call("build %%/elsewhere/n.onnx -o %%/elsewhere/b.engine --no-timing").status, 0);
  EXPECT_EQ(read(at("a.engine")), read(at("elsewhere/b.engine")));
}

TEST_F(Cli, AnswersBadInput) {
  ASSERT_EQ(call("build %%/m.onnx -o %%/m.engine --profile x=1x3:2x3:4x3").status, 0);
  write_npy("x.npy", "5, 3", std::vector<float>(15));
  write_npy("wide.npy", "1, 4", std::vector<float>(4));
  write_file(at("empty.onnx"), "");
  write_file(at("noise.onnx"), std::string(1000, '\x7f'));
  write_file(at("short.engine"), read(at("m.engine")).substr(0, 5000));
  write_file(at("short.onnx"), to_bytes(small_model()).substr(0, 60));
  write_file(at("bad.npy"), "no array");
  refuses("build %%/absent.onnx -o %%/e", "absent.onnx");
  refuses("build %%/empty.onnx -o %%/e", "empty");
  refuses("build %%/noise.onnx -o %%/e", "noise.onnx");
  refuses("build %%/short.onnx -o %%/e", "short.onnx");
  refuses("build %%/m.onnx -o /no/such/folder/e", "/no/such/folder");
  refuses("build %%/m.onnx -o %%/e --profile x=1x3:2x3", "MIN:OPT:MAX");
  refuses("build %%/m.onnx -o %%/e --profile x=1xq:2x3:3x3", "1xq");
  refuses("build %%/m.onnx -o %%/e --profile x=4x3:2x3:1x3", "min <= opt <= max");
  refuses("build %%/m.onnx -o %%/e --profile z=1x3:1x3:1x3", "'z'");
  refuses("build %%/m.onnx -o %%/e --profile x=1x4:1x4:1x4", "fixed");
  refuses("run %%/short.engine --shape x=1x3", "truncated");
  refuses("run %%/m.engine --shape x=9x3", "profile");
  refuses("run %%/m.engine --input x=%%/x.npy", "profile");
  refuses("run %%/m.engine --input x=%%/wide.npy", "extent 4");
  refuses("run %%/m.engine --input x=%%/bad.npy", "bad.npy");
  refuses("run %%/m.engine --input x=%%/absent.npy", "absent.npy");
  refuses("run %%/m.engine --input q=%%/x.npy", "there is no input 'q': the model has x");
  refuses("run %%/m.engine --input w=%%/x.npy", "'w' is an initializer of the model");
  refuses("run %%/m.engine", "--shape x=");
  refuses("bench %%/m.engine --shape x=1x3 --iterations 0", "--iterations");
  refuses("inspect %%/m.onnx --graph nothing", "nothing");
  refuses("run %%/m.engine --shape x=1x3 --no-passes", "--no-passes");
  refuses("inspect %%/m.engine --profile x=1x3", "--profile");
  refuses("frobnicate", "");
  refuses("", "");
  EXPECT_FALSE(std::filesystem::exists(at("e")));
  for (const auto& entry : std::filesystem::directory_iterator(folder_))
    EXPECT_NE(entry.path().filename().string().rfind("e.", 0), 0u) << entry.path();
}

TEST_F(Cli, KeepsStatesBetweenRuns) {
  Model m;
  m.inputs = {{"x", kFloat, {"2"}}, {"sum", kFloat, {"2"}}};
  m.outputs = {{"next", kFloat, {"2"}}};
  m.nodes = {{"Add", {"sum", "x"}, {"next"}}};
  write_file(at("sum.onnx"), to_bytes(m));
  write_npy("x.npy", "2,", {1, 2});
  Result r = call("build %%/sum.onnx -o %%/sum.engine --state sum=next");
  ASSERT_EQ(r.status, 0) << r.err;
  for (const char* words : {"sum.engine --verify lazy", "sum.onnx --state sum=next"}) {
    r = call("run %%/" + std::string(words) + " --input x=%%/x.npy --repeat 3 --output-dir %%/o");
    ASSERT_EQ(r.status, 0) << r.err;
    const std::string written = read(at("o/next.npy"));
    const std::array<float, 2> want = {3, 6};
    ASSERT_GT(written.size(), sizeof want);
    EXPECT_EQ(std::memcmp(written.data() + written.size() - sizeof want, want.data(), sizeof want),
              0);
  }
  r = call("inspect %%/sum.engine");
  EXPECT_NE(r.out.find("state sum = next"), std::string::npos) << r.out;
  EXPECT_EQ(call("inspect %%/sum.engine --json").json()["states"][0]["input"], "sum");
  refuses("build %%/sum.onnx -o %%/e --state sum", "--state sum");
  refuses("build %%/sum.onnx -o %%/e --state q=next", "'q'");
  refuses("build %%/sum.onnx -o %%/e --state sum=q", "'q'");
  refuses("run %%/sum.engine --verify some --input x=%%/x.npy", "--verify: write full or lazy");
  refuses("run %%/sum.engine --repeat 0 --input x=%%/x.npy", "--repeat");
}

TEST_F(Cli, TellsAsMuchAsIsAsked) {
  const std::vector<std::string> signs = {"vitrify: model '", "vitrify: pass simplify",
                                          "vitrify: matmul (", "vitrify: step 0: "};
  for (size_t level = 0; level <= signs.size(); ++level) {
    ::setenv("VITRIFY_VERBOSE", std::to_string(level).c_str(), 1);
    const Result r = call("run %%/m.onnx --shape x=2x3 --json");
    ::unsetenv("VITRIFY_VERBOSE");
    ASSERT_EQ(r.status, 0) << r.err;
    EXPECT_TRUE(r.json().contains("outputs"));
    for (size_t s = 0; s < signs.size(); ++s)
      EXPECT_EQ(r.err.find(signs[s]) != std::string::npos, s < level) << level << "\n" << r.err;
  }
}

TEST_F(Cli, ListsWhatIsNotSupported) {
  Model m = small_model();
  m.nodes.push_back({"Frob", {"y"}, {"f"}});
  m.nodes.push_back({"Nicate", {"f"}, {"g"}, "my.ops"});
  m.outputs = {{"g", kFloat, {"n", "3"}}};
  write_file(at("odd.onnx"), to_bytes(m));
  refuses("build %%/odd.onnx -o %%/e", "Frob");
  const Result r = call("inspect %%/odd.onnx --json");
  ASSERT_EQ(r.status, 0) << r.err;
  const Json found = r.json()["unsupported"];
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0]["op"], "Frob");
  EXPECT_EQ(found[0]["opset"], 17);
  EXPECT_NE(found[0]["reason"], "");
}

}  // namespace
