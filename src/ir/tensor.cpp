#include "ir/tensor.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/run_scope.h"
#include "base/small_float.h"

namespace vitrify {

namespace {
std::shared_ptr<std::byte> allocate_zeroed(size_t bytes) {
  size_t rounded = (std::max<size_t>(bytes, 1) + 63) / 64 * 64;
  const auto account = charge_run(int64_t(rounded));
  auto* p = static_cast<std::byte*>(std::aligned_alloc(64, rounded));
  if (!p && account) account->release(int64_t(rounded));
  require(p != nullptr, "no memory for a tensor of ", bytes, " bytes: make the shapes smaller");
  std::memset(p, 0, rounded);
  if (!account) return {p, [](std::byte* q) { std::free(q); }};
  return {p, [account, rounded](std::byte* q) {
            std::free(q);
            account->release(int64_t(rounded));
          }};
}

std::shared_ptr<std::vector<std::string>> allocate_strings(size_t count) {
  const int64_t bytes = checked_mul(int64_t(count), sizeof(std::string));
  const auto account = charge_run(bytes);
  try {
    auto strings = std::make_shared<std::vector<std::string>>(count);
    if (!account) return strings;
    auto* data = strings.get();
    return {data, [strings = std::move(strings), account, bytes](void*) mutable {
              strings.reset();
              account->release(bytes);
            }};
  } catch (const std::exception&) {  // bad_alloc, or length_error
    if (account) account->release(bytes);
    fail("no memory for a tensor of ", count, " strings");
  }
}

/// How an element is aligned when its bytes are read as its C++ type.
size_t alignment(DType dtype) {
  if (dtype == DType::kString) return alignof(std::string);
  int bytes = bit_width(dtype) / 8;
  return size_t(std::clamp(dtype == DType::kComplex64 ? 4 : bytes, 1, 8));
}
}  // namespace

Tensor::Tensor(DType dtype, Dims dims) : dtype_(dtype), dims_(std::move(dims)) {
  size_ = element_count(dims_);
  if (dtype == DType::kString) {
    bytes_ = size_t(byte_size(dtype, size_));
    auto strings = allocate_strings(size_t(size_));
    data_ = reinterpret_cast<std::byte*>(strings->data());
    owner_ = std::move(strings);
    return;
  }
  bytes_ = size_t(byte_size(dtype, size_));
  auto memory = allocate_zeroed(bytes_);
  data_ = memory.get();
  owner_ = std::move(memory);
}

Tensor Tensor::view(DType dtype, Dims dims, const void* data, std::shared_ptr<const void> owner) {
  Tensor t;
  t.dtype_ = dtype;
  t.dims_ = std::move(dims);
  t.size_ = element_count(t.dims_);
  t.bytes_ = size_t(byte_size(dtype, t.size_));
  t.data_ = static_cast<std::byte*>(const_cast<void*>(data));
  t.owner_ = std::move(owner);
  return t;
}

Tensor Tensor::ints(const std::vector<int64_t>& values) {
  return of(DType::kInt64, {int64_t(values.size())}, values);
}
Tensor Tensor::scalar(int64_t value) { return of(DType::kInt64, {}, std::vector{value}); }
Tensor Tensor::scalar(float value) { return of(DType::kFloat32, {}, std::vector{value}); }

Tensor Tensor::strings(Dims dims, std::vector<std::string> values) {
  Tensor t(DType::kString, std::move(dims));
  CHECK(int64_t(values.size()) == t.size());
  std::move(values.begin(), values.end(), t.data<std::string>());
  return t;
}

void Tensor::assign(const void* from, size_t bytes) {
  CHECK(bytes == bytes_ && dtype_ != DType::kString);
  if (bytes) std::memcpy(data_, from, bytes);
}

Tensor Tensor::aligned() const {
  bool is_aligned = reinterpret_cast<uintptr_t>(data_) % alignment(dtype_) == 0;
  return is_aligned && data_ ? *this : clone();
}

Tensor Tensor::clone() const {
  Tensor t(dtype_, dims_);
  if (dtype_ == DType::kString)
    std::copy_n(data<std::string>(), size_, t.data<std::string>());
  else if (bytes_)
    std::memcpy(t.data_, data_, bytes_);
  return t;
}

Tensor Tensor::reshaped(Dims dims) const {
  Tensor t = *this;
  require(element_count(dims) == size_, "cannot reshape ", str(dims_), " to ", str(dims));
  t.dims_ = std::move(dims);
  return t;
}

namespace {
template <class T>
T load(const Tensor& t, int64_t i) {
  T v;
  std::memcpy(&v, t.raw() + size_t(i) * sizeof(T), sizeof(T));
  return v;
}
template <class T>
void store(Tensor& t, int64_t i, T v) {
  std::memcpy(t.raw() + size_t(i) * sizeof(T), &v, sizeof(T));
}

uint32_t load_bits(const Tensor& t, int64_t i) {
  int bits = bit_width(t.dtype());
  int64_t at = i * bits;
  return uint32_t(uint8_t(t.raw()[at / 8])) >> (at % 8) & ((1u << bits) - 1);
}
void store_bits(Tensor& t, int64_t i, uint32_t v) {
  int bits = bit_width(t.dtype());
  int64_t at = i * bits;
  uint32_t mask = ((1u << bits) - 1) << (at % 8);
  auto byte = uint32_t(uint8_t(t.raw()[at / 8]));
  t.raw()[at / 8] = std::byte((byte & ~mask) | (v << (at % 8) & mask));
}
int64_t sign_extend(uint32_t v, int bits) {
  return v & 1u << (bits - 1) ? int64_t(v) - (1 << bits) : int64_t(v);
}

template <class T>
T saturate_to(double v) {
  if (std::isnan(v)) return 0;
  if (v >= double(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
  if (v <= double(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
  return T(v);
}
}  // namespace

const SmallFloat* small_float_format(DType dtype) {
  switch (dtype) {
    case DType::kFloat16:
      return &kFloat16;
    case DType::kBFloat16:
      return &kBFloat16;
    case DType::kFloat8E4M3FN:
      return &kFloat8E4M3FN;
    case DType::kFloat8E4M3FNUZ:
      return &kFloat8E4M3FNUZ;
    case DType::kFloat8E5M2:
      return &kFloat8E5M2;
    case DType::kFloat8E5M2FNUZ:
      return &kFloat8E5M2FNUZ;
    case DType::kFloat4E2M1:
      return &kFloat4E2M1;
    default:
      return nullptr;
  }
}

double double_at(const Tensor& t, int64_t i) {
  switch (t.dtype()) {
    case DType::kFloat32:
      return double(load<float>(t, i));
    case DType::kFloat64:
      return load<double>(t, i);
    case DType::kComplex64:
      return double(load<std::complex<float>>(t, i).real());
    case DType::kComplex128:
      return load<std::complex<double>>(t, i).real();
    case DType::kFloat16:
      return double(half_to_float(load<uint16_t>(t, i)));
    case DType::kBFloat16:
      return double(bfloat16_to_float(load<uint16_t>(t, i)));
    case DType::kFloat4E2M1:
      return decode(kFloat4E2M1, load_bits(t, i));
    case DType::kFloat8E8M0:
      return decode_e8m0(load<uint8_t>(t, i));
    case DType::kUint64:
      return double(load<uint64_t>(t, i));
    default:
      break;
  }
  if (const SmallFloat* f = small_float_format(t.dtype())) return decode(*f, load<uint8_t>(t, i));
  return double(int_at(t, i));
}

int64_t int_at(const Tensor& t, int64_t i) {
  switch (t.dtype()) {
    case DType::kBool:
    case DType::kUint8:
      return load<uint8_t>(t, i);
    case DType::kInt8:
      return load<int8_t>(t, i);
    case DType::kUint16:
      return load<uint16_t>(t, i);
    case DType::kInt16:
      return load<int16_t>(t, i);
    case DType::kUint32:
      return load<uint32_t>(t, i);
    case DType::kInt32:
      return load<int32_t>(t, i);
    case DType::kInt64:
      return load<int64_t>(t, i);
    case DType::kUint64:
      return int64_t(load<uint64_t>(t, i));
    case DType::kInt4:
    case DType::kInt2:
      return sign_extend(load_bits(t, i), bit_width(t.dtype()));
    case DType::kUint4:
    case DType::kUint2:
      return load_bits(t, i);
    case DType::kString:
    case DType::kUndefined:
      fail("expected numbers, not ", name(t.dtype()));
    default:
      return saturate_to<int64_t>(double_at(t, i));
  }
}

void set_double(Tensor& t, int64_t i, double v) {
  switch (t.dtype()) {
    case DType::kFloat32:
      return store(t, i, float(v));
    case DType::kFloat64:
      return store(t, i, v);
    case DType::kComplex64:
      return store(t, i, std::complex<float>(float(v)));
    case DType::kComplex128:
      return store(t, i, std::complex<double>(v));
    case DType::kFloat16:
      return store(t, i, uint16_t(encode(kFloat16, v, false)));
    case DType::kBFloat16:
      return store(t, i, uint16_t(encode(kBFloat16, v, false)));
    case DType::kFloat4E2M1:
      return store_bits(t, i, encode(kFloat4E2M1, v, true));
    case DType::kFloat8E8M0:
      return store(t, i, encode_e8m0(v, true, ScaleRounding::kUp));
    case DType::kBool:
      return store(t, i, uint8_t(v != 0));
    case DType::kUint8:
      return store(t, i, saturate_to<uint8_t>(v));
    case DType::kInt8:
      return store(t, i, saturate_to<int8_t>(v));
    case DType::kUint16:
      return store(t, i, saturate_to<uint16_t>(v));
    case DType::kInt16:
      return store(t, i, saturate_to<int16_t>(v));
    case DType::kUint32:
      return store(t, i, saturate_to<uint32_t>(v));
    case DType::kInt32:
      return store(t, i, saturate_to<int32_t>(v));
    case DType::kUint64:
      return store(t, i, saturate_to<uint64_t>(v));
    case DType::kInt64:
      return store(t, i, saturate_to<int64_t>(v));
    case DType::kInt4:
    case DType::kInt2:
    case DType::kUint4:
    case DType::kUint2: {
      int bits = bit_width(t.dtype());
      bool is_signed_type = is_signed(t.dtype());
      double low = is_signed_type ? -double(1 << (bits - 1)) : 0,
             high = is_signed_type ? double((1 << (bits - 1)) - 1) : double((1 << bits) - 1);
      return store_bits(t, i, uint32_t(int64_t(std::isnan(v) ? 0 : std::clamp(v, low, high))));
    }
    case DType::kString:
    case DType::kUndefined:
      fail("expected numbers, not ", name(t.dtype()));
    default:
      return store(t, i, uint8_t(encode(*small_float_format(t.dtype()), v, true)));
  }
}

void set_int(Tensor& t, int64_t i, int64_t v) {
  if (is_sub_byte(t.dtype()) && is_integer(t.dtype())) return store_bits(t, i, uint32_t(v));
  if (t.dtype() == DType::kBool) return store(t, i, uint8_t(v != 0));
  if (!is_integer(t.dtype())) return set_double(t, i, double(v));
  std::memcpy(t.raw() + size_t(i) * size_t(bit_width(t.dtype()) / 8), &v,
              size_t(bit_width(t.dtype()) / 8));
}

std::vector<int64_t> to_ints(const Tensor& t) {
  std::vector<int64_t> out(size_t(t.size()));
  for (int64_t i = 0; i < t.size(); ++i) out[size_t(i)] = int_at(t, i);
  return out;
}

Dims dense_strides(const Dims& dims) {
  Dims strides(dims.size());
  int64_t stride = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= dims[i];
  }
  return strides;
}

std::vector<int8_t> unpack_sub_byte(const Tensor& t) {
  std::vector<int8_t> out(size_t(t.size()));
  bool extend = is_signed(t.dtype());
  for (int64_t i = 0; i < t.size(); ++i) {
    uint32_t v = load_bits(t, i);
    out[size_t(i)] = int8_t(extend ? sign_extend(v, bit_width(t.dtype())) : int64_t(v));
  }
  return out;
}

Tensor pack_sub_byte(DType dtype, Dims dims, std::span<const int8_t> values) {
  Tensor t(dtype, std::move(dims));
  CHECK(int64_t(values.size()) == t.size());
  for (int64_t i = 0; i < t.size(); ++i) store_bits(t, i, uint8_t(values[size_t(i)]));
  return t;
}

}  // namespace vitrify
