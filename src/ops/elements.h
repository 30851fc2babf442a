// Moving elements of any type by position: what the reference kernels of data movement share.
// Tensors here are `movable` ones (ops/dispatch.h): no packed sub-byte elements.
#pragma once

#include "ops/dispatch.h"

namespace vitrify {

/// One side of a copy: the element where it begins and a stride per axis, in elements; strides may
/// be 0 (read side) or negative.
struct Walk {
  int64_t offset = 0;
  Dims strides;
};

/// to[walk] = from[walk] over the nest `dims`. Both sides have one element type. The caller has
/// checked that both walks stay inside their tensors.
void copy_strided(const Dims& dims, const Tensor& from, Walk read, Tensor& to, Walk write);
/// to[j + i] = from[i + k] for i < count.
void copy_elements(const Tensor& from, int64_t k, Tensor& to, int64_t j, int64_t count);
/// Every element of `to` becomes element k of `from`.
void fill_elements(Tensor& to, const Tensor& from, int64_t k);

/// Advances a row-major index over `dims`; false after the last one.
bool next_index(Dims& index, const Dims& dims);
/// Product of dims[begin … end).
int64_t count_range(const Dims& dims, size_t begin, size_t end);
inline Walk dense_walk(const Dims& dims) { return {0, dense_strides(dims)}; }

/// `index` wrapped into [0, extent): user error naming both and the axis when it is outside
/// [-extent, extent).
inline int64_t checked_index(int64_t index, int64_t extent, size_t axis, std::string_view what) {
  require(index >= -extent && index < extent, what, ": index ", index, " is out of range for axis ",
          axis, " of extent ", extent);
  return index < 0 ? index + extent : index;
}
/// An integer tensor of indices (i32 or i64) as int64.
std::vector<int64_t> read_indices(const Tensor& t, std::string_view what);

}  // namespace vitrify
