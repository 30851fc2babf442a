// Bodies (ir/body.h) of any types, by the row kernels of the reference: integers wrap as there.
#pragma once

#include "backend/cpu/kernels/body.h"

namespace vitrify::cpu {

struct ScalarProgram {
  Body body;
  std::vector<DType> types;  ///< of every register
};

/// "" when `compile_scalar_body` takes it, else the reason.
std::string scalar_body_refusal(const Body& body, std::span<const DType> types);
/// Throws a user error with the reason when refused.
ScalarProgram compile_scalar_body(const Body& body, std::span<const DType> types);

/// As run_body_row; every result may be an operand's row.
void run_scalar_body_row(const ScalarProgram& program, const BodyOperand* operands,
                         std::byte* const* results, int64_t n);

}  // namespace vitrify::cpu
