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

}  // namespace

std::optional<EpiloguePlan> plan_epilogue(const Body& body, int own,
                                          std::span<const Shape> operands, const Shape& result) {
  EpiloguePlan plan;
  int32_t main = 0;
  bool activated = false;
  for (size_t i = 0; i < body.steps.size(); ++i) {
    const BodyStep& s = body.steps[i];
    if (s.dtype != DType::kFloat32 || activated) return {};
    if (s.code == BodyStep::Code::kUnary && s.args[0] == main) {
      auto kind = activation_of(s);
      if (!kind) return {};
      plan.activation = *kind, plan.a = float(s.alpha), plan.b = float(s.beta);
      activated = true;
    } else {
      int operand = added_operand(s, main, body.inputs);
      if (operand < 0) return {};
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

Refusal check_epilogue(const NodeView& node, int own) {
  const Body* body = node.op.body();
  if (!body || body->empty()) return {};
  std::vector<Shape> operands;
  for (size_t i = size_t(own); i < node.inputs.size(); ++i) {
    if (node.inputs[i].dtype != DType::kFloat32 || !node.inputs[i].has_rank())
      return "an epilogue operand is not f32 of known rank";
    operands.push_back(*node.inputs[i].shape);
  }
  if (int(operands.size()) != body->inputs - 1)
    return "the epilogue's operands do not match its body";
  if (!node.outputs[0].has_rank()) return "the result's rank is unknown";
  return plan_epilogue(*body, own, operands, *node.outputs[0].shape)
             ? ""
             : "the epilogue is not bias, residual and activation";
}

EpiloguePlan bind_epilogue(const BoundNode& node, int own) {
  const Body* body = node.op.body();
  if (!body || body->empty()) return {};
  std::vector<Shape> operands;
  for (size_t i = size_t(own); i < node.inputs.size(); ++i)
    operands.push_back(to_shape(node.inputs[i].dims));
  require(int(operands.size()) == body->inputs - 1,
          "the epilogue's operands do not match its body");
  auto plan = plan_epilogue(*body, own, operands, to_shape(node.outputs[0].dims));
  require(plan.has_value(),
          "the epilogue's operands do not have the shapes that the plan was made for");
  return *plan;
}

Epilogue make_epilogue(const EpiloguePlan& plan, const RunCall& call, int64_t columns) {
  Epilogue e;
  if (plan.bias >= 0) e.bias = call.inputs[size_t(plan.bias)].as<float>();
  if (plan.residual >= 0)
    e.residual = call.inputs[size_t(plan.residual)].as<float>(), e.residual_stride = columns;
  e.activation = plan.activation, e.a = plan.a, e.b = plan.b;
  return e;
}

}  // namespace vitrify::cpu
