// RNN, GRU and LSTM.
#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "onnx/families.h"
#include "onnx/importer.h"
#include "ops/recurrent.h"

namespace vitrify::onnx {

namespace {

Recurrent::Direction direction_of(const NodeContext& c) {
  std::string direction = c.string_attribute("direction", "forward");
  if (direction == "forward") return Recurrent::Direction::kForward;
  if (direction == "reverse") return Recurrent::Direction::kReverse;
  if (direction == "bidirectional") return Recurrent::Direction::kBidirectional;
  fail("direction '", direction, "' is unknown");
}

/// The model's alphas and betas list only the functions that take one, in order; here every
/// function gets an entry.
void read_activations(const NodeContext& c, Recurrent& op) {
  if (!c.has_attribute("activations")) return;
  size_t count = default_activations(op.kind).size() * size_t(recurrent_directions(op));
  std::vector<std::string> names = c.strings_attribute("activations");
  if (names.empty()) return;
  require(names.size() == count, names.size(), " activations, expected ", count);
  std::vector<double> alphas = c.floats_attribute("activation_alpha"),
                      betas = c.floats_attribute("activation_beta");
  size_t next_alpha = 0, next_beta = 0;
  for (std::string& name : names) {
    for (char& ch : name) ch = char(std::tolower(static_cast<unsigned char>(ch)));
    ActivationDefaults d = activation_defaults(name);
    if (d.takes_alpha && next_alpha < alphas.size()) d.alpha = alphas[next_alpha++];
    if (d.takes_beta && next_beta < betas.size()) d.beta = betas[next_beta++];
    op.activations.push_back(name);
    op.alphas.push_back(d.alpha), op.betas.push_back(d.beta);
  }
}

int64_t hidden_size_of(const NodeContext& c) {
  if (c.has_attribute("hidden_size")) return c.int_attribute("hidden_size", 0);
  const Type& r = c.type(c.in(2));
  if (!r.has_rank() || r.shape->size() != 3 || !r.shape->back().is_constant())
    fail_unsupported("needs hidden_size");
  return r.shape->back().value();
}

template <Recurrent::Kind kind>
void import_recurrent(NodeContext& c) {
  Recurrent op{.kind = kind, .direction = direction_of(c), .hidden_size = hidden_size_of(c)};
  read_activations(c, op);
  op.clip = c.float_attribute("clip", 0);
  op.linear_before_reset = c.int_attribute("linear_before_reset", 0) != 0;
  op.input_forget = c.int_attribute("input_forget", 0) != 0;
  op.batch_first = c.int_attribute("layout", 0) != 0;
  int outputs = kind == Recurrent::Kind::kLstm ? 3 : 2;
  std::vector<ValueId> inputs;
  for (int i = 0; i < (outputs == 3 ? 8 : 6); ++i) inputs.push_back(c.optional_in(i));
  while (!inputs.empty() && !inputs.back().valid()) inputs.pop_back();
  require(inputs.size() >= 3, "needs inputs X, W and R");
  ValueId y = c.add(std::move(op), std::move(inputs), outputs);
  std::vector<ValueId> results;
  for (int i = 0; i < outputs; ++i) results.push_back({y.node, i});
  c.outputs(std::move(results));
}

constexpr ImportRow kRows[] = {
    {"", "RNN", 1, import_recurrent<Recurrent::Kind::kRnn>},
    {"", "GRU", 1, import_recurrent<Recurrent::Kind::kGru>},
    {"", "LSTM", 1, import_recurrent<Recurrent::Kind::kLstm>},
};

}  // namespace

std::span<const ImportRow> recurrent_imports() { return kRows; }

}  // namespace vitrify::onnx
