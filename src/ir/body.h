// Body: a straight-line scalar program over a tile, the leaf of every fusion.
//
// Registers 0 … inputs-1 are the operands; step i defines register inputs + i. In an epilogue,
// register 0 is the value that the main op has just computed. Operands broadcast to the result
// shape as in numpy. Intermediates are fp32 (f64 where the operands are f64); Cast and Quantize
// round.
#pragma once

#include <cstdint>
#include <vector>

#include "ir/type.h"

namespace vitrify {

/// Functions of one number. alpha and beta are named where used; unused ones are 0.
enum class UnaryKind : uint8_t {
  kAbs,
  kNeg,
  kSign,
  kSqrt,
  kReciprocal,
  kExp,
  kLog,
  kErf,
  kFloor,
  kCeil,
  kRound,
  kNot,
  kBitwiseNot,
  kSin,
  kCos,
  kTan,
  kAsin,
  kAcos,
  kAtan,
  kSinh,
  kCosh,
  kTanh,
  kAsinh,
  kAcosh,
  kAtanh,
  kIsNan,
  kIsInf,  // IsInf: alpha detects positive, beta detects negative (non-zero: yes)
  kRelu,
  kSigmoid,
  kSoftplus,
  kSoftsign,
  kMish,
  kHardSwish,
  kGelu,
  kGeluTanh,
  kSelu,  // Selu: alpha, gamma=beta
  kLeakyRelu,
  kElu,
  kCelu,
  kThresholdedRelu,  // x > alpha ? x : 0: of NaN, too, 0
  kSwish,            // alpha; swish: x * sigmoid(alpha x)
  kHardSigmoid,      // max(0, min(1, alpha x + beta))
  kClip,             // min(max(x, alpha), beta), NaN stays
  kShrink,           // lambd = alpha, bias = beta
};
constexpr int kUnaryKindCount = int(UnaryKind::kShrink) + 1;

enum class BinaryKind : uint8_t {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kPow,
  kMod,
  kFmod,
  kMin,
  kMax,
  kPrelu,  // prelu(x, slope)
  kAnd,
  kOr,
  kXor,
  kBitwiseAnd,
  kBitwiseOr,
  kBitwiseXor,
  kShiftLeft,
  kShiftRight,
  kEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,  // from here on the result is bool
};
constexpr int kBinaryKindCount = int(BinaryKind::kGreaterEqual) + 1;
inline bool is_comparison(BinaryKind kind) { return kind >= BinaryKind::kEqual; }

/// "relu", "hard_swish" …
std::string_view name(UnaryKind kind);
std::string_view name(BinaryKind kind);
/// Throw a user error when unknown.
UnaryKind unary_kind_from_name(std::string_view name);
BinaryKind binary_kind_from_name(std::string_view name);

struct BodyStep {
  enum class Code : uint8_t { kUnary, kBinary, kSelect, kCast, kConstant };
  Code code = Code::kUnary;
  UnaryKind unary{};
  BinaryKind binary{};
  int32_t args[3] = {-1, -1, -1};  ///< registers; select: condition, then, else
  /// Of a unary; the value (alpha) of a constant; of a cast, as in the op: alpha 1 means not to
  /// saturate, beta is the round mode.
  double alpha = 0, beta = 0;
  DType dtype = DType::kUndefined;  ///< of the register that the step defines
  bool operator==(const BodyStep&) const = default;
};

struct Body {
  int32_t inputs = 1;  ///< operands, the main value of an epilogue among them
  std::vector<BodyStep> steps;
  std::vector<int32_t> outputs;  ///< registers; empty means the last one
  bool empty() const { return steps.empty(); }
  /// The registers that are results (never empty).
  std::vector<int32_t> results() const {
    return outputs.empty() ? std::vector<int32_t>{int32_t(inputs + int32_t(steps.size()) - 1)}
                           : outputs;
  }
  bool operator==(const Body&) const = default;
};

/// Throws a user error unless registers, kinds and types are in range (for bodies read from files).
void verify(const Body& body);

}  // namespace vitrify
