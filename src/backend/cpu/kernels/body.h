// Bodies (ir/body.h) in float32 over vectors: compiled once to a register program, then run over
// rows of any length.
//
// Registers are tiles that stay in L1; bools are held as 0 and 1, f16 and bf16 as the floats that
// they are computed in. Operands are one of these, or of another type that is only cast; so are
// results, which get another type by a last cast.
// Multiplications and the additions that follow them are fused (one rounding instead of two).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backend/cpu/isa.h"
#include "ir/body.h"

namespace vitrify::cpu {

struct BodyInstruction {
  enum class Code : uint8_t {
    kUnary,
    kBinary,
    kSelect,     ///< args: condition, then, else
    kMulAdd,     ///< a * b + c
    kMulSub,     ///< a * b - c
    kNegMulAdd,  ///< c - a * b
    kNotZero,    ///< float to bool
    kRoundHalf,  ///< float(float16(a))
    kRoundBfloat16,
  };
  Code code{};
  UnaryKind unary{};
  BinaryKind binary{};
  int32_t args[3] = {-1, -1, -1};  ///< sources, see BodyProgram
  int32_t to = -1;                 ///< a temporary, or -1 - r for result r, written in place
  float alpha = 0, beta = 0;
};

/// Sources are numbered: operands, then temporaries, then constants.
struct BodyProgram {
  int32_t operands = 0, temporaries = 0;
  std::vector<DType> operand_types, result_types;
  std::vector<BodyInstruction> code;
  std::vector<float> constants;  ///< each kBodyLanes times
  std::vector<int32_t> results;  ///< source of each result, or -1 where an instruction writes it
  bool empty() const { return result_types.empty(); }
};

inline constexpr int kMaxBodyOperands = 24;
inline constexpr int kMaxBodyResults = 8;
inline constexpr int kMaxBodyTemporaries = 48;
inline constexpr int kMaxBodyConstants = 64;
inline constexpr int kBodyLanes = 16;  ///< copies of each constant

/// "" when `compile_body` takes it, else the reason. `types` are the operands'.
std::string body_refusal(const Body& body, std::span<const DType> types);
/// Throws a user error with the reason when refused.
BodyProgram compile_body(const Body& body, std::span<const DType> types);

/// A row of an operand: element i is at index i * step; step is 0 or 1.
struct BodyOperand {
  const std::byte* data = nullptr;
  int64_t step = 1;
};

/// results[r][i] for i in [0, n). A null result is not stored, unless it is the only one. A result
/// may be an operand's very row if it has step 1 and the same element size; no other overlap.
/// Thread-safe, allocates nothing.
void run_body_row(Isa isa, const BodyProgram& program, const BodyOperand* operands,
                  std::byte* const* results, int64_t n);

}  // namespace vitrify::cpu
