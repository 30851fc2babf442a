// What a unary, binary, select or cast step does to a row of elements in a computing type
// (ops/dispatch.h): the meaning of the kinds in ir/body.h. Everything pointwise is built on these.
#pragma once

#include <cstdint>

#include "ir/body.h"
#include "ir/tensor.h"

namespace vitrify {

/// The element type of a step's result; user error when the kind does not take these types.
DType unary_result(UnaryKind kind, DType x);
DType binary_result(BinaryKind kind, DType a, DType b);

/// y[i] = kind(x[i]) for elements of the computing type `compute`; predicates write i64.
void unary_row(UnaryKind kind, double alpha, double beta, DType compute, const void* x, void* y,
               int64_t count);
/// y[i] = kind(a[i], b[i]); comparisons write i64. `b_compute` differs from `compute` for pow only.
void binary_row(BinaryKind kind, DType compute, DType b_compute, const void* a, const void* b,
                void* y, int64_t count);
/// y[i] = condition[i] ? a[i] : b[i]; condition is i64.
void select_row(DType compute, const int64_t* condition, const void* a, const void* b, void* y,
                int64_t count);
/// Brings computed i64 values into the range of an integer type narrower than 64 bits, wrapping.
void wrap_row(DType dtype, void* values, int64_t count);

struct CastMode {
  bool saturate = true;    ///< fp8 only: past the largest finite value
  int64_t round_mode = 0;  ///< f8e8m0 only
};
/// Converts elements of the computing type `compute` to `to`'s elements begin … begin + count - 1.
/// Floats to integers truncate and saturate, NaN gives 0; integers to integers wrap.
void cast_row(DType compute, const void* x, Tensor& to, int64_t begin, int64_t count,
              CastMode mode);

}  // namespace vitrify
