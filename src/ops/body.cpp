#include "ops/body.h"

#include <algorithm>

#include "ops/broadcast.h"
#include "ops/dispatch.h"
#include "ops/row_kernels.h"

namespace vitrify {

namespace {
DType step_type(const BodyStep& step, const std::vector<DType>& types) {
  auto arg = [&](int i) { return types[size_t(step.args[i])]; };
  switch (step.code) {
    case BodyStep::Code::kUnary:
      return unary_result(step.unary, arg(0));
    case BodyStep::Code::kBinary:
      return binary_result(step.binary, arg(0), arg(1));
    case BodyStep::Code::kSelect:
      require(arg(0) == DType::kBool && arg(1) == arg(2), "select does not take ", name(arg(0)),
              ", ", name(arg(1)), " and ", name(arg(2)));
      return arg(1);
    default:
      return step.dtype;
  }
}
}  // namespace

std::vector<DType> body_types(const Body& body, std::span<const DType> operands) {
  require(size_t(body.inputs) == operands.size(), "the body takes ", body.inputs, " operands, not ",
          operands.size());
  std::vector<DType> types(operands.begin(), operands.end());
  for (const BodyStep& step : body.steps) {
    DType type = step_type(step, types);
    require(type == step.dtype, "a body step gives ", name(type), ", not ", name(step.dtype));
    types.push_back(type);
  }
  for (DType type : types) compute_type(type);
  return types;
}

namespace {

constexpr int64_t kBlock = 512;

/// The registers of one block of elements, each in its computing type.
struct Registers {
  std::vector<DType> types;
  std::vector<std::vector<uint64_t>> storage;
  std::vector<const void*> data;
  std::vector<Tensor> rounded;  ///< of casts: a block in the register's own type
};

Registers make_registers(const Body& body, std::vector<DType> types) {
  Registers r{std::move(types), {}, {}, {}};
  size_t count = r.types.size();
  r.storage.resize(count), r.data.resize(count), r.rounded.resize(count);
  for (size_t i = 0; i < count; ++i) {
    r.storage[i].resize(kBlock);
    r.data[i] = r.storage[i].data();
    if (i < size_t(body.inputs)) continue;
    const BodyStep& step = body.steps[i - size_t(body.inputs)];
    if (step.code == BodyStep::Code::kCast) r.rounded[i] = Tensor(step.dtype, {kBlock});
    if (step.code != BodyStep::Code::kConstant) continue;
    Tensor value(step.dtype, {kBlock});
    for (int64_t k = 0; k < kBlock; ++k) set_double(value, k, step.alpha);
    load_wide(value, 0, kBlock, r.storage[i].data());
  }
  return r;
}

void load_operand(Registers& r, size_t i, const Tensor& t, int64_t offset, int64_t step,
                  int64_t count, bool in_place) {
  void* to = r.storage[i].data();
  r.data[i] = to;
  DType compute = compute_type(t.dtype());
  if (step == 1) {
    if (in_place && compute == t.dtype())
      r.data[i] = t.raw() + offset * (bit_width(compute) / 8);
    else
      load_wide(t, offset, count, to);
    return;
  }
  load_wide(t, offset, 1, to);
  dispatch_compute(
      compute, [&]<class T>() { std::fill_n(static_cast<T*>(to), count, *static_cast<T*>(to)); });
}

void run_step(const BodyStep& step, Registers& r, size_t i, int64_t count) {
  auto arg = [&](int a) { return r.data[size_t(step.args[a])]; };
  auto compute = [&](int a) { return compute_type(r.types[size_t(step.args[a])]); };
  void* y = r.storage[i].data();
  switch (step.code) {
    case BodyStep::Code::kUnary:
      unary_row(step.unary, step.alpha, step.beta, compute(0), arg(0), y, count);
      break;
    case BodyStep::Code::kBinary:
      binary_row(step.binary, compute(0), compute(1), arg(0), arg(1), y, count);
      break;
    case BodyStep::Code::kSelect:
      select_row(compute(1), static_cast<const int64_t*>(arg(0)), arg(1), arg(2), y, count);
      break;
    case BodyStep::Code::kCast:
      cast_row(compute(0), arg(0), r.rounded[i], 0, count, {step.alpha != 1, int64_t(step.beta)});
      load_wide(r.rounded[i], 0, count, y);
      break;
    case BodyStep::Code::kConstant:
      break;
  }
  wrap_row(r.types[i], y, count);
}

}  // namespace

void run_body(const Body& body, std::span<const DType> types, std::span<const Tensor> operands,
              const Dims& dims, std::span<Tensor> results) {
  Registers r = make_registers(body, body_types(body, types));
  std::vector<Dims> shapes;
  for (const Tensor& t : operands) shapes.push_back(t.dims());
  auto inputs = size_t(body.inputs);
  std::vector<int32_t> chosen = body.results();
  // With several results, storing one could change an operand that another still names.
  bool in_place = results.size() == 1;
  for_each_row(make_broadcast_loop(dims, shapes),
               [&](int64_t first, int64_t length, const int64_t* offsets, const int64_t* steps) {
                 for (int64_t at = 0; at < length; at += kBlock) {
                   int64_t count = std::min(kBlock, length - at);
                   for (size_t i = 0; i < inputs; ++i)
                     load_operand(r, i, operands[i], offsets[i] + at * steps[i], steps[i], count,
                                  in_place);
                   for (size_t s = 0; s < body.steps.size(); ++s)
                     run_step(body.steps[s], r, inputs + s, count);
                   for (size_t o = 0; o < results.size(); ++o)
                     store_wide(r.data[size_t(chosen[o])], results[o], first + at, count);
                 }
               });
}

void infer_epilogue(InferContext& context, const Body& body, const Type& main, int first_operand) {
  if (body.empty()) {
    require(context.input_count() <= first_operand, "too many inputs");
    return context.output(main);
  }
  verify(body);
  require(context.input_count() == first_operand + body.inputs - 1, "the epilogue takes ",
          body.inputs - 1, " operands, not ", context.input_count() - first_operand);
  std::vector<DType> operands{main.dtype};
  for (int i = first_operand; i < context.input_count(); ++i) {
    context.expect_tensor(i);
    operands.push_back(context.dtype(i));
    const Shape* shape = context.shape(i);
    if (!shape || !main.has_rank()) continue;
    Shape whole = broadcast_shapes(*shape, *main.shape);
    bool grows = whole.size() > main.shape->size();
    for (size_t a = 0; a < whole.size() && !grows; ++a)
      grows =
          whole[a].is_constant() && (*main.shape)[a].is_constant() && whole[a] != (*main.shape)[a];
    require(!grows, "epilogue operand ", context.type(i).str(), " does not broadcast to ",
            main.str());
  }
  std::vector<DType> types = body_types(body, operands);
  for (int32_t r : body.results()) {
    Type type = main;
    type.dtype = types[size_t(r)];
    context.output(std::move(type));
  }
}

Tensor begin_main(ReferenceCall& call, const Body& body, DType dtype, const Dims& dims) {
  if (body.empty()) return begin_wide_output(call, 0, dtype, dims);
  DType compute = compute_type(dtype);
  bool in_output = body.results().size() == 1 && dtype == compute &&
                   body.steps.back().dtype == dtype &&
                   body.results()[0] == body.inputs + int32_t(body.steps.size()) - 1;
  return in_output ? call.out(0, dtype, dims) : Tensor(compute, dims);
}

void finish_main(ReferenceCall& call, const Body& body, const Tensor& main, DType dtype,
                 int first_operand) {
  if (body.empty()) return finish_output(call, 0, main);
  std::vector<Tensor> operands{main};
  std::vector<DType> types{dtype};
  for (int i = 1; i < body.inputs; ++i) {
    operands.push_back(call.in(first_operand + i - 1));
    types.push_back(operands.back().dtype());
  }
  std::vector<DType> registers = body_types(body, types);
  std::vector<Tensor> results;
  std::vector<int32_t> chosen = body.results();
  for (size_t o = 0; o < chosen.size() && call.wants(int(o)); ++o)
    results.push_back(call.out(int(o), registers[size_t(chosen[o])], main.dims()));
  run_body(body, types, operands, main.dims(), results);
}

}  // namespace vitrify
