#include "backend/cpu/kernels/scalar_body.h"

#include <algorithm>
#include <limits>

#include "backend/cpu/kernels/convert.h"
#include "base/error.h"
#include "base/small_float.h"
#include "ops/body.h"
#include "ops/dispatch.h"
#include "ops/row_kernels.h"

namespace vitrify::cpu {

namespace {

constexpr int64_t kScratch = 4096;  // registers' elements, 8 bytes each
constexpr size_t kMaxRegisters = 128;

template <class F>
void dispatch_stored(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kFloat32:
      return f.template operator()<float>();
    case DType::kFloat64:
      return f.template operator()<double>();
    case DType::kInt8:
      return f.template operator()<int8_t>();
    case DType::kInt16:
      return f.template operator()<int16_t>();
    case DType::kInt32:
      return f.template operator()<int32_t>();
    case DType::kInt64:
      return f.template operator()<int64_t>();
    case DType::kUint16:
      return f.template operator()<uint16_t>();
    case DType::kUint32:
      return f.template operator()<uint32_t>();
    case DType::kUint64:
      return f.template operator()<uint64_t>();
    default:  // u8 and bool
      return f.template operator()<uint8_t>();
  }
}

bool is_half(DType t) { return t == DType::kFloat16 || t == DType::kBFloat16; }

/// A row, or one element n times, in its computing type.
void load_row(DType dtype, const BodyOperand& o, int64_t at, int64_t n, void* to) {
  const std::byte* from = o.data + at * o.step * (bit_width(dtype) / 8);
  if (is_half(dtype) && o.step)
    return load_floats(Isa::kBaseline, dtype, from, n, static_cast<float*>(to));
  if (is_half(dtype)) {
    float v;
    load_floats(Isa::kBaseline, dtype, from, 1, &v);
    std::fill_n(static_cast<float*>(to), n, v);
    return;
  }
  dispatch_compute(dtype, [&]<class C>() {
    dispatch_stored(dtype, [&]<class T>() {
      const T* x = reinterpret_cast<const T*>(from);
      C* y = static_cast<C*>(to);
      if (o.step)
        for (int64_t i = 0; i < n; ++i) y[i] = C(x[i]);
      else
        std::fill_n(y, n, C(*x));
    });
  });
}

void store_row(DType dtype, const void* from, int64_t n, std::byte* to) {
  if (is_half(dtype))
    return store_floats(Isa::kBaseline, dtype, static_cast<const float*>(from), n, to);
  dispatch_compute(dtype, [&]<class C>() {
    const C* x = static_cast<const C*>(from);
    dispatch_stored(dtype, [&]<class T>() {
      T* y = reinterpret_cast<T*>(to);
      for (int64_t i = 0; i < n; ++i) y[i] = dtype == DType::kBool ? T(x[i] != 0) : T(x[i]);
    });
  });
}

/// Truncates and saturates; NaN gives 0.
template <class To, class From>
To truncated(From v) {
  using Limits = std::numeric_limits<To>;
  if (v != v) return 0;
  if (v >= From(Limits::max())) return Limits::max();
  if (v <= From(Limits::min())) return Limits::min();
  return To(v);
}

/// What a cast leaves in the computing type of `to`.
template <class From, class To>
void cast_values(const From* x, DType to, To* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    if (to == DType::kBool)
      y[i] = To(x[i] != 0);
    else if (to == DType::kFloat16)
      y[i] = To(decode(kFloat16, encode(kFloat16, double(x[i]), false)));
    else if (to == DType::kBFloat16)
      y[i] = To(decode(kBFloat16, encode(kBFloat16, double(x[i]), false)));
    else
      y[i] = To(x[i]);
  }
}

void cast_registers(DType from, const void* x, DType to, void* y, int64_t n) {
  dispatch_compute(from, [&]<class From>() {
    dispatch_compute(to, [&]<class To>() {
      const From* a = static_cast<const From*>(x);
      To* b = static_cast<To*>(y);
      if constexpr (std::is_floating_point_v<From> && !std::is_floating_point_v<To>) {
        if (to != DType::kBool)
          return dispatch_stored(to, [&]<class T>() {
            for (int64_t i = 0; i < n; ++i) b[i] = To(truncated<T, From>(a[i]));
          });
      }
      cast_values(a, to, b, n);
    });
  });
}

class ScalarRunner {
 public:
  ScalarRunner(const ScalarProgram& p, const BodyOperand* operands) : p_(p), operands_(operands) {
    tile_ = std::clamp<int64_t>(kScratch / int64_t(p.types.size()), 1, 256);
  }

  void run(std::byte* const* results, int64_t n) {
    const auto inputs = size_t(p_.body.inputs);
    const std::vector<int32_t>& chosen = p_.body.outputs;
    for (int64_t at = 0; at < n; at += tile_) {
      const int64_t count = std::min(tile_, n - at);
      for (size_t o = 0; o < inputs; ++o) load_row(p_.types[o], operands_[o], at, count, reg(o));
      for (size_t s = 0; s < p_.body.steps.size(); ++s) run_step(s, count);
      for (size_t r = 0; r < chosen.size(); ++r)
        if (const DType t = p_.types[size_t(chosen[r])]; results[r])
          store_row(t, reg(size_t(chosen[r])), count, results[r] + at * (bit_width(t) / 8));
    }
  }

 private:
  void* reg(size_t i) { return scratch_ + int64_t(i) * tile_; }

  void run_step(size_t s, int64_t n) {
    const BodyStep& step = p_.body.steps[s];
    const size_t self = size_t(p_.body.inputs) + s;
    auto arg = [&](int a) { return reg(size_t(step.args[a])); };
    auto compute = [&](int a) { return compute_type(p_.types[size_t(step.args[a])]); };
    switch (step.code) {
      case BodyStep::Code::kUnary:
        unary_row(step.unary, step.alpha, step.beta, compute(0), arg(0), reg(self), n);
        break;
      case BodyStep::Code::kBinary:
        binary_row(step.binary, compute(0), compute(1), arg(0), arg(1), reg(self), n);
        break;
      case BodyStep::Code::kSelect:
        select_row(compute(1), static_cast<const int64_t*>(arg(0)), arg(1), arg(2), reg(self), n);
        break;
      case BodyStep::Code::kCast:
        cast_registers(compute(0), arg(0), step.dtype, reg(self), n);
        break;
      case BodyStep::Code::kConstant:
        cast_constant(step.alpha, step.dtype, reg(self), n);
        break;
    }
    wrap_row(step.dtype, reg(self), n);
  }

  static void cast_constant(double v, DType to, void* y, int64_t n) {
    cast_registers(DType::kFloat64, &v, to, y, 1);
    dispatch_compute(to, [&]<class T>() {
      T* first = static_cast<T*>(y);
      std::fill_n(first, n, *first);
    });
  }

  const ScalarProgram& p_;
  const BodyOperand* operands_;
  int64_t tile_;
  alignas(64) uint64_t scratch_[kScratch];
};

}  // namespace

std::string scalar_body_refusal(const Body& body, std::span<const DType> types) {
  if (size_t(body.inputs) != types.size()) return "the operands do not match the body";
  if (body.inputs > kMaxBodyOperands) return cat("more than ", kMaxBodyOperands, " operands");
  if (body.results().size() > kMaxBodyResults)
    return cat("more than ", kMaxBodyResults, " results");
  if (types.size() + body.steps.size() > kMaxRegisters) return "a long body";
  for (DType t : types)
    if (!converts(t)) return cat("an operand of type ", name(t));
  for (const BodyStep& s : body.steps)
    if (!converts(s.dtype)) return cat("a value of type ", name(s.dtype));
  return {};
}

ScalarProgram compile_scalar_body(const Body& body, std::span<const DType> types) {
  verify(body);
  const std::string refusal = scalar_body_refusal(body, types);
  require(refusal.empty(), "the body cannot run by rows: ", refusal);
  ScalarProgram program{body, body_types(body, types)};
  program.body.outputs = body.results();
  return program;
}

void run_scalar_body_row(const ScalarProgram& program, const BodyOperand* operands,
                         std::byte* const* results, int64_t n) {
  if (n > 0) ScalarRunner(program, operands).run(results, n);
}

}  // namespace vitrify::cpu
