#include "passes/explain_changes.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace vitrify {

OriginMap nodes_by_origin(const Graph& graph) {
  const std::vector<bool> alive = live_nodes(graph);
  OriginMap found;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (!alive[n] || node.op.is<Constant>() || node.op.is<Input>()) continue;
    for (const std::string& origin : node.origins) found[origin].push_back(&node);
    if (!node.origins.empty()) continue;
    auto name = graph.value_names.find({int32_t(n), 0});
    if (name != graph.value_names.end()) found[name->second].push_back(&node);
  }
  return found;
}

std::string labels(const Nodes& nodes) {
  constexpr size_t kShown = 8;
  if (nodes.empty()) return "nothing";
  std::string text;
  for (size_t i = 0; i < std::min(nodes.size(), kShown); ++i)
    text += cat(i ? ", " : "", nodes[i]->op.label());
  return nodes.size() <= kShown ? text : cat(text, ", … (", nodes.size(), " ops)");
}

void GroupedDecisions::add(std::string rule, std::string effect, const std::string& where) {
  auto [at, fresh] = known_.emplace(std::pair(rule, effect), groups_.size());
  if (fresh) groups_.push_back({"", std::move(rule), {}, std::move(effect)});
  groups_[at->second].where.push_back(where);
}

void GroupedDecisions::append_to(Trace& trace, std::string_view pass) {
  for (Decision& d : groups_) {
    d.pass = pass;
    if (d.where.size() > 1) d.effect += cat(" (", d.where.size(), " times)");
    trace.push_back(std::move(d));
  }
}

namespace {

bool same_ops(const Nodes& a, const Nodes& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Node* x, const Node* y) {
    return x->op.hash() == y->op.hash() && x->types == y->types;
  });
}

/// Labels of all but, when asked, transposes and reshapes.
std::vector<std::string> label_list(const Nodes& nodes, bool movers) {
  std::vector<std::string> kept;
  for (const Node* n : nodes)
    if (movers || (!n->op.is<Transpose>() && !n->op.is<Reshape>())) kept.push_back(n->op.label());
  return kept;
}

std::string describe(const Nodes& before, const Nodes& after) {
  if (before.empty()) return "added";
  if (after.empty()) return "dropped: folded, merged, or nobody needs it";
  if (label_list(before, true) == label_list(after, true))
    return "the same ops with other axes, fields or types";
  if (label_list(before, false) == label_list(after, false)) return "transposes moved";
  return "rewritten";
}

using Origins = std::vector<std::string>;

/// The decisions that the pass has recorded itself.
class Decided {
 public:
  Decided(const Trace& trace, size_t first) {
    for (size_t i = first; i < trace.size(); ++i) {
      known_.insert(trace[i].where.begin(), trace[i].where.end());
      together_.insert(trace[i].where);
    }
  }
  bool names(const std::string& origin) const { return known_.count(origin) > 0; }
  /// True when one decision names all of them.
  bool names_together(const Origins& origins) const {
    return std::any_of(together_.begin(), together_.end(), [&](const Origins& where) {
      return std::includes(where.begin(), where.end(), origins.begin(), origins.end());
    });
  }

 private:
  std::set<std::string> known_;
  std::set<Origins> together_;
};

const Nodes& find(const OriginMap& map, const std::string& origin) {
  static const Nodes kNone;
  auto at = map.find(origin);
  return at == map.end() ? kNone : at->second;
}

void explain_rewritten(const OriginMap& before, const OriginMap& after, const Decided& decided,
                       std::string_view pass, Trace& trace) {
  GroupedDecisions groups;
  auto compare = [&](const std::string& origin) {
    const Nodes &old_nodes = find(before, origin), &nodes = find(after, origin);
    if (decided.names(origin) || same_ops(old_nodes, nodes)) return;
    groups.add(cat(labels(old_nodes), " -> ", labels(nodes)), describe(old_nodes, nodes), origin);
  };
  for (const auto& [origin, nodes] : before) compare(origin);
  for (const auto& [origin, nodes] : after)
    if (!before.count(origin)) compare(origin);
  groups.append_to(trace, pass);
}

/// Nodes of the op of `like` that came from any of its origins.
size_t count_alike(const OriginMap& map, const Node& like) {
  std::set<const Node*> alike;
  for (const std::string& origin : like.origins)
    for (const Node* n : find(map, origin))
      if (n->op.hash() == like.op.hash()) alike.insert(n);
  return alike.size();
}

bool may_be_shared(const Node& n) { return n.origins.size() > 1 && !n.op.is<Constant>(); }

void explain_shared(const OriginMap& before, const OriginMap& after, const Graph& graph,
                    const Decided& decided, std::string_view pass, Trace& trace) {
  for (const Node& n : graph.nodes) {
    if (!may_be_shared(n) || decided.names_together(n.origins)) continue;
    const size_t were = count_alike(before, n), are = count_alike(after, n);
    if (were > are)
      trace.push_back({std::string(pass), cat("equal ", n.op.label(), "s -> one"), n.origins,
                       cat(were, " nodes of that op became ", are)});
  }
}

}  // namespace

void explain_changes(const Graph& before, const Graph& after, std::string_view pass, Trace& trace,
                     size_t first) {
  const OriginMap old_nodes = nodes_by_origin(before), new_nodes = nodes_by_origin(after);
  const Decided decided(trace, first);
  explain_rewritten(old_nodes, new_nodes, decided, pass, trace);
  explain_shared(old_nodes, new_nodes, after, decided, pass, trace);
}

void explain_shared_imports(const Graph& graph, Trace& trace) {
  for (const Node& n : graph.nodes)
    if (may_be_shared(n))
      trace.push_back({"import", cat("equal ", n.op.label(), "s -> one"), n.origins,
                       n.types.empty() ? "one node" : n.types[0].str()});
}

}  // namespace vitrify
