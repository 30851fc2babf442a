#include "backend/cpu/kernels/activation.h"

#include "backend/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/activation.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/kernels/activation-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {

void activate(Activation kind, float a, float b, float* row, int64_t n) {
  apply_activation(kind, a, b, row, n);
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrify::cpu {

void activate_row(Isa isa, Activation kind, float a, float b, float* row, int64_t n) {
  VITRIFY_PICK_ISA(isa, activate)(kind, a, b, row, n);
}

}  // namespace vitrify::cpu
#endif
