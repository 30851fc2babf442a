// Tensor and Value: concrete data. Tensors are dense and row-major; strided data exists only in
// plans.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ir/type.h"

namespace vitrify {

struct SmallFloat;

/// A dense array. Copying shares the data. Sub-byte types are packed, low bits first; strings are
/// an array of std::string; bool is one byte, 0 or 1.
class Tensor {
 public:
  Tensor() = default;
  /// Allocates zeroed, 64-byte aligned data. Throws a user error if the size overflows or there is
  /// no such memory.
  Tensor(DType dtype, Dims dims);
  /// Refers to `data`, which `owner` keeps alive (or the caller, when owner is null). `data` may be
  /// unaligned; see `aligned()`.
  static Tensor view(DType dtype, Dims dims, const void* data,
                     std::shared_ptr<const void> owner = {});
  template <class T>
  static Tensor of(DType dtype, Dims dims, const std::vector<T>& values) {
    Tensor t(dtype, std::move(dims));
    t.assign(values.data(), values.size() * sizeof(T));
    return t;
  }
  /// An int64 tensor of rank 1.
  static Tensor ints(const std::vector<int64_t>& values);
  static Tensor scalar(int64_t value);
  static Tensor scalar(float value);
  static Tensor strings(Dims dims, std::vector<std::string> values);

  DType dtype() const { return dtype_; }
  const Dims& dims() const { return dims_; }
  int rank() const { return int(dims_.size()); }
  int64_t size() const { return size_; }  ///< elements
  size_t bytes() const { return bytes_; }
  bool defined() const { return dtype_ != DType::kUndefined; }
  Type type() const { return Type::tensor(dtype_, to_shape(dims_)); }

  const std::byte* raw() const { return data_; }
  std::byte* raw() { return data_; }
  /// The elements; the caller knows that T matches dtype(). Data must be aligned.
  template <class T>
  const T* data() const {
    return reinterpret_cast<const T*>(data_);
  }
  template <class T>
  T* data() {
    return reinterpret_cast<T*>(data_);
  }
  template <class T>
  std::span<const T> span() const {
    return {data<T>(), size_t(size_)};
  }

  /// Itself when the data is aligned for its type, else an aligned copy.
  Tensor aligned() const;
  Tensor clone() const;
  /// The same data under other extents of equal count.
  Tensor reshaped(Dims dims) const;
  const std::shared_ptr<const void>& owner() const { return owner_; }

 private:
  void assign(const void* from, size_t bytes);
  DType dtype_ = DType::kUndefined;
  Dims dims_;
  int64_t size_ = 0;
  size_t bytes_ = 0;
  std::byte* data_ = nullptr;
  std::shared_ptr<const void> owner_;
};

/// A run-time value: nothing (an empty optional or an input left out), a tensor, or a sequence.
struct Value {
  enum class Kind : uint8_t { kNone, kTensor, kSequence };
  Kind kind = Kind::kNone;
  Tensor tensor;
  std::shared_ptr<const std::vector<Value>> sequence;

  Value() = default;
  Value(Tensor t) : kind(Kind::kTensor), tensor(std::move(t)) {}  // NOLINT: implicit
  static Value of_sequence(std::vector<Value> items) {
    Value v;
    v.kind = Kind::kSequence;
    v.sequence = std::make_shared<const std::vector<Value>>(std::move(items));
    return v;
  }
  bool has_value() const { return kind != Kind::kNone; }
};

/// Element i of an integer, bool or float tensor of any width as int64 (floats truncate); aligned
/// or not.
int64_t int_at(const Tensor& t, int64_t i);
/// Element i of a numeric tensor (16-bit, fp8, sub-byte … included; complex: real part) as double.
double double_at(const Tensor& t, int64_t i);
/// Stores v in element i: floats round to nearest even, integers truncate toward zero and saturate
/// (NaN gives 0), bool is v != 0.
void set_double(Tensor& t, int64_t i, double v);
/// Stores v in element i of an integer or bool tensor, wrapping; of a float tensor, rounding.
void set_int(Tensor& t, int64_t i, int64_t v);
/// All elements of an integer tensor.
std::vector<int64_t> to_ints(const Tensor& t);
/// The format of f16, bf16, fp8 and fp4; null for every other type (f8e8m0 too).
const SmallFloat* small_float_format(DType dtype);
/// Row-major strides in elements.
Dims dense_strides(const Dims& dims);
/// One element a byte, sign-extended where signed: from and to the packed form of a sub-byte type.
std::vector<int8_t> unpack_sub_byte(const Tensor& t);
Tensor pack_sub_byte(DType dtype, Dims dims, std::span<const int8_t> values);

}  // namespace vitrify
