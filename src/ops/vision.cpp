// Regions of interest and image rearrangement, as Classic rows. Formulas: ONNX's operator
// specification. All are channels first.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "ops/classic.h"
#include "ops/window.h"
#include "ops/working.h"

namespace vitrify {

namespace {

int64_t bounded(int64_t v, int64_t low, int64_t high, const char* what) {
  require(v >= low && v <= high, what, " is ", v, ", allowed are ", low, " to ", high);
  return v;
}

const Shape& expect_rank(const InferContext& context, int i, size_t rank, const char* what) {
  context.expect_tensor(i);
  if (!context.shape(i)) fail_unsupported(what, " has an unknown rank");
  require(context.shape(i)->size() == rank, what, " needs rank ", rank, ", not ",
          context.shape(i)->size());
  return *context.shape(i);
}

// ---- RoiAlign: (x [N, C, H, W], rois [R, 4], batch indices [R]) → [R, C, h, w] ----

struct RoiAlign {
  int64_t height, width, ratio;
  double scale, shift;
  bool max;
};

RoiAlign roi_align(const Op& op) {
  ClassicAttributes a(op);
  std::string mode = a.text("mode", "avg");
  std::string coordinates = a.text("coordinate_transformation_mode", "half_pixel");
  require(mode == "avg" || mode == "max", "mode '", mode, "' is unknown");
  require(coordinates == "half_pixel" || coordinates == "output_half_pixel",
          "coordinate_transformation_mode '", coordinates, "' is unknown");
  return {bounded(a.integer("output_height", 1), 1, 65536, "output_height"),
          bounded(a.integer("output_width", 1), 1, 65536, "output_width"),
          bounded(a.integer("sampling_ratio", 0), 0, 4096, "sampling_ratio"),
          a.number("spatial_scale", 1),
          coordinates == "half_pixel" ? 0.5 : 0,
          mode == "max"};
}

void infer_roi_align(InferContext& context) {
  RoiAlign r = roi_align(context.op());
  const Shape &x = expect_rank(context, 0, 4, "x"), &rois = expect_rank(context, 1, 2, "rois");
  expect_rank(context, 2, 1, "batch_indices");
  context.output(Type::tensor(context.dtype(0), {rois[0], x[1], r.height, r.width}));
}

/// The four neighbours of a sampling point with their weights; none outside the image.
struct Corners {
  int64_t at[4];
  double weight[4];
  bool inside;
};

Corners corners(double y, double x, int64_t height, int64_t width) {
  Corners c{{}, {}, y >= -1 && y <= double(height) && x >= -1 && x <= double(width)};
  if (!c.inside) return c;
  auto split = [](double v, int64_t extent, int64_t& low, int64_t& high) {
    v = std::max(v, 0.0);
    low = std::min(int64_t(v), extent - 1), high = std::min(low + 1, extent - 1);
    return low == extent - 1 ? 0.0 : v - double(low);
  };
  int64_t y0, y1, x0, x1;
  double fy = split(y, height, y0, y1), fx = split(x, width, x0, x1);
  int64_t at[4] = {y0 * width + x0, y0 * width + x1, y1 * width + x0, y1 * width + x1};
  double weight[4] = {(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx};
  std::copy_n(at, 4, c.at), std::copy_n(weight, 4, c.weight);
  return c;
}

/// One box: where its bins begin, how large they are, and how finely they are sampled.
struct Bins {
  double y, x, height, width;
  int64_t rows, columns;
};

Bins roi_bins(const RoiAlign& r, const double* roi) {
  double x0 = roi[0] * r.scale - r.shift, y0 = roi[1] * r.scale - r.shift;
  double width = roi[2] * r.scale - r.shift - x0, height = roi[3] * r.scale - r.shift - y0;
  if (r.shift == 0) width = std::max(width, 1.0), height = std::max(height, 1.0);
  Bins b{y0, x0, height / double(r.height), width / double(r.width), r.ratio, r.ratio};
  auto samples = [](double extent) {
    require(std::isfinite(extent) && extent <= 65536, "a box of extent ", extent, " per bin");
    return std::max<int64_t>(int64_t(std::ceil(extent)), 0);
  };
  if (r.ratio == 0) b.rows = samples(b.height), b.columns = samples(b.width);
  return b;
}

/// The sampling points of every bin, in order.
std::vector<Corners> sampling_points(const RoiAlign& r, const Bins& b, int64_t height,
                                     int64_t width) {
  std::vector<Corners> points;
  int64_t count = checked_mul(r.height * r.width, checked_mul(b.rows, b.columns));
  bounded(count, 0, int64_t(1) << 26, "the number of sampling points of a box");
  for (int64_t i = 0; i < r.height * r.width; ++i)
    for (int64_t j = 0; j < b.rows * b.columns; ++j) {
      double row = (double(j / b.columns) + 0.5) / double(b.rows);
      double column = (double(j % b.columns) + 0.5) / double(b.columns);
      points.push_back(corners(b.y + (double(i / r.width) + row) * b.height,
                               b.x + (double(i % r.width) + column) * b.width, height, width));
    }
  return points;
}

/// Maximum mode takes the largest of the weighted neighbours, not of their sums: so ONNX defines
/// it.
template <class T>
double roi_bin(const RoiAlign& r, const Corners* points, int64_t count, const T* plane) {
  double sum = 0, best = -std::numeric_limits<double>::infinity();
  for (int64_t j = 0; j < count; ++j) {
    double value = 0, largest = 0;
    for (int k = 0; points[j].inside && k < 4; ++k) {
      double product = points[j].weight[k] * double(plane[points[j].at[k]]);
      value += product, largest = k ? std::max(largest, product) : product;
    }
    sum += value, best = std::max(best, largest);
  }
  if (count == 0) return 0;
  return r.max ? best : sum / double(count);
}

void reference_roi_align(ReferenceCall& call) {
  RoiAlign r = roi_align(call.op());
  const Tensor &x = call.in(0), &rois = call.in(1), &images = call.in(2);
  const Dims& d = x.dims();
  int64_t count = rois.dims()[0], area = d[2] * d[3], bins = r.height * r.width;
  require(rois.dims()[1] == 4 && images.size() == count, "rois must be [R, 4], batch_indices [R]");
  Dims dims{count, d[1], r.height, r.width};
  with_working_type(x.dtype(), [&]<class T>(T) {
    Working<T> in(x);
    Working<double> boxes(rois);
    std::vector<double> y(size_t(element_count(dims)));
    for (int64_t i = 0; i < count; ++i) {
      int64_t n = bounded(int_at(images, i), 0, d[0] - 1, "batch index");
      Bins b = roi_bins(r, boxes.data() + i * 4);
      auto points = sampling_points(r, b, d[2], d[3]);
      int64_t each = b.rows * b.columns;
      for (int64_t c = 0; c < d[1] && area > 0; ++c)
        for (int64_t j = 0; j < bins; ++j)
          y[size_t((i * d[1] + c) * bins + j)] =
              roi_bin(r, points.data() + j * each, each, in.data() + (n * d[1] + c) * area);
    }
    store_working(y.data(), call.out(0, x.dtype(), dims));
  });
}

// ---- MaxRoiPool: (x [N, C, H, W], rois [R, 5]) → [R, C, h, w] ----

Ints pooled_shape(const Op& op) {
  Ints shape = ClassicAttributes(op).integers("pooled_shape");
  require(shape.size() == 2, "pooled_shape needs two entries");
  for (int64_t v : shape) bounded(v, 1, 65536, "pooled_shape");
  return shape;
}

void infer_max_roi_pool(InferContext& context) {
  Ints shape = pooled_shape(context.op());
  const Shape &x = expect_rank(context, 0, 4, "x"), &rois = expect_rank(context, 1, 2, "rois");
  context.output(Type::tensor(context.dtype(0), {rois[0], x[1], shape[0], shape[1]}));
}

/// The input positions of bin `i` of `bins` over a box of `extent` positions from `start`.
std::pair<int64_t, int64_t> bin_range(int64_t i, int64_t bins, double extent, double start,
                                      int64_t limit) {
  auto clamp = [&](double v) { return int64_t(std::clamp(v, 0.0, double(limit))); };
  double size = extent / double(bins);
  return {clamp(std::floor(double(i) * size) + start),
          clamp(std::ceil(double(i + 1) * size) + start)};
}

void reference_max_roi_pool(ReferenceCall& call) {
  Ints shape = pooled_shape(call.op());
  double scale = ClassicAttributes(call.op()).number("spatial_scale", 1);
  const Tensor &x = call.in(0), &rois = call.in(1);
  const Dims& d = x.dims();
  require(rois.dims()[1] == 5, "rois must be [R, 5]");
  Dims dims{rois.dims()[0], d[1], shape[0], shape[1]};
  Working<double> in(x), boxes(rois);
  std::vector<double> y;
  y.reserve(size_t(element_count(dims)));
  for (int64_t i = 0; i < dims[0]; ++i) {
    const double* roi = boxes.data() + i * 5;
    require(roi[0] >= 0 && roi[0] < double(d[0]), "roi ", i, ": batch index ", roi[0],
            " is out of range for axis 0 of extent ", d[0]);
    double x0 = std::round(roi[1] * scale), y0 = std::round(roi[2] * scale);
    double width = std::max(std::round(roi[3] * scale) - x0 + 1, 1.0);
    double height = std::max(std::round(roi[4] * scale) - y0 + 1, 1.0);
    for (int64_t c = 0; c < d[1]; ++c)
      for (int64_t j = 0; j < shape[0] * shape[1]; ++j) {
        auto [top, bottom] = bin_range(j / shape[1], shape[0], height, y0, d[2]);
        auto [left, right] = bin_range(j % shape[1], shape[1], width, x0, d[3]);
        const double* plane = in.data() + (int64_t(roi[0]) * d[1] + c) * d[2] * d[3];
        bool empty = top >= bottom || left >= right;
        double best = empty ? 0 : -std::numeric_limits<double>::infinity();
        for (int64_t r = top; r < bottom; ++r)
          for (int64_t k = left; k < right; ++k) best = std::max(best, plane[r * d[3] + k]);
        y.push_back(best);
      }
  }
  store_working(y.data(), call.out(0, x.dtype(), dims));
}

// ---- Col2Im: (x [N, C·taps, L], image shape, block shape) → [N, C, image…] ----

Window col2im_window(const Op& op, const Ints& block) {
  ClassicAttributes a(op);
  Window w{.kernel = block, .strides = a.integers("strides"), .dilations = a.integers("dilations")};
  Ints pads = a.integers("pads");
  pads.resize(pads.empty() ? 2 * block.size() : pads.size());
  require(pads.size() == 2 * block.size(), "pads needs ", 2 * block.size(), " entries");
  w.pads_begin.assign(pads.begin(), pads.begin() + int64_t(block.size()));
  w.pads_end.assign(pads.begin() + int64_t(block.size()), pads.end());
  return checked_window(w, block.size());
}

void infer_col2im(InferContext& context) {
  const Shape& x = expect_rank(context, 0, 3, "x");
  const Shape& count = expect_rank(context, 1, 1, "image_shape");
  const Fact& image = context.fact(1);
  auto block = context.known_ints(2);
  if (!image && !count[0].is_constant()) return context.output(Type::unranked(context.dtype(0)));
  int64_t axes = image ? int64_t(image->size()) : count[0].value();
  Shape shape{x[0]};
  Dim taps = 1;
  for (int64_t b : block.value_or(Ints{})) taps = taps * b;
  shape.push_back(block ? floor_div(x[1], taps) : context.fresh(0, 1));
  for (int64_t a = 0; a < bounded(axes, 0, 16, "the number of image axes"); ++a)
    shape.push_back(image ? (*image)[size_t(a)] : context.fresh(0, int(a + 2)));
  context.output(Type::tensor(context.dtype(0), shape));
}

void reference_col2im(ReferenceCall& call) {
  const Tensor& x = call.in(0);
  Ints image = to_ints(call.in(1)), block = to_ints(call.in(2));
  require(image.size() == block.size(), "image_shape and block_shape differ in length");
  for (int64_t v : image) bounded(v, 0, int64_t(1) << 40, "image_shape");
  WindowGeometry g = window_geometry(col2im_window(call.op(), block), image);
  int64_t channels = x.dims()[1] / g.tap_count;
  require(channels * g.tap_count == x.dims()[1] && x.dims()[2] == g.out_count, "x must be [N, C * ",
          g.tap_count, ", ", g.out_count, "], not ", str(x.dims()));
  Dims dims{x.dims()[0], channels};
  dims.insert(dims.end(), image.begin(), image.end());
  with_working_type(x.dtype(), [&]<class T>(T) {
    Working<T> in(x);
    std::vector<Accumulator<T>> y(size_t(element_count(dims)));
    for (int64_t p = 0; p < dims[0] * channels; ++p)
      for (int64_t o = 0; o < g.out_count; ++o)
        for_each_tap(g, o, [&](int64_t tap, int64_t to) {
          y[size_t(p * g.in_count + to)] +=
              Accumulator<T>(in[(p * g.tap_count + tap) * g.out_count + o]);
        });
    store_working(y.data(), call.out(0, x.dtype(), dims));
  });
}

// ---- AffineGrid: (theta [N, r, r + 1], size) → [N, spatial…, r] ----

void infer_affine_grid(InferContext& context) {
  const Shape& theta = expect_rank(context, 0, 3, "theta");
  const Fact& size = context.fact(1);
  if (!size) {
    const Shape* count = context.shape(1);
    if (!count || count->size() != 1 || !count->front().is_constant())
      return context.output(Type::unranked(context.dtype(0)));
    int rank = int(bounded(count->front().value(), 4, 5, "the entries of size"));
    return context.output(Type::tensor(context.dtype(0), context.fresh_shape(0, rank)));
  }
  require(size->size() == 4 || size->size() == 5, "size needs 4 or 5 entries");
  Shape shape{theta[0]};
  shape.insert(shape.end(), size->begin() + 2, size->end());
  shape.push_back(int64_t(size->size()) - 2);
  context.output(Type::tensor(context.dtype(0), shape));
}

double grid_coordinate(int64_t i, int64_t extent, bool align_corners) {
  if (align_corners) return extent == 1 ? 0 : -1 + 2 * double(i) / double(extent - 1);
  return (2 * double(i) + 1) / double(extent) - 1;
}

void reference_affine_grid(ReferenceCall& call) {
  const Tensor& theta = call.in(0);
  Ints size = to_ints(call.in(1));
  bool align = ClassicAttributes(call.op()).integer("align_corners", 0) != 0;
  require(size.size() == 4 || size.size() == 5, "size needs 4 or 5 entries");
  int64_t r = int64_t(size.size()) - 2;
  require(theta.dims() == Dims{size[0], r, r + 1}, "theta must be [", size[0], ", ", r, ", ", r + 1,
          "], not ", str(theta.dims()));
  Dims dims{size[0]};
  dims.insert(dims.end(), size.begin() + 2, size.end());
  dims.push_back(r);
  Tensor& y = call.out(0, theta.dtype(), dims);
  Working<double> matrix(theta);
  int64_t points = y.size() == 0 ? 0 : y.size() / r / size[0];
  for (int64_t n = 0; n < size[0]; ++n)
    for (int64_t p = 0; p < points; ++p) {
      double at[4] = {};  // x, y, (z,) 1
      int64_t rest = p;
      for (int64_t a = 0; a < r; ++a, rest /= size[size_t(r + 2 - a)])
        at[a] = grid_coordinate(rest % size[size_t(r + 1 - a)], size[size_t(r + 1 - a)], align);
      at[r] = 1;
      for (int64_t i = 0; i < r; ++i) {
        double sum = 0;
        for (int64_t j = 0; j <= r; ++j) sum += matrix[(n * r + i) * (r + 1) + j] * at[j];
        set_double(y, (n * points + p) * r + i, sum);
      }
    }
}

const ClassicRow kRows[] = {
    {"roi_align", infer_roi_align, reference_roi_align},
    {"max_roi_pool", infer_max_roi_pool, reference_max_roi_pool},
    {"col2im", infer_col2im, reference_col2im},
    {"affine_grid", infer_affine_grid, reference_affine_grid},
};

}  // namespace

std::span<const ClassicRow> vision_classics() { return kRows; }

}  // namespace vitrify
