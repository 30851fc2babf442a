#include "ops/samples.h"

#include <algorithm>
#include <cmath>

namespace vitrify {

uint64_t SampleRandom::bits() {
  state_ += 0x9E3779B97F4A7C15u;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

Tensor random_tensor(SampleRandom& random, DType dtype, const Dims& dims, double low, double high) {
  Tensor t(dtype, dims);
  bool no_sign = is_integer(dtype) && !is_signed(dtype);
  if (no_sign) low = std::max(low, 0.0);
  for (int64_t i = 0; i < t.size(); ++i) {
    double v = low + (high - low) * random.uniform();
    if (dtype == DType::kString)
      t.data<std::string>()[i] = std::string(size_t(random.integer(0, 3)), char('a' + i % 3));
    else if (dtype == DType::kBool)
      set_int(t, i, random.integer(0, 1));
    else
      set_double(t, i, is_integer(dtype) ? std::floor(v) : v);
  }
  return t;
}

Tensor special_tensor(SampleRandom& random, DType dtype, const Dims& dims) {
  Tensor t = random_tensor(random, dtype, dims);
  const double special[] = {NAN, INFINITY, -INFINITY, -0.0, 0.0};
  if (!is_float(dtype)) return t;
  for (int64_t i = 0; i < std::min<int64_t>(t.size(), 5); ++i) set_double(t, i, special[i]);
  return t;
}

}  // namespace vitrify
