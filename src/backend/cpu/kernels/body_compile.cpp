// From a Body to a BodyProgram: aliases and dead steps go, products and sums fuse, and what is left
// gets temporaries by the lifetimes of its values.
#include <algorithm>
#include <cmath>
#include <optional>

#include "backend/cpu/kernels/body.h"
#include "backend/cpu/kernels/convert.h"
#include "base/error.h"
#include "base/small_float.h"

namespace vitrify::cpu {
namespace {

using Code = BodyInstruction::Code;

bool is_half(DType t) { return t == DType::kFloat16 || t == DType::kBFloat16; }
bool is_native(DType t) { return t == DType::kFloat32 || t == DType::kBool || is_half(t); }

/// A constant as a register of its type holds it.
float constant_value(const BodyStep& s) {
  if (s.dtype == DType::kBool) return float(s.alpha != 0);
  if (!is_half(s.dtype)) return float(s.alpha);
  const SmallFloat& format = s.dtype == DType::kFloat16 ? kFloat16 : kBFloat16;
  return float(decode(format, encode(format, s.alpha, false)));
}

/// The registers that a step reads; what else is in `args` means nothing.
std::span<const int32_t> args_of(const BodyStep& s) {
  const size_t count = s.code == BodyStep::Code::kConstant ? 0
                       : s.code == BodyStep::Code::kBinary ? 2
                       : s.code == BodyStep::Code::kSelect ? 3
                                                           : 1;
  return {s.args, count};
}

std::string step_refusal(const Body& body, const std::vector<DType>& types, size_t s,
                         const std::vector<int>& uses, const std::vector<bool>& is_result) {
  const BodyStep& step = body.steps[s];
  const size_t self = size_t(body.inputs) + s;
  if (step.code == BodyStep::Code::kCast) {
    const DType from = types[size_t(step.args[0])];
    const bool from_float = is_native(from);
    if (from == DType::kFloat64 && step.dtype == DType::kBool)
      return "the truth of an f64, which may be too small for a float";
    if (is_native(step.dtype) && (from_float || !is_half(step.dtype))) return {};
    if (!from_float) return "a cast that needs no float";
    return is_result[self] && uses[self] == 0
               ? ""
               : cat("a cast to ", name(step.dtype), " inside of the body");
  }
  if (!is_native(step.dtype)) return cat("a step in ", name(step.dtype));
  for (int32_t a : args_of(step))
    if (!is_native(types[size_t(a)])) return cat("a step on ", name(types[size_t(a)]), " operands");
  if (step.code == BodyStep::Code::kUnary && step.unary == UnaryKind::kBitwiseNot)
    return "an integer step";
  if (step.code == BodyStep::Code::kBinary && step.binary >= BinaryKind::kBitwiseAnd &&
      step.binary <= BinaryKind::kShiftRight)
    return "an integer step";
  return {};
}

class Compiler {
 public:
  Compiler(const Body& body, std::span<const DType> types)
      : body_(body), types_(types.begin(), types.end()), inputs_(size_t(body.inputs)) {
    for (const BodyStep& s : body.steps) types_.push_back(s.dtype);
    uses_.assign(types_.size(), 0);
    source_.assign(types_.size(), -1);
  }

  BodyProgram compile() {
    program_.operands = body_.inputs;
    program_.operand_types.assign(types_.begin(), types_.begin() + body_.inputs);
    find_aliases();
    count_uses();
    for (size_t s = 0; s < body_.steps.size(); ++s)
      if (uses_[inputs_ + s] > 0 && alias_[inputs_ + s] == inputs_ + s) emit(s);
    std::vector<int32_t> results;
    for (int32_t r : body_.results()) {
      program_.result_types.push_back(types_[size_t(r)]);
      results.push_back(value_of(size_t(r)));
    }
    allocate(results);
    return std::move(program_);
  }

 private:
  // While compiling, a value is an operand's number, kFirstStep + an instruction, or
  // kFirstConstant + a constant.
  static constexpr int32_t kFirstStep = 1 << 16, kFirstConstant = 1 << 24;

  /// Casts that change nothing here: to float, from anything (bools are floats), to what a result
  /// is stored as, and to a half type from what has its values.
  void find_aliases() {
    alias_.resize(types_.size());
    std::vector<bool> is_read(types_.size());
    for (const BodyStep& s : body_.steps)
      for (int32_t a : args_of(s)) is_read[size_t(a)] = true;
    for (size_t r = 0; r < types_.size(); ++r) {
      alias_[r] = r;
      if (r < inputs_) continue;
      const BodyStep& s = body_.steps[r - inputs_];
      if (s.code != BodyStep::Code::kCast) continue;
      const DType from = types_[size_t(s.args[0])];
      const bool rounds = is_half(s.dtype) && is_read[r] && !holds(size_t(s.args[0]), s.dtype);
      if (!rounds && (s.dtype != DType::kBool || from == DType::kBool))
        alias_[r] = alias_[size_t(s.args[0])];
    }
  }

  /// True when the register's values are of the half type for certain.
  bool holds(size_t reg, DType half) const {
    reg = alias_[reg];
    if (types_[reg] == DType::kBool) return true;
    const bool given = reg < inputs_ || body_.steps[reg - inputs_].code == BodyStep::Code::kCast;
    return given && types_[reg] == half;
  }

  void count_uses() {
    for (int32_t r : body_.results()) ++uses_[alias_[size_t(r)]];
    for (size_t s = body_.steps.size(); s-- > 0;) {
      if (uses_[inputs_ + s] == 0 || alias_[inputs_ + s] != inputs_ + s) continue;
      for (int32_t a : args_of(body_.steps[s])) ++uses_[alias_[size_t(a)]];
    }
  }

  int32_t value_of(size_t reg) const {
    reg = alias_[reg];
    return reg < inputs_ ? int32_t(reg) : source_[reg];
  }

  void emit(size_t s) {
    const BodyStep& step = body_.steps[s];
    int32_t& value = source_[inputs_ + s];
    if (step.code == BodyStep::Code::kConstant) {
      value = kFirstConstant + int32_t(program_.constants.size() / kBodyLanes);
      program_.constants.insert(program_.constants.end(), kBodyLanes, constant_value(step));
      return;
    }
    BodyInstruction i;
    i.alpha = float(step.alpha), i.beta = float(step.beta);
    const auto args = args_of(step);
    for (size_t a = 0; a < args.size(); ++a) i.args[a] = value_of(size_t(args[a]));
    i.unary = step.unary, i.binary = step.binary;
    switch (step.code) {
      case BodyStep::Code::kUnary:
        i.code = Code::kUnary;
        break;
      case BodyStep::Code::kBinary:
        i.code = Code::kBinary;
        if (step.binary == BinaryKind::kAdd || step.binary == BinaryKind::kSub) fuse_product(i, s);
        break;
      case BodyStep::Code::kSelect:
        i.code = Code::kSelect;
        break;
      default:
        i.code = step.dtype == DType::kFloat16    ? Code::kRoundHalf
                 : step.dtype == DType::kBFloat16 ? Code::kRoundBfloat16
                                                  : Code::kNotZero;
    }
    value = kFirstStep + int32_t(program_.code.size());
    program_.code.push_back(i);
  }

  /// The product that argument `a` of step s is, when this is its only use.
  BodyInstruction* product(const BodyInstruction& i, size_t s, int a) {
    const size_t reg = alias_[size_t(body_.steps[s].args[a])];
    if (reg < inputs_ || uses_[reg] != 1 || i.args[a] < kFirstStep || i.args[a] >= kFirstConstant)
      return nullptr;
    BodyInstruction& p = program_.code[size_t(i.args[a] - kFirstStep)];
    return p.code == Code::kBinary && p.binary == BinaryKind::kMul ? &p : nullptr;
  }

  void fuse_product(BodyInstruction& i, size_t s) {
    const bool add = i.binary == BinaryKind::kAdd;
    BodyInstruction* p = product(i, s, 0);
    const int32_t other = i.args[p ? 1 : 0];
    if (p) {
      i.code = add ? Code::kMulAdd : Code::kMulSub;
    } else if ((p = product(i, s, 1))) {
      i.code = add ? Code::kMulAdd : Code::kNegMulAdd;
    } else {
      return;
    }
    i.args[0] = p->args[0], i.args[1] = p->args[1], i.args[2] = other;
    p->to = kDead;
  }
  static constexpr int32_t kDead = INT32_MIN;

  /// True for a result that the last instruction may write where it belongs.
  bool is_direct(const std::vector<int32_t>& results) const {
    return results.size() == 1 && results[0] >= kFirstStep && results[0] < kFirstConstant &&
           size_t(results[0] - kFirstStep) + 1 == program_.code.size() &&
           program_.result_types[0] == DType::kFloat32;
  }

  void allocate(const std::vector<int32_t>& results) {
    const size_t count = program_.code.size();
    std::vector<size_t> last(count, 0);
    for (size_t i = 0; i < count; ++i) {
      if (program_.code[i].to == kDead) continue;
      for (int32_t a : program_.code[i].args)
        if (a >= kFirstStep && a < kFirstConstant) last[size_t(a - kFirstStep)] = i;
    }
    for (int32_t r : results)
      if (r >= kFirstStep && r < kFirstConstant) last[size_t(r - kFirstStep)] = count;
    const bool direct = is_direct(results);
    std::vector<int32_t> place(count, -1);
    std::vector<bool> busy;
    for (size_t i = 0; i < count; ++i) {
      BodyInstruction& in = program_.code[i];
      if (in.to == kDead) continue;
      for (int32_t a : in.args)  // its own operands' places are free for the result
        if (a >= kFirstStep && a < kFirstConstant && last[size_t(a - kFirstStep)] == i)
          busy[size_t(place[size_t(a - kFirstStep)])] = false;
      if (direct && i + 1 == count) {
        in.to = -1;
        break;
      }
      auto free = size_t(std::find(busy.begin(), busy.end(), false) - busy.begin());
      if (free == busy.size()) busy.push_back(false);
      busy[free] = true;
      in.to = place[i] = int32_t(free);
    }
    program_.temporaries = int32_t(busy.size());
    rename(results, place, direct);
  }

  void rename(const std::vector<int32_t>& results, const std::vector<int32_t>& place, bool direct) {
    auto source = [&](int32_t v) {
      if (v < kFirstStep) return v;
      if (v < kFirstConstant) return program_.operands + place[size_t(v - kFirstStep)];
      return program_.operands + program_.temporaries + v - kFirstConstant;
    };
    std::erase_if(program_.code, [](const BodyInstruction& i) { return i.to == kDead; });
    for (BodyInstruction& i : program_.code)
      for (int32_t& a : i.args) a = source(a);
    for (int32_t r : results) program_.results.push_back(direct ? -1 : source(r));
  }

  const Body& body_;
  std::vector<DType> types_;
  size_t inputs_;
  std::vector<size_t> alias_;
  std::vector<int> uses_;
  std::vector<int32_t> source_;
  BodyProgram program_;
};

}  // namespace

std::string body_refusal(const Body& body, std::span<const DType> types) {
  if (size_t(body.inputs) != types.size()) return "the operands do not match the body";
  if (body.inputs > kMaxBodyOperands) return cat("more than ", kMaxBodyOperands, " operands");
  if (body.results().size() > kMaxBodyResults)
    return cat("more than ", kMaxBodyResults, " results");
  if (body.steps.size() > 4096) return "a very long body";
  std::vector<DType> all(types.begin(), types.end());
  for (const BodyStep& s : body.steps) all.push_back(s.dtype);
  for (DType t : all)
    if (!converts(t)) return cat("a value of type ", name(t));
  std::vector<int> uses(all.size());
  std::vector<bool> is_result(all.size());
  for (int32_t r : body.results()) {
    is_result[size_t(r)] = true;
    if (r < body.inputs && !is_native(all[size_t(r)])) return "an operand is a result as it is";
  }
  for (const BodyStep& s : body.steps)
    for (int32_t a : args_of(s)) ++uses[size_t(a)];
  for (size_t s = 0; s < body.steps.size(); ++s)
    if (std::string r = step_refusal(body, all, s, uses, is_result); !r.empty()) return r;
  const BodyProgram program = Compiler(body, types).compile();
  if (program.temporaries > kMaxBodyTemporaries)
    return cat("more than ", kMaxBodyTemporaries, " values at a time");
  if (program.constants.size() > size_t(kMaxBodyConstants) * kBodyLanes)
    return cat("more than ", kMaxBodyConstants, " constants");
  return {};
}

BodyProgram compile_body(const Body& body, std::span<const DType> types) {
  verify(body);
  const std::string refusal = body_refusal(body, types);
  require(refusal.empty(), "the body cannot run over float vectors: ", refusal);
  return Compiler(body, types).compile();
}

}  // namespace vitrify::cpu
