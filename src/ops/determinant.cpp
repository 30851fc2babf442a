// Determinants of square matrices, by Gaussian elimination with partial pivoting.
#include <cmath>

#include "ops/classic.h"
#include "ops/dispatch.h"
#include "ops/samples.h"

namespace vitrify {

namespace {

void infer_det(InferContext& c) {
  c.expect_tensor(0);
  require(is_float(c.dtype(0)), "cannot compute in ", name(c.dtype(0)));
  const Shape* x = c.shape(0);
  if (!x) return c.output(Type::unranked(c.dtype(0)));
  require(x->size() >= 2, "expects matrices, got ", c.type(0).str());
  const Dim &rows = (*x)[x->size() - 2], &columns = x->back();
  if (rows.is_constant() && columns.is_constant())
    require(rows == columns, "matrices are ", rows.str(), " by ", columns.str(), ", not square");
  c.output(Type::tensor(c.dtype(0), Shape(x->begin(), x->end() - 2)));
}

/// The matrix is destroyed.
double determinant(std::vector<double>& m, int64_t n) {
  double result = 1;
  auto at = [&](int64_t i, int64_t j) -> double& { return m[size_t(i * n + j)]; };
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; ++i)
      if (std::fabs(at(i, k)) > std::fabs(at(pivot, k))) pivot = i;
    if (at(pivot, k) == 0) return 0;
    if (pivot != k) {
      for (int64_t j = k; j < n; ++j) std::swap(at(k, j), at(pivot, j));
      result = -result;
    }
    result *= at(k, k);
    for (int64_t i = k + 1; i < n; ++i) {
      double factor = at(i, k) / at(k, k);
      for (int64_t j = k; j < n; ++j) at(i, j) -= factor * at(k, j);
    }
  }
  return result;
}

void reference_det(ReferenceCall& call) {
  const Tensor& x = call.in(0);
  require(x.rank() >= 2, "det: expects matrices, got ", str(x.dims()));
  int64_t n = x.dims().back();
  require(x.dims()[x.dims().size() - 2] == n, "det: matrices of ", str(x.dims()),
          " are not square");
  Tensor& y = call.out(0, x.dtype(), Dims(x.dims().begin(), x.dims().end() - 2));
  std::vector<double> matrix(static_cast<size_t>(checked_mul(n, n)));
  for (int64_t b = 0; b < y.size(); ++b) {
    for (int64_t i = 0; i < n * n; ++i) matrix[size_t(i)] = double_at(x, b * n * n + i);
    set_double(y, b, determinant(matrix, n));
  }
}

std::vector<Sample> samples_det(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  for (const Dims& dims : {Dims{3, 3}, {2, 3, 5, 5}, {2, 0, 0}, {0, 2, 2}, {4, 1, 1}})
    samples.push_back({make_classic("det"), {random_tensor(random, DType::kFloat32, dims)}});
  samples.push_back({make_classic("det"), {random_tensor(random, DType::kFloat64, {2, 4, 4})}});
  samples.push_back({make_classic("det"), {Tensor(DType::kFloat32, {2, 2})}});
  return samples;
}

constexpr ClassicRow kRows[] = {{"det", infer_det, reference_det, samples_det}};

}  // namespace

std::span<const ClassicRow> algebra_classics() { return kRows; }

}  // namespace vitrify
