#include "backend/cpu/isa.h"

#include <algorithm>
#include <array>
#include <atomic>

#include "base/error.h"
#include "base/knobs.h"

namespace vitrify::cpu {
namespace {

constexpr std::array<const char*, kIsaCount> kNames = {"baseline", "avx2", "avx512"};

Isa detect() {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("sse4.2")) fail_unsupported("this CPU has no SSE4.2 (x86-64-v2)");
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                    __builtin_cpu_supports("f16c");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512cd");
  return !avx2 ? Isa::kBaseline : !avx512 ? Isa::kAvx2 : Isa::kAvx512;
}

Isa wanted_isa() {
  const std::string_view word = knob(Knob::kMaxIsa);
  if (word == "all") return machine_isa();
  try {
    return std::min(parse_isa(word), machine_isa());
  } catch (const Error& e) {
    throw Error(e.kind(), e.message(), "VITRIFY_MAX_ISA");
  }
}

std::atomic<Isa>& limit() {
  static std::atomic<Isa> value = wanted_isa();
  return value;
}

}  // namespace

Isa machine_isa() {
  static const Isa isa = detect();
  return isa;
}

Isa max_isa() { return limit().load(std::memory_order_relaxed); }

void set_max_isa(Isa isa) { limit().store(std::min(isa, machine_isa())); }

const char* isa_name(Isa isa) { return kNames.at(static_cast<size_t>(isa)); }

Isa parse_isa(std::string_view name) {
  for (int i = 0; i < kIsaCount; ++i) {
    if (name == kNames[static_cast<size_t>(i)]) return static_cast<Isa>(i);
  }
  fail("unknown instruction set \"", name, "\": write baseline, avx2, avx512 or all");
}

}  // namespace vitrify::cpu
