// The cells of recurrent layers over one item's row of gates. Formulas: the ONNX operators RNN, GRU
// and LSTM with their default activations.
#pragma once

#include <cstdint>

#include "backend/cpu/isa.h"

namespace vitrify::cpu {

/// gates: 4n floats, i o f c before their activations. c and h (n floats) become the next step's.
void lstm_cell(Isa isa, const float* gates, int64_t n, float* c, float* h);

/// gates: z and r (2n floats) before their activations; x_candidate: the input's part.
/// `late`: the reset gate multiplies h_candidate, the hidden state's part; else h_candidate is all
/// of the candidate (reset_hidden has been multiplied in before).
void gru_cell(Isa isa, const float* gates, const float* x_candidate, const float* h_candidate,
              bool late, int64_t n, float* h);
/// out = sigmoid(r) * h.
void reset_hidden(Isa isa, const float* r, const float* h, int64_t n, float* out);

/// h = tanh(gates).
void rnn_cell(Isa isa, const float* gates, int64_t n, float* h);

}  // namespace vitrify::cpu
