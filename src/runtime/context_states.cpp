// States: outputs that a context hands to its next run as inputs.
#include <cstring>

#include "base/error.h"
#include "runtime/context.h"
#include "runtime/peak.h"

namespace vitrify {

void Context::reset() {
  for (const StatePair& s : engine_->graph().states)
    if (int i = input_index(s.input); i >= 0) {
      inputs_[size_t(i)] = {};
      given_[size_t(i)] = kept_[size_t(i)] = false;
    }
}

/// A state that nobody has set starts as zeros of the extents that the other inputs imply. An
/// extent that no other input tells starts at 0: a cache that is empty.
void Context::prepare_states() {
  const Graph& graph = engine_->graph();
  for (const StatePair& s : graph.states)  // the zeros of a run that failed
    if (const int i = input_index(s.input); i >= 0 && !given_[size_t(i)] && !kept_[size_t(i)])
      inputs_[size_t(i)] = {};
  for (const StatePair& s : graph.states) {
    const int i = input_index(s.input);
    if (i < 0 || inputs_[size_t(i)].has_value()) continue;
    const Type& type = graph.type(graph.inputs[size_t(i)].value);
    Bindings known;
    for (size_t j = 0; j < inputs_.size(); ++j)
      bind_symbols(graph.type(graph.inputs[j].value), inputs_[j], graph.inputs[j].name, known);
    require(type.has_rank(), "state '", s.input, "' has no known shape: set it");
    Dims dims;
    for (const Dim& d : *type.shape)
      dims.push_back(d.eval([&](const std::string& symbol) -> int64_t {
        const auto at = known.find(symbol);
        return at == known.end() ? 0 : at->second;
      }));
    with_claim(
        [&] {
          return Claim{cat("state '", s.input, "'"), "it starts as zeros"};
        },
        [&] { inputs_[size_t(i)] = Tensor(type.dtype, dims); });
  }
}

/// All states or, when memory does not suffice, none.
void Context::keep_states() {
  const Graph& graph = engine_->graph();
  auto pair = [&](const StatePair& s) {
    return std::pair{size_t(input_index(s.input)), size_t(output_index(s.output))};
  };
  auto fits = [&](size_t i, const Value& from) {  // the context's own buffer can take it
    const Value& to = inputs_[i];
    return !given_[i] && to.kind == Value::Kind::kTensor && from.kind == Value::Kind::kTensor &&
           to.tensor.dims() == from.tensor.dims() && from.tensor.dtype() != DType::kString;
  };
  std::vector<std::pair<size_t, Value>> fresh;
  for (const StatePair& s : graph.states) {
    const auto [i, o] = pair(s);
    if (fits(i, active_->outputs[o])) continue;
    try {
      fresh.emplace_back(i, copy_of(active_->outputs[o]));
    } catch (const Error& e) {
      throw Error(e.kind(), e.message(), cat("state '", s.input, "'"));
    }
  }
  for (const StatePair& s : graph.states) {
    const auto [i, o] = pair(s);
    const Value& from = active_->outputs[o];
    if (fits(i, from) && from.tensor.bytes())
      std::memcpy(inputs_[i].tensor.raw(), from.tensor.raw(), from.tensor.bytes());
    kept_[i] = true;
  }
  for (auto& [i, value] : fresh) {
    inputs_[i] = std::move(value);
    given_[i] = false;
  }
}

}  // namespace vitrify
