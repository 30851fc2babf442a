#include "ir/body.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace vitrify {

namespace {
constexpr std::array<std::string_view, kUnaryKindCount> kUnaryNames = {
    "abs",      "neg",          "sign",        "sqrt",    "reciprocal",
    "exp",      "log",          "erf",         "floor",   "ceil",
    "round",    "not",          "bitwise_not", "sin",     "cos",
    "tan",      "asin",         "acos",        "atan",    "sinh",
    "cosh",     "tanh",         "asinh",       "acosh",   "atanh",
    "is_nan",   "is_inf",       "relu",        "sigmoid", "softplus",
    "softsign", "mish",         "hard_swish",  "gelu",    "gelu_tanh",
    "selu",     "leaky_relu",   "elu",         "celu",    "thresholded_relu",
    "swish",    "hard_sigmoid", "clip",        "shrink",
};
constexpr std::array<std::string_view, kBinaryKindCount> kBinaryNames = {
    "add",   "sub",         "mul",        "div",         "pow",           "mod",
    "fmod",  "min",         "max",        "prelu",       "and",           "or",
    "xor",   "bitwise_and", "bitwise_or", "bitwise_xor", "shift_left",    "shift_right",
    "equal", "less",        "less_equal", "greater",     "greater_equal",
};
static_assert(!kUnaryNames.back().empty() && !kBinaryNames.back().empty());

template <class Names>
size_t find(const Names& names, std::string_view name, std::string_view what) {
  auto at = std::find(names.begin(), names.end(), name);
  require(at != names.end(), "unknown ", what, " '", name, "'");
  return size_t(at - names.begin());
}
}  // namespace

std::string_view name(UnaryKind kind) { return kUnaryNames[size_t(kind)]; }
std::string_view name(BinaryKind kind) { return kBinaryNames[size_t(kind)]; }
UnaryKind unary_kind_from_name(std::string_view name) {
  return UnaryKind(find(kUnaryNames, name, "unary kind"));
}
BinaryKind binary_kind_from_name(std::string_view name) {
  return BinaryKind(find(kBinaryNames, name, "binary kind"));
}

void verify(const Body& body) {
  constexpr int kMaxRegisters = 1 << 16;
  require(
      body.inputs >= 0 && body.inputs < kMaxRegisters && body.steps.size() < size_t(kMaxRegisters),
      "a body has too many registers");
  for (size_t i = 0; i < body.steps.size(); ++i) {
    const BodyStep& step = body.steps[i];
    int count = 0;
    switch (step.code) {
      case BodyStep::Code::kUnary:
        require(int(step.unary) < kUnaryKindCount, "a body step has an unknown unary kind");
        count = 1;
        break;
      case BodyStep::Code::kBinary:
        require(int(step.binary) < kBinaryKindCount, "a body step has an unknown binary kind");
        count = 2;
        break;
      case BodyStep::Code::kSelect:
        count = 3;
        break;
      case BodyStep::Code::kCast:
        count = 1;
        break;
      case BodyStep::Code::kConstant:
        break;
      default:
        fail("a body step has an unknown code");
    }
    require(step.dtype != DType::kUndefined && int(step.dtype) < kDTypeCount,
            "a body step has no element type");
    for (int a = 0; a < count; ++a)
      require(step.args[a] >= 0 && int64_t(step.args[a]) < int64_t(body.inputs) + int64_t(i),
              "body step ", i, " reads a register that is not defined before it");
  }
  auto registers = int64_t(body.inputs) + int64_t(body.steps.size());
  for (int32_t o : body.results())
    require(o >= 0 && o < registers, "a body's result is not one of its registers");
}

}  // namespace vitrify
