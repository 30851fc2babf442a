// The families of import rows: each src/onnx/import_<family>.cpp exports its rows here, and
// table.cpp concatenates them. Rows of one op are in order of `since`.
#pragma once

#include <span>

namespace vitrify::onnx {

struct ImportRow;

std::span<const ImportRow> pointwise_imports();    // unary, binary, select, cast, clip …
std::span<const ImportRow> reduce_imports();       // reductions, softmax, norms, TopK, CumSum …
std::span<const ImportRow> contraction_imports();  // MatMul, Gemm, Einsum
std::span<const ImportRow> spatial_imports();      // convolution, pooling, resize, grid-sample …
std::span<const ImportRow> movement_imports();     // reshape, slice, gather, scatter, shape …
std::span<const ImportRow> quantize_imports();     // QuantizeLinear … QLinearConv, MatMulInteger
std::span<const ImportRow> recurrent_imports();    // RNN, GRU, LSTM
std::span<const ImportRow> attention_imports();    // Attention, RotaryEmbedding …
std::span<const ImportRow> control_imports();      // If, Loop, Scan
std::span<const ImportRow> sequence_imports();     // sequences and optionals
std::span<const ImportRow> text_imports();         // strings, TfIdf, regex …
std::span<const ImportRow> signal_imports();       // DFT, STFT, windows, MelWeightMatrix
std::span<const ImportRow> ml_imports();           // ai.onnx.ml
std::span<const ImportRow> random_imports();       // Random*, Bernoulli, Multinomial, Dropout
std::span<const ImportRow> loss_imports();  // NegativeLogLikelihoodLoss, SoftmaxCrossEntropyLoss
std::span<const ImportRow> misc_imports();  // whatever has no family: NMS, ImageDecoder

}  // namespace vitrify::onnx
