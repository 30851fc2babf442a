#include "backend/cpu/kernels/activation.h"

#include "backend/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/activation.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/kernels/activation-inl.h"
#include "backend/cpu/kernels/round-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {

void activate(Activation kind, float a, float b, float* row, int64_t n) {
  apply_activation(kind, a, b, row, n);
}
void round_values(Rounding rounding, float* row, int64_t n) { round_row(rounding, row, n); }

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrify::cpu {

void activate_row(Isa isa, Activation kind, float a, float b, float* row, int64_t n) {
  VITRIFY_PICK_ISA(isa, activate)(kind, a, b, row, n);
}
void round_floats(Isa isa, Rounding rounding, float* row, int64_t n) {
  if (rounding != Rounding::kNone) VITRIFY_PICK_ISA(isa, round_values)(rounding, row, n);
}

}  // namespace vitrify::cpu
#endif
