#include "builder/explain.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "passes/explain_changes.h"

namespace vitrify {
namespace {

/// Of the graph and of the bodies that its ops hold.
OriginMap origins_with_bodies(const std::vector<const Graph*>& graphs) {
  OriginMap all;
  for (const Graph* g : graphs)
    for (const auto& [origin, nodes] : nodes_by_origin(*g))
      all[origin].insert(all[origin].end(), nodes.begin(), nodes.end());
  return all;
}

/// Whether the branch that an If always takes was imported in its place.
bool is_inlined(const OriginMap& origins, const onnx::ImportedNode& node) {
  if (node.op != "If") return false;
  const std::string path = node.origin + "/";
  auto at = origins.lower_bound(path);
  return at != origins.end() && at->first.compare(0, path.size(), path) == 0;
}

std::string describe_import(const Nodes& nodes, const onnx::ImportedNode& node) {
  const bool moves =
      std::any_of(nodes.begin(), nodes.end(), [](const Node* n) { return n->op.is<Transpose>(); });
  std::string text = nodes.empty()       ? "needs no node of its own, or nobody needs it"
                     : nodes.size() == 1 ? "one op"
                     : moves             ? "channels-last inside, or axes moved"
                                         : "several ops";
  return node.newest ? text : cat(text, "; from the form of an older opset");
}

using Origins = std::vector<std::string>;

Origins sorted(Origins where) {
  std::sort(where.begin(), where.end());
  where.erase(std::unique(where.begin(), where.end()), where.end());
  return where;
}

}  // namespace

Decision describe_alias(const Graph& graph, const Alias& alias) {
  const Node& node = graph.node(alias.value);
  const std::string label = node.op.label();
  Decision d{std::string(kAddAliases), cat(label, "(x) -> view of x"), node.origins,
             graph.type(alias.value).str()};
  if (alias.kind == Alias::Kind::kInPlace)
    d.rule = cat(label, " -> written over its input ", alias.input);
  if (alias.kind != Alias::Kind::kConcat) return d;
  d.rule = cat("concat(", label, ") -> written in place");
  const Origins& more = graph.nodes[size_t(alias.node)].origins;
  d.where.insert(d.where.end(), more.begin(), more.end());
  d.where = sorted(std::move(d.where));
  return d;
}

namespace {

/// The user's nodes that read each constant.
std::map<const ConstantData*, Origins> constant_places(const Graph& graph) {
  std::map<const ConstantData*, Origins> places;
  for (const Node& n : graph.nodes)
    for (ValueId v : n.inputs) {
      const Constant* c = v.valid() ? graph.node(v).op.as<Constant>() : nullptr;
      if (!c) continue;
      Origins& where = places[c->data.get()];
      where.insert(where.end(), n.origins.begin(), n.origins.end());
    }
  return places;
}

}  // namespace

void explain_import(const Graph& graph, const std::vector<onnx::ImportedNode>& nodes,
                    Trace& trace) {
  const std::vector<const Graph*> graphs = list_graphs(graph);
  const OriginMap origins = origins_with_bodies(graphs);
  GroupedDecisions groups;
  for (const onnx::ImportedNode& node : nodes) {
    auto at = origins.find(node.origin);
    const Nodes made = at == origins.end() ? Nodes() : at->second;
    if ((made.size() == 1 && node.newest) || node.op == "Constant") continue;
    const std::string form = node.since ? cat(node.op, "-", node.since) : node.op + " (function)";
    if (!node.since || (made.empty() && is_inlined(origins, node)))
      groups.add(cat(form, " -> its body"), "inlined in its place", node.origin);
    else
      groups.add(cat(form, " -> ", labels(made)), describe_import(made, node), node.origin);
  }
  groups.append_to(trace, "import");
  for (const Graph* g : graphs) explain_shared_imports(*g, trace);
}

void explain_contradictions(const std::vector<onnx::Contradiction>& found, Trace& trace) {
  for (const onnx::Contradiction& c : found)
    trace.push_back({"import",
                     "declared shape -> inferred shape",
                     {c.value},
                     cat("'", c.value, "' is declared as ", c.declared, ", but is ", c.inferred)});
}

void explain_aliases(const Graph& graph, const std::vector<Plan>& plans,
                     const std::vector<BodyPlan>& bodies, Trace& trace) {
  std::set<std::tuple<const Graph*, ValueId, std::string>> told;
  auto explain = [&](const Graph& g, const Plan& plan) {
    for (const Alias& alias : plan.aliases)
      if (Decision d = describe_alias(g, alias); told.emplace(&g, alias.value, d.rule).second)
        trace.push_back(std::move(d));
  };
  for (const BodyPlan& body : bodies) explain(*body.graph, body.plan);
  for (const Plan& plan : plans) explain(graph, plan);
}

void explain_left_out(const Graph& graph, const std::vector<StoredConstant>& constants,
                      Trace& trace) {
  std::map<const ConstantData*, Origins> places = constant_places(graph);
  for (const StoredConstant& c : constants) {
    if (!c.stripped) continue;
    const std::string name = c.data->name.empty() ? cat("#", c.data->id) : c.data->name;
    const Tensor& t = c.data->tensor;
    trace.push_back({"store_constants", "weights -> packed form alone",
                     sorted(std::move(places[c.data.get()])),
                     cat(name, " : ", t.type().str(), ", ", t.bytes(), " bytes left out")});
  }
}

}  // namespace vitrify
