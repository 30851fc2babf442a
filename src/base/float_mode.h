// How floats are computed on this thread: what becomes of results too small for a normal number.
#pragma once

#include <bit>
#include <cfloat>
#include <cmath>
#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace vitrify {

/// The CPU's control word of this thread; 0 on CPUs whose word is not known here.
inline uint32_t float_mode() {
#if defined(__x86_64__)
  return _mm_getcsr();
#else
  return 0;
#endif
}

inline void set_float_mode([[maybe_unused]] uint32_t mode) {
#if defined(__x86_64__)
  _mm_setcsr(mode);
#endif
}

/// While it lives, and when `on`, subnormal results on this thread become 0 with their sign;
/// operands are read as they are. Computing with subnormals costs x86 over 100 cycles an
/// instruction, and gates and exponentials make many of them.
class FlushSubnormals {
 public:
  explicit FlushSubnormals(bool on) : before_(float_mode()) {
#if defined(__x86_64__)
    if (on) set_float_mode(before_ | _MM_FLUSH_ZERO_ON);
#endif
  }
  ~FlushSubnormals() { set_float_mode(before_); }
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

 private:
  uint32_t before_;
};

/// A float held as double, back as the float that it was: what an operator chooses among its
/// operands is no computed result, and stays where subnormal results become 0.
inline float unflushed(double v) {
  if (!(std::fabs(v) < double(FLT_MIN))) return float(v);  // NaN, too
  const auto bits = uint32_t(std::fabs(v) * 0x1p149);      // a subnormal's code is its multiple
  return std::bit_cast<float>(std::signbit(v) ? bits | 0x80000000u : bits);
}

}  // namespace vitrify
