// C = epilogue(A * B) in float32, alone or batched.
//
// B is packed into panels (for a constant B at build time, see pack_b) or taken as it lies and
// packed on the way (GemmArgs::packed_b false). A is read in place when its columns are dense
// (a_col_stride 1) and packed on the way otherwise.
// Strides are in elements. No alignment is asked for anywhere except where said. Sizes may be 0:
// with k = 0 the product is 0 and the epilogue still runs. NaN and infinity spread as in the naive
// loop. The order of additions depends on sizes, strides and Isa only, never on threads.
// Nothing here throws or allocates, except the *_floats functions (user error on overflow).
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cpu/isa.h"
#include "backend/cpu/kernels/epilogue.h"

namespace vitrify::cpu {

/// Floats of the packed form of B[k, n]: a multiple of 16.
int64_t packed_b_floats(Isa isa, int64_t k, int64_t n);

/// Packs B[k, n], whose element (i, j) is the float at byte address
/// b + 4 * (i * row_stride + j * col_stride); b may be unaligned. `out` is 64-byte aligned and has
/// packed_b_floats floats, all of which are written. Serial.
void pack_b(Isa isa, int64_t k, int64_t n, const void* b, int64_t row_stride, int64_t col_stride,
            float* out);

struct GemmArgs {
  Isa isa = Isa::kBaseline;  ///< at most machine_isa()
  int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;  ///< A[m, k]
  int64_t a_row_stride = 0, a_col_stride = 1;
  const float* b = nullptr;  ///< pack_b's output (64-byte aligned), or B[k, n] itself
  bool packed_b = true;
  int64_t b_row_stride = 0, b_col_stride = 1;  ///< only when !packed_b
  float* c = nullptr;                          ///< C[m, n], columns dense; may not overlap A or B
  int64_t c_row_stride = 0;
  /// Batch element i uses a + a_offsets[i], b + b_offsets[i], c + c_offsets[i] (elements); a null
  /// array means offset 0. Packed B with a batch: offsets are multiples of 16. Epilogue rows are
  /// i * m + row; bias and residual are shared by that rule.
  int64_t batch = 1;
  const int64_t* a_offsets = nullptr;
  const int64_t* b_offsets = nullptr;
  const int64_t* c_offsets = nullptr;
  Epilogue epilogue;
  /// At least gemm_workspace_floats floats, 64-byte aligned; null when that is 0.
  float* workspace = nullptr;
  int max_threads = 1;  ///< at most 64 are used
};

/// Floats of workspace that `gemm` needs; reads sizes, strides, packed_b, batch and max_threads.
/// Monotonic in m, n, k, batch for fixed strides, so the bound for a range is at its maximum.
int64_t gemm_workspace_floats(const GemmArgs& args);

void gemm(const GemmArgs& args);

}  // namespace vitrify::cpu
