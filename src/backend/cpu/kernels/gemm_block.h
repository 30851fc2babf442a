// The engine under gemm and conv: C = epilogue(sum over taps of A_tap * B_tap), where the rows of
// every A_tap are found through pointers and B is one matrix of taps * k rows.
#pragma once

#include <cstdint>

#include "backend/cpu/isa.h"
#include "backend/cpu/kernels/epilogue.h"

namespace vitrify::cpu {

struct Product {
  int64_t m = 0, n = 0, taps = 1, k = 0;
  /// Writes table[t * rows + r], the address of k floats of A, for taps tap0 + t < tap0 + taps and
  /// rows row0 + r < row0 + rows.
  void (*fill)(const void* ctx, int64_t row0, int64_t rows, int64_t tap0, int64_t taps,
               const float** table) = nullptr;
  const void* ctx = nullptr;
  /// k zeros: a tap whose rows all point here is skipped for a tile. May be null.
  const float* zero = nullptr;
  /// Packed panels (b_row_stride 0), or row-major rows, b_row_stride apart; then `b_tail` is the
  /// last panel in packed form if the columns are no multiple of the vector.
  const float* b = nullptr;
  int64_t b_row_stride = 0;
  const float* b_tail = nullptr;
  float* c = nullptr;
  int64_t c_row_stride = 0;
  /// Writes the row of C for rows row0 + r; null means the same number.
  void (*out_rows)(const void* ctx, int64_t row0, int64_t rows, int64_t* out) = nullptr;
  int64_t row_base = 0, col_base = 0;  ///< added to C's row and column to get the epilogue's
  const Epilogue* epilogue = nullptr;
};

/// How a product is cut into independent tasks: by sizes only.
struct Split {
  int64_t row_tasks = 0, panel_tasks = 0;
  int64_t count() const { return row_tasks * panel_tasks; }
};
Split split_product(Isa isa, int64_t m, int64_t n, int64_t k_total);

/// Runs task `index` of split.count().
void run_product_task(Isa isa, const Product& product, const Split& split, int64_t index);

}  // namespace vitrify::cpu
