// The only place that says which Highway targets the kernels are compiled for.
//
// A kernel file defines HWY_TARGET_INCLUDE as its own path, includes this, then
// "hwy/foreach_target.h" and "hwy/highway.h", and puts its code between HWY_BEFORE_NAMESPACE() and
// HWY_AFTER_NAMESPACE() in `namespace HWY_NAMESPACE`. Under `#if HWY_ONCE` it picks by Isa with
//
//   VITRIFY_PICK_ISA(isa, function)   // -> &N_SSE4::function, &N_AVX2::function or
//   &N_AVX3::function
//
// instead of HWY_DYNAMIC_DISPATCH, which would need Highway's library and global state.
// Headers of ours and of the standard library are included before HWY_BEFORE_NAMESPACE().
#pragma once

#define HWY_DISABLE_PCLMUL_AES
#define HWY_BASELINE_TARGETS HWY_SSE4
#define HWY_DISABLED_TARGETS (~(HWY_SSE4 | HWY_AVX2 | HWY_AVX3))

#include "backend/cpu/isa.h"

#define VITRIFY_PICK_ISA(isa, function)                      \
  ((isa) == ::vitrify::cpu::Isa::kAvx512 ? &N_AVX3::function \
   : (isa) == ::vitrify::cpu::Isa::kAvx2 ? &N_AVX2::function \
                                         : &N_SSE4::function)
