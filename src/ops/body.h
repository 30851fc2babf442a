// Bodies (ir/body.h) in shape rules and reference kernels: a Pointwise alone, or the epilogue of an
// op that has computed its main result.
#pragma once

#include <span>
#include <vector>

#include "ops/op_info.h"

namespace vitrify {

/// The element type of every register; user error when a step does not take its arguments' types,
/// says another type than it gives, or when the operand count is wrong.
std::vector<DType> body_types(const Body& body, std::span<const DType> operands);

/// Runs `body` over `dims`. `types` are the operands' types in the body; an operand may be given in
/// its computing type instead (an f32 accumulator of an f16 op). Each of `results` (one per result
/// of the body, of its register's type, extents `dims`) is overwritten; it may share storage with
/// an operand of that very type and shape. Integer registers wrap to their type; floats round only
/// where a Cast says so, and when stored.
void run_body(const Body& body, std::span<const DType> types, std::span<const Tensor> operands,
              const Dims& dims, std::span<Tensor> results);

/// Shape rule: `main` is the type of the op's main result, the epilogue's further operands are
/// inputs first_operand …; gives the op's outputs (`main` itself when the body is empty). User
/// error when an operand does not broadcast to the main result.
void infer_epilogue(InferContext& context, const Body& body, const Type& main, int first_operand);

/// For a reference kernel: where to write the main result, in the computing type of `dtype`. It is
/// output 0 itself when nothing has to follow.
Tensor begin_main(ReferenceCall& call, const Body& body, DType dtype, const Dims& dims);
/// Runs the epilogue over `main` (from `begin_main`) and stores the outputs.
void finish_main(ReferenceCall& call, const Body& body, const Tensor& main, DType dtype,
                 int first_operand);

}  // namespace vitrify
