// The knobs that leave out passes and rules by name.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "passes/pipeline.h"
#include "random_graph.h"

namespace vitrify {
namespace {

class Switches : public ::testing::Test {
 protected:
  void TearDown() override {
    ::unsetenv("VITRIFY_DISABLE_PASSES");
    ::unsetenv("VITRIFY_DISABLE_RULES");
  }
  Graph graph = RandomGraph(1).graph;
};

std::vector<std::string> passes_run(const Graph& graph) {
  std::vector<std::string> names;
  PipelineOptions options;
  options.after = [&](std::string_view pass, const Graph&, double) { names.emplace_back(pass); };
  run_pipeline(graph, options);
  return names;
}

std::string problem(const Graph& graph, const PipelineOptions& options = {}) {
  try {
    run_pipeline(graph, options);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kUser);
    return e.message();
  }
  return {};
}

TEST_F(Switches, EachPassByItsName) {
  for (const PassRow& row : pass_table()) {
    ::setenv("VITRIFY_DISABLE_PASSES", std::string(row.name).c_str(), 1);
    const std::vector<std::string> ran = passes_run(graph);
    EXPECT_EQ(ran.size(), pass_table().size()) << row.name;  // "imported" in its stead
    EXPECT_EQ(std::count(ran.begin(), ran.end(), row.name), 0);
  }
}

TEST_F(Switches, ARuleOfTheKnobDoesNotFire) {
  GraphBuilder b = make_builder();
  ValueId x = b.input("x", Type::tensor(DType::kFloat32, {2, 3}));
  b.output("y", b.add(Unary{UnaryKind::kNeg}, {b.add(Unary{UnaryKind::kNeg}, {x})}));
  const Graph twice = b.finish();
  EXPECT_EQ(run_pipeline(twice, {}).nodes.size(), 1u);
  for (const char* name : {"neg(neg(x)) -> x", "neg(neg(x))"}) {
    ::setenv("VITRIFY_DISABLE_RULES", name, 1);
    EXPECT_GT(run_pipeline(twice, {}).nodes.size(), 1u) << name;
  }
}

TEST_F(Switches, UnknownNamesAreErrorsThatListTheNames) {
  ::setenv("VITRIFY_DISABLE_PASSES", "simplify;nonsense", 1);
  EXPECT_NE(problem(graph).find("'nonsense'"), std::string::npos);
  EXPECT_NE(problem(graph).find("fuse_pointwise"), std::string::npos);
  ::unsetenv("VITRIFY_DISABLE_PASSES");
  ::setenv("VITRIFY_DISABLE_RULES", "x / 2", 1);
  EXPECT_NE(problem(graph).find("'x / 2'"), std::string::npos);
  ::unsetenv("VITRIFY_DISABLE_RULES");
  PipelineOptions options;
  options.disabled_passes = {"fuse"};
  EXPECT_NE(problem(graph, options).find("'fuse'"), std::string::npos);
}

}  // namespace
}  // namespace vitrify
