// From element types to C++ types, for the reference kernels.
//
// Arithmetic is done in four computing types only: f32 (for every float of at most 32 bits), f64,
// i64 (for every integer but u64, and bool) and u64. A kernel widens its inputs, computes, and
// narrows its result: floats round once, integers wrap. f32, f64, i64 and u64 tensors are used in
// place, without a copy. Kernels that only move elements look at nothing but their size.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "ops/op_info.h"

namespace vitrify {

/// f32, f64, i64 or u64; user error for strings, complex numbers and "undefined".
DType compute_type(DType dtype);

/// Elements begin … begin + count - 1 of `from`, as its computing type, to `to`.
void load_wide(const Tensor& from, int64_t begin, int64_t count, void* to);
/// The inverse: floats round to nearest even (fp8 and below saturate), integers wrap, bool is != 0.
void store_wide(const void* from, Tensor& to, int64_t begin, int64_t count);
/// All of `t` in its computing type: itself when it has that type already.
Tensor widen(const Tensor& t);

/// Calls f.template operator()<T>() with the C++ type of a computing type.
template <class F>
decltype(auto) dispatch_compute(DType dtype, F&& f) {
  switch (compute_type(dtype)) {
    case DType::kFloat64:
      return f.template operator()<double>();
    case DType::kInt64:
      return f.template operator()<int64_t>();
    case DType::kUint64:
      return f.template operator()<uint64_t>();
    default:
      return f.template operator()<float>();
  }
}
/// The same for f32 and f64 only: a user error when the type computes in integers.
template <class F>
decltype(auto) dispatch_float(DType dtype, F&& f) {
  require(is_float(dtype), "expected a floating type, not ", name(dtype));
  if (dtype == DType::kFloat64) return f.template operator()<double>();
  return f.template operator()<float>();
}

struct Bytes16 {
  uint64_t low, high;
};
/// For kernels that only move elements: uint8_t, uint16_t, uint32_t, uint64_t, Bytes16 or
/// std::string. Sub-byte types must have been unpacked (`movable`).
template <class F>
decltype(auto) dispatch_bytes(DType dtype, F&& f) {
  if (dtype == DType::kString) return f.template operator()<std::string>();
  switch (bit_width(dtype)) {
    case 8:
      return f.template operator()<uint8_t>();
    case 16:
      return f.template operator()<uint16_t>();
    case 32:
      return f.template operator()<uint32_t>();
    case 64:
      return f.template operator()<uint64_t>();
    case 128:
      return f.template operator()<Bytes16>();
    default:
      fail("elements of type ", name(dtype), " cannot be moved one by one");
  }
}
/// `t` itself, or one i8 an element when it is packed.
Tensor movable(const Tensor& t);
/// The type that `movable` gives.
inline DType movable_type(DType dtype) { return is_sub_byte(dtype) ? DType::kInt8 : dtype; }

/// Where a kernel writes output `i` while it works in `work` (a computing type, or what
/// `movable_type` says): the output's own storage when the types are the same, else a temporary
/// that `finish_output` converts. Every element must be written.
Tensor begin_output(ReferenceCall& call, int i, DType dtype, DType work, const Dims& dims);
inline Tensor begin_wide_output(ReferenceCall& call, int i, DType dtype, const Dims& dims) {
  return begin_output(call, i, dtype, compute_type(dtype), dims);
}
inline Tensor begin_moved_output(ReferenceCall& call, int i, DType dtype, const Dims& dims) {
  return begin_output(call, i, dtype, movable_type(dtype), dims);
}
void finish_output(ReferenceCall& call, int i, const Tensor& work);

/// `axis` in [0, rank); user error when it is not in [-rank, rank).
inline int64_t normal_axis(int64_t axis, int64_t rank) {
  require(axis >= -rank && axis < rank, "axis ", axis, " is out of range for rank ", rank);
  return axis < 0 ? axis + rank : axis;
}

}  // namespace vitrify
