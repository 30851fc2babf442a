// Classical machine learning and text ops: hand-checked results, and tables that must be refused.
#include "ops/classic.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "ops/interpreter.h"
#include "ops/table.h"

namespace vitrify {
namespace {

/// Runs an op whose inputs behind the first are constants, as importers make them.
std::vector<Value> run(const Op& op, const std::vector<Tensor>& inputs, int outputs = 1) {
  GraphBuilder b = make_builder();
  std::vector<ValueId> ids{b.input("x", inputs[0].type())};
  for (size_t i = 1; i < inputs.size(); ++i) ids.push_back(b.constant(inputs[i]));
  ValueId y = b.add(op, ids, {}, outputs);
  for (int o = 0; o < outputs; ++o) b.output(cat("y", o), {y.node, o});
  return interpret(b.finish(), {inputs[0]});
}

template <class T>
std::vector<T> items(const Value& v) {
  return {v.tensor.data<T>(), v.tensor.data<T>() + v.tensor.size()};
}
Tensor doubles(const std::vector<double>& v) {
  return Tensor::of(DType::kFloat64, {int64_t(v.size())}, v);
}
Tensor floats(Dims dims, const std::vector<float>& v) {
  return Tensor::of(DType::kFloat32, std::move(dims), v);
}

/// x[0] <= 1 ? (x[1] in {3, 4} ? 10 : 20) : 30 on target 1.
struct Tree {
  std::vector<int64_t> nodes = {0, 0, 1, 2, 1, 0, 6, 1, 3, 4, 0, 0, 7, 0, 2,
                                3, 0, 0, 7, 0, 0, 1, 0, 0, 7, 0, 1, 2, 0, 0};
  std::vector<int64_t> roots = {0}, targets = {1, 1, 1};
  int64_t n_targets = 2;

  std::vector<float> scores(const std::vector<float>& x) const {
    Op op = make_classic("tree_ensemble", {{"n_targets", n_targets}, {"aggregate", "SUM"}});
    return items<float>(
        run(op, {floats({int64_t(x.size()) / 2, 2}, x), Tensor::ints(nodes).reshaped({5, 6}),
                 doubles({1, 0, 0, 0, 0}), Tensor::ints(roots), Tensor::ints(targets),
                 doubles({10, 20, 30}), doubles({3, 4})})[0]);
  }
};

TEST(Classic, TreesBranchOnValuesSetsAndNaN) {
  EXPECT_EQ(Tree{}.scores({1, 4, 0, 5, 2, 3, NAN, 3}),
            (std::vector<float>{0, 10, 0, 20, 0, 30, 0, 10}));
}

TEST(Classic, BrokenTreesAreRefused) {
  auto broken = [](auto change) {
    Tree tree;
    change(tree);
    EXPECT_THROW(tree.scores({1, 4}), Error);
  };
  broken([](Tree& t) { t.nodes[2] = 0; });  // leads back to itself
  broken([](Tree& t) { t.nodes[2] = 5; });  // past the nodes
  broken([](Tree& t) { t.nodes[3] = -1; });
  broken([](Tree& t) { t.nodes[1] = 2; });   // past the features
  broken([](Tree& t) { t.nodes[0] = 8; });   // no such mode
  broken([](Tree& t) { t.nodes[11] = 9; });  // past the members
  broken([](Tree& t) { t.nodes[15] = 4; });  // past the leaves
  broken([](Tree& t) { t.roots[0] = 5; });
  broken([](Tree& t) { t.targets[0] = 2; });
  broken([](Tree& t) { t.targets.pop_back(); });
}

TEST(Classic, LabelsMapNaNToo) {
  auto y = run(make_classic("map_labels"),
               {floats({3}, {2, NAN, 7}), floats({2}, {NAN, 2}),
                Tensor::strings({2}, {"nan", "two"}), Tensor::strings({1}, {"other"})});
  EXPECT_EQ(items<std::string>(y[0]), (std::vector<std::string>{"two", "nan", "other"}));
}

TEST(Classic, SupportVectorsVoteAndRefuseTablesThatDoNotFit) {
  auto classify = [](std::vector<int64_t> counts) {
    return run(make_classic("svm_classifier"),
               {floats({2, 2}, {1, 0, 0, 1}), floats({1, 2}, {2, -3}), floats({1}, {0.5F}),
                Tensor::ints(counts), floats({0}, {}), floats({0}, {})},
               2);
  };
  auto y = classify({1, 1});
  EXPECT_EQ(items<float>(y[0]), (std::vector<float>{2.5F, -2.5F}));
  EXPECT_EQ(items<int64_t>(y[1]), (std::vector<int64_t>{0, 1}));
  EXPECT_THROW(classify({1, 2}), Error);
  EXPECT_THROW(classify({3, -1}), Error);
  EXPECT_THROW(classify({1}), Error);
}

TEST(Classic, SplittingKeepsTheRestWhole) {
  Op words = make_classic("string_split", {{"delimiter", ""}, {"maxsplit", int64_t{1}}});
  auto y = run(words, {Tensor::strings({2}, {"  a b c ", "d"})}, 2);
  EXPECT_EQ(items<std::string>(y[0]), (std::vector<std::string>{"a", "b c", "d", ""}));
  EXPECT_EQ(items<int64_t>(y[1]), (std::vector<int64_t>{2, 1}));
}

}  // namespace
}  // namespace vitrify
