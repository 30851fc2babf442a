#include "backend/cpu/epilogue_plan.h"

#include <algorithm>

#include "base/error.h"

namespace vitrify::cpu {

namespace {

std::optional<Activation> activation_of(const BodyStep& s) {
  switch (s.unary) {
    case UnaryKind::kRelu:
      return Activation::kRelu;
    case UnaryKind::kClip:
      return Activation::kClip;
    case UnaryKind::kLeakyRelu:
      return Activation::kLeakyRelu;
    case UnaryKind::kHardSigmoid:
      return Activation::kHardSigmoid;
    case UnaryKind::kHardSwish:
      return Activation::kHardSwish;
    case UnaryKind::kSigmoid:
      return Activation::kSigmoid;
    case UnaryKind::kSwish:
      return s.alpha == 1 ? std::optional(Activation::kSilu) : std::nullopt;
    case UnaryKind::kTanh:
      return Activation::kTanh;
    case UnaryKind::kGelu:
      return Activation::kGeluErf;
    case UnaryKind::kGeluTanh:
      return Activation::kGeluTanh;
    case UnaryKind::kElu:
      return Activation::kElu;
    case UnaryKind::kSoftplus:
      return Activation::kSoftplus;
    case UnaryKind::kMish:
      return Activation::kMish;
    default:
      return {};
  }
}

/// [C], or with leading axes of 1: one value per column.
bool is_per_column(const Shape& operand, const Shape& result) {
  if (operand.empty() || result.empty() || !(operand.back() == result.back()) ||
      operand.size() > result.size())
    return false;
  return std::all_of(operand.begin(), operand.end() - 1, [](const Dim& d) { return d == Dim(1); });
}

/// The operand added to `main` by the step, or -1.
int added_operand(const BodyStep& s, int32_t main, int32_t inputs) {
  if (s.code != BodyStep::Code::kBinary || s.binary != BinaryKind::kAdd) return -1;
  int32_t other = s.args[0] == main ? s.args[1] : s.args[1] == main ? s.args[0] : -1;
  return other > 0 && other < inputs ? other : -1;
}

/// What steps i and i + 1 round `main` to, by a cast there and back.
Rounding rounding_at(const Body& body, size_t i, int32_t main) {
  if (i + 1 >= body.steps.size()) return Rounding::kNone;
  const BodyStep &down = body.steps[i], &up = body.steps[i + 1];
  const bool pair = down.code == BodyStep::Code::kCast && down.args[0] == main &&
                    up.code == BodyStep::Code::kCast && up.args[0] == body.inputs + int32_t(i) &&
                    up.dtype == DType::kFloat32;
  return !pair                            ? Rounding::kNone
         : down.dtype == DType::kFloat16  ? Rounding::kHalf
         : down.dtype == DType::kBFloat16 ? Rounding::kBfloat16
                                          : Rounding::kNone;
}

}  // namespace

std::optional<EpiloguePlan> plan_epilogue(const Body& body, int own,
                                          std::span<const Shape> operands, const Shape& result) {
  EpiloguePlan plan;
  int32_t main = 0;
  bool activated = false;
  for (size_t i = 0; i < body.steps.size(); ++i) {
    const BodyStep& s = body.steps[i];
    if (const Rounding r = rounding_at(body, i, main); r != Rounding::kNone) {
      Rounding& to = activated ? plan.result_rounding : plan.rounding;
      if (to != Rounding::kNone) return {};
      to = r;
      main = body.inputs + int32_t(++i);
      continue;
    }
    if (s.dtype != DType::kFloat32 || activated) return {};
    if (s.code == BodyStep::Code::kUnary && s.args[0] == main) {
      auto kind = activation_of(s);
      if (!kind) return {};
      plan.activation = *kind, plan.a = float(s.alpha), plan.b = float(s.beta);
      activated = true;
    } else {
      int operand = added_operand(s, main, body.inputs);
      if (operand < 0 || plan.rounding != Rounding::kNone) return {};
      const Shape& shape = operands[size_t(operand - 1)];
      int input = own + operand - 1;
      // A full-size operand of one row is a bias as well; the bias is the cheaper reading.
      if (plan.bias < 0 && is_per_column(shape, result))
        plan.bias = input;
      else if (plan.residual < 0 && shape == result)
        plan.residual = input;
      else
        return {};
    }
    main = body.inputs + int32_t(i);
  }
  if (body.results() != std::vector<int32_t>{main}) return {};
  return plan;
}

namespace {

/// The plan by the types, so that it is the same when the tactic is chosen and when it is bound.
std::optional<EpiloguePlan> plan_by_types(const Body& body, int own, std::span<const Type> inputs,
                                          std::span<const Type> outputs) {
  std::vector<Shape> operands;
  for (size_t i = size_t(own); i < inputs.size(); ++i) {
    if (inputs[i].dtype != DType::kFloat32 || !inputs[i].has_rank()) return {};
    operands.push_back(*inputs[i].shape);
  }
  if (int(operands.size()) != body.inputs - 1 || outputs.size() != 1 || !outputs[0].has_rank())
    return {};
  return plan_epilogue(body, own, operands, *outputs[0].shape);
}

}  // namespace

Refusal check_epilogue(const NodeView& node, int own) {
  const Body* body = node.op.body();
  if (!body || body->empty() || plan_by_types(*body, own, node.inputs, node.outputs)) return {};
  return EpilogueRunner::refusal(node, own);
}

int residual_input(const NodeView& node, int own) {
  const Body* body = node.op.body();
  if (!body || body->empty()) return -1;
  auto plan = plan_by_types(*body, own, node.inputs, node.outputs);
  return plan ? plan->residual : -1;
}

EpiloguePlan bind_epilogue(Isa isa, const BoundNode& node, int own) {
  const Body* body = node.op.body();
  if (!body || body->empty()) return {};
  auto plan = plan_by_types(*body, own, node.input_types, node.output_types);
  const Dims& result = node.outputs[0].dims;
  if (!plan) {
    EpiloguePlan other;
    other.runner = EpilogueRunner(isa, node, own, result);
    return other;
  }
  require(
      (plan->bias < 0 ||
       (!result.empty() && element_count(node.inputs[size_t(plan->bias)].dims) == result.back())) &&
          (plan->residual < 0 || node.inputs[size_t(plan->residual)].dims == result),
      "the epilogue's operands do not have the shapes that the plan was made for");
  return *plan;
}

Epilogue make_epilogue(const EpiloguePlan& plan, const RunCall& call, int own, int64_t columns,
                       EpilogueRun& run) {
  Epilogue e;
  if (plan.bias >= 0) e.bias = call.inputs[size_t(plan.bias)].as<float>();
  if (plan.residual >= 0)
    e.residual = call.inputs[size_t(plan.residual)].as<float>(), e.residual_stride = columns;
  e.activation = plan.activation, e.a = plan.a, e.b = plan.b;
  e.rounding = plan.rounding, e.result_rounding = plan.result_rounding;
  if (plan.runner.empty()) return e;
  run = plan.runner.start(call, own);
  e.tile = EpilogueRunner::tile, e.ctx = &run;
  return e;
}

}  // namespace vitrify::cpu
