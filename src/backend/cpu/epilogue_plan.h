// How a contraction's epilogue Body maps onto what its kernel does in registers: bias, residual,
// rounding, activation, rounding, in this order. Bodies of another form run on finished rows
// through the callback.
#pragma once

#include "backend/cpu/kernels/epilogue.h"
#include "backend/cpu/kernels/epilogue_body.h"
#include "backend/tactic.h"

namespace vitrify::cpu {

struct EpiloguePlan {
  int bias = -1, residual = -1;  ///< indices of the node's inputs, or -1
  Activation activation = Activation::kNone;
  float a = 0, b = 0;
  Rounding rounding = Rounding::kNone, result_rounding = Rounding::kNone;
  EpilogueRunner runner;  ///< of a body that has another form; empty otherwise
};

/// The extents that matter for the form: those of types where a tactic is chosen, of operands where
/// it is bound. `own` is the number of inputs before the epilogue's operands. Nothing when the Body
/// is not of the form.
std::optional<EpiloguePlan> plan_epilogue(const Body& body, int own,
                                          std::span<const Shape> operands, const Shape& result);

/// As seen by `supports`: "" or the reason against it.
Refusal check_epilogue(const NodeView& node, int own);
/// The input that the output may lie over: the residual, if the kernel adds it; else -1.
int residual_input(const NodeView& node, int own);
/// Once shapes are bound; a mismatch is a user error.
EpiloguePlan bind_epilogue(Isa isa, const BoundNode& node, int own);
/// Pointers for a run. `columns` is the residual's row stride; `run` must outlive the result.
Epilogue make_epilogue(const EpiloguePlan& plan, const RunCall& call, int own, int64_t columns,
                       EpilogueRun& run);

}  // namespace vitrify::cpu
