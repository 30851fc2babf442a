#include "ops/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/run_scope.h"
#include "ops/dispatch.h"
#include "ops/working.h"

namespace vitrify {

namespace {

constexpr int kRoi = 1, kScales = 2, kSizes = 3;
constexpr int64_t kMaxExtent = int64_t(1) << 40;

Ints resize_axes(const Resize& op, size_t rank) {
  Ints axes = op.axes;
  if (axes.empty())
    for (size_t i = 0; i < rank; ++i) axes.push_back(int64_t(i));
  std::vector<bool> seen(rank);
  for (int64_t& a : axes) {
    a = normal_axis(a, int64_t(rank));
    require(!seen[size_t(a)], "axis ", a, " is listed twice");
    seen[size_t(a)] = true;
  }
  return axes;
}

/// In float, as ONNX's own shape inference does it.
int64_t scaled_extent(int64_t in, float scale) {
  require(scale > 0 && std::isfinite(scale), "scale ", scale, " is not positive");
  float out = std::floor(float(in) * scale);
  require(out <= float(kMaxExtent), "scale ", scale, " makes an extent of ", out);
  return int64_t(out);
}

/// What sizes give: the extent and the scale of each axis.
struct Sized {
  std::vector<int64_t> extents;
  std::vector<double> scales;
};

Sized apply_sizes(Resize::Aspect aspect, const Ints& in, const Ints& sizes) {
  require(sizes.size() == in.size(), "sizes has ", sizes.size(), " entries for ", in.size(),
          " axes");
  Sized s;
  for (size_t i = 0; i < in.size(); ++i) {
    require(sizes[i] >= 0 && sizes[i] <= kMaxExtent, "size ", sizes[i], " is out of range");
    s.extents.push_back(sizes[i]);
    s.scales.push_back(in[i] == 0 ? 1 : double(sizes[i]) / double(in[i]));
  }
  if (aspect == Resize::Aspect::kStretch || in.empty()) return s;
  auto [low, high] = std::minmax_element(s.scales.begin(), s.scales.end());
  double scale = aspect == Resize::Aspect::kNotLarger ? *low : *high;
  for (size_t i = 0; i < in.size(); ++i) {
    double extent = std::floor(scale * double(in[i]) + 0.5);
    require(extent <= double(kMaxExtent), "an extent of ", extent, " is out of range");
    s.extents[i] = int64_t(extent), s.scales[i] = scale;
  }
  return s;
}

/// in * scale, rounded down; a fresh symbol where that is no polynomial.
Dim scaled_dim(InferContext& context, int64_t axis, const Dim& in, float scale) {
  if (in.is_constant()) return scaled_extent(in.value(), scale);
  require(scale > 0 && std::isfinite(scale), "scale ", scale, " is not positive");
  for (int64_t divisor = 1; divisor <= 64; divisor *= 2)
    if (float p = scale * float(divisor); p == std::floor(p) && p < 65536)
      return floor_div(in * int64_t(p), divisor);
  float inverse = std::round(1 / scale);
  if (inverse < 65536 && scale == 1 / inverse) return floor_div(in, int64_t(inverse));
  return context.fresh(0, int(axis));
}

/// Says what a resize gives, unless something would come of nothing.
void give(InferContext& context, const Shape& x, const Shape& shape) {
  for (size_t a = 0; a < x.size(); ++a)
    require(x[a] != Dim(0) || !shape[a].is_constant() || shape[a] == Dim(0),
            "nothing to resize along axis ", a);
  context.output(Type::tensor(context.dtype(0), shape));
}

bool given(const InferContext& context, int i) {
  if (!context.has(i)) return false;
  const Shape* s = context.shape(i);
  return !(s && s->size() == 1 && s->front() == Dim(0));
}

void infer_sizes(InferContext& context, const Resize& op, const Ints& axes, Shape& shape) {
  const Fact& sizes = context.fact(kSizes);
  require(!sizes || sizes->size() == axes.size(), "sizes needs one entry an axis");
  bool known = sizes.has_value();
  Ints in, wanted;
  for (size_t i = 0; i < axes.size(); ++i) {
    const Dim& extent = shape[size_t(axes[i])];
    known = known && extent.is_constant() && (*sizes)[i].is_constant();
    if (known) in.push_back(extent.value()), wanted.push_back((*sizes)[i].value());
  }
  Sized sized;
  if (known) sized = apply_sizes(op.aspect, in, wanted);
  for (size_t i = 0; i < axes.size(); ++i) {
    Dim& extent = shape[size_t(axes[i])];
    if (known)
      extent = sized.extents[i];
    else if (sizes && op.aspect == Resize::Aspect::kStretch)
      extent = (*sizes)[i];
    else
      extent = context.fresh(0, int(axes[i]));
  }
}

}  // namespace

void infer_resize(InferContext& context) {
  const Resize& op = *context.op().as<Resize>();
  context.expect_tensor(0);
  const Shape* x = context.shape(0);
  bool scaled = given(context, kScales), sized = given(context, kSizes);
  require(scaled || sized, "needs scales or sizes");
  if (!x) return context.output(Type::unranked(context.dtype(0)));
  Ints axes = resize_axes(op, x->size());
  Shape shape = *x;
  if (scaled && sized) {  // one of them is empty, only a run knows which
    for (int64_t a : axes) shape[size_t(a)] = context.fresh(0, int(a));
    return context.output(Type::tensor(context.dtype(0), shape));
  }
  if (sized) {
    infer_sizes(context, op, axes, shape);
    return give(context, *x, shape);
  }
  const Tensor* scales = context.constant(kScales);
  require(!scales || scales->size() == int64_t(axes.size()), "scales needs one entry an axis");
  for (size_t i = 0; i < axes.size(); ++i) {
    Dim& extent = shape[size_t(axes[i])];
    extent = scales ? scaled_dim(context, axes[i], extent, float(double_at(*scales, int64_t(i))))
                    : context.fresh(0, int(axes[i]));
  }
  give(context, *x, shape);
}

namespace {

using Coordinates = Resize::Coordinates;

/// In the precision of T: nearest is taken in f32, as PyTorch and ONNX Runtime do, since a position
/// half way between two elements falls to one or the other with the rounding.
/// `half_pixel_symmetric` and `align_corners` at scales that do not divide evenly may still fall to
/// another than there.
template <class T>
T source_position(const Resize& op, T j, int64_t in, int64_t out, T scale, T roi_begin, T roi_end) {
  const T half = T(0.5), width = scale * T(in), last = T(in - 1);
  switch (op.coordinates) {
    case Coordinates::kHalfPixel:
      return (j + half) / scale - half;
    case Coordinates::kHalfPixelSymmetric:
      return T(in) / 2 * (1 - T(out) / width) + (j + half) / scale - half;
    case Coordinates::kPytorchHalfPixel:
      return out == 1 ? -half : (j + half) / scale - half;
    case Coordinates::kAlignCorners:  // over the result's extent before it is rounded down
      return width == 1 || out == 1 ? 0 : j * last / (width - 1);
    case Coordinates::kAsymmetric:
      return j / scale;
    case Coordinates::kTfCropAndResize:
      return roi_begin * last + (roi_end - roi_begin) * last * (out == 1 ? half : j / T(out - 1));
    case Coordinates::kTfHalfPixelNN:
      return (j + half) / scale;
  }
  return 0;
}

double nearest_position(Resize::Nearest mode, double x) {
  switch (mode) {
    case Resize::Nearest::kRoundPreferFloor:
      return std::ceil(x - 0.5);
    case Resize::Nearest::kRoundPreferCeil:
      return std::floor(x + 0.5);
    case Resize::Nearest::kFloor:
      return std::floor(x);
    case Resize::Nearest::kCeil:
      return std::ceil(x);
  }
  return x;
}

double cubic(double a, double x) {
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/// Weights of taps at first, first + 1 … for source position x; a wider kernel when antialiasing
/// shrinks.
void tap_weights(const Resize& op, const ResizeAxis& axis, double x, double stretch, int64_t first,
                 double* weights) {
  double sum = 0;
  for (int64_t i = 0; i < axis.taps; ++i) {
    double distance = (double(first + i) - x) * stretch;
    bool outside = first + i < 0 || first + i >= axis.in;
    double w = op.mode == Resize::Mode::kCubic ? cubic(op.cubic_a, distance)
                                               : std::max(0.0, 1 - std::abs(distance));
    weights[i] = op.exclude_outside && outside ? 0 : w;
    sum += weights[i];
  }
  if (op.exclude_outside || op.antialias)
    for (int64_t i = 0; i < axis.taps; ++i) weights[i] /= sum;
}

}  // namespace

ResizeAxis resize_axis(const Resize& op, int64_t in, int64_t out, double scale, double roi_begin,
                       double roi_end) {
  ResizeAxis axis{in, out};
  if (out == 0) return axis;  // the scale may be 0
  bool nearest = op.mode == Resize::Mode::kNearest;
  double stretch = op.antialias ? std::min(scale, 1.0) : 1;
  int64_t half = op.mode == Resize::Mode::kCubic ? 2 : 1;
  // Taps from floor(x) + reach on; as many after x as before it.
  int64_t reach = nearest ? 0 : int64_t(std::floor(-double(half) / stretch)) + 1;
  if (!nearest) axis.taps = 2 - 2 * reach;
  axis.first.resize(size_t(out));
  if (!nearest) axis.weights.resize(size_t(checked_mul(out, axis.taps)));
  bool crop = op.coordinates == Coordinates::kTfCropAndResize;
  if (crop) axis.outside.resize(size_t(out));
  // Indices beyond 2^24 are no floats.
  const bool in_float = nearest && std::max(in, out) <= (int64_t{1} << 24);
  double limit = double(std::max<int64_t>(2 * in, 2)) + 16;  // beyond it the border repeats
  for (int64_t j = 0; j < out; ++j) {
    double x = in_float
                   ? double(source_position<float>(op, float(j), in, out, float(scale),
                                                   float(roi_begin), float(roi_end)))
                   : source_position<double>(op, double(j), in, out, scale, roi_begin, roi_end);
    if (crop) axis.outside[size_t(j)] = !(x >= 0 && x <= double(in - 1));
    x = std::isnan(x) ? 0 : std::clamp(x, -limit, limit);
    int64_t at = int64_t(nearest ? nearest_position(op.nearest, x) : std::floor(x));
    axis.first[size_t(j)] = at + reach;
    if (!nearest)
      tap_weights(op, axis, x, stretch, at + reach, axis.weights.data() + j * axis.taps);
  }
  return axis;
}

ResizePlan resize_plan(ReferenceCall& call) {
  const Resize& op = *call.op().as<Resize>();
  const Tensor& x = call.in(0);
  ResizePlan plan{resize_axes(op, x.dims().size()), {}, x.dims()};
  size_t count = plan.axes.size();
  Ints in;
  for (int64_t a : plan.axes) in.push_back(x.dims()[size_t(a)]);
  Sized sized;
  if (call.has(kSizes) && call.in(kSizes).size() > 0) {
    sized = apply_sizes(op.aspect, in, to_ints(call.in(kSizes)));
  } else {
    const Tensor& scales = call.in(kScales);
    require(scales.size() == int64_t(count), "scales has ", scales.size(), " entries for ", count,
            " axes");
    for (size_t i = 0; i < count; ++i) {
      sized.scales.push_back(double_at(scales, int64_t(i)));
      sized.extents.push_back(scaled_extent(in[i], float(sized.scales[i])));
    }
  }
  for (size_t i = 0; i < count; ++i) plan.dims[size_t(plan.axes[i])] = sized.extents[i];
  if (RunScope* scope = RunScope::current())  // before the taps, which grow with the result
    scope->account()->expect_room(byte_size(x.dtype(), element_count(plan.dims)));
  bool crop = op.coordinates == Coordinates::kTfCropAndResize;
  if (crop)
    require(call.in(kRoi).size() == int64_t(2 * count), "roi needs two entries an axis, not ",
            call.in(kRoi).size());
  for (size_t i = 0; i < count; ++i) {
    require(in[i] > 0 || sized.extents[i] == 0, "nothing to resize along axis ", plan.axes[i]);
    double begin = crop ? double_at(call.in(kRoi), int64_t(i)) : 0;
    double end = crop ? double_at(call.in(kRoi), int64_t(i + count)) : 1;
    plan.each.push_back(resize_axis(op, in[i], sized.extents[i], sized.scales[i], begin, end));
  }
  return plan;
}

namespace {

/// One pass along one axis of [outer, extent, inner].
template <class T, class F>
void resize_pass(const ResizeAxis& axis, int64_t outer, int64_t inner, const T* from, T* to,
                 F&& row) {
  auto clamped = [&](int64_t i) { return std::clamp<int64_t>(i, 0, axis.in - 1); };
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t j = 0; j < axis.out; ++j) {
      T* out = to + (o * axis.out + j) * inner;
      for (int64_t t = 0; t < axis.taps; ++t)
        row(from + (o * axis.in + clamped(axis.first[size_t(j)] + t)) * inner, out, j, t);
    }
}

bool changes(const ResizeAxis& axis, bool nearest) {
  if (axis.in != axis.out || !axis.outside.empty()) return true;
  for (int64_t j = 0; j < axis.out; ++j) {
    if (nearest && axis.first[size_t(j)] != j) return true;
    for (int64_t t = 0; !nearest && t < axis.taps; ++t)
      if (axis.weights[size_t(j * axis.taps + t)] != (axis.first[size_t(j)] + t == j)) return true;
  }
  return false;
}

/// Runs `pass(axis, outer, inner, from)` → to for each axis that changes anything.
template <class T, class Pass>
std::vector<T> all_passes(const ResizePlan& plan, Dims dims, const T* x, bool nearest,
                          Pass&& pass) {
  std::vector<T> now(x, x + element_count(dims));
  for (size_t i = 0; i < plan.axes.size(); ++i) {
    if (!changes(plan.each[i], nearest)) continue;
    auto at = dims.begin() + plan.axes[i];
    int64_t outer = element_count(Dims(dims.begin(), at));
    int64_t inner = element_count(Dims(at + 1, dims.end()));
    *at = plan.each[i].out;
    std::vector<T> next(size_t(element_count(dims)));
    pass(plan.each[i], outer, inner, now.data(), next.data());
    now = std::move(next);
  }
  return now;
}

template <class T>
std::vector<T> resize_nearest(const ResizePlan& plan, const Dims& dims, const T* x) {
  return all_passes(
      plan, dims, x, true,
      [](const ResizeAxis& axis, int64_t outer, int64_t inner, const T* from, T* to) {
        resize_pass(axis, outer, inner, from, to,
                    [&](const T* in, T* out, int64_t, int64_t) { std::copy_n(in, inner, out); });
      });
}

std::vector<double> resize_weighted(const ResizePlan& plan, const Dims& dims, const double* x) {
  return all_passes(
      plan, dims, x, false,
      [](const ResizeAxis& axis, int64_t outer, int64_t inner, const double* from, double* to) {
        resize_pass(axis, outer, inner, from, to,
                    [&](const double* in, double* out, int64_t j, int64_t t) {
                      double w = axis.weights[size_t(j * axis.taps + t)];
                      if (w == 0) return;  // a tap outside the kernel is not read
                      for (int64_t i = 0; i < inner; ++i) out[i] += w * in[i];
                    });
      });
}

/// Overwrites what tf_crop_and_resize reads from outside.
void extrapolate(const ResizePlan& plan, double value, Tensor& y) {
  for (size_t i = 0; i < plan.axes.size(); ++i) {
    const ResizeAxis& axis = plan.each[i];
    if (axis.outside.empty()) continue;
    int64_t inner = 1;
    for (size_t a = size_t(plan.axes[i]) + 1; a < plan.dims.size(); ++a) inner *= plan.dims[a];
    for (int64_t e = 0; e < y.size(); ++e)
      if (axis.outside[size_t(e / inner % axis.out)]) set_double(y, e, value);
  }
}

}  // namespace

void reference_resize(ReferenceCall& call) {
  const Resize& op = *call.op().as<Resize>();
  const Tensor& x = call.in(0);
  ResizePlan plan = resize_plan(call);
  if (op.mode == Resize::Mode::kNearest) {
    Tensor from = movable(x);
    Tensor to = begin_moved_output(call, 0, x.dtype(), plan.dims);
    dispatch_bytes(from.dtype(), [&]<class T>() {
      auto y = resize_nearest(plan, x.dims(), from.data<T>());
      std::copy(y.begin(), y.end(), to.data<T>());
    });
    finish_output(call, 0, to);
  } else {
    auto y = resize_weighted(plan, x.dims(), Working<double>(x).data());
    store_working(y.data(), call.out(0, x.dtype(), plan.dims));
  }
  if (op.coordinates == Coordinates::kTfCropAndResize)
    extrapolate(plan, op.extrapolation, call.out(0, x.dtype(), plan.dims));
}

Cost cost_resize(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs) {
  double results = double(element_count(outputs[0])), read = double(element_count(inputs[0]));
  double taps = op.as<Resize>()->mode == Resize::Mode::kNearest ? 1
                : op.as<Resize>()->mode == Resize::Mode::kCubic ? 16
                                                                : 4;
  return {2 * results * taps, 4 * (read + results)};
}

}  // namespace vitrify
