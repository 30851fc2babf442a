#include "ops/contraction.h"

#include <algorithm>

#include "ops/body.h"
#include "ops/epilogue.h"
#include "ops/working.h"

namespace vitrify {

namespace {

/// Operand shapes with 1-D ones made matrices and the flags applied: […, m, k] and […, k, n].
struct MatMulShape {
  Shape a, b;
  bool row = false, column = false;  ///< a or b is 1-D
  const Dim& m() const { return a[a.size() - 2]; }
  const Dim& k() const { return a.back(); }
  const Dim& n() const { return b.back(); }
  Shape batch_a() const { return Shape(a.begin(), a.end() - 2); }
  Shape batch_b() const { return Shape(b.begin(), b.end() - 2); }
};

MatMulShape matmul_shape(const MatMul& op, const Shape& a, const Shape& b) {
  require(!a.empty() && !b.empty(), "operands ", str(a), " and ", str(b),
          " need at least one axis");
  MatMulShape s{a, b, a.size() == 1, b.size() == 1};
  if (s.row) s.a.insert(s.a.begin(), 1);
  if (s.column) s.b.push_back(1);
  if (op.transpose_a && !s.row) std::swap(s.a.end()[-1], s.a.end()[-2]);
  if (op.transpose_b && !s.column) std::swap(s.b.end()[-1], s.b.end()[-2]);
  const Dim &k = s.k(), &other = s.b[s.b.size() - 2];
  require(!k.is_constant() || !other.is_constant() || k == other,
          "the contracted extents differ: ", str(a), op.transpose_a ? " transposed" : "", " by ",
          str(b), op.transpose_b ? " transposed" : "");
  return s;
}

Shape matmul_result(const MatMulShape& s) {
  Shape shape = broadcast_shapes(s.batch_a(), s.batch_b());
  if (!s.row) shape.push_back(s.m());
  if (!s.column) shape.push_back(s.n());
  return shape;
}

Dims values(const Shape& shape) {
  Dims dims;
  for (const Dim& d : shape) dims.push_back(d.value());
  return dims;
}

/// The matrix number of an operand with leading extents `own` for matrix `i` of `batch`.
int64_t batch_index(const Dims& batch, const Dims& own, int64_t i) {
  int64_t index = 0, stride = 1;
  for (size_t a = batch.size(); a-- > 0; i /= batch[a]) {
    size_t skipped = batch.size() - own.size();
    if (a < skipped) break;
    int64_t extent = own[a - skipped];
    if (extent != 1) index += i % batch[a] * stride;
    stride *= extent;
  }
  return index;
}

template <class T>
void transpose_matrix(const T* from, int64_t rows, int64_t columns, T* to) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) to[j * rows + i] = from[i * columns + j];
}

/// Matrices of one operand, transposed where asked; the latest is kept for the next use.
template <class T>
class Matrices {
 public:
  Matrices(const Tensor& t, bool transposed, int64_t rows, int64_t columns)
      : all_(t), transposed_(transposed), rows_(rows), columns_(columns) {
    if (transposed) turned_.resize(size_t(rows * columns));
  }
  const T* at(int64_t i) {
    const T* matrix = all_.data() + i * rows_ * columns_;
    if (!transposed_) return matrix;
    if (i != latest_) transpose_matrix(matrix, columns_, rows_, turned_.data());
    latest_ = i;
    return turned_.data();
  }

 private:
  Working<T> all_;
  bool transposed_;
  int64_t rows_, columns_, latest_ = -1;
  std::vector<T> turned_;
};

}  // namespace

void infer_matmul(InferContext& context) {
  const MatMul& op = *context.op().as<MatMul>();
  context.expect_tensor(0), context.expect_tensor(1);
  DType dtype = product_dtype(context.dtype(0), context.dtype(1));
  const Shape *a = context.shape(0), *b = context.shape(1);
  if (!a || !b) return infer_epilogue(context, op.epilogue, Type::unranked(dtype), 2);
  infer_epilogue(context, op.epilogue, Type::tensor(dtype, matmul_result(matmul_shape(op, *a, *b))),
                 2);
}

void reference_matmul(ReferenceCall& call) {
  const MatMul& op = *call.op().as<MatMul>();
  const Tensor &a = call.in(0), &b = call.in(1);
  MatMulShape s = matmul_shape(op, to_shape(a.dims()), to_shape(b.dims()));
  Dims batch_a = values(s.batch_a()), batch_b = values(s.batch_b());
  Dims batch = broadcast_dims(batch_a, batch_b), dims = values(matmul_result(s));
  int64_t m = s.m().value(), n = s.n().value(), k = s.k().value();
  with_working_type(a.dtype(), [&]<class T>(T) {
    Matrices<T> left(a, op.transpose_a && !s.row, m, k),
        right(b, op.transpose_b && !s.column, k, n);
    std::vector<Accumulator<T>> y(size_t(element_count(dims)));
    int64_t count = y.empty() ? 0 : element_count(batch);
    for (int64_t i = 0; i < count; ++i)
      accumulate_product(m, n, k, left.at(batch_index(batch, batch_a, i)), k,
                         right.at(batch_index(batch, batch_b, i)), y.data() + i * m * n);
    store_through(call, op.epilogue, 2, product_dtype(a.dtype(), b.dtype()), dims, y.data());
  });
}

Cost cost_matmul(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs) {
  const Dims& a = inputs[0];
  bool swapped = op.as<MatMul>()->transpose_a && a.size() > 1;
  double k = a.empty() ? 1 : double(swapped ? a[a.size() - 2] : a.back());
  double results = double(element_count(outputs[0]));
  double read = double(element_count(a)) + double(element_count(inputs[1]));
  return {2 * results * k, 4 * (read + results)};
}

}  // namespace vitrify
