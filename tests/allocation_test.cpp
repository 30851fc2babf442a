// run() allocates nothing once it has seen a combination of shapes: small models of every family of
// ops with fast kernels, on one thread and on two, with one plan and with two.
#include <gtest/gtest.h>

#include "allocation_cases.h"
#include "builder/builder.h"
#include "compare.h"
#include "malloc_hook.h"
#include "ops/table.h"
#include "runtime/context.h"
#include "runtime/engine_file.h"

namespace vitrify {
namespace {

using namespace allocation_cases;  // NOLINT: a test

/// Other data in every round, and other conditions.
std::vector<Value> inputs_for(const Case& c, int64_t n, int round) {
  std::vector<Value> values;
  for (const CaseInput& i : c.inputs) {
    Dims dims = i.dims;
    for (int64_t& d : dims) d = d == kN ? n : d;
    const double start = is_float(i.dtype)         ? 0.2 * double(n) + 0.1 * round - 0.9
                         : i.dtype == DType::kBool ? double((n / 2 + round) % 2)
                                                   : double(n % 3);
    values.push_back(ramp(i.dtype, dims, start));
  }
  return values;
}

std::vector<Value> outputs_of(const Context& context) {
  std::vector<Value> got;
  for (size_t o = 0; o < context.engine().graph().outputs.size(); ++o)
    got.push_back(context.output(o).tensor.clone());
  return got;
}

/// The names of the engine's steps and their tactics.
std::string steps_of(const Engine& engine) {
  std::string text;
  for (const Step& s : engine.plans()[0].plan.steps)
    text += cat(engine.graph().nodes[size_t(s.node)].op.name(), " on ", s.tactic, "; ");
  return text;
}

/// With one plan, or one for n up to 2 and one for 3.
std::shared_ptr<const Engine> build(const Case& c, const Graph& graph, int profiles) {
  BuildOptions options;
  options.timing = false;
  for (int64_t low = 1; profiles == 2 && low < 4; low += 2) {
    std::vector<InputShapes> profile;
    for (const CaseInput& i : c.inputs) {
      Dims least = i.dims, most = i.dims;
      for (int64_t& d : least) d = d == kN ? low : d;
      for (int64_t& d : most) d = d == kN ? 4 - 2 / low : d;
      profile.push_back({i.name, least, least, most});
    }
    options.profiles.push_back(profile);
  }
  return load_engine(build_graph(graph, options).engine);
}

struct Setting {
  int threads, profiles;
};
class Allocation : public testing::TestWithParam<Setting> {};

void check_case(const Case& c, const Setting& setting) {
  const Graph imported = import_case(c);
  const auto engine = build(c, imported, setting.profiles);
  EXPECT_EQ(engine->reference_steps(), 0) << steps_of(*engine);
  EXPECT_NE(steps_of(*engine).find(c.has_op), std::string::npos);
  Context context(engine, {.max_threads = setting.threads});
  for (int round = 0; round < 3; ++round)
    for (int64_t n : {1, 3, 1}) {
      const std::vector<Value> inputs = inputs_for(c, n, round);
      for (size_t i = 0; i < inputs.size(); ++i) context.set_input(i, inputs[i]).check();
      Status status;
      const int64_t count = malloc_hook::count_during([&] { status = context.run(); });
      ASSERT_TRUE(status.ok) << status.origin << ": " << status.message;
      EXPECT_TRUE(count == 0 || round == 0)
          << count << " for n = " << n << ": " << steps_of(*engine);
      EXPECT_EQ(difference(outputs_of(context), interpret(imported, inputs), 1e-4), "");
    }
}

TEST_P(Allocation, RunsWithout) {
  for (const Case& c : all_cases()) {
    SCOPED_TRACE(c.name);
    try {
      check_case(c, GetParam());
    } catch (const std::exception& e) {
      ADD_FAILURE() << e.what();
    }
  }
}

TEST_P(Allocation, CarriesStatesWithout) {
  const Case c = lstm_with_states();
  const auto engine = build(c, import_case(c), GetParam().profiles);
  Context context(engine, {.max_threads = GetParam().threads});
  for (int64_t n : {1, 3}) {
    context.reset();
    context.set_input(0, inputs_for(c, n, 0)[0]).check();
    for (int run = 0; run < 4; ++run) {
      Status status;
      const int64_t count = malloc_hook::count_during([&] { status = context.run(); });
      status.check();
      EXPECT_TRUE(count == 0 || run == 0) << count << " for n = " << n << " in run " << run;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(All, Allocation,
                         testing::Values(Setting{1, 1}, Setting{2, 1}, Setting{2, 2}));

#if VITRIFY_COUNTS_ALLOCATIONS
TEST(Allocation, IsCounted) {
  EXPECT_EQ(malloc_hook::count_during([] { std::free(std::malloc(10)); }), 1);
  EXPECT_EQ(malloc_hook::count_during([] { Tensor(kF32, {10}); }) > 0, true);
  EXPECT_EQ(malloc_hook::count_during([] {}), 0);
}
#endif

}  // namespace
}  // namespace vitrify
