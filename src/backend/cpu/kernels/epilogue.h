// What a matrix or convolution kernel does with a result before it leaves the registers or L1.
#pragma once

#include <cstdint>

namespace vitrify::cpu {

/// NaN goes through every kind; parameters a and b as listed.
enum class Activation : uint8_t {
  kNone,
  kRelu,         ///< max(x, 0)
  kClip,         ///< min(max(x, a), b)
  kLeakyRelu,    ///< x < 0 ? a * x : x
  kHardSigmoid,  ///< min(max(a * x + b, 0), 1)
  kHardSwish,    ///< x * min(max(x / 6 + 0.5, 0), 1)
  kSigmoid,      ///< 1 / (1 + exp(-x))
  kSilu,         ///< x * sigmoid(x)
  kTanh,
  kGeluErf,   ///< x / 2 * (1 + erf(x / sqrt(2)))
  kGeluTanh,  ///< x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))
  kElu,       ///< x < 0 ? a * (exp(x) - 1) : x
  kSoftplus,  ///< log(1 + exp(x))
  kMish,      ///< x * tanh(softplus(x))
};

/// What a number is rounded to, while it stays a float.
enum class Rounding : uint8_t { kNone, kHalf, kBfloat16 };

/// y = activation(x + bias[col] + residual[row][col]), then the callback on the finished row
/// segment. Row: the row of C, or the index of the output pixel, ((n * OD + od) * OH + oh) * OW +
/// ow. Col: the column of C, or the output channel (over all groups).
struct Epilogue {
  const float* bias = nullptr;      ///< one a column, or null
  const float* residual = nullptr;  ///< row r starts at residual + r * residual_stride, or null;
                                    ///< may be the output itself (same stride)
  int64_t residual_stride = 0;
  Activation activation = Activation::kNone;
  float a = 0, b = 0;
  Rounding rounding = Rounding::kNone;         ///< of the sum, before the activation
  Rounding result_rounding = Rounding::kNone;  ///< of y, before the callback
  /// Called once for every segment row[0 .. cols) of the output that is complete (bias, residual
  /// and activation applied), while it is in L1; may change it. `row_index` and `col0` say where it
  /// is. Segments do not overlap and cover the output; calls come from several threads at once.
  void (*tile)(void* ctx, float* row, int64_t row_index, int64_t col0, int64_t cols) = nullptr;
  void* ctx = nullptr;
};

}  // namespace vitrify::cpu
