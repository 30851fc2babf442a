#include "passes/tell_the_rest.h"

#include <set>

#include "base/error.h"

namespace vitrify {
namespace {

using Names = std::set<std::string>;

Names origins_of(const Graph& graph) {
  Names names;
  for (const Node& n : graph.nodes) names.insert(n.origins.begin(), n.origins.end());
  return names;
}

/// A transpose's place: where it comes from, what it does, and whose result it reads.
std::string place(const Graph& graph, const Node& n) {
  const Node& from = graph.node(n.inputs[0]);
  return cat(str(n.op.as<Transpose>()->permutation), " of ", from.op.label(), " ",
             from.origins.empty() ? "" : from.origins.front());
}

Names places_of_transposes(const Graph& graph) {
  Names places;
  for (const Node& n : graph.nodes)
    if (n.op.is<Transpose>()) places.insert(place(graph, n));
  return places;
}

void tell_moved_transposes(const Graph& before, const Graph& after, const PassContext& context) {
  const Names old_places = places_of_transposes(before), places = places_of_transposes(after);
  for (const Node& n : before.nodes)
    if (n.op.is<Transpose>() && !places.count(place(before, n)))
      context.decide("a transpose leaves", n.origins, "was transpose " + place(before, n));
  for (const Node& n : after.nodes)
    if (n.op.is<Transpose>() && !old_places.count(place(after, n)))
      context.decide("a transpose moves", n.origins, "now transpose " + place(after, n));
}

/// Nodes with one op whose origins have come together in one node.
void tell_shared(const Graph& before, const Graph& after, const Names& told,
                 const PassContext& context) {
  std::map<std::string, std::vector<const Node*>> by_origin;
  for (const Node& n : before.nodes)
    for (const std::string& o : n.origins) by_origin[o].push_back(&n);
  for (const Node& n : after.nodes) {
    if (n.origins.size() < 2 || n.op.is<Constant>()) continue;
    std::set<const Node*> equal;
    for (const std::string& o : n.origins)
      for (const Node* old : by_origin[o])
        if (!told.count(o) && old->op == n.op && old->origins != n.origins) equal.insert(old);
    if (equal.size() > 1) context.decide("equal nodes become one", n.origins, n.op.label());
  }
}

}  // namespace

void tell_imported(const Graph& graph, const PassContext& context) {
  for (const Node& n : graph.nodes)
    if (n.origins.size() > 1 && !n.op.is<Constant>())
      context.decide("equal nodes become one", n.origins, n.op.label());
}

void tell_the_rest(const Graph& before, const Graph& after, size_t told_from,
                   const PassContext& context) {
  if (digest(before) == digest(after)) return;
  Names told;
  for (size_t i = told_from; i < context.trace->size(); ++i)
    told.insert((*context.trace)[i].where.begin(), (*context.trace)[i].where.end());
  tell_moved_transposes(before, after, context);
  tell_shared(before, after, told, context);
  const Names left = origins_of(after);
  for (const std::string& o : origins_of(before))
    if (!left.count(o) && !told.count(o))
      context.decide("nothing reads it any more", {o}, "left out");
  if (context.trace->size() == told_from)
    context.decide(context.pass, {},
                   cat(before.nodes.size(), " nodes became ", after.nodes.size()));
}

}  // namespace vitrify
