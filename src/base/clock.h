// The clock that durations are measured with: steady, in seconds from an arbitrary start.
#pragma once

#include <chrono>

namespace vitrify {

inline double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace vitrify
