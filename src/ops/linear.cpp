// Linear algebra, as Classic rows.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/classic.h"
#include "ops/samples.h"
#include "ops/working.h"

namespace vitrify {

namespace {

void check_square(const Shape& x) {
  require(x.size() >= 2, "x needs a rank of at least 2, not shape ", str(x));
  const Dim &rows = x.end()[-2], &columns = x.end()[-1];
  require(!rows.is_constant() || !columns.is_constant() || rows == columns,
          "x must hold square matrices, not ", str(x));
}

/// […, M, M] → […]
void infer_det(InferContext& context) {
  context.expect_tensor(0);
  require(is_float(context.dtype(0)), "x must be floating, not ", name(context.dtype(0)));
  const Shape* x = context.shape(0);
  if (!x) return context.output(Type::unranked(context.dtype(0)));
  check_square(*x);
  context.output(Type::tensor(context.dtype(0), Shape(x->begin(), x->end() - 2)));
}

/// By Gauss's elimination with row pivots; `a` [n, n] is used up.
double determinant(int64_t n, double* a) {
  double product = 1;
  for (int64_t i = 0; i < n; ++i) {
    int64_t pivot = i;
    for (int64_t r = i + 1; r < n; ++r)
      if (std::abs(a[r * n + i]) > std::abs(a[pivot * n + i])) pivot = r;
    if (a[pivot * n + i] == 0) return 0;
    if (pivot != i) {
      std::swap_ranges(a + i * n, a + (i + 1) * n, a + pivot * n);
      product = -product;
    }
    product *= a[i * n + i];
    for (int64_t r = i + 1; r < n; ++r) {
      double factor = a[r * n + i] / a[i * n + i];
      for (int64_t c = i; c < n; ++c) a[r * n + c] -= factor * a[i * n + c];
    }
  }
  return product;
}

void reference_det(ReferenceCall& call) {
  const Tensor& x = call.in(0);
  check_square(to_shape(x.dims()));
  int64_t n = x.dims().back();
  Dims dims(x.dims().begin(), x.dims().end() - 2);
  Working<double> in(x);
  std::vector<double> y(size_t(element_count(dims))), matrix(y.empty() ? 0 : size_t(n * n));
  for (size_t i = 0; i < y.size(); ++i) {
    std::copy_n(in.data() + int64_t(i) * n * n, n * n, matrix.data());
    y[i] = determinant(n, matrix.data());
  }
  store_working(y.data(), call.out(0, x.dtype(), dims));
}

std::vector<Sample> samples_det(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  for (DType d : {DType::kFloat32, DType::kFloat64, DType::kFloat16})
    for (const Dims& dims :
         {Dims{1, 1}, Dims{3, 3}, Dims{2, 3, 5, 5}, Dims{2, 0, 0}, Dims{0, 3, 3}})
      samples.push_back({make_classic("det"), {random_tensor(random, d, dims)}});
  samples.push_back({make_classic("det"), {Tensor(DType::kFloat32, {2, 3, 3})}});
  return samples;
}

const ClassicRow kRows[] = {{"det", infer_det, reference_det, samples_det}};

}  // namespace

std::span<const ClassicRow> linear_classics() { return kRows; }

}  // namespace vitrify
