// Which aliases are sound. The builder proposes only such; a plan from a file must be checked.
#include <algorithm>

#include "backend/backend.h"
#include "base/error.h"
#include "runtime/layout.h"

namespace vitrify {
namespace {

constexpr int32_t kOutput = INT32_MAX;  ///< the step that "reads" outputs

/// Who reads last what shares memory. Values lie in an order in which a root's, and those made from
/// any value, follow each other, so that all but these are two runs.
class Readers {
 public:
  Readers(const Graph& graph, const Plan& plan, const Layout& layout) : root_(layout.root) {
    put_in_order(layout.parent);
    std::vector<int32_t> last(root_.size(), -1);
    for (size_t s = 0; s < plan.steps.size(); ++s)
      for (ValueId x : graph.nodes[size_t(plan.steps[s].node)].inputs)
        if (x.valid()) last[at_[size_t(layout.flat(x))]] = int32_t(s);
    for (const auto& o : graph.outputs) last[at_[size_t(layout.flat(o.value))]] = kOutput;
    before_ = after_ = last;
    for (size_t i = 1; i < last.size(); ++i)
      if (is_same_root(i - 1, i)) before_[i] = std::max(before_[i], before_[i - 1]);
    for (size_t i = last.size(); i-- > 1;)
      if (is_same_root(i - 1, i)) after_[i - 1] = std::max(after_[i - 1], after_[i]);
  }

  bool is_made_from(int32_t z, int32_t v) const {
    return at_[size_t(z)] >= at_[size_t(v)] && at_[size_t(z)] < end_[size_t(v)];
  }
  /// The last step to read a value of v's memory that is not made from v; -1: none does.
  int32_t last_outside(int32_t v) const {
    const size_t first = at_[size_t(v)], end = end_[size_t(v)];
    int32_t last = -1;
    if (first > 0 && is_same_root(first - 1, first)) last = before_[first - 1];
    if (end < order_.size() && is_same_root(first, end)) last = std::max(last, after_[end]);
    return last;
  }

 private:
  bool is_same_root(size_t i, size_t j) const {
    return root_[size_t(order_[i])] == root_[size_t(order_[j])];
  }

  void put_in_order(const std::vector<int32_t>& parent) {
    std::vector<std::vector<int32_t>> children(parent.size());
    std::vector<int32_t> open;
    for (size_t v = parent.size(); v-- > 0;)
      (parent[v] < 0 ? open : children[size_t(parent[v])]).push_back(int32_t(v));
    at_.resize(parent.size());
    while (!open.empty()) {
      const int32_t v = open.back();
      open.pop_back();
      at_[size_t(v)] = order_.size();
      order_.push_back(v);
      open.insert(open.end(), children[size_t(v)].begin(), children[size_t(v)].end());
    }
    CHECK(order_.size() == parent.size());  // no value is made from itself
    end_ = at_;
    for (size_t i = order_.size(); i-- > 0;) {
      const auto v = size_t(order_[i]);
      end_[v] = std::max(end_[v], i + 1);
      if (parent[v] >= 0) end_[size_t(parent[v])] = std::max(end_[size_t(parent[v])], end_[v]);
    }
  }

  const std::vector<int32_t>& root_;
  std::vector<int32_t> order_, before_, after_;  ///< per place: a value; the last up to it, from it
  std::vector<size_t> at_, end_;  ///< per value: its place, and the end of what is made from it
};

struct Checker {
  const Graph& graph;
  const Plan& plan;
  const Layout& layout;
  const Readers readers{graph, plan, layout};

  const Type& type(int32_t v) const { return graph.type(layout.values[size_t(v)]); }

  void check(const Alias& a) const {
    const int32_t v = layout.flat(a.value), parent = layout.parent[size_t(v)];
    const Node& producer = graph.node(a.value);
    require(is_plain(type(v), layout.input_symbols) && is_plain(type(parent), layout.input_symbols),
            "the plan has an alias of a value whose extents only a run tells");
    require(type(v).dtype == type(parent).dtype && !is_sub_byte(type(v).dtype),
            "the plan has an alias between element types ", type(v).str(), " and ",
            type(parent).str());
    if (a.kind == Alias::Kind::kView)
      check_view(a, producer);
    else if (a.kind == Alias::Kind::kInPlace)
      check_in_place(a, producer, v, parent);
    else
      check_concat(a);
  }

  /// Every reader of a transposed view must be a step whose tactic reads it by strides.
  void check_permuted(const Alias& a, const Node& producer) const {
    const Ints& permutation = producer.op.as<Transpose>()->permutation;
    for (const auto& o : graph.outputs)
      require(!(o.value == a.value), "the plan makes a transposed view of output '", o.name, "'");
    for (size_t n = 0; n < graph.nodes.size(); ++n)
      for (size_t i = 0; i < graph.nodes[n].inputs.size(); ++i) {
        if (!(graph.nodes[n].inputs[i] == a.value)) continue;
        const int32_t s = layout.step_of[n];
        const Tactic* tactic = s < 0 ? nullptr : find_tactic(plan.steps[size_t(s)].tactic);
        require(tactic && tactic->takes_permuted &&
                    tactic->takes_permuted(NodeInfo(graph, int32_t(n)).view(),
                                           plan.steps[size_t(s)].config, int32_t(i), permutation),
                "the plan gives a transposed view to a step that cannot read one");
      }
  }

  void check_view(const Alias& a, const Node& producer) const {
    if (producer.op.is<Transpose>()) {
      // That the transposed value is dense is seen when extents are bound.
      require(a.value.output == 0 && a.input == 0, "the plan makes a view of ",
              producer.op.label());
      check_memory(producer);
      return check_permuted(a, producer);
    }
    bool box = producer.op.is<Slice>();
    if (auto* slice = producer.op.as<Slice>())
      for (int64_t step : slice->steps) box &= step == 1;
    require(a.value.output == 0 && a.input == 0 && (box || is_reshape(producer.op)),
            "the plan makes a view of ", producer.op.label());
    const int32_t from = layout.alias[size_t(layout.flat(producer.inputs[0]))];
    require(from < 0 || plan.aliases[size_t(from)].kind != Alias::Kind::kView ||
                !graph.node(plan.aliases[size_t(from)].value).op.is<Transpose>(),
            "the plan has a view of a transposed view");
    check_memory(producer);
  }

  void check_memory(const Node& producer) const {
    const Storage s = layout.storage[size_t(layout.flat(producer.inputs[0]))];
    require(s != Storage::kNone && s != Storage::kDynamic && s != Storage::kFact,
            "the plan has a view of a value without memory");
  }

  void check_concat(const Alias& a) const {
    const Node& concat = graph.nodes[size_t(a.node)];
    require(concat.op.is<Concat>() && a.input >= 0 && size_t(a.input) < concat.inputs.size() &&
                concat.inputs[size_t(a.input)] == a.value,
            "the plan has an alias into a concat that does not take the value");
    require(layout.step_of[size_t(a.node)] < 0 &&
                layout.storage[size_t(layout.flat(a.value))] == Storage::kArena,
            "the plan has an alias into a concat that is not in place");
  }

  void check_in_place(const Alias& a, const Node& producer, int32_t v, int32_t parent) const {
    const int32_t s = layout.step_of[size_t(a.value.node)];
    require(s >= 0 && a.value.output == 0 && a.input < 32, "the plan overwrites without a step");
    const Tactic* tactic = find_tactic(plan.steps[size_t(s)].tactic);
    NodeInfo info(graph, a.value.node);
    require(tactic && tactic->overwrites && (tactic->overwrites(info.view()) >> a.input & 1),
            "the plan lets ", plan.steps[size_t(s)].tactic, " overwrite an input, which it cannot");
    for (int32_t p = parent; p >= 0; p = layout.parent[size_t(p)])
      require(layout.storage[size_t(p)] == Storage::kArena,
              "the plan overwrites an input or a weight");
    check_dead(producer, v, s, a.input);
  }

  /// Nothing that shares the memory and is not made from v is read after step s, nor by s itself
  /// through another operand.
  void check_dead(const Node& producer, int32_t v, int32_t s, int32_t operand) const {
    for (size_t i = 0; i < producer.inputs.size(); ++i) {
      if (int32_t(i) == operand || !producer.inputs[i].valid()) continue;
      const int32_t x = layout.flat(producer.inputs[i]);
      require(layout.root[size_t(x)] != layout.root[size_t(v)] || readers.is_made_from(x, v),
              "the plan overwrites a value that the same step reads twice");
    }
    const int32_t last = readers.last_outside(v);
    require(last != kOutput, "the plan overwrites an output");
    require(last <= s, "the plan overwrites a value that is read later");
  }
};

}  // namespace

void verify_aliases(const Graph& graph, const Plan& plan, const Layout& layout) {
  Checker checker{graph, plan, layout};
  for (const Alias& a : plan.aliases) checker.check(a);
}

}  // namespace vitrify
