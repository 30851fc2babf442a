#include "ir/value_name.h"

#include "base/error.h"

namespace vitrify {

std::string value_name(const Graph& graph, ValueId v) {
  for (const NamedValue& o : graph.outputs)
    if (o.value == v) return o.name;
  if (auto at = graph.value_names.find(v); at != graph.value_names.end()) return at->second;
  return v.output ? cat('%', v.node, '.', v.output) : cat('%', v.node);
}

}  // namespace vitrify
