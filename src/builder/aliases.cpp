// Which values share memory: views, results written into a concat, and results written over a
// dying input. runtime/aliases.cpp checks all of this again when the engine is loaded.
#include <algorithm>

#include "backend/backend.h"
#include "base/error.h"
#include "builder/parts.h"

namespace vitrify {
namespace {

/// True when every extent before `axis` is 1: a box along it is one run of memory.
bool leads(const Shape& shape, int64_t axis) {
  for (int64_t a = 0; a < axis; ++a)
    if (shape[size_t(a)] != Dim(1)) return false;
  return true;
}

class AliasPlanner {
 public:
  AliasPlanner(const Graph& graph, Plan& plan, const AllowAlias& allowed)
      : graph_(graph), plan_(plan), allowed_(allowed) {
    symbols_ = input_symbols(graph);
    step_of_.assign(graph.nodes.size(), -1);
    for (size_t s = 0; s < plan.steps.size(); ++s) {
      step_of_[size_t(plan.steps[s].node)] = int32_t(s);
      tactics_.push_back(find_tactic(plan.steps[s].tactic));
    }
    for (const Node& n : graph.nodes) {
      first_.push_back(int32_t(values_.size()));
      for (size_t o = 0; o < n.types.size(); ++o)
        values_.push_back({int32_t(first_.size()) - 1, int32_t(o)});
    }
    parent_.assign(values_.size(), -1);
    for (size_t v = 0; v < values_.size(); ++v)
      root_.push_back(int32_t(v)), members_.push_back({int32_t(v)});
    strided_.assign(values_.size(), false);
    vanished_.assign(graph.nodes.size(), false);
    uses_ = collect_uses(graph);
  }

  void run() {
    for (int32_t n = 0; n < int32_t(graph_.nodes.size()); ++n)
      if (step_of_[size_t(n)] >= 0) try_view(n);
    for (int32_t n = 0; n < int32_t(graph_.nodes.size()); ++n)
      if (step_of_[size_t(n)] >= 0 && !vanished_[size_t(n)]) try_concat(n);
    for (int32_t n = 0; n < int32_t(graph_.nodes.size()); ++n)
      if (step_of_[size_t(n)] >= 0 && !vanished_[size_t(n)]) try_in_place(n);
    std::erase_if(plan_.steps, [&](const Step& s) { return vanished_[size_t(s.node)]; });
  }

 private:
  int32_t flat(ValueId v) const { return first_[size_t(v.node)] + v.output; }
  const Tactic* tactic(int32_t n) const {
    return step_of_[size_t(n)] < 0 ? nullptr : tactics_[size_t(step_of_[size_t(n)])];
  }
  bool plain(ValueId v) const {
    return is_plain(graph_.type(v), symbols_) && !is_sub_byte(graph_.type(v).dtype);
  }
  bool is_output(ValueId v) const {
    return std::any_of(graph_.outputs.begin(), graph_.outputs.end(),
                       [&](const NamedValue& o) { return o.value == v; });
  }
  /// Made by a step, so that it lies in the arena.
  bool computed(ValueId v) const { return step_of_[size_t(v.node)] >= 0 && plain(v); }

  /// True when all readers of v, `but` one node, take it with gaps between its rows.
  bool readers_take_strides(ValueId v, int32_t but = -1) const {
    for (const Use& use : uses_[size_t(v.node)][size_t(v.output)]) {
      if (use.node == but || step_of_[size_t(use.node)] < 0) continue;
      if (vanished_[size_t(use.node)]) {
        if (!graph_.nodes[size_t(use.node)].op.is<Concat>() || parent_[size_t(flat(v))] < 0)
          return false;
        continue;
      }
      const Tactic* t = tactic(use.node);
      if (!t || use.input >= 32 || !(t->strided_inputs >> use.input & 1)) return false;
    }
    return true;
  }

  void alias(Alias a, int32_t parent, bool strided) {
    plan_.aliases.push_back(a);
    const auto value = size_t(flat(a.value));
    parent_[value] = parent;
    strided_[value] = strided;
    std::vector<int32_t> joining = std::move(members_[value]);
    for (int32_t v : joining) {
      root_[size_t(v)] = root_[size_t(parent)];
      members_[size_t(root_[size_t(parent)])].push_back(v);
    }
  }

  /// True when every reader of the transpose's result reads it by strides.
  bool readers_take_permuted(ValueId y, const Ints& permutation) const {
    for (const Use& use : uses_[size_t(y.node)][size_t(y.output)]) {
      const Tactic* t = tactic(use.node);
      if (!t || vanished_[size_t(use.node)] || !t->takes_permuted) return false;
      const Step& step = plan_.steps[size_t(step_of_[size_t(use.node)])];
      if (!t->takes_permuted(NodeInfo(graph_, use.node).view(), step.config, use.input,
                             permutation))
        return false;
    }
    return true;
  }

  void try_view(int32_t n) {
    const Node& node = graph_.nodes[size_t(n)];
    const ValueId y{n, 0};
    if (node.inputs.empty() || !node.inputs[0].valid() || node.types.size() != 1) return;
    const ValueId x = node.inputs[0];
    const bool memory =
        computed(x) ||
        ((graph_.node(x).op.is<Input>() || graph_.node(x).op.is<Constant>()) && plain(x));
    if (!memory || !plain(y) || graph_.type(x).dtype != graph_.type(y).dtype) return;
    bool strided = strided_[size_t(flat(x))];
    if (graph_.node(x).op.is<Transpose>() && vanished_[size_t(x.node)]) return;
    if (auto* t = node.op.as<Transpose>()) {
      if (strided || is_output(y) || !readers_take_permuted(y, t->permutation)) return;
      strided = true;
    } else if (auto* slice = node.op.as<Slice>()) {
      for (int64_t step : slice->steps)
        if (step != 1) return;
      bool dense = true;
      for (int64_t axis : slice->axes) dense &= axis >= 0 && leads(*graph_.type(y).shape, axis);
      dense &= slice->axes.size() == 1;
      strided |= !dense;
      if (strided && !readers_take_strides(y)) return;
    } else if (!is_reshape(node.op) || strided) {
      return;
    }
    const Alias view{Alias::Kind::kView, y, 0, -1};
    if (!allowed_(view)) return;
    vanished_[size_t(n)] = true;
    alias(view, flat(x), strided);
  }

  bool fits_concat(const Node& concat, int32_t n, size_t i, bool dense) const {
    const ValueId v = concat.inputs[i];
    if (!v.valid() || !computed(v) || parent_[size_t(flat(v))] >= 0 || is_output(v)) return false;
    if (graph_.type(v).dtype != graph_.type({n, 0}).dtype) return false;
    for (size_t j = 0; j < concat.inputs.size(); ++j)
      if (j != i && concat.inputs[j] == v) return false;
    if (dense) return true;
    const Tactic* producer = tactic(v.node);
    const bool writes = vanished_[size_t(v.node)] ? inputs_are_strided(v.node)
                                                  : (producer && v.output < 32 &&
                                                     (producer->strided_outputs >> v.output & 1));
    return writes && readers_take_strides(v, n) && !has_views(v);
  }
  /// Of a vanished concat: its parts are read and written with gaps anyway.
  bool inputs_are_strided(int32_t n) const {
    const auto& inputs = graph_.nodes[size_t(n)].inputs;
    return std::all_of(inputs.begin(), inputs.end(),
                       [&](ValueId v) { return strided_[size_t(flat(v))]; });
  }
  bool has_views(ValueId v) const {
    for (const Use& use : uses_[size_t(v.node)][size_t(v.output)])
      if (vanished_[size_t(use.node)] && !graph_.nodes[size_t(use.node)].op.is<Concat>())
        return true;
    return false;
  }

  void try_concat(int32_t n) {
    const Node& node = graph_.nodes[size_t(n)];
    auto* concat = node.op.as<Concat>();
    if (!concat || !plain({n, 0}) || node.inputs.empty()) return;
    const int64_t rank = int64_t(node.types[0].shape->size());
    const int64_t axis = concat->axis < 0 ? concat->axis + rank : concat->axis;
    const bool dense = leads(*node.types[0].shape, axis);
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (!fits_concat(node, n, i, dense) ||
          !allowed_({Alias::Kind::kConcat, node.inputs[i], int32_t(i), n}))
        return;
    vanished_[size_t(n)] = true;
    for (size_t i = 0; i < node.inputs.size(); ++i)
      alias({Alias::Kind::kConcat, node.inputs[i], int32_t(i), n}, flat({n, 0}), !dense);
  }

  /// Nobody reads memory of x's root after node n, nor n itself but through operand `operand`.
  bool dies(int32_t x_root, int32_t n, int32_t operand) const {
    for (int32_t member : members_[size_t(x_root)]) {
      const ValueId v = values_[size_t(member)];
      if (is_output(v) || (step_of_[size_t(v.node)] < 0)) return false;
      for (const Use& use : uses_[size_t(v.node)][size_t(v.output)]) {
        if (step_of_[size_t(use.node)] < 0 || vanished_[size_t(use.node)]) continue;
        if (use.node > n || (use.node == n && use.input != operand)) return false;
      }
    }
    return true;
  }

  void try_in_place(int32_t n) {
    const Node& node = graph_.nodes[size_t(n)];
    const Tactic* t = tactic(n);
    const ValueId y{n, 0};
    if (!t || !t->overwrites || !plain(y) || parent_[size_t(flat(y))] >= 0) return;
    NodeInfo info(graph_, n);
    const uint32_t mask = t->overwrites(info.view());
    for (size_t i = 0; i < node.inputs.size() && i < 32; ++i) {
      const ValueId x = node.inputs[i];
      if (!(mask >> i & 1) || !x.valid() || !computed(x) || strided_[size_t(flat(x))]) continue;
      const Type &from = graph_.type(x), &to = graph_.type(y);
      if (from.dtype != to.dtype || element_count(*from.shape) != element_count(*to.shape))
        continue;
      if (!dies(root_[size_t(flat(x))], n, int32_t(i))) continue;
      const Alias over{Alias::Kind::kInPlace, y, int32_t(i), -1};
      if (allowed_(over)) return alias(over, flat(x), false);
    }
  }

  const Graph& graph_;
  Plan& plan_;
  const AllowAlias& allowed_;
  std::set<std::string> symbols_;
  std::vector<int32_t> step_of_, first_, parent_, root_;
  std::vector<std::vector<int32_t>> members_;  ///< per root: the values in its memory
  std::vector<const Tactic*> tactics_;
  std::vector<ValueId> values_;
  std::vector<bool> strided_, vanished_;
  std::vector<std::vector<std::vector<Use>>> uses_;
};

}  // namespace

void add_aliases(const Graph& graph, Plan& plan, const AllowAlias& allowed) {
  AliasPlanner(graph, plan, allowed).run();
}

}  // namespace vitrify
