// What body.cpp and body_steps-inl.h share.
#pragma once

#include <cmath>
#include <cstdint>

namespace vitrify::cpu {

/// Floats at p, p + step, ...: step 1, or 0 for one vector that repeats.
struct BodySource {
  const float* p;
  int64_t step;
};

/// The remainder with the sign of q.
inline float float_mod(float p, float q) {
  const float r = std::fmod(p, q);
  return r != 0 && (r < 0) != (q < 0) ? r + q : r;
}

}  // namespace vitrify::cpu
