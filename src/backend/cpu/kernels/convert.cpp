#include "backend/cpu/kernels/convert.h"

#include <cstring>
#include <limits>

#include "backend/cpu/simd.h"
#include "base/small_float.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/convert.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/kernels/round-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {

void halves_to_floats(const std::byte* from, int64_t n, float* to) {
  int64_t i = 0;
#if HWY_TARGET != HWY_SSE4  // whose conversion takes infinities and NaN for numbers
  const Floats d;
  const hn::Rebind<hwy::float16_t, Floats> dh;
  const auto* half = reinterpret_cast<const hwy::float16_t*>(from);
  for (; i + kLanes <= n; i += kLanes)
    hn::StoreU(hn::PromoteTo(d, hn::LoadU(dh, half + i)), d, to + i);
#endif
  for (; i < n; ++i) to[i] = half_to_float(reinterpret_cast<const uint16_t*>(from)[i]);
}

void floats_to_halves(const float* from, int64_t n, std::byte* to) {
  auto* half = reinterpret_cast<uint16_t*>(to);
  int64_t i = 0;
#if HWY_TARGET != HWY_SSE4  // which has no rounding conversion
  const Floats d;
  const hn::Rebind<hwy::float16_t, Floats> dh;
  for (; i + kLanes <= n; i += kLanes)
    hn::StoreU(hn::DemoteTo(dh, hn::LoadU(d, from + i)), dh,
               reinterpret_cast<hwy::float16_t*>(half + i));
#endif
  for (; i < n; ++i) half[i] = float_to_half(from[i]);
}

void bfloat16s_to_floats(const std::byte* from, int64_t n, float* to) {
  const Floats d;
  const hn::RebindToUnsigned<Floats> du;
  const hn::Rebind<uint16_t, Floats> dh;
  const auto* half = reinterpret_cast<const uint16_t*>(from);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    hn::StoreU(hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(du, hn::LoadU(dh, half + i)))), d,
               to + i);
  for (; i < n; ++i) to[i] = bfloat16_to_float(half[i]);
}

void floats_to_bfloat16s(const float* from, int64_t n, std::byte* to) {
  const Floats d;
  const hn::RebindToUnsigned<Floats> du;
  const hn::Rebind<uint16_t, Floats> dh;
  auto* half = reinterpret_cast<uint16_t*>(to);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const auto bits = hn::BitCast(du, round_bfloat16(hn::LoadU(d, from + i)));
    hn::StoreU(hn::TruncateTo(dh, hn::ShiftRight<16>(bits)), dh, half + i);
  }
  for (; i < n; ++i) half[i] = float_to_bfloat16(from[i]);
}

// The loops below are left to the compiler: they are simple and it knows every conversion.
template <class T>
HWY_ATTR void to_floats(const std::byte* from, int64_t n, float* to) {
  const T* x = reinterpret_cast<const T*>(from);
  for (int64_t i = 0; i < n; ++i) to[i] = float(x[i]);
}

template <class T>
HWY_ATTR void to_integers(const float* from, int64_t n, std::byte* to) {
  using Limits = std::numeric_limits<T>;
  constexpr float kLow = float(Limits::min()), kHigh = float(Limits::max());
  T* y = reinterpret_cast<T*>(to);
  for (int64_t i = 0; i < n; ++i) {
    const float v = from[i];
    y[i] = v >= kHigh ? Limits::max() : v <= kLow ? Limits::min() : v == v ? T(v) : T(0);
  }
}

void load_row(DType dtype, const std::byte* from, int64_t n, float* to) {
  switch (dtype) {
    case DType::kFloat32:
      std::memcpy(to, from, size_t(n) * sizeof(float));
      return;
    case DType::kFloat64:
      return to_floats<double>(from, n, to);
    case DType::kFloat16:
      return halves_to_floats(from, n, to);
    case DType::kBFloat16:
      return bfloat16s_to_floats(from, n, to);
    case DType::kBool:
      for (int64_t i = 0; i < n; ++i) to[i] = from[i] != std::byte{0} ? 1.0f : 0.0f;
      return;
    case DType::kUint8:
      return to_floats<uint8_t>(from, n, to);
    case DType::kInt8:
      return to_floats<int8_t>(from, n, to);
    case DType::kUint16:
      return to_floats<uint16_t>(from, n, to);
    case DType::kInt16:
      return to_floats<int16_t>(from, n, to);
    case DType::kUint32:
      return to_floats<uint32_t>(from, n, to);
    case DType::kInt32:
      return to_floats<int32_t>(from, n, to);
    case DType::kUint64:
      return to_floats<uint64_t>(from, n, to);
    default:
      return to_floats<int64_t>(from, n, to);
  }
}

void store_row(DType dtype, const float* from, int64_t n, std::byte* to) {
  switch (dtype) {
    case DType::kFloat32:
      std::memcpy(to, from, size_t(n) * sizeof(float));
      return;
    case DType::kFloat64:
      for (int64_t i = 0; i < n; ++i) reinterpret_cast<double*>(to)[i] = double(from[i]);
      return;
    case DType::kFloat16:
      return floats_to_halves(from, n, to);
    case DType::kBFloat16:
      return floats_to_bfloat16s(from, n, to);
    case DType::kBool:
      for (int64_t i = 0; i < n; ++i) to[i] = std::byte(!(from[i] == 0.0f));
      return;
    case DType::kUint8:
      return to_integers<uint8_t>(from, n, to);
    case DType::kInt8:
      return to_integers<int8_t>(from, n, to);
    case DType::kUint16:
      return to_integers<uint16_t>(from, n, to);
    case DType::kInt16:
      return to_integers<int16_t>(from, n, to);
    case DType::kUint32:
      return to_integers<uint32_t>(from, n, to);
    case DType::kInt32:
      return to_integers<int32_t>(from, n, to);
    case DType::kUint64:
      return to_integers<uint64_t>(from, n, to);
    default:
      return to_integers<int64_t>(from, n, to);
  }
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrify::cpu {

bool converts(DType dtype) {
  if (dtype == DType::kFloat16 || dtype == DType::kBFloat16 || dtype == DType::kBool) return true;
  if (is_float(dtype)) return dtype == DType::kFloat32 || dtype == DType::kFloat64;
  return is_integer(dtype) && !is_sub_byte(dtype);
}

void load_floats(Isa isa, DType dtype, const std::byte* from, int64_t n, float* to) {
  VITRIFY_PICK_ISA(isa, load_row)(dtype, from, n, to);
}
void store_floats(Isa isa, DType dtype, const float* from, int64_t n, std::byte* to) {
  VITRIFY_PICK_ISA(isa, store_row)(dtype, from, n, to);
}

}  // namespace vitrify::cpu
#endif
