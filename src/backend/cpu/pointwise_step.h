// One vectorised body over broadcast operands, as a bound step: what pointwise tactics and those
// that are a body in disguise (quantisation) share.
#pragma once

#include "backend/cpu/kernels/body.h"
#include "backend/cpu/pointwise_loop.h"

namespace vitrify::cpu {

/// Operands are the run's inputs in order, results its outputs. Throws a user error when shapes or
/// types do not fit the body.
TacticState bind_body(Isa isa, const Body& body, std::span<const Extents> operands,
                      std::span<const DType> operand_types, std::span<const Extents> results,
                      std::span<const DType> result_types);
void run_bound_body(const TacticState& bound, const RunCall& call);

}  // namespace vitrify::cpu
