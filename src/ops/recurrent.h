// RNN, GRU and LSTM: a row of the op table. `activations`, `alphas` and `betas` of the op have one
// entry per function and direction, names in lower case; empty `activations` means the defaults.
#pragma once

#include "ops/op_info.h"

namespace vitrify {

void infer_recurrent(InferContext&);
void reference_recurrent(ReferenceCall&);
std::vector<Sample> samples_recurrent(uint64_t seed);
Cost cost_recurrent(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs);

/// Gates of a kind: rows of w and r are gates × hidden_size.
int64_t recurrent_gates(Recurrent::Kind kind);
inline int64_t recurrent_directions(const Recurrent& op) {
  return op.direction == Recurrent::Direction::kBidirectional ? 2 : 1;
}
/// The activations of one direction that hold when the model names none.
std::vector<std::string> default_activations(Recurrent::Kind kind);
/// The parameters of an activation when the model gives none; user error for an unknown name.
struct ActivationDefaults {
  bool takes_alpha, takes_beta;
  double alpha, beta;
};
ActivationDefaults activation_defaults(std::string_view name);

}  // namespace vitrify
