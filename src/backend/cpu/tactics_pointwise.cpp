// Tactics of pointwise, unary, binary, select and cast: one body over segments of rows.
#include <algorithm>

#include "backend/cpu/families.h"
#include "backend/cpu/kernels/scalar_body.h"
#include "backend/cpu/pointwise_step.h"
#include "backend/cpu/tactic_parts.h"
#include "base/error.h"

namespace vitrify::cpu {

namespace {

/// The op as a body over its inputs.
Body body_of(const Op& op, DType result) {
  if (auto* p = op.as<Pointwise>()) return p->body;
  BodyStep step{.dtype = result};
  int inputs = 1;
  if (auto* u = op.as<Unary>()) {
    step.code = BodyStep::Code::kUnary, step.unary = u->kind;
    step.alpha = u->alpha, step.beta = u->beta;
  } else if (auto* b = op.as<Binary>()) {
    step.code = BodyStep::Code::kBinary, step.binary = b->kind;
    inputs = 2;
  } else if (op.is<Select>()) {
    step.code = BodyStep::Code::kSelect;
    inputs = 3;
  } else {
    step.code = BodyStep::Code::kCast;
    step.alpha = op.as<Cast>()->saturate ? 0 : 1;
  }
  for (int i = 0; i < inputs; ++i) step.args[i] = i;
  return {inputs, {step}, {}};
}

std::vector<DType> dtypes(std::span<const Type> types) {
  std::vector<DType> all;
  for (const Type& t : types) all.push_back(t.dtype);
  return all;
}

Refusal check_operands(const NodeView& n) {
  if (Refusal r = check_ranks(n, kMaxLoopRank); !r.empty()) return r;
  for (const Type& t : n.inputs)
    if (!t.is_tensor()) return "an operand is left out";
  if (n.inputs.empty() || n.inputs.size() + n.outputs.size() > kMaxLoopOperands)
    return "no operands, or too many";
  if (n.outputs.size() != body_of(n.op, n.outputs[0].dtype).results().size())
    return "some results are left out";
  return {};
}

Refusal vector_supports(const NodeView& n) {
  if (Refusal r = check_operands(n); !r.empty()) return r;
  return body_refusal(body_of(n.op, n.outputs[0].dtype), dtypes(n.inputs));
}

Refusal scalar_supports(const NodeView& n) {
  if (Refusal r = check_operands(n); !r.empty()) return r;
  if (vector_supports(n).empty()) return "float vectors do it faster";
  return scalar_body_refusal(body_of(n.op, n.outputs[0].dtype), dtypes(n.inputs));
}

TacticState vector_bind(const TacticState& isa, const BoundNode& n) {
  return bind_body(isa_of(isa), body_of(n.op, n.output_types[0].dtype), n.inputs,
                   dtypes(n.input_types), n.outputs, dtypes(n.output_types));
}

struct ScalarBound {
  PointwiseLoop loop;
  ScalarProgram program;
};

TacticState scalar_bind(const TacticState&, const BoundNode& n) {
  auto program = compile_scalar_body(body_of(n.op, n.output_types[0].dtype), dtypes(n.input_types));
  std::vector<DType> results;
  for (int32_t r : program.body.outputs) results.push_back(program.types[size_t(r)]);
  require(dtypes(n.output_types) == results, "the node's results are not of its body's types");
  PointwiseLoop loop(n.outputs[0].dims, n.inputs, dtypes(n.input_types), n.outputs, results);
  return std::make_shared<ScalarBound>(std::move(loop), std::move(program));
}

void scalar_run(const TacticState& state, const RunCall& call) {
  const auto& bound = bound_as<ScalarBound>(state);
  bound.loop.run(
      call,
      [](const void* context, const std::byte* const* rows, const int64_t* steps,
         std::byte* const* results, int64_t n) {
        const auto& b = *static_cast<const ScalarBound*>(context);
        BodyOperand operands[kMaxBodyOperands];
        for (int i = 0; i < b.program.body.inputs; ++i) operands[i] = {rows[i], steps[i]};
        run_scalar_body_row(b.program, operands, results, n);
      },
      &bound);
}

/// Inputs of the first result's very type and shape.
uint32_t overwrites(const NodeView& n) {
  uint32_t mask = 0;
  for (size_t i = 0; i < n.inputs.size() && i < 32; ++i)
    if (n.inputs[i].dtype == n.outputs[0].dtype && n.inputs[i].has_rank() &&
        n.outputs[0].has_rank() && *n.inputs[i].shape == *n.outputs[0].shape)
      mask |= 1u << i;
  return mask;
}

constexpr uint32_t kAll = ~0u;

constexpr Tactic vector_row(std::string_view name, std::string_view op) {
  return {.name = name,
          .op = op,
          .supports = vector_supports,
          .configs = isa_configs,
          .load = load_isa,
          .bind = vector_bind,
          .run = run_bound_body,
          .strided_inputs = kAll,
          .strided_outputs = kAll,
          .overwrites = overwrites};
}
constexpr Tactic scalar_row(std::string_view name, std::string_view op) {
  return {.name = name,
          .op = op,
          .supports = scalar_supports,
          .bind = scalar_bind,
          .run = scalar_run,
          .strided_inputs = kAll,
          .strided_outputs = kAll,
          .overwrites = overwrites};
}

}  // namespace

std::span<const Tactic> pointwise_tactics() {
  static const Tactic kRows[] = {
      vector_row("cpu.pointwise", Pointwise::kName),
      scalar_row("cpu.pointwise.scalar", Pointwise::kName),
      vector_row("cpu.unary", Unary::kName),
      scalar_row("cpu.unary.scalar", Unary::kName),
      vector_row("cpu.binary", Binary::kName),
      scalar_row("cpu.binary.scalar", Binary::kName),
      vector_row("cpu.select", Select::kName),
      scalar_row("cpu.select.scalar", Select::kName),
      vector_row("cpu.cast", Cast::kName),
      scalar_row("cpu.cast.scalar", Cast::kName),
  };
  return kRows;
}

}  // namespace vitrify::cpu
