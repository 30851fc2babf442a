#include <cmath>
#include <limits>

#include "base/small_float.h"
#include "ops/dispatch.h"
#include "ops/row_kernels.h"

namespace vitrify {

void wrap_row(DType dtype, void* values, int64_t count) {
  if (compute_type(dtype) != DType::kInt64 || bit_width(dtype) == 64) return;
  int shift = 64 - bit_width(dtype);
  auto* v = static_cast<int64_t*>(values);
  if (dtype == DType::kBool)
    for (int64_t i = 0; i < count; ++i) v[i] = v[i] != 0;
  else if (is_signed(dtype))
    for (int64_t i = 0; i < count; ++i) v[i] = int64_t(uint64_t(v[i]) << shift) >> shift;
  else
    for (int64_t i = 0; i < count; ++i) v[i] = int64_t(uint64_t(v[i]) << shift >> shift);
}

namespace {

template <class To, class From>
To truncate(From v) {
  using Limits = std::numeric_limits<To>;
  if (v != v) return 0;
  if (v >= From(Limits::max())) return Limits::max();
  if (v <= From(Limits::min())) return Limits::min();
  return To(v);
}

template <class To, class From, class F>
void each(const From* x, Tensor& to, int64_t begin, int64_t count, F f) {
  To* y = to.data<To>() + begin;
  for (int64_t i = 0; i < count; ++i) y[i] = f(x[i]);
}

template <class From>
void float_to_int(const From* x, Tensor& to, int64_t begin, int64_t count) {
  switch (to.dtype()) {
    case DType::kInt64:
      return each<int64_t>(x, to, begin, count, truncate<int64_t, From>);
    case DType::kInt32:
      return each<int32_t>(x, to, begin, count, truncate<int32_t, From>);
    case DType::kInt8:
      return each<int8_t>(x, to, begin, count, truncate<int8_t, From>);
    case DType::kUint8:
      return each<uint8_t>(x, to, begin, count, truncate<uint8_t, From>);
    default:  // sub-byte types wrap, as ONNX's test cases expect
      for (int64_t i = 0; i < count; ++i)
        if (is_sub_byte(to.dtype()))
          set_int(to, begin + i, truncate<int64_t, From>(x[i]));
        else
          set_double(to, begin + i, double(x[i]));
  }
}

template <class From>
void to_small_float(const From* x, Tensor& to, int64_t begin, int64_t count, CastMode mode) {
  const SmallFloat* format = small_float_format(to.dtype());
  if (to.dtype() == DType::kFloat8E8M0)
    return each<uint8_t>(x, to, begin, count, [&](From v) {
      return encode_e8m0(double(v), mode.saturate, ScaleRounding(mode.round_mode));
    });
  if (to.dtype() == DType::kFloat4E2M1) {
    for (int64_t i = 0; i < count; ++i) set_double(to, begin + i, double(x[i]));
    return;
  }
  if (bit_width(to.dtype()) == 16)
    return each<uint16_t>(x, to, begin, count,
                          [&](From v) { return uint16_t(encode(*format, double(v), false)); });
  each<uint8_t>(x, to, begin, count,
                [&](From v) { return uint8_t(encode(*format, double(v), mode.saturate)); });
}

}  // namespace

void cast_row(DType compute, const void* data, Tensor& to, int64_t begin, int64_t count,
              CastMode mode) {
  bool from_int = compute == DType::kInt64 || compute == DType::kUint64;
  if (compute == compute_type(to.dtype()) && (from_int || bit_width(to.dtype()) >= 16))
    return store_wide(data, to, begin, count);
  if (from_int && !is_float(to.dtype())) return store_wide(data, to, begin, count);
  dispatch_compute(compute, [&]<class From>() {
    const From* x = static_cast<const From*>(data);
    if (to.dtype() == DType::kFloat32)
      each<float>(x, to, begin, count, [](From v) { return float(v); });
    else if (to.dtype() == DType::kFloat64)
      each<double>(x, to, begin, count, [](From v) { return double(v); });
    else if (is_float(to.dtype()))
      to_small_float(x, to, begin, count, mode);
    else if (to.dtype() == DType::kBool)
      each<uint8_t>(x, to, begin, count, [](From v) { return uint8_t(v != 0); });
    else if constexpr (std::is_floating_point_v<From>)
      float_to_int(x, to, begin, count);
  });
}

}  // namespace vitrify
