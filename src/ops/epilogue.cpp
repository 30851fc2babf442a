#include "ops/epilogue.h"

#include "ops/working.h"

namespace vitrify {

DType product_dtype(DType a, DType b) {
  auto byte = [](DType d) { return d == DType::kInt8 || d == DType::kUint8; };
  if (byte(a) && byte(b)) return DType::kInt32;
  require(a == b, "operands of ", name(a), " and ", name(b), " do not multiply; cast one of them");
  require(is_float(a) || is_integer(a), "no product of ", name(a));
  return a;
}

}  // namespace vitrify
