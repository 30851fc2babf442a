#include "ops/working.h"

#include <algorithm>
#include <cstring>

#include "base/small_float.h"

namespace vitrify {

namespace {

template <class From, class T>
void convert(const Tensor& t, std::vector<T>& out) {
  const From* from = t.data<From>();
  for (size_t i = 0; i < out.size(); ++i) out[i] = T(from[i]);
}

template <class T>
void convert_half(const Tensor& t, std::vector<T>& out, float (*decode)(uint16_t)) {
  const uint16_t* from = t.data<uint16_t>();
  for (size_t i = 0; i < out.size(); ++i) out[i] = T(decode(from[i]));
}

template <class T>
void convert_any(const Tensor& t, std::vector<T>& out) {
  for (size_t i = 0; i < out.size(); ++i) {
    if constexpr (std::is_same_v<T, int64_t>)
      out[i] = int_at(t, int64_t(i));
    else
      out[i] = T(double_at(t, int64_t(i)));
  }
}

template <class T>
void load(const Tensor& t, std::vector<T>& out) {
  switch (t.dtype()) {
    case DType::kFloat32:
      return convert<float>(t, out);
    case DType::kFloat64:
      return convert<double>(t, out);
    case DType::kInt8:
      return convert<int8_t>(t, out);
    case DType::kUint8:
      return convert<uint8_t>(t, out);
    case DType::kInt32:
      return convert<int32_t>(t, out);
    case DType::kInt64:
      return convert<int64_t>(t, out);
    case DType::kFloat16:
      return convert_half(t, out, half_to_float);
    case DType::kBFloat16:
      return convert_half(t, out, bfloat16_to_float);
    default:
      return convert_any(t, out);
  }
}

template <class T>
constexpr DType kExact = std::is_same_v<T, float>    ? DType::kFloat32
                         : std::is_same_v<T, double> ? DType::kFloat64
                                                     : DType::kInt64;

template <class To, class V>
void store_as(const V* values, Tensor& t) {
  To* to = t.data<To>();
  for (int64_t i = 0; i < t.size(); ++i) to[i] = To(values[i]);
}

/// The tile that fits the registers of the smallest machine: rows of a by columns of b.
constexpr int64_t kRows = 4, kColumns = 4;

/// `columns` columns of b as [k][kColumns], padded with zeros.
template <class T>
void pack_panel(int64_t columns, int64_t n, int64_t k, const T* b, Accumulator<T>* panel) {
  for (int64_t p = 0; p < k; ++p)
    for (int64_t j = 0; j < kColumns; ++j)
      panel[p * kColumns + j] = j < columns ? Accumulator<T>(b[p * n + j]) : 0;
}

template <class T, int64_t kM>
void product_tile(int64_t columns, int64_t n, int64_t k, const T* a, int64_t lda,
                  const Accumulator<T>* panel, Accumulator<T>* c) {
  Accumulator<T> sum[kM][kColumns] = {};
  for (int64_t i = 0; i < kM; ++i)
    for (int64_t j = 0; j < columns; ++j) sum[i][j] = c[i * n + j];
  for (int64_t p = 0; p < k; ++p)
    for (int64_t i = 0; i < kM; ++i) {
      Accumulator<T> x = Accumulator<T>(a[i * lda + p]);
      for (int64_t j = 0; j < kColumns; ++j) sum[i][j] += x * panel[p * kColumns + j];
    }
  for (int64_t i = 0; i < kM; ++i)
    for (int64_t j = 0; j < columns; ++j) c[i * n + j] = sum[i][j];
}

/// One row: no panel pays off.
template <class T>
void product_row(int64_t n, int64_t k, const T* a, const T* b, Accumulator<T>* c) {
  for (int64_t p = 0; p < k; ++p) {
    Accumulator<T> x = Accumulator<T>(a[p]);
    for (int64_t j = 0; j < n; ++j) c[j] += x * Accumulator<T>(b[p * n + j]);
  }
}

}  // namespace

template <class T>
Working<T>::Working(const Tensor& t) {
  if (!t.defined()) return;
  keep_ = t.aligned();
  if (t.dtype() == kExact<T>) {
    data_ = keep_.data<T>();
    return;
  }
  copy_.resize(size_t(t.size()));
  load(keep_, copy_);
  data_ = copy_.data();
}

template <class V>
void store_working(const V* values, Tensor& t) {
  if (std::is_integral_v<V> && t.dtype() == DType::kInt8) return store_as<int8_t>(values, t);
  if (std::is_integral_v<V> && t.dtype() == DType::kUint8) return store_as<uint8_t>(values, t);
  if (std::is_integral_v<V> && t.dtype() == DType::kInt32) return store_as<int32_t>(values, t);
  if (std::is_integral_v<V> && t.dtype() == DType::kInt64) return store_as<int64_t>(values, t);
  if (!std::is_integral_v<V> && t.dtype() == DType::kFloat32) return store_as<float>(values, t);
  if (!std::is_integral_v<V> && t.dtype() == DType::kFloat64) return store_as<double>(values, t);
  for (int64_t i = 0; i < t.size(); ++i) {
    if constexpr (std::is_integral_v<V>)
      set_int(t, i, int64_t(values[i]));
    else
      set_double(t, i, double(values[i]));
  }
}

template <class T>
void accumulate_product(int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b,
                        Accumulator<T>* c) {
  if (m == 1) return product_row(n, k, a, b, c);
  std::vector<Accumulator<T>> panel(size_t(k * kColumns));
  for (int64_t j = 0; j < n; j += kColumns) {
    int64_t columns = std::min(kColumns, n - j), i = 0;
    pack_panel(columns, n, k, b + j, panel.data());
    for (; i + kRows <= m; i += kRows)
      product_tile<T, kRows>(columns, n, k, a + i * lda, lda, panel.data(), c + i * n + j);
    for (; i < m; ++i)
      product_tile<T, 1>(columns, n, k, a + i * lda, lda, panel.data(), c + i * n + j);
  }
}

template class Working<float>;
template class Working<double>;
template class Working<int64_t>;
template void store_working<float>(const float*, Tensor&);
template void store_working<double>(const double*, Tensor&);
template void store_working<int64_t>(const int64_t*, Tensor&);
template void store_working<uint64_t>(const uint64_t*, Tensor&);
template void accumulate_product<float>(int64_t, int64_t, int64_t, const float*, int64_t,
                                        const float*, double*);
template void accumulate_product<double>(int64_t, int64_t, int64_t, const double*, int64_t,
                                         const double*, double*);
template void accumulate_product<int64_t>(int64_t, int64_t, int64_t, const int64_t*, int64_t,
                                          const int64_t*, uint64_t*);

}  // namespace vitrify
