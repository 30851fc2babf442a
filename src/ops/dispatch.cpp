#include "ops/dispatch.h"

#include <array>
#include <cstring>

#include "base/small_float.h"

namespace vitrify {

DType compute_type(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
    case DType::kUint64:
      return dtype;
    case DType::kString:
    case DType::kComplex64:
    case DType::kComplex128:
    case DType::kUndefined:
      fail("cannot compute with elements of type ", name(dtype));
    default:
      return is_float(dtype) ? DType::kFloat32 : DType::kInt64;
  }
}

namespace {

/// The values of all codes of an 8-bit format.
const std::array<float, 256>& values_of(DType dtype) {
  static const auto tables = [] {
    std::array<std::array<float, 256>, kDTypeCount> all{};
    for (DType d : {DType::kFloat8E4M3FN, DType::kFloat8E4M3FNUZ, DType::kFloat8E5M2,
                    DType::kFloat8E5M2FNUZ, DType::kFloat8E8M0})
      for (int c = 0; c < 256; ++c) {
        auto code = uint8_t(c);
        all[size_t(d)][size_t(c)] = float(double_at(Tensor::view(d, {1}, &code), 0));
      }
    return all;
  }();
  return tables[size_t(dtype)];
}

template <class From, class To>
void load_as(const Tensor& t, int64_t begin, int64_t count, void* to) {
  const From* from = t.data<From>() + begin;
  To* out = static_cast<To*>(to);
  for (int64_t i = 0; i < count; ++i) out[i] = To(from[i]);
}
template <class F>
void load_codes(const Tensor& t, int64_t begin, int64_t count, void* to, F&& value) {
  const uint16_t* from = t.data<uint16_t>() + begin;
  for (int64_t i = 0; i < count; ++i) static_cast<float*>(to)[i] = value(from[i]);
}
template <class To, class From>
void store_as(const void* from, Tensor& t, int64_t begin, int64_t count) {
  To* to = t.data<To>() + begin;
  for (int64_t i = 0; i < count; ++i) to[i] = To(static_cast<const From*>(from)[i]);
}
template <class F>
void store_codes(const void* from, Tensor& t, int64_t begin, int64_t count, F&& code) {
  uint16_t* to = t.data<uint16_t>() + begin;
  for (int64_t i = 0; i < count; ++i) to[i] = code(static_cast<const float*>(from)[i]);
}

}  // namespace

void load_wide(const Tensor& t, int64_t begin, int64_t count, void* to) {
  if (count == 0) return;
  DType compute = compute_type(t.dtype());
  if (compute == t.dtype()) {
    auto width = size_t(bit_width(compute) / 8);
    std::memcpy(to, t.raw() + size_t(begin) * width, size_t(count) * width);
    return;
  }
  switch (t.dtype()) {
    case DType::kFloat16:
      return load_codes(t, begin, count, to, half_to_float);
    case DType::kBFloat16:
      return load_codes(t, begin, count, to, bfloat16_to_float);
    case DType::kBool:
    case DType::kUint8:
      return load_as<uint8_t, int64_t>(t, begin, count, to);
    case DType::kInt8:
      return load_as<int8_t, int64_t>(t, begin, count, to);
    case DType::kUint16:
      return load_as<uint16_t, int64_t>(t, begin, count, to);
    case DType::kInt16:
      return load_as<int16_t, int64_t>(t, begin, count, to);
    case DType::kUint32:
      return load_as<uint32_t, int64_t>(t, begin, count, to);
    case DType::kInt32:
      return load_as<int32_t, int64_t>(t, begin, count, to);
    default:
      break;
  }
  for (int64_t i = 0; i < count; ++i) {
    if (compute == DType::kInt64)
      static_cast<int64_t*>(to)[i] = int_at(t, begin + i);
    else if (bit_width(t.dtype()) == 8)
      static_cast<float*>(to)[i] = values_of(t.dtype())[t.data<uint8_t>()[begin + i]];
    else
      static_cast<float*>(to)[i] = float(double_at(t, begin + i));
  }
}

void store_wide(const void* from, Tensor& t, int64_t begin, int64_t count) {
  if (count == 0) return;
  DType compute = compute_type(t.dtype());
  if (compute == t.dtype()) {
    auto width = size_t(bit_width(compute) / 8);
    std::memmove(t.raw() + size_t(begin) * width, from, size_t(count) * width);
    return;
  }
  switch (t.dtype()) {
    case DType::kFloat16:
      return store_codes(from, t, begin, count, float_to_half);
    case DType::kBFloat16:
      return store_codes(from, t, begin, count, float_to_bfloat16);
    case DType::kBool:
      for (int64_t i = 0; i < count; ++i)
        t.data<uint8_t>()[begin + i] = static_cast<const int64_t*>(from)[i] != 0;
      return;
    case DType::kUint8:
    case DType::kInt8:
      return store_as<uint8_t, int64_t>(from, t, begin, count);
    case DType::kUint16:
    case DType::kInt16:
      return store_as<uint16_t, int64_t>(from, t, begin, count);
    case DType::kUint32:
    case DType::kInt32:
      return store_as<uint32_t, int64_t>(from, t, begin, count);
    default:
      break;
  }
  for (int64_t i = 0; i < count; ++i)
    if (compute == DType::kInt64)
      set_int(t, begin + i, static_cast<const int64_t*>(from)[i]);
    else
      set_double(t, begin + i, double(static_cast<const float*>(from)[i]));
}

Tensor widen(const Tensor& t) {
  DType compute = compute_type(t.dtype());
  if (compute == t.dtype()) return t;
  Tensor wide(compute, t.dims());
  load_wide(t, 0, t.size(), wide.raw());
  return wide;
}

Tensor movable(const Tensor& t) {
  if (!is_sub_byte(t.dtype())) return t;
  return Tensor::of(DType::kInt8, t.dims(), unpack_sub_byte(t));
}

Tensor begin_output(ReferenceCall& call, int i, DType dtype, DType work, const Dims& dims) {
  Tensor& out = call.out(i, dtype, dims);
  return work == dtype ? out : Tensor(work, dims);
}

void finish_output(ReferenceCall& call, int i, const Tensor& work) {
  Tensor& out = call.result(i);
  if (work.dtype() == out.dtype()) return;
  if (is_sub_byte(out.dtype()) && work.dtype() == DType::kInt8) {
    Tensor packed = pack_sub_byte(out.dtype(), out.dims(), work.span<int8_t>());
    std::memcpy(out.raw(), packed.raw(), out.bytes());
    return;
  }
  store_wide(work.raw(), out, 0, out.size());
}

}  // namespace vitrify
