// Types of values: tensors of a DType and a (possibly unknown-rank) Shape, sequences, optionals.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ir/dim.h"

namespace vitrify {

/// Element types, numbered as in ONNX.
enum class DType : uint8_t {
  kUndefined = 0,
  kFloat32 = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kFloat64 = 11,
  kUint32 = 12,
  kUint64 = 13,
  kComplex64 = 14,
  kComplex128 = 15,
  kBFloat16 = 16,
  kFloat8E4M3FN = 17,
  kFloat8E4M3FNUZ = 18,
  kFloat8E5M2 = 19,
  kFloat8E5M2FNUZ = 20,
  kUint4 = 21,
  kInt4 = 22,
  kFloat4E2M1 = 23,
  kFloat8E8M0 = 24,
  kUint2 = 25,
  kInt2 = 26,
};
constexpr int kDTypeCount = 27;

/// "f32", "i64", "bool", "string", "f8e4m3fn", "i4" …; "?" when undefined.
std::string_view name(DType dtype);
/// The inverse; kUndefined when unknown.
DType dtype_from_name(std::string_view name);
/// Bits of one element as stored (4 for int4: two to a byte, low nibble first); strings:
/// sizeof(std::string) * 8.
int bit_width(DType dtype);
/// Bytes that `count` elements take, sub-byte types packed. Throws a user error on overflow.
int64_t byte_size(DType dtype, int64_t count);
bool is_float(DType dtype);    ///< any binary floating type, fp8 and fp4 included
bool is_integer(DType dtype);  ///< signed and unsigned, sub-byte included, not bool
bool is_signed(DType dtype);   ///< signed integers
bool is_sub_byte(DType dtype);

struct Type {
  enum class Kind : uint8_t { kNone, kTensor, kSequence, kOptional };
  Kind kind = Kind::kNone;
  DType dtype = DType::kUndefined;      ///< of a tensor
  std::optional<Shape> shape;           ///< of a tensor; empty: the rank is unknown
  std::shared_ptr<const Type> element;  ///< of a sequence or optional

  static Type tensor(DType dtype, Shape shape) {
    return {Kind::kTensor, dtype, std::move(shape), {}};
  }
  static Type unranked(DType dtype) { return {Kind::kTensor, dtype, {}, {}}; }
  static Type sequence(Type element);
  static Type optional(Type element);

  bool is_tensor() const { return kind == Kind::kTensor; }
  bool has_rank() const { return is_tensor() && shape.has_value(); }
  /// A tensor whose every extent is a constant.
  bool is_static() const;
  /// Concrete extents of a static tensor type.
  Dims dims() const;
  /// "f32[1, 3, n]", "i64[*]", "seq(f32[*])", "optional(…)".
  std::string str() const;
  /// Throws a user error on bad text or nesting deeper than 16.
  static Type parse(std::string_view text);
  friend bool operator==(const Type& a, const Type& b);
};

}  // namespace vitrify
