// Random graphs through builder, engine file, loader and context, against the interpreter.
#include <gtest/gtest.h>

#include "builder/builder.h"
#include "compare.h"
#include "random_graph.h"
#include "runtime/context.h"
#include "runtime/engine_file.h"

namespace vitrify {
namespace {

std::vector<Value> run(Context& context, const std::vector<Value>& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) context.set_input(i, inputs[i]).check();
  context.run().check();
  std::vector<Value> outputs;
  for (size_t o = 0; o < context.engine().graph().outputs.size(); ++o)
    outputs.push_back(context.output(o));
  return outputs;
}

std::string check(RandomGraph& random, bool passes) {
  BuildOptions options;
  options.timing = false;
  options.passes.enabled = passes;
  Context context(load_engine(build_graph(random.graph, options).engine));
  for (int round = 0; round < 3; ++round) {
    const std::vector<Value> inputs = round == 1 ? random.more_inputs() : random.inputs;
    std::vector<Value> expected;
    try {
      expected = interpret(random.graph, inputs);
    } catch (const Error& e) {
      if (e.kind() == ErrorKind::kInternal) throw;
      return "";  // a guard between symbolic extents that these inputs break
    }
    const std::string d = difference(run(context, inputs), expected, 2e-3, 0.1);
    if (!d.empty()) return cat("round ", round, ": ", d);
  }
  const Binding& binding = *context.binding();
  if (double(binding.arena_bytes) > 1.02 * double(binding.arena_lower_bound))
    return cat("arena of ", binding.arena_bytes, " bytes, lower bound ", binding.arena_lower_bound);
  return "";
}

class EngineFuzz : public testing::TestWithParam<bool> {};

TEST_P(EngineFuzz, AgreesWithTheInterpreter) {
  for (uint64_t seed = 0; seed < 250; ++seed) {
    RandomGraph random(seed);
    ASSERT_EQ(check(random, GetParam()), "") << "seed " << seed << "\n" << print(random.graph);
  }
}

INSTANTIATE_TEST_SUITE_P(Passes, EngineFuzz, testing::Bool());

}  // namespace
}  // namespace vitrify
