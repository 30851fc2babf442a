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

enum class Known { kValues, kSymbols, kShapes, kRanks, kNothing };

/// Integers as what a model computes of symbolic extents, which the bindings name.
ValueId symbolic(GraphBuilder& b, const Tensor& t, const std::string& name, Bindings& bindings) {
  DimsValue dims;
  for (int64_t i = 0; i < t.size(); ++i) {
    const int64_t v = int_at(t, i);
    const bool extent = v > 0 && v == int32_t(v);
    dims.values.push_back(extent ? Dim::symbol(cat(name, "_", i)) : Dim(v));
    if (extent) bindings[dims.values.back().str()] = v;
  }
  ValueId v = b.add(Reshape{to_shape(t.dims())}, {b.add(std::move(dims), {})});
  return b.add(Cast{t.dtype()}, {v});
}

/// One op as a graph.
struct OneOp {
  Graph graph;
  std::vector<Value> inputs;
  Bindings bindings;

  /// The inputs are typed with as much as `known` says; kValues makes them constants, kSymbols
  /// makes facts of the integers among them.
  OneOp(const Sample& sample, Known known) {
    GraphBuilder b = make_builder();
    std::vector<ValueId> ids;
    for (size_t i = 0; i < sample.inputs.size(); ++i) {
      const Tensor& t = sample.inputs[i];
      const bool integer = t.defined() && t.size() <= 64 &&
                           (t.dtype() == DType::kInt64 || t.dtype() == DType::kInt32);
      if (!t.defined())
        ids.push_back({});
      else if (known == Known::kValues)
        ids.push_back(b.constant(t));
      else if (known == Known::kSymbols && integer)
        ids.push_back(symbolic(b, t, cat("v", i), bindings));
      else
        ids.push_back(input(b, t, known));
    }
    ValueId y = b.add(sample.op, ids, {}, sample.outputs);
    for (int o = 0; o < sample.outputs; ++o) b.output(cat("y", o), {y.node, o});
    graph = b.finish();
  }
  ValueId input(GraphBuilder& b, const Tensor& t, Known known) {
    Type type = t.type();
    const size_t i = inputs.size();
    for (size_t a = 0; known == Known::kRanks && a < type.shape->size(); ++a) {
      const std::string symbol = cat("d", i, "_", a);
      (*type.shape)[a] = Dim::symbol(symbol), bindings[symbol] = t.dims()[a];
    }
    if (known == Known::kNothing) type.shape.reset();
    inputs.emplace_back(t);
    return b.input(cat("x", i), type);
  }
  std::vector<Value> run() const {
    return interpret(graph, inputs, bindings, [](int32_t, std::span<const Value>) {});
  }
  /// What shape rules say of small integer results is what the kernels make.
  void check_facts(const std::vector<Value>& results) const {
    for (size_t o = 0; o < results.size(); ++o) {
      const Fact& fact = graph.fact(graph.outputs[o].value);
      if (!fact) continue;
      const Tensor& made = results[o].tensor;
      ASSERT_EQ(int64_t(fact->size()), made.size());
      for (size_t i = 0; i < fact->size(); ++i)
        EXPECT_EQ(value_of((*fact)[i]), int_at(made, int64_t(i)))
            << "element " << i << ": " << (*fact)[i].str();
    }
  }
  int64_t value_of(const Dim& d) const {
    return d.eval([&](const std::string& symbol) { return bindings.at(symbol); });
  }
};

void check_cost(const OpInfo& info, const Sample& sample, const std::vector<Value>& results) {
  std::vector<Dims> in, out;
  for (const Tensor& t : sample.inputs) in.push_back(t.dims());
  for (const Value& v : results) out.push_back(v.tensor.dims());
  Cost cost = info.cost(sample.op, in, out);
  EXPECT_GE(cost.flops, 0);
  EXPECT_GE(cost.bytes, 0);
}

/// The body's steps as ops; only bodies of one result can be split.
void check_split(const Graph& graph, const Sample& sample, const std::vector<Value>& inputs,
                 const std::vector<Value>& fused) {
  const Body* body = sample.op.body();
  if (!body || body->empty() || body->results().size() > 1) return;
  Graph split = split_nodes(graph, [](const Node&) { return true; });
  bool half = bit_width(sample.inputs[0].dtype()) == 16;  // split rounds between the steps
  EXPECT_EQ(difference(interpret(split, inputs), fused, half ? 2e-2 : 1e-6, half ? 1 : 0), "");
}

void check_sample(const OpInfo& info, const Sample& sample) {
  const OneOp one(sample, Known::kShapes);
  const std::vector<Value> results = one.run();
  for (Known known : {Known::kValues, Known::kSymbols, Known::kRanks, Known::kNothing}) {
    const OneOp other(sample, known);
    const std::vector<Value> again = other.run();
    EXPECT_EQ(info.pure ? difference(again, results, 0) : "", "") << "known: " << int(known);
    other.check_facts(again);
  }
  if (info.cost) check_cost(info, sample, results);
  check_split(one.graph, sample, one.inputs, results);
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
  constexpr Known kKnown[] = {Known::kValues, Known::kSymbols, Known::kRanks, Known::kNothing};
  SampleRandom random(GetParam());
  for (uint64_t round = 0; round < 20; ++round) {
    for (Sample sample : info.samples(2 + round)) {
      SCOPED_TRACE(cat(info.name, " round ", round, ": ", sample.op.label()));
      for (Tensor& t : sample.inputs)
        if (t.defined() && random.integer(0, 1) == 0)
          t = random_tensor(random, t.dtype(), changed_shape(random, t.dims()), -9, 9);
      try {
        const OneOp one(sample, kKnown[random.integer(0, 3)]);
        one.check_facts(one.run());
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
