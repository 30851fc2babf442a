#include "passes/body_builder.h"

#include <algorithm>

namespace vitrify {

namespace {
bool float_or_bool(const Type& t) { return t.dtype == DType::kFloat32 || t.dtype == DType::kBool; }
}  // namespace

bool is_body_step(const Node& n, const GraphBuilder& b) {
  bool pointwise =
      n.op.is<Unary>() || n.op.is<Binary>() || n.op.is<Select>() || n.op.is<Pointwise>();
  if (!pointwise || n.types.size() != 1 || n.types[0].dtype != DType::kFloat32 ||
      !n.types[0].has_rank())
    return false;
  // Bool operands only where a Select reads its condition: logic on bools has no place among
  // floats.
  for (size_t i = 0; i < n.inputs.size(); ++i) {
    const Type& t = b.type(n.inputs[i]);
    if (!t.has_rank() ||
        !(t.dtype == DType::kFloat32 || (n.op.is<Select>() && i == 0 && t.dtype == DType::kBool) ||
          (n.op.is<Pointwise>() && float_or_bool(t))))
      return false;
  }
  return true;
}

BodyBuilder BodyBuilder::epilogue(const GraphBuilder& builder, const Body& body,
                                  std::vector<ValueId> operands) {
  BodyBuilder out(builder);
  out.operands_.push_back(ValueId{});
  for (ValueId v : operands) out.operands_.push_back(v);
  std::vector<Ref> arguments;
  for (int32_t i = 0; i < int32_t(out.operands_.size()); ++i) arguments.push_back(-1 - i);
  if (!body.empty()) out.inline_body(body, arguments);
  return out;
}

BodyBuilder::Ref BodyBuilder::push(BodyStep step) {
  for (size_t i = 0; i < steps_.size(); ++i)
    if (steps_[i] == step) return Ref(i);
  steps_.push_back(step);
  return Ref(steps_.size()) - 1;
}

BodyBuilder::Ref BodyBuilder::ref_of(ValueId v, const std::map<ValueId, Ref>& known) {
  if (auto at = known.find(v); at != known.end()) return at->second;
  const Tensor* t = builder_.constant_of(v);
  // A constant of several axes may widen the result, so only what broadcasts to anything is
  // inlined.
  if (t && t->size() == 1 && t->rank() <= 1 && t->dtype() == DType::kFloat32) {
    BodyStep constant;
    constant.code = BodyStep::Code::kConstant;
    constant.alpha = double_at(*t, 0);
    constant.dtype = t->dtype();
    return push(constant);
  }
  auto at = std::find(operands_.begin() + (operands_.empty() || operands_[0].valid() ? 0 : 1),
                      operands_.end(), v);
  if (at == operands_.end()) at = operands_.insert(at, v);
  return -1 - Ref(at - operands_.begin());
}

BodyBuilder::Ref BodyBuilder::inline_body(const Body& body, const std::vector<Ref>& arguments) {
  std::vector<Ref> registers = arguments;
  for (BodyStep s : body.steps) {
    for (int32_t& a : s.args)
      if (a >= 0)
        a = registers[size_t(a)];
      else
        a = INT32_MIN;
    registers.push_back(push(s));
  }
  return registers[size_t(body.results()[0])];
}

BodyBuilder::Ref BodyBuilder::append(const Node& n, const std::map<ValueId, Ref>& known) {
  std::vector<Ref> arguments;
  for (ValueId v : n.inputs) arguments.push_back(ref_of(v, known));
  if (auto* p = n.op.as<Pointwise>()) return inline_body(p->body, arguments);
  BodyStep s;
  s.dtype = n.types[0].dtype;
  if (auto* u = n.op.as<Unary>()) {
    s.code = BodyStep::Code::kUnary, s.unary = u->kind, s.alpha = u->alpha, s.beta = u->beta;
  } else if (auto* o = n.op.as<Binary>()) {
    s.code = BodyStep::Code::kBinary, s.binary = o->kind;
  } else {
    s.code = BodyStep::Code::kSelect;
  }
  for (size_t i = 0; i < 3; ++i) s.args[i] = i < arguments.size() ? arguments[i] : INT32_MIN;
  return push(s);
}

std::vector<ValueId> BodyBuilder::operands() const {
  std::vector<ValueId> out;
  std::copy_if(operands_.begin(), operands_.end(), std::back_inserter(out),
               [](ValueId v) { return v.valid(); });
  return out;
}

Body BodyBuilder::body() const {
  Body out;
  out.inputs = int32_t(operands_.size());
  for (BodyStep s : steps_) {
    for (int32_t& a : s.args) a = a == INT32_MIN ? -1 : a < 0 ? -1 - a : out.inputs + a;
    out.steps.push_back(s);
  }
  return out;
}

}  // namespace vitrify
