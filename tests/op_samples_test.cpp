// Every sample of the op table: types, symbolic shape rules and facts hold for what the reference
// makes, costs can be told, an epilogue does what its steps do as ops of their own, and inputs that
// do not fit are refused.
#include <gtest/gtest.h>

#include "base/error.h"
#include "compare.h"
#include "ops/interpreter.h"
#include "ops/samples.h"
#include "ops/table.h"
#include "passes/pipeline.h"

namespace vitrify {
namespace {

enum class Known { kValues, kShapes, kRanks, kNothing };

/// One op as a graph, its inputs typed with as much as `known` says: constants when it is all.
Graph graph_of(const Sample& sample, Known known) {
  GraphBuilder b = make_builder();
  std::vector<ValueId> inputs;
  for (size_t i = 0; i < sample.inputs.size(); ++i) {
    if (!sample.inputs[i].defined()) {
      inputs.push_back({});
      continue;
    }
    if (known == Known::kValues) {
      inputs.push_back(b.constant(sample.inputs[i]));
      continue;
    }
    Type type = sample.inputs[i].type();
    for (size_t a = 0; known == Known::kRanks && a < type.shape->size(); ++a)
      (*type.shape)[a] = Dim::symbol(cat("d", i, "_", a));
    if (known == Known::kNothing) type.shape.reset();
    inputs.push_back(b.input(cat("x", i), type));
  }
  ValueId y = b.add(sample.op, inputs, {}, sample.outputs);
  for (int o = 0; o < sample.outputs; ++o) b.output(cat("y", o), {y.node, o});
  return b.finish();
}

std::vector<Value> run(const Graph& graph, const Sample& sample) {
  std::vector<Value> values;
  for (const Tensor& t : sample.inputs)
    if (t.defined() && !graph.inputs.empty()) values.emplace_back(t);
  return interpret(graph, values);
}

/// What shape rules say of small integer results is what the kernels make.
void check_facts(const Graph& graph, const std::vector<Value>& results) {
  for (size_t o = 0; o < results.size(); ++o) {
    const Fact& fact = graph.fact(graph.outputs[o].value);
    if (!fact) continue;
    const Tensor& made = results[o].tensor;
    ASSERT_EQ(int64_t(fact->size()), made.size());
    for (size_t i = 0; i < fact->size(); ++i) {
      if (!(*fact)[i].is_constant()) continue;
      EXPECT_EQ((*fact)[i].value(), int64_t(double_at(made, int64_t(i)))) << "element " << i;
    }
  }
}

void check_cost(const OpInfo& info, const Sample& sample, const std::vector<Value>& results) {
  std::vector<Dims> in, out;
  for (const Tensor& t : sample.inputs) in.push_back(t.dims());
  for (const Value& v : results) out.push_back(v.tensor.dims());
  Cost cost = info.cost(sample.op, in, out);
  EXPECT_GE(cost.flops, 0);
  EXPECT_GE(cost.bytes, 0);
}

/// The body's steps as ops; only bodies of one result can be split.
void check_split(const Graph& graph, const Sample& sample, const std::vector<Value>& fused) {
  const Body* body = sample.op.body();
  if (!body || body->empty() || body->results().size() > 1) return;
  Graph split = split_nodes(graph, [](const Node&) { return true; });
  bool half = bit_width(sample.inputs[0].dtype()) == 16;  // split rounds between the steps
  EXPECT_EQ(difference(run(split, sample), fused, half ? 2e-2 : 1e-6, half ? 1 : 0), "");
}

void check_sample(const OpInfo& info, const Sample& sample) {
  Graph graph = graph_of(sample, Known::kShapes);
  std::vector<Value> results = run(graph, sample);
  for (Known known : {Known::kValues, Known::kRanks, Known::kNothing}) {
    Graph other = graph_of(sample, known);
    std::vector<Value> again = run(other, sample);
    EXPECT_EQ(info.pure ? difference(again, results, 0) : "", "") << "known: " << int(known);
    check_facts(other, again);
  }
  if (info.cost) check_cost(info, sample, results);
  check_split(graph, sample, results);
}

class OpSamples : public testing::TestWithParam<size_t> {};

const OpInfo* row(size_t index) {
  try {
    return &op_info(index);
  } catch (const Error&) {
    return nullptr;
  }
}

TEST_P(OpSamples, Hold) {
  const OpInfo& info = *row(GetParam());
  int number = 0;
  for (const Sample& sample : info.samples(1)) {
    SCOPED_TRACE(cat(info.name, " sample ", number++, ": ", sample.op.label()));
    EXPECT_NO_THROW(check_sample(info, sample));
    if (HasFailure()) return;
  }
  EXPECT_GT(number, 0);
}

/// The dims with one axis more, one less, or one of another extent.
Dims changed_shape(SampleRandom& random, Dims dims) {
  int64_t axis = random.integer(0, std::max<int64_t>(int64_t(dims.size()) - 1, 0));
  switch (random.integer(0, 3)) {
    case 0:
      dims.insert(dims.begin() + axis, random.integer(0, 2));
      break;
    case 1:
      if (!dims.empty()) dims.erase(dims.begin() + axis);
      break;
    default:
      if (!dims.empty()) dims[size_t(axis)] = random.integer(0, 5);
  }
  return dims;
}

/// Wrong shapes and wild integers, seen by the shape rules or hidden from them, end in a result or
/// a user error.
TEST_P(OpSamples, RefuseWhatDoesNotFit) {
  const OpInfo& info = *row(GetParam());
  constexpr Known kKnown[] = {Known::kValues, Known::kRanks, Known::kNothing};
  SampleRandom random(GetParam());
  for (uint64_t round = 0; round < 20; ++round) {
    for (Sample sample : info.samples(2 + round)) {
      SCOPED_TRACE(cat(info.name, " round ", round, ": ", sample.op.label()));
      for (Tensor& t : sample.inputs)
        if (t.defined() && random.integer(0, 1) == 0)
          t = random_tensor(random, t.dtype(), changed_shape(random, t.dims()), -9, 9);
      try {
        Graph graph = graph_of(sample, kKnown[random.integer(0, 2)]);
        check_facts(graph, run(graph, sample));
      } catch (const Error& e) {
        EXPECT_NE(e.kind(), ErrorKind::kInternal) << e.what();
      }
    }
  }
}

std::vector<size_t> with_samples() {
  std::vector<size_t> indices;
  for (size_t i = 0; i < op_count(); ++i)
    if (row(i) && row(i)->samples) indices.push_back(i);
  return indices;
}

INSTANTIATE_TEST_SUITE_P(Table, OpSamples, testing::ValuesIn(with_samples()),
                         [](const auto& info) { return std::string(row(info.param)->name); });

}  // namespace
}  // namespace vitrify
