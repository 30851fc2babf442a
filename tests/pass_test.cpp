// Each pass alone and the whole pipeline against the interpreter on random graphs; planted wrong
// passes must be caught.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

#include "compare.h"
#include "passes/pipeline.h"
#include "random_graph.h"

namespace vitrify {
namespace {

constexpr int kGraphs = 2000;
constexpr double kTolerance = 1e-3;

using Transform = std::function<Graph(const Graph&)>;

/// Now and then some inputs hold what is no ordinary number. Infinities of both signs make sums
/// that a pass may order otherwise (merged convolutions): such results are compared where finite.
bool add_specials(RandomGraph& random, uint64_t seed) {
  std::mt19937_64 r(seed * 77 + 1);
  if (r() % 8) return false;
  static constexpr float kSpecial[] = {NAN, INFINITY, -INFINITY, -0.0f};
  for (Value& v : random.inputs) {
    Tensor t = v.tensor.clone();
    if (t.size() && t.dtype() == DType::kFloat32)
      t.data<float>()[r() % uint64_t(t.size())] = kSpecial[r() % 4];
    v = t;
  }
  return true;
}

/// Takes out of `actual` what is not finite in `expected`.
std::vector<Value> where_finite(std::vector<Value> values, const std::vector<Value>& expected) {
  for (size_t i = 0; i < values.size() && i < expected.size(); ++i) {
    const Tensor& e = expected[i].tensor;
    if (values[i].tensor.dtype() != e.dtype() || values[i].tensor.dims() != e.dims()) continue;
    Tensor t = values[i].tensor.clone();
    for (int64_t k = 0; k < t.size(); ++k)
      if (is_float(t.dtype()) && !std::isfinite(double_at(e, k))) set_double(t, k, 0);
    values[i] = t;
  }
  return values;
}

struct Coverage {
  int graphs = 0, skipped = 0, special = 0;
  size_t fewest_nodes = SIZE_MAX;
};

/// The first disagreement over `count` graphs, or "". Only graphs whose guards between symbolic
/// extents these inputs break are skipped, and counted.
std::string first_difference(const Transform& transform, int count, uint64_t seed0,
                             Coverage* coverage = nullptr) {
  Coverage unused;
  Coverage& c = coverage ? *coverage : unused;
  for (int i = 0; i < count; ++i) {
    RandomGraph random(seed0 + uint64_t(i));
    const bool special = add_specials(random, seed0 + uint64_t(i));
    ++c.graphs;
    c.special += special;
    c.fewest_nodes = std::min(c.fewest_nodes, random.graph.nodes.size());
    std::vector<Value> expected;
    try {
      expected = interpret(random.graph, random.inputs);
    } catch (const Error& e) {
      if (e.message().find("give inputs that fit") == std::string::npos) throw;
      ++c.skipped;
      continue;
    }
    Graph after = transform(random.graph);
    std::vector<Value> actual = interpret(after, random.inputs);
    if (special) {
      actual = where_finite(std::move(actual), expected);
      expected = where_finite(expected, expected);
    }
    std::string d = difference(actual, expected, kTolerance, 0.1);
    if (!d.empty())
      return cat("graph ", seed0 + uint64_t(i), ": ", d, "\n", print(random.graph), "became\n",
                 print(after));
  }
  return {};
}

void check(const Transform& transform, int count, uint64_t seed0, std::string_view name) {
  Coverage c;
  EXPECT_EQ(first_difference(transform, count, seed0, &c), "") << name;
  EXPECT_GE(c.fewest_nodes, 20u) << name;
  EXPECT_LE(c.skipped * 12, c.graphs) << name;
  EXPECT_GE(c.special * 16, c.graphs) << name;
}

TEST(Passes, PipelineKeepsResults) {
  check([](const Graph& g) { return run_pipeline(g, {}); }, kGraphs, 1, "pipeline");
}

TEST(Passes, EachAloneKeepsResults) {
  for (const PassRow& row : pass_table())
    check([&](const Graph& g) { return row.run(g, {.pass = std::string(row.name)}); }, kGraphs,
          100000, row.name);
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

// ---- Faults of the kind that passes have ----

/// Runs `pass` and changes what it made: the nodes that the graph did not have before.
Graph with_fault(const Graph& g, Graph (*pass)(const Graph&, const PassContext&),
                 const std::function<void(Op&)>& change) {
  std::set<uint64_t> old;
  for (const Node& n : g.nodes) old.insert(n.op.hash());
  Graph after = pass(g, {.pass = "faulty"});
  return with_changed_ops(after, [&](Op& op) {
    if (!old.count(op.hash())) change(op);
  });
}

/// relu(transpose(x)) -> transpose(relu(x)) with the inverse permutation.
Graph push_with_inverse(const Graph& g, const PassContext&) {
  return rewrite_graph(
      g, make_builder(&g), [&](GraphBuilder& b, int32_t n, std::map<ValueId, ValueId>& map) {
        copy_node(b, g, n, map);
        const Node node = b.node(map.at({n, 0}));
        if (!node.op.is<Unary>()) return;
        const Node from = b.node(node.inputs[0]);
        auto* t = from.op.as<Transpose>();
        if (!t) return;
        Ints inverse(t->permutation.size());
        for (size_t i = 0; i < inverse.size(); ++i) inverse[size_t(t->permutation[i])] = int64_t(i);
        ValueId moved = b.add(Transpose{inverse}, {b.add(node.op, {from.inputs[0]})});
        if (b.type(moved) == node.types[0]) map[{n, 0}] = moved;
      });
}

/// Two slices in a row become one that forgets where the inner one began.
Graph merge_slices_wrongly(const Graph& g, const PassContext&) {
  return rewrite_graph(g, make_builder(&g),
                       [&](GraphBuilder& b, int32_t n, std::map<ValueId, ValueId>& map) {
                         copy_node(b, g, n, map);
                         const Node outer = b.node(map.at({n, 0}));
                         if (!outer.op.is<Slice>()) return;
                         const Node inner = b.node(outer.inputs[0]);
                         auto* s = inner.op.as<Slice>();
                         if (!s || s->axes != outer.op.as<Slice>()->axes) return;
                         map[{n, 0}] = b.add(outer.op, {inner.inputs[0]});
                       });
}

/// A bias that a fold forgets: conv + constant -> conv.
Graph drop_bias(const Graph& g, const PassContext&) {
  return rewrite_graph(
      g, make_builder(&g), [&](GraphBuilder& b, int32_t n, std::map<ValueId, ValueId>& map) {
        copy_node(b, g, n, map);
        const Node node = b.node(map.at({n, 0}));
        auto* add = node.op.as<Binary>();
        if (!add || add->kind != BinaryKind::kAdd || !b.constant_of(node.inputs[1])) return;
        if (b.node(node.inputs[0]).op.is<Conv>()) map[{n, 0}] = node.inputs[0];
      });
}

/// A concat of two siblings that merging puts together the other way round.
Graph swap_halves(const Graph& g, const PassContext&) {
  return rewrite_graph(g, make_builder(&g),
                       [&](GraphBuilder& b, int32_t n, std::map<ValueId, ValueId>& map) {
                         copy_node(b, g, n, map);
                         const Node node = b.node(map.at({n, 0}));
                         if (!node.op.is<Concat>() || node.inputs.size() != 2) return;
                         ValueId swapped = b.add(node.op, {node.inputs[1], node.inputs[0]});
                         if (b.type(swapped) == node.types[0]) map[{n, 0}] = swapped;
                       });
}

TEST(Passes, FaultsOfPassesAreCaught) {
  const PassRow faulty[] = {
      {"a transpose pushed with the inverse permutation", push_with_inverse, ""},
      {"a slice at the wrong offset", merge_slices_wrongly, ""},
      {"siblings merged with swapped halves", swap_halves, ""},
      {"a bias dropped", drop_bias, ""},
  };
  for (const PassRow& row : faulty)
    EXPECT_NE(first_difference([&](const Graph& g) { return row.run(g, {}); }, 400, 1), "")
        << row.name;
}

/// What the real passes make, off by one field.
TEST(Passes, FaultsInWhatPassesMakeAreCaught) {
  auto reduced_axis = [](Op& op) {
    if (auto* r = op.as<Reduce>(); r && !r->axes.empty() && r->axes[0] > 0) --r->axes[0];
  };
  EXPECT_NE(
      first_difference([&](const Graph& g) { return with_fault(g, push_transposes, reduced_axis); },
                       400, 1),
      "");
}

}  // namespace
}  // namespace vitrify
