// Reference kernels compute in one of three working types: float (floats of up to 32 bits), double
// (f64) and int64_t (integers and bool); sums are held in double, or in uint64_t, which wraps.
#pragma once

#include <type_traits>
#include <vector>

#include "base/error.h"
#include "ir/tensor.h"

namespace vitrify {

/// What sums of a working type are held in.
template <class T>
using Accumulator = std::conditional_t<std::is_same_v<T, int64_t>, uint64_t, double>;

/// Calls f with a value of the working type of `dtype`; user error for strings and complex.
template <class F>
void with_working_type(DType dtype, F&& f) {
  if (dtype == DType::kFloat64) return f(double{});
  if (is_float(dtype)) return f(float{});
  if (is_integer(dtype) || dtype == DType::kBool) return f(int64_t{});
  fail_unsupported("no arithmetic on ", name(dtype));
}

/// The elements of a tensor in a working type, converted only where the types differ. data() of an
/// undefined tensor is null.
template <class T>
class Working {
 public:
  explicit Working(const Tensor& t);
  Working(Working&&) = default;  // a copy's data() would point into the original
  const T* data() const { return data_; }
  const T& operator[](int64_t i) const { return data_[i]; }

 private:
  Tensor keep_;  // shares the data
  std::vector<T> copy_;
  const T* data_ = nullptr;
};

/// Stores `values` (working or accumulator type) into t: floats round once, to nearest even;
/// integers wrap.
template <class V>
void store_working(const V* values, Tensor& t);

extern template class Working<float>;
extern template class Working<double>;
extern template class Working<int64_t>;
extern template void store_working<float>(const float*, Tensor&);
extern template void store_working<double>(const double*, Tensor&);
extern template void store_working<int64_t>(const int64_t*, Tensor&);
extern template void store_working<uint64_t>(const uint64_t*, Tensor&);

/// c[i][j] += Σ_p a[i][p] · b[p][j] for i < m, j < n, p < k, with rows `lda` and `n` (b, c) apart.
/// The order of summation does not depend on m or n.
template <class T>
void accumulate_product(int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b,
                        Accumulator<T>* c);

extern template void accumulate_product<float>(int64_t, int64_t, int64_t, const float*, int64_t,
                                               const float*, double*);
extern template void accumulate_product<double>(int64_t, int64_t, int64_t, const double*, int64_t,
                                                const double*, double*);
extern template void accumulate_product<int64_t>(int64_t, int64_t, int64_t, const int64_t*, int64_t,
                                                 const int64_t*, uint64_t*);

}  // namespace vitrify
