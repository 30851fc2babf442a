// Each pass alone and the whole pipeline against the interpreter on random graphs; planted wrong
// passes must be caught.
#include <gtest/gtest.h>

#include "compare.h"
#include "passes/pipeline.h"
#include "random_graph.h"

namespace vitrify {
namespace {

constexpr int kGraphs = 2000;
constexpr double kTolerance = 1e-3;

using Transform = std::function<Graph(const Graph&)>;

/// The first disagreement over `count` graphs, or "".
std::string first_difference(const Transform& transform, int count, uint64_t seed0,
                             size_t* nodes = nullptr) {
  for (int i = 0; i < count; ++i) {
    RandomGraph random(seed0 + uint64_t(i));
    std::vector<Value> expected;
    try {
      expected = interpret(random.graph, random.inputs);
    } catch (const Error& e) {
      if (e.kind() == ErrorKind::kInternal) throw;
      continue;  // a guard between symbolic extents that these inputs break
    }
    Graph after = transform(random.graph);
    if (nodes) *nodes += random.graph.nodes.size();
    std::string d = difference(interpret(after, random.inputs), expected, kTolerance, 0.1);
    if (!d.empty())
      return cat("graph ", seed0 + uint64_t(i), ": ", d, "\n", print(random.graph), "became\n",
                 print(after));
  }
  return {};
}

TEST(Passes, PipelineKeepsResults) {
  size_t nodes = 0;
  EXPECT_EQ(
      first_difference([](const Graph& g) { return run_pipeline(g, {}); }, kGraphs, 1, &nodes), "");
  EXPECT_GE(nodes, size_t(kGraphs) * 20);
}

TEST(Passes, EachAloneKeepsResults) {
  for (const PassRow& row : pass_table()) {
    auto alone = [&](const Graph& g) { return row.run(g, {.pass = std::string(row.name)}); };
    EXPECT_EQ(first_difference(alone, kGraphs, 100000), "") << row.name;
  }
}

TEST(Passes, SplittingKeepsResults) {
  auto split = [](const Graph& g) {
    return split_nodes(run_pipeline(g, {}), [](const Node&) { return true; });
  };
  EXPECT_EQ(first_difference(split, kGraphs / 4, 200000), "");
}

/// Rewrites every node with `change`, which may return another op.
Graph with_changed_ops(const Graph& g, const std::function<void(Op&)>& change) {
  return rewrite_graph(
      g, make_builder(&g), [&](GraphBuilder& b, int32_t n, std::map<ValueId, ValueId>& map) {
        Node copy = g.nodes[size_t(n)];
        if (copy.op.is<Constant>()) return copy_node(b, g, n, map);
        change(copy.op);
        std::vector<ValueId> inputs;
        for (ValueId v : copy.inputs) inputs.push_back(v.valid() ? map.at(v) : ValueId{});
        map[{n, 0}] = b.add(copy.op, inputs, copy.origins, int(copy.types.size()), &copy);
      });
}

/// An extent that only a run tells keeps the node that tells it alive, even when nothing else of it
/// is used.
TEST(Passes, DataDependentExtentsStayComputed) {
  GraphBuilder b = make_builder();
  ValueId x = b.input("x", Type::tensor(DType::kFloat32, {Dim::symbol("n")}));
  ValueId shape = b.add(ShapeOf{}, {b.add(NonZero{}, {x})});
  b.output("ones", b.add(Expand{}, {b.constant(Tensor::scalar(1.f)), shape}));
  Graph after = run_pipeline(b.finish(), {});
  Tensor input = Tensor::of<float>(DType::kFloat32, {4}, {1, 0, 2, 3});
  EXPECT_EQ(interpret(after, {input})[0].tensor.dims(), (Dims{1, 3}));
}

TEST(Passes, WrongOnesAreCaught) {
  std::pair<const char*, std::function<void(Op&)>> wrong[] = {
      {"relu becomes abs",
       [](Op& o) {
         if (auto* u = o.as<Unary>(); u && u->kind == UnaryKind::kRelu) u->kind = UnaryKind::kAbs;
       }},
      {"softmax over another axis",
       [](Op& o) {
         if (auto* s = o.as<Softmax>(); s && s->axis > 0) --s->axis;
       }},
      {"average pool counts the padding the other way",
       [](Op& o) {
         if (auto* p = o.as<Pool>(); p && p->kind == Pool::Kind::kAverage)
           p->count_include_pad ^= true;
       }},
      {"sub becomes add",
       [](Op& o) {
         if (auto* b = o.as<Binary>(); b && b->kind == BinaryKind::kSub) b->kind = BinaryKind::kAdd;
       }},
      {"max becomes mean",
       [](Op& o) {
         if (auto* r = o.as<Reduce>(); r && r->kind == Reduce::Kind::kMax)
           r->kind = Reduce::Kind::kMean;
       }},
      {"slices begin one too early",
       [](Op& o) {
         if (auto* s = o.as<Slice>(); s && Dim(0) < s->begins[0]) s->begins[0] = s->begins[0] - 1;
       }},
  };
  for (const auto& [name, change] : wrong)
    EXPECT_NE(first_difference([&](const Graph& g) { return with_changed_ops(g, change); }, 200, 1),
              "")
        << name;
}

}  // namespace
}  // namespace vitrify
