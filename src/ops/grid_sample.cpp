#include <algorithm>
#include <cmath>

#include "ops/resize.h"
#include "ops/working.h"

namespace vitrify {

namespace {

constexpr size_t kMaxAxes = 8;

/// One axis of one sampling point: up to four positions (-1: reads 0) with weights.
struct AxisTaps {
  int count = 0;
  int64_t at[4];
  double weight[4];
};

/// x folded back at low and high until it lies between them.
double reflect(double x, double low, double high) {
  double range = high - low;
  if (range <= 0) return low;
  double over = std::fmod(std::abs(x - low), 2 * range);
  return low + (over <= range ? over : 2 * range - over);
}

struct GridAxis {
  GridSample::Padding padding;
  bool align_corners;
  int64_t extent;

  double low() const { return align_corners ? 0 : -0.5; }
  double high() const { return align_corners ? double(extent - 1) : double(extent) - 0.5; }
  /// From [-1, 1] to positions.
  double position(double g) const {
    double x =
        align_corners ? (g + 1) / 2 * double(extent - 1) : ((g + 1) * double(extent) - 1) / 2;
    return std::isnan(x) ? -2 : std::clamp(x, -1e9, 1e9);
  }
  double pad(double x) const {
    if (padding == GridSample::Padding::kBorder) return std::clamp(x, 0.0, double(extent - 1));
    if (padding == GridSample::Padding::kReflection && !(x >= low() && x <= high()))
      return reflect(x, low(), high());
    return x;
  }
  int64_t index(int64_t i) const {
    if (i >= 0 && i < extent) return i;
    if (padding == GridSample::Padding::kZeros) return -1;
    double x = pad(double(i));
    return std::clamp<int64_t>(int64_t(x), 0, extent - 1);
  }
};

/// Weights of the positions -1, 0, 1, 2 around a fraction t, with coefficient -0.75.
void cubic_weights(double t, double* weight) {
  constexpr double a = -0.75;
  auto near = [](double x) { return ((a + 2) * x - (a + 3)) * x * x + 1; };
  auto far = [](double x) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; };
  weight[0] = far(t + 1), weight[1] = near(t), weight[2] = near(1 - t), weight[3] = far(2 - t);
}

AxisTaps axis_taps(GridSample::Mode mode, const GridAxis& axis, double g) {
  AxisTaps taps;
  double x = axis.position(g);
  if (mode == GridSample::Mode::kNearest) x = std::nearbyint(x);
  if (mode != GridSample::Mode::kCubic) x = axis.pad(x);  // of cubic only the taps are padded
  int64_t base = int64_t(std::floor(x));
  double t = x - double(base);
  if (mode == GridSample::Mode::kNearest) {
    taps.count = 1, taps.at[0] = axis.index(base), taps.weight[0] = 1;
  } else if (mode == GridSample::Mode::kLinear) {
    taps.count = 2, taps.weight[0] = 1 - t, taps.weight[1] = t;
    for (int i = 0; i < 2; ++i) taps.at[i] = axis.index(base + i);
  } else {
    taps.count = 4;
    cubic_weights(t, taps.weight);
    for (int i = 0; i < 4; ++i) taps.at[i] = axis.index(base - 1 + i);
  }
  return taps;
}

/// The corners of one sampling point: flat positions with weights; those that read 0 are left out.
void point_taps(const std::vector<AxisTaps>& axes, const Dims& extents,
                std::vector<std::pair<int64_t, double>>& out) {
  out.assign(1, {0, 1.0});
  std::vector<std::pair<int64_t, double>> next;
  for (size_t a = 0; a < axes.size(); ++a) {
    next.clear();
    for (const auto& [at, weight] : out)
      for (int i = 0; i < axes[a].count; ++i)
        if (axes[a].at[i] >= 0)
          next.emplace_back(at * extents[a] + axes[a].at[i], weight * axes[a].weight[i]);
    out.swap(next);
  }
}

void check_grid(const Shape& x, const Shape& grid) {
  size_t axes = x.size() - 2;
  require(x.size() >= 3 && grid.size() == x.size() && axes <= kMaxAxes, "x ", str(x), " and grid ",
          str(grid), " need equal ranks of 3 to ", kMaxAxes + 2);
  require(!grid.back().is_constant() || grid.back() == Dim(int64_t(axes)),
          "the last extent of grid must be ", axes, ", not ", grid.back().str());
}

}  // namespace

void infer_grid_sample(InferContext& context) {
  context.expect_tensor(0), context.expect_tensor(1);
  const Shape *x = context.shape(0), *grid = context.shape(1);
  require(is_float(context.dtype(1)), "grid must be floating");
  if (!x || !grid) return context.output(Type::unranked(context.dtype(0)));
  check_grid(*x, *grid);
  Shape shape{(*x)[0], (*x)[1]};
  shape.insert(shape.end(), grid->begin() + 1, grid->end() - 1);
  context.output(Type::tensor(context.dtype(0), shape));
}

void reference_grid_sample(ReferenceCall& call) {
  const GridSample& op = *call.op().as<GridSample>();
  const Tensor &x = call.in(0), &grid = call.in(1);
  check_grid(to_shape(x.dims()), to_shape(grid.dims()));
  size_t axes = x.dims().size() - 2;
  int64_t batch = x.dims()[0], channels = x.dims()[1];
  require(grid.dims()[0] == batch, "x and grid differ in batch");
  Dims extents(x.dims().begin() + 2, x.dims().end()), dims{batch, channels};
  dims.insert(dims.end(), grid.dims().begin() + 1, grid.dims().end() - 1);
  int64_t area = element_count(extents), results = element_count(dims);
  require(area > 0 || results == 0, "there is nothing to sample in x ", str(x.dims()));
  int64_t points = results == 0 ? 0 : results / batch / channels;
  Working<double> in(x), where(grid);
  std::vector<double> y(static_cast<size_t>(results));
  std::vector<AxisTaps> taps(axes);
  std::vector<std::pair<int64_t, double>> corners;
  for (int64_t p = 0; p < batch * points; ++p) {
    for (size_t a = 0; a < axes; ++a)  // the grid names the last axis first
      taps[a] = axis_taps(op.mode, {op.padding, op.align_corners, extents[a]},
                          where[p * int64_t(axes) + int64_t(axes - 1 - a)]);
    point_taps(taps, extents, corners);
    for (int64_t c = 0; c < channels; ++c) {
      int64_t plane = p / points * channels + c;
      double sum = 0;
      for (const auto& [at, weight] : corners) sum += weight * in[plane * area + at];
      y[size_t(plane * points + p % points)] = sum;
    }
  }
  store_working(y.data(), call.out(0, x.dtype(), dims));
}

Cost cost_grid_sample(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs) {
  double results = double(element_count(outputs[0])), read = double(element_count(inputs[1]));
  double taps = op.as<GridSample>()->mode == GridSample::Mode::kCubic ? 16 : 4;
  return {2 * taps * results, 4 * (double(element_count(inputs[0])) + read + results)};
}

}  // namespace vitrify
