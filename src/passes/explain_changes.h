// What a pass did without saying so: equal nodes that became one, dead ones dropped, transposes
// moved, axes renamed. Found by comparing the graphs before and after, so that no pass can change
// the user's nodes silently.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "rewrite/rewriter.h"

namespace vitrify {

using Nodes = std::vector<const Node*>;

/// Live computing nodes (no inputs, no constants) of the graph by the user's node that they came
/// from; those that came from none by the name of their first value, if it has one.
using OriginMap = std::map<std::string, Nodes>;
OriginMap nodes_by_origin(const Graph& graph);

/// "transpose, conv, transpose"; "nothing" for no node; long lists are cut.
std::string labels(const Nodes& nodes);

/// Decisions in order of first mention, where equal ones become one with a count and all places.
class GroupedDecisions {
 public:
  void add(std::string rule, std::string effect, const std::string& where);
  void append_to(Trace& trace, std::string_view pass);

 private:
  std::map<std::pair<std::string, std::string>, size_t> known_;
  Trace groups_;
};

/// Appends decisions for the user's nodes whose ops differ before and after `pass`, and for each
/// node that now stands for several equal ones, unless a decision of `trace`, from number `first`
/// on, names them already. Labels stand before and after the arrow of the rule.
void explain_changes(const Graph& before, const Graph& after, std::string_view pass, Trace& trace,
                     size_t first);

/// A decision for each node that stands for several equal ones of the model.
void explain_shared_imports(const Graph& graph, Trace& trace);

}  // namespace vitrify
