// How a contraction's epilogue Body maps onto what its kernel does in registers: bias, residual,
// activation, in this order. Bodies of another form run on the finished tile through the callback.
#pragma once

#include "backend/cpu/kernels/epilogue.h"
#include "backend/tactic.h"

namespace vitrify::cpu {

struct EpiloguePlan {
  int bias = -1, residual = -1;  ///< indices of the node's inputs, or -1
  Activation activation = Activation::kNone;
  float a = 0, b = 0;
};

/// The extents that matter for the form: those of types where a tactic is chosen, of operands where
/// it is bound. `own` is the number of inputs before the epilogue's operands. Nothing when the Body
/// is not of the form.
std::optional<EpiloguePlan> plan_epilogue(const Body& body, int own,
                                          std::span<const Shape> operands, const Shape& result);

/// As seen by `supports`: "" or the reason against it.
Refusal check_epilogue(const NodeView& node, int own);
/// Once shapes are bound; the form has been checked, a mismatch is a user error.
EpiloguePlan bind_epilogue(const BoundNode& node, int own);
/// Pointers for a run. `columns` is the residual's row stride.
Epilogue make_epilogue(const EpiloguePlan& plan, const RunCall& call, int64_t columns);

}  // namespace vitrify::cpu
