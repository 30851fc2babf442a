#include "backend/cpu/pointwise_step.h"

#include "base/error.h"

namespace vitrify::cpu {

namespace {

struct Bound {
  PointwiseLoop loop;
  BodyProgram program;
  Isa isa;
};

const Bound& bound_of(const TacticState& state) { return *static_cast<const Bound*>(state.get()); }

}  // namespace

TacticState bind_body(Isa isa, const Body& body, std::span<const Extents> operands,
                      std::span<const DType> operand_types, std::span<const Extents> results,
                      std::span<const DType> result_types) {
  BodyProgram program = compile_body(body, operand_types);
  require(std::vector<DType>(result_types.begin(), result_types.end()) == program.result_types,
          "the node's results are not of its body's types");
  PointwiseLoop loop(results[0].dims, operands, operand_types, results, result_types);
  return std::make_shared<Bound>(std::move(loop), std::move(program), isa);
}

void run_bound_body(const TacticState& state, const RunCall& call) {
  const Bound& bound = bound_of(state);
  bound.loop.run(
      call,
      [](const void* context, const std::byte* const* rows, const int64_t* steps,
         std::byte* const* results, int64_t n) {
        const auto& b = *static_cast<const Bound*>(context);
        BodyOperand operands[kMaxBodyOperands];
        for (int i = 0; i < b.program.operands; ++i) operands[i] = {rows[i], steps[i]};
        run_body_row(b.isa, b.program, operands, results, n);
      },
      &bound);
}

}  // namespace vitrify::cpu
