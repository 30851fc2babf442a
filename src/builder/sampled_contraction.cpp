#include "builder/sampled_contraction.h"

#include "base/error.h"
#include "ops/body.h"
#include "ops/epilogue.h"
#include "ops/window.h"

namespace vitrify {
namespace {

Dims index_of(int64_t position, const Dims& dims) {
  Dims index(dims.size());
  for (size_t a = dims.size(); a-- > 0; position /= dims[a]) index[a] = position % dims[a];
  return index;
}

/// The flat position in an operand of extents `dims` that broadcasts to the result.
int64_t broadcast_position(const Dims& index, const Dims& dims) {
  const size_t skip = index.size() - dims.size();
  int64_t at = 0;
  for (size_t a = 0; a < dims.size(); ++a) at = at * dims[a] + (dims[a] == 1 ? 0 : index[a + skip]);
  return at;
}

Window full_window(const Window& given, const Dims& w) {
  Window window = given;
  if (window.kernel.empty()) window.kernel.assign(w.begin() + 2, w.end());
  return checked_window(window, w.size() - 2);
}

double conv_element(const Conv& op, const WindowGeometry& g, const Tensor& x, const Tensor& w,
                    const Dims& index) {
  const int64_t channels = x.dims().back(), each = w.dims()[1];
  const int64_t result = index.back(), group = result / (w.dims()[0] / op.group);
  int64_t o = 0;
  for (size_t a = 0; a < g.axes(); ++a) o = o * g.out[a] + index[a + 1];
  double sum = 0;
  for_each_tap(g, o, [&](int64_t tap, int64_t from) {
    const int64_t pixel = (index[0] * g.in_count + from) * channels + group * each;
    for (int64_t c = 0; c < each; ++c)
      sum += double_at(x, pixel + c) * double_at(w, (result * each + c) * g.tap_count + tap);
  });
  return sum;
}

/// Tap t of a kernel meets result o at input (o + pad - t * dilation) / stride, where that is
/// whole.
double conv_transpose_element(const ConvTranspose& op, const Window& window, const Tensor& x,
                              const Tensor& w, const Dims& index) {
  const int64_t channels = x.dims().back(), each = channels / op.group, results = w.dims()[1];
  const int64_t group = index.back() / results, j = index.back() % results;
  const int64_t taps = element_count(window.kernel);
  double sum = 0;
  for (int64_t t = 0; t < taps; ++t) {
    const Dims tap = index_of(t, window.kernel);
    int64_t pixel = index[0];
    bool inside = true;
    for (size_t a = 0; a < tap.size(); ++a) {
      const int64_t from = index[a + 1] + window.pads_begin[a] - tap[a] * window.dilations[a];
      const int64_t i = from / window.strides[a];
      inside &= from >= 0 && from % window.strides[a] == 0 && i < x.dims()[a + 1];
      pixel = pixel * x.dims()[a + 1] + i;
    }
    for (int64_t c = group * each; inside && c < (group + 1) * each; ++c)
      sum += double_at(x, pixel * channels + c) * double_at(w, (c * results + j) * taps + t);
  }
  return sum;
}

/// One operand's matrices: where element (row, column) of one lies, and how they repeat.
struct Matrices {
  Dims batch;
  int64_t rows = 1, columns = 1;
  bool swapped = false;
  Matrices(const Dims& dims, bool transposed, bool is_left) {
    const size_t r = dims.size();
    if (r == 1) {
      (is_left ? columns : rows) = dims[0];
      return;
    }
    batch.assign(dims.begin(), dims.end() - 2);
    rows = dims[r - 2], columns = dims[r - 1], swapped = transposed;
    if (swapped) std::swap(rows, columns);
  }
  int64_t at(const Dims& result_batch, int64_t row, int64_t column) const {
    const int64_t first = broadcast_position(result_batch, batch) * rows * columns;
    return first + (swapped ? column * rows + row : row * columns + column);
  }
};

double matmul_element(const MatMul& op, const Tensor& a, const Tensor& b, Dims index) {
  const Matrices left(a.dims(), op.transpose_a, true), right(b.dims(), op.transpose_b, false);
  int64_t row = 0, column = 0;
  if (b.rank() > 1) column = index.back(), index.pop_back();
  if (a.rank() > 1) row = index.back(), index.pop_back();
  double sum = 0;
  for (int64_t k = 0; k < left.columns; ++k)
    sum += double_at(a, left.at(index, row, k)) * double_at(b, right.at(index, k, column));
  return sum;
}

/// The product's own value, before the epilogue.
Tensor main_elements(const Op& op, const Tensor& x, const Tensor& w,
                     std::span<const Dims> indices) {
  const DType dtype = product_dtype(x.dtype(), w.dtype());
  const bool narrow = is_float(dtype) && dtype != DType::kFloat64;
  Tensor main(narrow ? DType::kFloat32 : dtype, {int64_t(indices.size())});
  WindowGeometry geometry;
  Window window;
  if (auto* conv = op.as<Conv>())
    geometry = window_geometry(full_window(conv->window, w.dims()),
                               Ints(x.dims().begin() + 1, x.dims().end() - 1));
  else if (auto* transposed = op.as<ConvTranspose>())
    window = full_window(transposed->window, w.dims());
  for (size_t i = 0; i < indices.size(); ++i) {
    double value = 0;
    if (auto* conv = op.as<Conv>())
      value = conv_element(*conv, geometry, x, w, indices[i]);
    else if (auto* transposed = op.as<ConvTranspose>())
      value = conv_transpose_element(*transposed, window, x, w, indices[i]);
    else
      value = matmul_element(*op.as<MatMul>(), x, w, indices[i]);
    set_double(main, int64_t(i), value);
  }
  return main;
}

}  // namespace

bool can_sample_contraction(const Op& op) {
  auto* transposed = op.as<ConvTranspose>();
  return !transposed || (transposed->window.auto_pad == Window::AutoPad::kExplicit &&
                         transposed->output_shape.empty());
}

std::vector<Tensor> sample_contraction(const Node& node, std::span<const Value> inputs,
                                       const Dims& dims, std::span<const int64_t> positions) {
  std::vector<Dims> indices;
  for (int64_t p : positions) indices.push_back(index_of(p, dims));
  std::vector<Tensor> operands{main_elements(node.op, inputs[0].tensor, inputs[1].tensor, indices)};
  const Body& body = *node.op.body();
  if (body.empty()) {
    Tensor rounded(node.types[0].dtype, {int64_t(positions.size())});
    for (int64_t i = 0; i < rounded.size(); ++i) set_double(rounded, i, double_at(operands[0], i));
    return {rounded};
  }
  std::vector<DType> types{product_dtype(inputs[0].tensor.dtype(), inputs[1].tensor.dtype())};
  for (size_t i = 2; i < size_t(body.inputs) + 1; ++i) {
    const Tensor& from = inputs[i].tensor;
    Tensor picked(from.dtype(), {int64_t(positions.size())});
    for (size_t p = 0; p < positions.size(); ++p)
      set_double(picked, int64_t(p), double_at(from, broadcast_position(indices[p], from.dims())));
    operands.push_back(std::move(picked));
    types.push_back(from.dtype());
  }
  std::vector<Tensor> results;
  for (const Type& t : node.types) results.emplace_back(t.dtype, Dims{int64_t(positions.size())});
  run_body(body, types, operands, {int64_t(positions.size())}, results);
  return results;
}

}  // namespace vitrify
