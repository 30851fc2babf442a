#include "ops/pointwise.h"

#include <cstring>

#include "ops/body.h"
#include "ops/broadcast.h"
#include "ops/dispatch.h"
#include "ops/facts.h"
#include "ops/row_kernels.h"

namespace vitrify {

namespace {
/// The type of elements `dtype` over the broadcast of all inputs.
Type broadcast_type(const InferContext& context, DType dtype) {
  Shape shape;
  for (int i = 0; i < context.input_count(); ++i)
    if (!context.shape(i)) return Type::unranked(dtype);
  for (int i = 0; i < context.input_count(); ++i)
    shape = i ? broadcast_shapes(shape, *context.shape(i)) : *context.shape(i);
  return Type::tensor(dtype, std::move(shape));
}

void expect_inputs(const InferContext& context, int count) {
  require(context.input_count() == count, "expected ", count, " inputs, got ",
          context.input_count());
  for (int i = 0; i < count; ++i) context.expect_tensor(i);
}

Type like(const Type& type, DType dtype) {
  Type t = type;
  t.dtype = dtype;
  return t;
}
}  // namespace

void infer_unary(InferContext& context) {
  expect_inputs(context, 1);
  UnaryKind kind = context.op().as<Unary>()->kind;
  Type type = like(context.type(0), unary_result(kind, context.dtype(0)));
  Fact fact = map_facts(context.fact(0), [&](const Dim& d) { return unary_fact(kind, d); });
  context.output(type, fitting(std::move(fact), type));
}

void infer_binary(InferContext& context) {
  expect_inputs(context, 2);
  BinaryKind kind = context.op().as<Binary>()->kind;
  Type type = broadcast_type(context, binary_result(kind, context.dtype(0), context.dtype(1)));
  if (is_float(context.dtype(0))) return context.output(type);
  Fact fact = zip_facts(input_fact(context, 0), input_fact(context, 1),
                        [&](const Dim& a, const Dim& b) { return binary_fact(kind, a, b); });
  context.output(type, fitting(std::move(fact), type));
}

void infer_select(InferContext& context) {
  expect_inputs(context, 3);
  require(context.dtype(0) == DType::kBool, "the condition must be bool");
  require(context.dtype(1) == context.dtype(2), "both choices must have one element type");
  Type type = broadcast_type(context, context.dtype(1));
  // Chosen side by side: first by a truth for "then" (else 0), then the rest.
  Fact condition = input_fact(context, 0), then = context.fact(1), otherwise = context.fact(2);
  Fact both = zip_facts(then, otherwise, [](const Dim&, const Dim&) { return Dim(0); });
  Fact all = zip_facts(condition, both, [](const Dim&, const Dim&) { return Dim(0); });
  Fact fact;
  if (fitting(all, Type::tensor(DType::kInt64, type.shape.value_or(Shape{})))) {
    const size_t count = all->size();
    std::vector<Dim> values;
    for (size_t i = 0; i < count; ++i) {
      auto at = [&](const Fact& f) { return (*f)[f->size() == 1 ? 0 : i]; };
      auto decided = truth(at(condition));
      if (!decided && !(at(then) == at(otherwise))) break;
      values.push_back(!decided || *decided ? at(then) : at(otherwise));
    }
    if (values.size() == count) fact = std::move(values);
  }
  context.output(type, fitting(std::move(fact), type));
}

void infer_cast(InferContext& context) {
  expect_inputs(context, 1);
  DType to = context.op().as<Cast>()->to;
  require(to != DType::kUndefined, "a cast needs an element type");
  for (DType d : {context.dtype(0), to})
    require(d != DType::kComplex64 && d != DType::kComplex128, "cannot cast ", name(d));
  Type type = like(context.type(0), to);
  Fact fact = input_fact(context, 0);
  if (to == DType::kBool)
    fact = map_facts(fact, [](const Dim& d) -> std::optional<Dim> {
      if (auto t = truth(d)) return Dim(*t);
      return {};
    });
  context.output(type, fitting(std::move(fact), type));
}

void infer_bitcast(InferContext& context) {
  expect_inputs(context, 1);
  DType to = context.op().as<BitCast>()->to, from = context.dtype(0);
  require(to != DType::kUndefined && to != DType::kString && from != DType::kString &&
              bit_width(to) == bit_width(from),
          "cannot reinterpret ", name(from), " as ", name(to));
  context.output(like(context.type(0), to));
}

void infer_pointwise(InferContext& context) {
  const Body& body = context.op().as<Pointwise>()->body;
  verify(body);
  expect_inputs(context, body.inputs);
  std::vector<DType> operands;
  for (int i = 0; i < body.inputs; ++i) operands.push_back(context.dtype(i));
  std::vector<DType> types = body_types(body, operands);
  for (int32_t r : body.results()) {
    require(r < int32_t(types.size()), "a body without steps names no result");
    context.output(broadcast_type(context, types[size_t(r)]));
  }
}

namespace {
/// Runs a body over all inputs, the results' types as the body says.
void run_pointwise(ReferenceCall& call, const Body& body) {
  std::vector<Tensor> operands;
  std::vector<DType> types;
  Dims dims;
  for (int i = 0; i < call.input_count(); ++i) {
    operands.push_back(call.in(i));
    types.push_back(operands.back().dtype());
    dims = i ? broadcast_dims(dims, operands.back().dims()) : operands.back().dims();
  }
  std::vector<DType> registers = body_types(body, types);
  std::vector<int32_t> chosen = body.results();
  std::vector<Tensor> results;
  for (size_t o = 0; o < chosen.size() && call.wants(int(o)); ++o)
    results.push_back(call.out(int(o), registers[size_t(chosen[o])], dims));
  run_body(body, types, operands, dims, results);
}

void run_step(ReferenceCall& call, BodyStep step) {
  Body body{call.input_count(), {}, {}};
  for (int i = 0; i < body.inputs; ++i) step.args[i] = i;
  body.steps.push_back(step);
  run_pointwise(call, body);
}

void compare_strings(ReferenceCall& call) {
  const Tensor &a = call.in(0), &b = call.in(1);
  Dims dims = broadcast_dims(a.dims(), b.dims());
  auto* y = call.out(0, DType::kBool, dims).data<uint8_t>();
  std::vector<Dims> shapes{a.dims(), b.dims()};
  for_each_row(make_broadcast_loop(dims, shapes),
               [&](int64_t first, int64_t count, const int64_t* at, const int64_t* step) {
                 for (int64_t i = 0; i < count; ++i)
                   y[first + i] = a.data<std::string>()[at[0] + i * step[0]] ==
                                  b.data<std::string>()[at[1] + i * step[1]];
               });
}
}  // namespace

void reference_unary(ReferenceCall& call) {
  const Unary& op = *call.op().as<Unary>();
  BodyStep step{
      .code = BodyStep::Code::kUnary, .unary = op.kind, .alpha = op.alpha, .beta = op.beta};
  step.dtype = unary_result(op.kind, call.in(0).dtype());
  run_step(call, step);
}

void reference_binary(ReferenceCall& call) {
  BinaryKind kind = call.op().as<Binary>()->kind;
  if (call.in(0).dtype() == DType::kString) return compare_strings(call);
  BodyStep step{.code = BodyStep::Code::kBinary, .binary = kind};
  step.dtype = binary_result(kind, call.in(0).dtype(), call.in(1).dtype());
  run_step(call, step);
}

void reference_select(ReferenceCall& call) {
  const Tensor& condition = call.in(0);
  Tensor a = movable(call.in(1)), b = movable(call.in(2));
  Dims dims = broadcast_dims(condition.dims(), broadcast_dims(a.dims(), b.dims()));
  Tensor y = begin_moved_output(call, 0, call.in(1).dtype(), dims);
  std::vector<Dims> shapes{condition.dims(), a.dims(), b.dims()};
  BroadcastLoop loop = make_broadcast_loop(dims, shapes);
  dispatch_bytes(a.dtype(), [&]<class T>() {
    for_each_row(loop, [&](int64_t first, int64_t count, const int64_t* at, const int64_t* step) {
      const uint8_t* c = condition.data<uint8_t>() + at[0];
      const T *then = a.data<T>() + at[1], *otherwise = b.data<T>() + at[2];
      T* to = y.data<T>() + first;
      for (int64_t i = 0; i < count; ++i)
        to[i] = c[i * step[0]] ? then[i * step[1]] : otherwise[i * step[2]];
    });
  });
  finish_output(call, 0, y);
}

void reference_bitcast(ReferenceCall& call) {
  const Tensor& x = call.in(0);
  Tensor& y = call.out(0, call.op().as<BitCast>()->to, x.dims());
  if (x.bytes()) std::memmove(y.raw(), x.raw(), x.bytes());
}

void reference_pointwise(ReferenceCall& call) {
  run_pointwise(call, call.op().as<Pointwise>()->body);
}

namespace {
double flops(const BodyStep& step) {
  constexpr double kTranscendental = 10;
  if (step.code == BodyStep::Code::kConstant) return 0;
  if (step.code != BodyStep::Code::kUnary)
    return step.code == BodyStep::Code::kBinary && step.binary == BinaryKind::kPow ? kTranscendental
                                                                                   : 1;
  switch (step.unary) {
    case UnaryKind::kAbs:
    case UnaryKind::kNeg:
    case UnaryKind::kSign:
    case UnaryKind::kSqrt:
    case UnaryKind::kReciprocal:
    case UnaryKind::kFloor:
    case UnaryKind::kCeil:
    case UnaryKind::kRound:
    case UnaryKind::kNot:
    case UnaryKind::kBitwiseNot:
    case UnaryKind::kRelu:
    case UnaryKind::kLeakyRelu:
    case UnaryKind::kClip:
      return 1;
    default:
      return kTranscendental;
  }
}
}  // namespace

Cost cost_pointwise(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs) {
  Cost cost;
  for (auto list : {inputs, outputs})
    for (const Dims& d : list) cost.bytes += 4.0 * double(element_count(d));
  double per_element = 1;
  if (auto* unary = op.as<Unary>())
    per_element = flops({.code = BodyStep::Code::kUnary, .unary = unary->kind});
  else if (auto* binary = op.as<Binary>())
    per_element = flops({.code = BodyStep::Code::kBinary, .binary = binary->kind});
  else if (const Body* body = op.body()) {
    per_element = 0;
    for (const BodyStep& step : body->steps) per_element += flops(step);
  }
  if (!outputs.empty()) cost.flops = per_element * double(element_count(outputs[0]));
  return cost;
}

}  // namespace vitrify
