#include "runtime/states.h"

#include <set>

#include "base/error.h"

namespace vitrify {
namespace {

const Type& type_of(const Graph& graph, const std::vector<NamedValue>& values,
                    const std::string& name, const char* what) {
  std::string names;
  for (const NamedValue& v : values) {
    if (v.name == name) return graph.type(v.value);
    names += cat(names.empty() ? "" : ", ", v.name);
  }
  fail("a state names the ", what, " '", name, "', which is not there: the model has ", names);
}

bool may_follow(const Type& input, const Type& output) {
  if (!input.is_tensor() || !output.is_tensor() || input.dtype != output.dtype) return false;
  if (!input.has_rank() || !output.has_rank()) return true;
  if (input.shape->size() != output.shape->size()) return false;
  for (size_t a = 0; a < input.shape->size(); ++a) {
    const Dim &i = (*input.shape)[a], &o = (*output.shape)[a];
    if (i.is_constant() && o.is_constant() && i.value() != o.value()) return false;
  }
  return true;
}

}  // namespace

void check_states(const Graph& graph) {
  std::set<std::string> inputs;
  for (const StatePair& s : graph.states) {
    const Type& input = type_of(graph, graph.inputs, s.input, "input");
    const Type& output = type_of(graph, graph.outputs, s.output, "output");
    require(inputs.insert(s.input).second, "the input '", s.input, "' is in two states");
    require(may_follow(input, output), "the output '", s.output, "' (", output.str(),
            ") cannot be the next run's input '", s.input, "' (", input.str(), ")");
  }
}

}  // namespace vitrify
