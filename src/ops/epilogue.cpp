#include "ops/epilogue.h"

#include "ops/body.h"
#include "ops/working.h"

namespace vitrify {

DType product_dtype(DType a, DType b) {
  auto byte = [](DType d) { return d == DType::kInt8 || d == DType::kUint8; };
  if (byte(a) && byte(b)) return DType::kInt32;
  require(a == b, "operands of ", name(a), " and ", name(b), " do not multiply; cast one of them");
  require(is_float(a) || is_integer(a), "no product of ", name(a));
  return a;
}

template <class V>
void store_through(ReferenceCall& call, const Body& body, int first_operand, DType dtype,
                   const Dims& dims, const V* values) {
  if (body.empty()) return store_working(values, call.out(0, dtype, dims));
  Tensor main = begin_main(call, body, dtype, dims);
  store_working(values, main);
  finish_main(call, body, main, dtype, first_operand);
}

template void store_through<float>(ReferenceCall&, const Body&, int, DType, const Dims&,
                                   const float*);
template void store_through<double>(ReferenceCall&, const Body&, int, DType, const Dims&,
                                    const double*);
template void store_through<int64_t>(ReferenceCall&, const Body&, int, DType, const Dims&,
                                     const int64_t*);
template void store_through<uint64_t>(ReferenceCall&, const Body&, int, DType, const Dims&,
                                      const uint64_t*);

namespace {
Body add_then(UnaryKind kind, DType dtype) {
  BodyStep add{.code = BodyStep::Code::kBinary, .binary = BinaryKind::kAdd, .dtype = dtype};
  add.args[0] = 0, add.args[1] = 1;
  BodyStep then{.code = BodyStep::Code::kUnary, .unary = kind, .dtype = dtype};
  then.args[0] = 2;
  return {.inputs = 2, .steps = {add, then}, .outputs = {}};
}
}  // namespace

Body bias_relu(DType dtype) { return add_then(UnaryKind::kRelu, dtype); }
Body two_results(DType dtype) {
  Body body = add_then(UnaryKind::kSigmoid, dtype);
  body.outputs = {2, 3};
  return body;
}

}  // namespace vitrify
