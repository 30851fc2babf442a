// Tree ensembles, old form (nodes named by tree and number) and new (TreeEnsemble, opset 5 of
// ai.onnx.ml), to the one form of the Classic op tree_ensemble (ops/ml.cpp).
#include <algorithm>
#include <limits>
#include <map>

#include "base/error.h"
#include "onnx/import_ml.h"
#include "ops/classic.h"

namespace vitrify::onnx {

namespace {

constexpr int64_t kMember = 6, kLeaf = 7;

struct Tables {
  std::vector<int64_t> nodes;  ///< six numbers a node
  std::vector<double> splits;
  std::vector<int64_t> roots, targets;
  std::vector<double> weights, members;
};

ValueId add_trees(NodeContext& c, ValueId x, Tables t, int64_t targets, std::string aggregate) {
  static constexpr std::string_view kAggregates[] = {"AVERAGE", "SUM", "MIN", "MAX"};
  require(
      std::find(std::begin(kAggregates), std::end(kAggregates), aggregate) != std::end(kAggregates),
      "unknown aggregate_function '", aggregate, "'");
  auto count = int64_t(t.splits.size());
  if (c.dtype(x) != DType::kFloat64) x = c.cast(x, DType::kFloat32);
  return c.add(
      make_classic("tree_ensemble", {{"n_targets", targets}, {"aggregate", std::move(aggregate)}}),
      {x, c.constant(Tensor::ints(t.nodes).reshaped({count, 6})),
       c.constant(doubles_tensor(t.splits)), c.constant(Tensor::ints(t.roots)),
       c.constant(Tensor::ints(t.targets)), c.constant(doubles_tensor(t.weights)),
       c.constant(doubles_tensor(t.members))});
}

/// Floats given as a list, or (for doubles) as a tensor.
std::vector<double> numbers(NodeContext& c, const std::string& name) {
  Tensor t = c.tensor_attribute(name + "_as_tensor");
  if (!t.defined()) return c.floats_attribute(name);
  std::vector<double> values;
  for (int64_t i = 0; i < t.size(); ++i) values.push_back(double_at(t, i));
  return values;
}

int64_t mode_number(std::string_view mode) {
  static constexpr std::string_view kModes[] = {"BRANCH_LEQ",    "BRANCH_LT", "BRANCH_GTE",
                                                "BRANCH_GT",     "BRANCH_EQ", "BRANCH_NEQ",
                                                "BRANCH_MEMBER", "LEAF"};
  for (size_t i = 0; i < std::size(kModes); ++i)
    if (kModes[i] == mode) return int64_t(i);
  fail("unknown node mode '", mode, "'");
}

// ---- The old form ----

using NodeName = std::pair<int64_t, int64_t>;  ///< tree, node

/// Leaf entries, put together by the leaf that they belong to.
void read_leaves(NodeContext& c, const std::string& prefix,
                 const std::map<NodeName, int64_t>& place, Tables& t) {
  std::vector<int64_t> trees = c.ints_attribute(prefix + "_treeids"),
                       nodes = c.ints_attribute(prefix + "_nodeids"),
                       ids = c.ints_attribute(prefix + "_ids");
  std::vector<double> weights = numbers(c, prefix + "_weights");
  require(
      trees.size() == nodes.size() && trees.size() == ids.size() && trees.size() == weights.size(),
      "the ", prefix, "_* attributes differ in length");
  std::multimap<int64_t, size_t> by_leaf;
  for (size_t i = 0; i < trees.size(); ++i) {
    auto at = place.find({trees[i], nodes[i]});
    require(at != place.end(), "a weight belongs to node ", nodes[i], " of tree ", trees[i],
            ", which is not there");
    by_leaf.emplace(at->second, i);
  }
  for (int64_t n = 0; n < int64_t(t.splits.size()); ++n) {
    if (t.nodes[size_t(n * 6)] != kLeaf) continue;
    t.nodes[size_t(n * 6 + 2)] = int64_t(t.targets.size());
    auto [begin, end] = by_leaf.equal_range(n);
    for (auto at = begin; at != end; ++at) {
      t.targets.push_back(ids[at->second]);
      t.weights.push_back(weights[at->second]);
    }
    t.nodes[size_t(n * 6 + 3)] = int64_t(t.targets.size());
  }
}

Tables read_trees(NodeContext& c, const std::string& prefix) {
  std::vector<int64_t> trees = c.ints_attribute("nodes_treeids"),
                       numbers_in_tree = c.ints_attribute("nodes_nodeids"),
                       features = c.ints_attribute("nodes_featureids"),
                       yes = c.ints_attribute("nodes_truenodeids"),
                       no = c.ints_attribute("nodes_falsenodeids"),
                       missing = c.ints_attribute("nodes_missing_value_tracks_true");
  std::vector<std::string> modes = c.strings_attribute("nodes_modes");
  Tables t;
  t.splits = numbers(c, "nodes_values");
  size_t count = trees.size();
  missing.resize(missing.empty() ? count : missing.size());
  for (size_t length : {numbers_in_tree.size(), features.size(), yes.size(), no.size(),
                        missing.size(), modes.size(), t.splits.size()})
    require(length == count && count > 0, "the nodes_* attributes differ in length");
  std::map<NodeName, int64_t> place;
  for (size_t i = 0; i < count; ++i) {
    require(place.emplace(NodeName{trees[i], numbers_in_tree[i]}, int64_t(i)).second, "node ",
            numbers_in_tree[i], " of tree ", trees[i], " is there twice");
    if (i == 0 || trees[i] != trees[i - 1]) t.roots.push_back(int64_t(i));
  }
  for (size_t i = 0; i < count; ++i) {
    int64_t mode = mode_number(modes[i]);
    auto child = [&](int64_t number) -> int64_t {
      if (mode == kLeaf) return 0;
      auto at = place.find({trees[i], number});
      require(at != place.end(), "node ", number, " of tree ", trees[i], " is missing");
      return at->second;
    };
    for (int64_t v : {mode, features[i], child(yes[i]), child(no[i]), missing[i], int64_t{0}})
      t.nodes.push_back(v);
  }
  read_leaves(c, prefix, place, t);
  return t;
}

ValueId with_base(NodeContext& c, ValueId scores, const std::vector<double>& base) {
  if (base.empty()) return scores;
  return c.binary(BinaryKind::kAdd, scores,
                  c.cast(c.constant(doubles_tensor(base)), c.dtype(scores)));
}

void import_regressor(NodeContext& c) {
  int64_t targets = c.int_attribute("n_targets", 1);
  ValueId scores = add_trees(c, c.in(0), read_trees(c, "target"), targets,
                             c.string_attribute("aggregate_function", "SUM"));
  scores = with_base(c, scores, numbers(c, "base_values"));
  c.outputs({post_transform(c, c.cast(scores, DType::kFloat32))});
}

/// Two classes, all weights on one of them: a threshold on its score decides; the other class's
/// score is 1 - s where all weights are positive (they are shares), else -s.
void binary_classifier(NodeContext& c, Tensor labels, ValueId scores, bool first, bool positive) {
  ValueId s = c.add(Slice{{1}, {Dim(first ? 0 : 1)}, {Dim(1)}, {1}}, {scores});
  auto scalar = [&](double v) { return c.scalar(v, DType::kFloat32); };
  ValueId above = c.binary(BinaryKind::kGreater, s, scalar(positive ? 0.5 : 0));
  ValueId index = c.add(Squeeze{{1}}, {c.cast(above, DType::kInt64)});
  ValueId label = pick_labels(c, std::move(labels), index);
  if (!first) return c.outputs({label, post_transform(c, scores)});
  bool logistic = c.string_attribute("post_transform", "NONE") == "LOGISTIC";
  ValueId other = positive && !logistic ? c.binary(BinaryKind::kSub, scalar(1), s)
                                        : c.unary(UnaryKind::kNeg, s);
  ValueId both = c.add(Concat{1}, {other, s});
  c.outputs({label, logistic ? c.unary(UnaryKind::kSigmoid, both) : both});
}

void import_classifier(NodeContext& c) {
  Tensor labels = class_labels(c, "classlabels_int64s");
  Tables t = read_trees(c, "class");
  std::vector<double> base = numbers(c, "base_values");
  bool one_class = std::all_of(t.targets.begin(), t.targets.end(),
                               [&](int64_t id) { return id == t.targets.front(); });
  bool positive = std::all_of(t.weights.begin(), t.weights.end(), [](double w) { return w >= 0; });
  bool binary = labels.size() == 2 && one_class && !t.targets.empty();
  bool first = binary && t.targets.front() == 0;
  ValueId scores = add_trees(c, c.in(0), std::move(t), labels.size(), "SUM");
  if (binary && base.size() == 1 && !first) base.clear();
  scores = c.cast(with_base(c, scores, base), DType::kFloat32);
  if (binary) return binary_classifier(c, std::move(labels), scores, first, positive);
  ValueId best = c.add(ArgReduce{.max = true, .axis = 1, .keepdims = false}, {scores});
  c.outputs({pick_labels(c, std::move(labels), best), post_transform(c, scores)});
}

// ---- The new form ----

std::vector<double> tensor_numbers(NodeContext& c, std::string_view name) {
  Tensor t = c.tensor_attribute(name);
  std::vector<double> values;
  for (int64_t i = 0; i < t.size(); ++i) values.push_back(double_at(t, i));
  return values;
}

/// Where each set of members begins: they follow one another, NaN between them.
std::vector<int64_t> set_begins(const std::vector<double>& members) {
  std::vector<int64_t> begins{0};
  for (size_t i = 0; i < members.size(); ++i)
    if (members[i] != members[i]) begins.push_back(int64_t(i) + 1);
  return begins;
}

/// Leaves get nodes of their own, behind the inner ones.
Tables read_ensemble(NodeContext& c) {
  std::vector<int64_t> features = c.ints_attribute("nodes_featureids"),
                       yes = c.ints_attribute("nodes_truenodeids"),
                       no = c.ints_attribute("nodes_falsenodeids"),
                       yes_leaf = c.ints_attribute("nodes_trueleafs"),
                       no_leaf = c.ints_attribute("nodes_falseleafs"),
                       missing = c.ints_attribute("nodes_missing_value_tracks_true");
  std::vector<double> modes = tensor_numbers(c, "nodes_modes");
  Tables t;
  t.splits = tensor_numbers(c, "nodes_splits");
  t.members = tensor_numbers(c, "membership_values");
  t.roots = c.ints_attribute("tree_roots");
  t.targets = c.ints_attribute("leaf_targetids");
  t.weights = tensor_numbers(c, "leaf_weights");
  size_t count = features.size();
  missing.resize(missing.empty() ? count : missing.size());
  for (size_t length : {yes.size(), no.size(), yes_leaf.size(), no_leaf.size(), missing.size(),
                        modes.size(), t.splits.size()})
    require(length == count && count > 0, "the nodes_* attributes differ in length");
  std::vector<int64_t> sets = set_begins(t.members);
  size_t next_set = 0;
  auto inner = int64_t(count);
  for (size_t i = 0; i < count; ++i) {
    auto mode = int64_t(modes[i]);
    require(mode >= 0 && mode < kLeaf, "unknown node mode ", mode);
    int64_t set = 0;
    if (mode == kMember) {
      require(next_set < sets.size(), "membership_values has too few sets");
      set = sets[next_set++];
    }
    auto child = [&](int64_t to, bool leaf) {
      require(to >= 0 && to < (leaf ? int64_t(t.targets.size()) : inner), "a node leads nowhere");
      return leaf ? inner + to : to;
    };
    for (int64_t v : {mode, features[i], child(yes[i], yes_leaf[i] != 0),
                      child(no[i], no_leaf[i] != 0), missing[i], set})
      t.nodes.push_back(v);
  }
  for (int64_t leaf = 0; leaf < int64_t(t.targets.size()); ++leaf) {
    for (int64_t v : {kLeaf, int64_t{0}, leaf, leaf + 1, int64_t{0}, int64_t{0}})
      t.nodes.push_back(v);
    t.splits.push_back(0);
  }
  return t;
}

void import_tree_ensemble(NodeContext& c) {
  static constexpr std::string_view kAggregates[] = {"AVERAGE", "SUM", "MIN", "MAX"};
  int64_t aggregate = c.int_attribute("aggregate_function", 1);
  require(aggregate >= 0 && aggregate < 4, "unknown aggregate_function ", aggregate);
  ValueId x = c.in(0);
  DType dtype = c.dtype(x);
  ValueId y = add_trees(c, x, read_ensemble(c), c.int_attribute("n_targets", 1),
                        std::string(kAggregates[aggregate]));
  switch (c.int_attribute("post_transform", 0)) {
    case 0:
      break;
    case 1:
      y = c.add(Softmax{-1, false}, {y});
      break;
    case 2:
      y = c.unary(UnaryKind::kSigmoid, y);
      break;
    case 3:
      y = c.add(make_classic("softmax_zero"), {c.cast(y, DType::kFloat32)});
      break;
    case 4:
      y = c.add(make_classic("probit"), {c.cast(y, DType::kFloat32)});
      break;
    default:
      fail("unknown post_transform");
  }
  c.outputs({c.cast(y, dtype)});
}

constexpr ImportRow kRows[] = {
    {kMlDomain, "TreeEnsemble", 5, import_tree_ensemble},
    {kMlDomain, "TreeEnsembleClassifier", 1, import_classifier},
    {kMlDomain, "TreeEnsembleRegressor", 1, import_regressor},
};

}  // namespace

std::span<const ImportRow> tree_rows() { return kRows; }

}  // namespace vitrify::onnx
