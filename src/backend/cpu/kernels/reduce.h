// Reductions of float32 along rows and down columns. Sums are made in blocks, so that the error
// grows with the logarithm of the count; the order depends on sizes and Isa only.
#pragma once

#include <cstdint>

#include "backend/cpu/isa.h"

namespace vitrify::cpu {

enum class Fold : uint8_t { kSum, kAbsSum, kSquareSum, kProduct, kMax, kMin };

/// What a fold of nothing gives.
float fold_identity(Fold fold);
/// a and b joined; NaN wins a maximum or minimum.
double join_folds(Fold fold, double a, double b);

/// The fold of row[0 .. n).
double fold_row(Isa isa, Fold fold, const float* row, int64_t n);
/// out[c] = out[c] joined with the fold of x[i * stride + c] over i in [0, rows), for c in
/// [0, columns).
void fold_columns(Isa isa, Fold fold, const float* x, int64_t rows, int64_t stride, int64_t columns,
                  float* out);
/// out[c] = out[c] joined with x[c], which are folds already.
void join_rows(Isa isa, Fold fold, const float* x, int64_t columns, float* out);

/// Sum of exp(row[i] - shift).
double exp_sum_row(Isa isa, const float* row, int64_t n, float shift);
/// out[c] += sum of exp(x[i * stride + c] - shift[c]).
void exp_sum_columns(Isa isa, const float* x, int64_t rows, int64_t stride, int64_t columns,
                     const float* shift, float* out);

/// The index of the largest (smallest) of row[0 .. n), n > 0: the first or last of equals. NaN is
/// passed over; one in first place stays.
int64_t arg_row(Isa isa, bool max, bool last, const float* row, int64_t n);

}  // namespace vitrify::cpu
