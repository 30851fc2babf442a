// What of a graph has to run.
#include <map>

#include "ops/table.h"
#include "runtime/layout.h"

namespace vitrify {

std::set<std::string> input_symbols(const Graph& graph) {
  std::set<std::string> symbols;
  for (const auto& i : graph.inputs)
    if (const Type& t = graph.type(i.value); t.has_rank())
      for (const Dim& d : *t.shape)
        if (d.is_symbol()) symbols.insert(d.symbol_name());
  return symbols;
}

void collect_symbols(const Type& type, std::set<std::string>& out) {
  if (type.element) collect_symbols(*type.element, out);
  if (type.shape)
    for (const Dim& d : *type.shape) d.collect_symbols(out);
}

void collect_symbols(const Op& op, std::set<std::string>& out) {
  Op copy = op;
  copy.substitute_dims([&](const Dim& d) {
    d.collect_symbols(out);
    return d;
  });
  for (const GraphRef& body : op.graphs())
    for (const Node& n : body->nodes) {
      collect_symbols(n.op, out);
      for (const Type& t : n.types) collect_symbols(t, out);
    }
}

bool is_plain(const Type& type, const std::set<std::string>& symbols) {
  if (!type.has_rank() || type.dtype == DType::kString) return false;
  std::set<std::string> used;
  collect_symbols(type, used);
  for (const auto& s : used)
    if (!symbols.count(s)) return false;
  return true;
}

bool is_leaf(const Node& node) {
  if (node.op.is<Input>() || node.op.is<Constant>()) return true;
  for (size_t o = 0; o < node.types.size(); ++o) {
    const Type& t = node.types[o];
    bool small =
        t.has_rank() && (is_integer(t.dtype) || t.dtype == DType::kBool) && !is_sub_byte(t.dtype);
    if (!node.facts[o] || !small) return false;
  }
  return true;
}

namespace {

using Definers = std::map<std::string, int32_t>;

/// The node that brings each symbol that is no input's: the first whose output has it as an extent.
Definers find_definers(const Graph& graph, const std::set<std::string>& given) {
  Definers definers;
  for (size_t n = 0; n < graph.nodes.size(); ++n)
    for (const Type& t : graph.nodes[n].types)
      if (t.has_rank())
        for (const Dim& d : *t.shape)
          if (d.is_symbol() && !given.count(d.symbol_name()))
            definers.emplace(d.symbol_name(), int32_t(n));
  return definers;
}

std::set<std::string> symbols_of(const Node& node) {
  std::set<std::string> symbols;
  collect_symbols(node.op, symbols);
  for (const Type& t : node.types) collect_symbols(t, symbols);
  for (const Fact& f : node.facts)
    if (f)
      for (const Dim& d : *f) d.collect_symbols(symbols);
  return symbols;
}

}  // namespace

std::vector<bool> needed_nodes(const Graph& graph) {
  Definers definers = find_definers(graph, input_symbols(graph));
  std::vector<bool> needed(graph.nodes.size());
  std::vector<int32_t> pending;
  auto need = [&](int32_t n) {
    if (needed[size_t(n)]) return;
    needed[size_t(n)] = true;
    pending.push_back(n);
  };
  for (const auto& o : graph.outputs) need(o.value.node);
  while (!pending.empty()) {
    const int32_t index = pending.back();
    const Node& node = graph.nodes[size_t(index)];
    pending.pop_back();
    for (const auto& s : symbols_of(node))
      if (auto at = definers.find(s); at != definers.end()) need(at->second);
    if (is_leaf(node)) continue;
    for (ValueId v : node.inputs)
      if (v.valid()) need(v.node);
  }
  return needed;
}

std::vector<int32_t> step_nodes(const Graph& graph) {
  std::vector<bool> needed = needed_nodes(graph);
  std::vector<int32_t> nodes;
  for (size_t n = 0; n < graph.nodes.size(); ++n)
    if (needed[n] && !is_leaf(graph.nodes[n])) nodes.push_back(int32_t(n));
  return nodes;
}

}  // namespace vitrify
