// Row-vector by matrix products of reference kernels, in plain loops that compilers turn into
// vector code: rows of the matrix are walked, so that no sum runs along a vector.
#pragma once

#include <cstdint>
#include <vector>

namespace vitrify {

/// out[j] += sum over k < count of x[k] * m[k * stride + j], j < columns.
template <class T>
void add_row_product(const T* x, int64_t count, const T* m, int64_t stride, int64_t columns,
                     T* out) {
  for (int64_t k = 0; k < count; ++k)
    for (int64_t j = 0; j < columns; ++j) out[j] += x[k] * m[k * stride + j];
}

/// A dense [rows, columns] matrix as [columns, rows].
template <class T>
std::vector<T> transposed(const T* m, int64_t rows, int64_t columns) {
  std::vector<T> out(static_cast<size_t>(rows * columns));
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      out[static_cast<size_t>(j * rows + i)] = m[i * columns + j];
  return out;
}

}  // namespace vitrify
