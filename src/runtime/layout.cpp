#include "runtime/layout.h"

#include <algorithm>

#include "base/error.h"
#include "runtime/body_calls.h"

namespace vitrify {

std::string_view name(Storage storage) {
  constexpr std::string_view kNames[] = {"none",   "arena", "constant", "input",
                                         "output", "fact",  "dynamic"};
  return kNames[size_t(storage)];
}

bool is_reshape(const Op& op) { return op.is<Reshape>() || op.is<Squeeze>() || op.is<Unsqueeze>(); }

NodeInfo::NodeInfo(const Graph& graph, int32_t index) : node(&graph.nodes[size_t(index)]) {
  for (ValueId v : node->inputs) {
    inputs.push_back(v.valid() ? graph.type(v) : Type{});
    constants.push_back(graph.constant(v));
    facts.push_back(v.valid() ? graph.fact(v) : Fact{});
  }
}

namespace {

/// Builds a Layout part by part; each part uses those before it.
struct Maker {
  const Graph& graph;
  const Plan& plan;
  Layout out;

  void number_values() {
    for (size_t n = 0; n < graph.nodes.size(); ++n) {
      out.first_value.push_back(int32_t(out.values.size()));
      for (size_t o = 0; o < graph.nodes[n].types.size(); ++o)
        out.values.push_back({int32_t(n), int32_t(o)});
    }
    out.first_value.push_back(int32_t(out.values.size()));
    out.input_symbols = input_symbols(graph);
  }

  void check_value(ValueId v) const {
    require(v.valid() && size_t(v.node) < graph.nodes.size() && v.output >= 0 &&
                size_t(v.output) < graph.node(v).types.size(),
            "the plan names a value that does not exist");
  }

  void place_aliases() {
    out.parent.assign(out.values.size(), -1);
    out.alias.assign(out.values.size(), -1);
    for (size_t i = 0; i < plan.aliases.size(); ++i) {
      const Alias& a = plan.aliases[i];
      check_value(a.value);
      const int32_t flat = out.flat(a.value);
      require(out.alias[size_t(flat)] < 0, "the plan gives value ", flat, " two aliases");
      const Node& producer = graph.node(a.value);
      ValueId parent;
      if (a.kind == Alias::Kind::kConcat) {
        require(a.node > a.value.node && size_t(a.node) < graph.nodes.size(),
                "the plan has an alias into a node that does not exist");
        parent = {a.node, 0};
      } else {
        require(a.input >= 0 && size_t(a.input) < producer.inputs.size(),
                "the plan has an alias of an input that does not exist");
        parent = producer.inputs[size_t(a.input)];
      }
      check_value(parent);
      out.alias[size_t(flat)] = int32_t(i);
      out.parent[size_t(flat)] = out.flat(parent);
    }
    find_roots();
  }

  void find_roots() {
    out.root.resize(out.values.size());
    for (size_t v = 0; v < out.values.size(); ++v) {
      int32_t at = int32_t(v);
      for (size_t hops = 0; out.parent[size_t(at)] >= 0; ++hops) {
        require(hops < out.values.size(), "the plan's aliases form a cycle");
        at = out.parent[size_t(at)];
      }
      out.root[v] = at;
    }
  }

  /// A node without a step must be a view, or a Concat whose inputs are all written in place.
  bool vanishes(int32_t n) const {
    const Node& node = graph.nodes[size_t(n)];
    if (const int32_t a = out.alias[size_t(out.flat({n, 0}))];
        a >= 0 && plan.aliases[size_t(a)].kind == Alias::Kind::kView)
      return true;
    if (!node.op.is<Concat>() || node.inputs.empty()) return false;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const int32_t a = node.inputs[i].valid() ? out.alias[size_t(out.flat(node.inputs[i]))] : -1;
      if (a < 0 || plan.aliases[size_t(a)].kind != Alias::Kind::kConcat ||
          plan.aliases[size_t(a)].node != n || plan.aliases[size_t(a)].input != int32_t(i))
        return false;
    }
    return true;
  }

  void place_steps() {
    out.step_of.assign(graph.nodes.size(), -1);
    std::vector<int32_t> expected;
    for (int32_t n : step_nodes(graph))
      if (!vanishes(n)) expected.push_back(n);
    require(expected.size() == plan.steps.size(), "the plan has ", plan.steps.size(),
            " steps where the graph needs ", expected.size());
    for (size_t s = 0; s < expected.size(); ++s) {
      require(plan.steps[s].node == expected[s], "step ", s, " of the plan runs the wrong node");
      out.step_of[size_t(expected[s])] = int32_t(s);
    }
  }

  void place_storage() {
    out.storage.assign(out.values.size(), Storage::kNone);
    std::vector<bool> needed = needed_nodes(graph);
    for (size_t v = 0; v < out.values.size(); ++v) {
      const Node& node = graph.node(out.values[v]);
      if (node.op.is<Input>())
        out.storage[v] = Storage::kInput;
      else if (!needed[size_t(out.values[v].node)])
        out.storage[v] = Storage::kNone;
      else if (node.op.is<Constant>())
        out.storage[v] = Storage::kConstant;
      else if (is_leaf(node))
        out.storage[v] = Storage::kFact;
      else
        out.storage[v] = is_plain(graph.type(out.values[v]), out.input_symbols) ? Storage::kArena
                                                                                : Storage::kDynamic;
    }
  }

  /// True when v has all the bytes of its root, in order.
  bool covers_root(int32_t v) const {
    for (; out.parent[size_t(v)] >= 0; v = out.parent[size_t(v)]) {
      const Alias& a = plan.aliases[size_t(out.alias[size_t(v)])];
      if (a.kind == Alias::Kind::kConcat || graph.node(a.value).op.is<Slice>()) return false;
    }
    return true;
  }

  void place_outputs() {
    out.output_of_root.assign(out.values.size(), -1);
    for (const auto& o : graph.outputs) {
      const int32_t v = out.flat(o.value), root = out.root[size_t(v)];
      const bool direct = out.storage[size_t(root)] == Storage::kArena &&
                          out.output_of_root[size_t(root)] < 0 && covers_root(v);
      if (direct) out.output_of_root[size_t(root)] = int32_t(out.output_root.size());
      out.output_root.push_back(direct ? root : -1);
    }
    for (size_t v = 0; v < out.values.size(); ++v)
      if (out.output_of_root[v] >= 0) out.storage[v] = Storage::kOutput;
    for (size_t v = 0; v < out.values.size(); ++v)
      out.storage[v] = out.storage[size_t(out.root[v])];
  }

  void place_lifetimes() {
    out.lifetime.resize(out.values.size());
    for (size_t s = 0; s < plan.steps.size(); ++s) {
      const int32_t n = plan.steps[s].node;
      auto touch = [&](int32_t v) {
        Lifetime& life = out.lifetime[size_t(out.root[size_t(v)])];
        life.first = std::min(life.first, int32_t(s));
        life.last = std::max(life.last, int32_t(s));
      };
      for (ValueId v : graph.nodes[size_t(n)].inputs)
        if (v.valid()) touch(out.flat(v));
      for (int32_t v = out.first_value[size_t(n)]; v < out.first_value[size_t(n) + 1]; ++v)
        touch(v);
    }
    const int32_t end = int32_t(plan.steps.size());
    for (const auto& o : graph.outputs)
      out.lifetime[size_t(out.root[size_t(out.flat(o.value))])].last = end;
  }

  void place_releases() {
    out.release.resize(plan.steps.size());
    for (size_t v = 0; v < out.values.size(); ++v)
      if (out.storage[v] == Storage::kDynamic && out.lifetime[v].last >= 0 &&
          size_t(out.lifetime[v].last) < plan.steps.size())
        out.release[size_t(out.lifetime[v].last)].push_back(int32_t(v));
  }

  bool is_late(const Node& node) const {
    auto late = [&](ValueId v) {
      if (!v.valid()) return false;
      const Storage s = out.storage[size_t(out.flat(v))];
      return s == Storage::kDynamic || !is_plain(graph.type(v), out.input_symbols);
    };
    std::set<std::string> symbols;
    if (body_count(node.op) == 0) collect_symbols(node.op, symbols);  // bodies bind their own
    for (ValueId v : node.inputs) {
      if (late(v)) return true;
      if (v.valid() && graph.fact(v))
        for (const Dim& d : *graph.fact(v)) d.collect_symbols(symbols);
    }
    for (const Type& t : node.types)
      if (!is_plain(t, out.input_symbols)) return true;
    for (const auto& s : symbols)
      if (!out.input_symbols.count(s)) return true;
    return false;
  }

  void place_segments() {
    std::set<std::string> known = out.input_symbols;
    std::vector<std::set<std::string>> known_at;
    bool cut = true;
    for (size_t s = 0; s < plan.steps.size(); ++s) {
      const Node& node = graph.nodes[size_t(plan.steps[s].node)];
      out.late.push_back(is_late(node));
      if (cut) out.segments.push_back(int32_t(s)), known_at.push_back(known);
      cut = false;
      for (const Type& t : node.types) {
        cut |= !is_plain(t, known);
        collect_symbols(t, known);
      }
    }
    // The end counts as a segment: outputs may be facts that only the last step makes known.
    out.segments.push_back(int32_t(plan.steps.size()));
    known_at.push_back(known);
    place_facts(known_at);
  }

  void place_facts(const std::vector<std::set<std::string>>& known_at) {
    out.late_facts.resize(out.segments.size());
    for (size_t v = 0; v < out.values.size(); ++v) {
      if (out.storage[v] != Storage::kFact || out.parent[v] >= 0) continue;
      std::set<std::string> symbols;
      for (const Dim& d : *graph.fact(out.values[v])) d.collect_symbols(symbols);
      auto all_in = [&](const std::set<std::string>& known) {
        return std::includes(known.begin(), known.end(), symbols.begin(), symbols.end());
      };
      if (all_in(out.input_symbols)) {
        out.static_facts.push_back(int32_t(v));
        continue;
      }
      size_t at = 0;
      while (at < known_at.size() && !all_in(known_at[at])) ++at;
      require(at < known_at.size(), "nothing tells the symbols of ",
              str(*graph.fact(out.values[v])));
      out.late_facts[at].push_back(int32_t(v));
    }
  }
};

}  // namespace

Layout make_layout(const Graph& graph, const Plan& plan) {
  Maker maker{graph, plan, {}};
  maker.number_values();
  maker.place_aliases();
  maker.place_steps();
  maker.place_storage();
  verify_aliases(graph, plan, maker.out);
  maker.place_outputs();
  maker.place_lifetimes();
  maker.place_releases();
  maker.place_segments();
  return std::move(maker.out);
}

}  // namespace vitrify
