#include "ops/norm.h"

#include <algorithm>
#include <cmath>

#include "ops/axis_walk.h"
#include "ops/body.h"
#include "ops/dispatch.h"
#include "ops/reduce.h"
#include "ops/samples.h"

namespace vitrify {

void infer_normalize(InferContext& context) {
  const Normalize& op = *context.op().as<Normalize>();
  context.expect_tensor(0);
  require(is_float(context.dtype(0)), "expected floats, got ", name(context.dtype(0)));
  require(!op.axes.empty(), "no axes to normalise over");
  if (const Shape* shape = context.shape(0)) reduced_axes(op.axes, false, int64_t(shape->size()));
  infer_epilogue(context, op.epilogue, context.type(0), 1);
}

namespace {
/// Two passes in double: the mean, then the squares around it.
template <class T>
void normalize_line(const T* x, T* y, const std::vector<int64_t>& offsets, const Normalize& op) {
  auto count = double(offsets.size());
  double mean = 0, squares = 0;
  if (!op.rms) {
    for (int64_t o : offsets) mean += double(x[o]);
    mean /= count;
  }
  for (int64_t o : offsets) squares += (double(x[o]) - mean) * (double(x[o]) - mean);
  double scale = 1 / std::sqrt(squares / count + op.epsilon);
  for (int64_t o : offsets) y[o] = T((double(x[o]) - mean) * scale);
}
}  // namespace

void reference_normalize(ReferenceCall& call) {
  const Normalize& op = *call.op().as<Normalize>();
  DType dtype = call.in(0).dtype();
  Tensor x = widen(call.in(0));
  Ints axes = reduced_axes(op.axes, false, x.rank());
  auto starts = axis_offsets(x.dims(), other_axes(x.rank(), axes));
  auto offsets = axis_offsets(x.dims(), axes);
  Tensor y = begin_main(call, op.epilogue, dtype, x.dims());
  dispatch_float(dtype, [&]<class T>() {
    for (int64_t s : starts) normalize_line(x.data<T>() + s, y.data<T>() + s, offsets, op);
  });
  finish_main(call, op.epilogue, y, dtype, 1);
}

void infer_lrn(InferContext& context) {
  const Lrn& op = *context.op().as<Lrn>();
  require(context.input_count() == 1, "expected one input");
  context.expect_tensor(0);
  require(is_float(context.dtype(0)), "expected floats, got ", name(context.dtype(0)));
  require(op.size > 0, "size must be positive, not ", op.size);
  if (const Shape* shape = context.shape(0)) normal_axis(op.axis, int64_t(shape->size()));
  context.output(context.type(0));
}

namespace {
/// y[c] = x[c] / (bias + alpha / size * Σ x[c']²)^beta over the `size` channels around c, one more
/// after it than before when size is even (ONNX's LRN).
template <class T>
void lrn_line(const T* x, T* y, AxisLines lines, const Lrn& op) {
  int64_t before = (op.size - 1) / 2, after = op.size - 1 - before;
  for (int64_t c = 0; c < lines.length; ++c) {
    double sum = 0;
    int64_t end = after < lines.length - 1 - c ? c + after : lines.length - 1;
    for (int64_t k = std::max<int64_t>(c - before, 0); k <= end; ++k) {
      auto v = double(x[k * lines.inner]);
      sum += v * v;
    }
    double scale = op.bias + op.alpha / double(op.size) * sum;
    y[c * lines.inner] = T(double(x[c * lines.inner]) / std::pow(scale, op.beta));
  }
}
}  // namespace

void reference_lrn(ReferenceCall& call) {
  const Lrn& op = *call.op().as<Lrn>();
  DType dtype = call.in(0).dtype();
  Tensor x = widen(call.in(0));
  AxisLines lines = axis_lines(x.dims(), normal_axis(op.axis, x.rank()));
  Tensor y = begin_wide_output(call, 0, dtype, x.dims());
  dispatch_float(dtype, [&]<class T>() {
    for (int64_t o = 0; o < lines.outer; ++o)
      for (int64_t i = 0; i < lines.inner; ++i) {
        int64_t at = o * lines.length * lines.inner + i;
        lrn_line(x.data<T>() + at, y.data<T>() + at, lines, op);
      }
  });
  finish_output(call, 0, y);
}

std::vector<Sample> samples_normalize(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  for (bool rms : {false, true}) {
    for (const Dims& dims :
         {Dims{3, 7}, Dims{2, 5, 33}, Dims{1, 1}, Dims{0, 4}, Dims{4, 129}, Dims{2, 3, 4, 65}})
      samples.push_back(
          {Normalize{{-1}, 1e-5, rms, {}}, {random_tensor(random, DType::kFloat32, dims)}});
    for (DType d : {DType::kFloat16, DType::kBFloat16, DType::kFloat64})
      samples.push_back({Normalize{{-1}, 1e-3, rms, {}}, {random_tensor(random, d, {3, 17})}});
    samples.push_back(
        {Normalize{{1, 2}, 1e-5, rms, {}}, {random_tensor(random, DType::kFloat32, {2, 5, 3, 4})}});
    samples.push_back(
        {Normalize{{0}, 1e-5, rms, {}}, {random_tensor(random, DType::kFloat32, {7, 3})}});
    samples.push_back(
        {Normalize{{-2, -1}, 1e-5, rms, {}}, {random_tensor(random, DType::kFloat32, {2, 3, 5})}});
    // x̂ * scale + bias, as LayerNormalization ends
    Body affine{
        3,
        {{BodyStep::Code::kBinary, {}, BinaryKind::kMul, {0, 1, -1}, 0, 0, DType::kFloat32},
         {BodyStep::Code::kBinary, {}, BinaryKind::kAdd, {3, 2, -1}, 0, 0, DType::kFloat32}},
        {}};
    samples.push_back({Normalize{{-1}, 1e-5, rms, affine},
                       {random_tensor(random, DType::kFloat32, {2, 3, 19}),
                        random_tensor(random, DType::kFloat32, {19}),
                        random_tensor(random, DType::kFloat32, {19})}});
    // as InstanceNormalization does, channels last: of several and of one channel
    for (int64_t channels : {5, 1})
      samples.push_back({Normalize{{1, 2}, 1e-5, rms, affine},
                         {random_tensor(random, DType::kFloat32, {2, 3, 4, channels}),
                          random_tensor(random, DType::kFloat32, {channels}),
                          random_tensor(random, DType::kFloat32, {channels})}});
  }
  return samples;
}

std::vector<Sample> samples_lrn(uint64_t seed) {
  SampleRandom random(seed);
  return {{Lrn{1, 3, 1e-2, 0.75, 1}, {random_tensor(random, DType::kFloat32, {2, 7, 3, 5})}},
          {Lrn{-1, 5}, {random_tensor(random, DType::kFloat32, {2, 3, 33})}},
          {Lrn{1, 4, 0.5, 0.5, 2}, {random_tensor(random, DType::kFloat16, {3, 5})}},
          {Lrn{1, 1}, {random_tensor(random, DType::kFloat64, {1, 3, 2})}},
          {Lrn{1, 3}, {random_tensor(random, DType::kFloat32, {0, 3, 2})}}};
}

Cost cost_normalize(const Op&, std::span<const Dims> inputs, std::span<const Dims>) {
  double count = inputs.empty() ? 0 : double(element_count(inputs[0]));
  return {6 * count, 8 * count};
}
Cost cost_lrn(const Op& op, std::span<const Dims> inputs, std::span<const Dims>) {
  double count = inputs.empty() ? 0 : double(element_count(inputs[0]));
  return {(2 * double(op.as<Lrn>()->size) + 20) * count, 8 * count};
}

}  // namespace vitrify
