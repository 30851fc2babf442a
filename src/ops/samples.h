// Drawing test cases: reproducible random tensors for the samples of the op table.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/op_info.h"

namespace vitrify {

/// A small generator (splitmix64): the same numbers on every machine.
class SampleRandom {
 public:
  explicit SampleRandom(uint64_t seed) : state_(seed) {}
  uint64_t bits();
  /// In [0, 1).
  double uniform() { return double(bits() >> 11) * 0x1p-53; }
  /// In [low, high].
  int64_t integer(int64_t low, int64_t high) {
    return low + int64_t(bits() % uint64_t(high - low + 1));
  }

 private:
  uint64_t state_;
};

/// Values in [low, high) (integers: rounded down; bool: coin flips; strings: short ones from a
/// small alphabet; unsigned types: from max(low, 0)).
Tensor random_tensor(SampleRandom& random, DType dtype, const Dims& dims, double low = -2,
                     double high = 2);
/// The same with NaN, ±infinity and -0 among the first elements (floats that have them).
Tensor special_tensor(SampleRandom& random, DType dtype, const Dims& dims);

}  // namespace vitrify
