#include "ops/pool.h"

#include <cmath>
#include <limits>

#include "ops/body.h"
#include "ops/epilogue.h"
#include "ops/window.h"
#include "ops/working.h"

namespace vitrify {

namespace {

Shape spatial(const Shape& x, size_t first, size_t last) {
  require(x.size() >= 3, "x ", str(x), " needs a rank of at least 3");
  return Shape(x.begin() + int64_t(first), x.begin() + int64_t(last));
}

template <class T>
T lowest() {
  if constexpr (std::is_integral_v<T>) return std::numeric_limits<T>::lowest();
  return -std::numeric_limits<T>::infinity();
}

/// How many taps at result position o lie inside the input together with its pads.
int64_t padded_taps(const WindowGeometry& g, int64_t o) {
  int64_t count = 1;
  for (size_t i = g.axes(); i-- > 0; o /= g.out[i]) {
    int64_t base = o % g.out[i] * g.strides[i] - g.pads_begin[i];
    int64_t room = g.in[i] + g.pads_end[i] - base, d = g.dilations[i];
    count *= std::min(g.kernel[i], std::max<int64_t>((room + d - 1) / d, 0));
  }
  return count;
}

template <class T>
void max_pool(const WindowGeometry& g, int64_t channels, const T* x, T* y) {
  for (int64_t o = 0; o < g.out_count; ++o) {
    T* out = y + o * channels;
    std::fill_n(out, channels, lowest<T>());
    for_each_tap(g, o, [&](int64_t, int64_t from) {
      const T* in = x + from * channels;
      for (int64_t c = 0; c < channels; ++c)
        out[c] = in[c] > out[c] || in[c] != in[c] ? in[c] : out[c];
    });
  }
}

template <class T>
void average_pool(const WindowGeometry& g, bool count_pads, int64_t channels, const T* x,
                  double* y) {
  for (int64_t o = 0; o < g.out_count; ++o) {
    double* out = y + o * channels;
    int64_t inside = 0;
    for_each_tap(g, o, [&](int64_t, int64_t from) {
      const T* in = x + from * channels;
      for (int64_t c = 0; c < channels; ++c) out[c] += double(in[c]);
      ++inside;
    });
    double count = double(std::max<int64_t>(count_pads ? padded_taps(g, o) : inside, 1));
    for (int64_t c = 0; c < channels; ++c) out[c] /= count;
  }
}

template <class T>
void lp_pool(const WindowGeometry& g, int64_t power, int64_t channels, const T* x, double* y) {
  double p = double(power);
  for (int64_t o = 0; o < g.out_count; ++o) {
    double* out = y + o * channels;
    for_each_tap(g, o, [&](int64_t, int64_t from) {
      const T* in = x + from * channels;
      for (int64_t c = 0; c < channels; ++c)
        out[c] += power == 2 ? double(in[c]) * double(in[c]) : std::pow(std::abs(double(in[c])), p);
    });
    for (int64_t c = 0; c < channels; ++c)
      out[c] = power == 2 ? std::sqrt(out[c]) : std::pow(out[c], 1 / p);
  }
}

struct PoolShape {
  WindowGeometry g;
  int64_t batch, channels;
  Dims dims;
};

PoolShape pool_shape(const Window& window, const Dims& x) {
  Shape in = spatial(to_shape(x), 1, x.size() - 1);
  PoolShape s{window_geometry(checked_window(window, in.size()), Ints(x.begin() + 1, x.end() - 1)),
              x.front(),
              x.back(),
              {x.front()}};
  s.dims.insert(s.dims.end(), s.g.out.begin(), s.g.out.end());
  s.dims.push_back(s.channels);
  element_count(s.dims);  // so that no product of them overflows
  return s;
}

}  // namespace

void infer_pool(InferContext& context) {
  const Pool& op = *context.op().as<Pool>();
  context.expect_tensor(0);
  DType dtype = context.dtype(0);
  require(is_float(dtype) || (op.kind == Pool::Kind::kMax && is_integer(dtype)), "no pooling of ",
          name(dtype));
  require(op.p >= 1, "p must be positive, not ", op.p);
  const Shape* x = context.shape(0);
  if (!x) return infer_epilogue(context, op.epilogue, Type::unranked(dtype), 1);
  Shape in = spatial(*x, 1, x->size() - 1), shape{x->front()};
  for (const Dim& d : window_output(checked_window(op.window, in.size()), in)) shape.push_back(d);
  shape.push_back(x->back());
  infer_epilogue(context, op.epilogue, Type::tensor(dtype, shape), 1);
}

void reference_pool(ReferenceCall& call) {
  const Pool& op = *call.op().as<Pool>();
  const Tensor& x = call.in(0);
  PoolShape s = pool_shape(op.window, x.dims());
  int64_t from = s.g.in_count * s.channels, to = s.g.out_count * s.channels;
  with_working_type(x.dtype(), [&]<class T>(T) {
    Working<T> in(x);
    if (op.kind == Pool::Kind::kMax) {
      std::vector<T> y(size_t(s.batch * to));
      for (int64_t n = 0; n < s.batch; ++n)
        max_pool(s.g, s.channels, in.data() + n * from, y.data() + n * to);
      return store_through(call, op.epilogue, 1, x.dtype(), s.dims, y.data());
    }
    std::vector<double> y(size_t(s.batch * to));
    for (int64_t n = 0; n < s.batch; ++n)
      if (op.kind == Pool::Kind::kAverage)
        average_pool(s.g, op.count_include_pad, s.channels, in.data() + n * from,
                     y.data() + n * to);
      else
        lp_pool(s.g, op.p, s.channels, in.data() + n * from, y.data() + n * to);
    store_through(call, op.epilogue, 1, x.dtype(), s.dims, y.data());
  });
}

Cost cost_pool(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs) {
  double taps = 1, results = double(element_count(outputs[0]));
  for (int64_t k : op.as<Pool>()->window.kernel) taps *= double(k);
  return {results * taps, 4 * (double(element_count(inputs[0])) + results)};
}

// ---- MaxPoolIndices ----

void infer_max_pool_indices(InferContext& context) {
  const auto& op = *context.op().as<MaxPoolIndices>();
  context.expect_tensor(0);
  DType dtype = context.dtype(0);
  require(is_float(dtype) || is_integer(dtype), "no pooling of ", name(dtype));
  const Shape* x = context.shape(0);
  if (!x) {
    context.output(Type::unranked(dtype));
    return context.output(Type::unranked(DType::kInt64));
  }
  Shape in = spatial(*x, 2, x->size()), shape{(*x)[0], (*x)[1]};
  for (const Dim& d : window_output(checked_window(op.window, in.size()), in)) shape.push_back(d);
  context.output(Type::tensor(dtype, shape));
  context.output(Type::tensor(DType::kInt64, shape));
}

namespace {

/// A row-major position as the column-major one.
int64_t column_major(const Ints& in, int64_t position) {
  int64_t index = 0, stride = 1;
  for (int64_t extent : in) stride *= extent;
  for (size_t i = in.size(); i-- > 0; position /= in[i]) {
    stride /= in[i];
    index += position % in[i] * stride;
  }
  return index;
}

template <class T>
void max_with_index(const WindowGeometry& g, bool columns, const T* x, T* y, int64_t* indices,
                    int64_t offset) {
  for (int64_t o = 0; o < g.out_count; ++o) {
    T best = lowest<T>();
    int64_t at = -1;
    for_each_tap(g, o, [&](int64_t, int64_t from) {
      if (at >= 0 && !(x[from] > best || (x[from] != x[from] && best == best))) return;
      best = x[from], at = from;
    });
    y[o] = best;
    indices[o] = offset + (columns && at >= 0 ? column_major(g.in, at) : at);
  }
}

}  // namespace

void reference_max_pool_indices(ReferenceCall& call) {
  const auto& op = *call.op().as<MaxPoolIndices>();
  const Tensor& x = call.in(0);
  Shape in = spatial(to_shape(x.dims()), 2, x.dims().size());
  WindowGeometry g = window_geometry(checked_window(op.window, in.size()),
                                     Ints(x.dims().begin() + 2, x.dims().end()));
  Dims dims{x.dims()[0], x.dims()[1]};
  dims.insert(dims.end(), g.out.begin(), g.out.end());
  Tensor unwanted;
  if (!call.wants(1)) unwanted = Tensor(DType::kInt64, dims);
  Tensor& indices = call.wants(1) ? call.out(1, DType::kInt64, dims) : unwanted;
  with_working_type(x.dtype(), [&]<class T>(T) {
    Working<T> from(x);
    std::vector<T> y(size_t(indices.size()));
    for (int64_t p = 0; p < dims[0] * dims[1]; ++p)
      max_with_index(g, op.column_major, from.data() + p * g.in_count, y.data() + p * g.out_count,
                     indices.data<int64_t>() + p * g.out_count, p * g.in_count);
    store_working(y.data(), call.out(0, x.dtype(), dims));
  });
}

// ---- MaxUnpool ----

namespace {
Shape unpooled(const Window& w, const Shape& x) {
  Shape shape{x[0], x[1]};
  for (size_t i = 0; i + 2 < x.size(); ++i)
    shape.push_back((x[i + 2] - 1) * w.strides[i] + w.kernel[i] - w.pads_begin[i] - w.pads_end[i]);
  return shape;
}

/// Output 0, zeroed; the Tensor shares its storage.
Tensor zeroed(ReferenceCall& call, DType dtype, const Dims& dims) {
  Tensor& y = call.out(0, dtype, dims);
  std::fill_n(y.raw(), y.bytes(), std::byte(0));
  return y;
}

/// Copies `from`, of extents `in`, into the corner of the zeroed `to`, of extents `out`.
void place_in_corner(const Tensor& from, Tensor& to) {
  const Dims &in = from.dims(), &out = to.dims();
  Dims strides = dense_strides(out);
  for (int64_t i = 0; i < from.size(); ++i) {
    int64_t rest = i, at = 0;
    bool inside = true;
    for (size_t a = in.size(); a-- > 0; rest /= in[a]) {
      inside &= rest % in[a] < out[a];
      at += rest % in[a] * strides[a];
    }
    if (inside) set_double(to, at, double_at(from, i));
  }
}
}  // namespace

void infer_max_unpool(InferContext& context) {
  const auto& op = *context.op().as<MaxUnpool>();
  context.expect_tensor(0), context.expect_tensor(1);
  DType dtype = context.dtype(0);
  require(is_float(dtype), "max_unpool takes floats, not ", name(dtype));
  require(context.dtype(1) == DType::kInt64, "indices must be i64");
  const Shape* x = context.shape(0);
  if (!x) return context.output(Type::unranked(dtype));
  Shape in = spatial(*x, 2, x->size());
  Window window = checked_window(op.window, in.size());
  if (!context.has(2)) return context.output(Type::tensor(dtype, unpooled(window, *x)));
  const Fact& given = context.fact(2);
  require(!given || given->size() == x->size(), "output_shape needs one entry an axis of x");
  context.output(Type::tensor(dtype, given ? *given : context.fresh_shape(0, int(x->size()))));
}

void reference_max_unpool(ReferenceCall& call) {
  const auto& op = *call.op().as<MaxUnpool>();
  const Tensor &x = call.in(0), &indices = call.in(1);
  Shape in = spatial(to_shape(x.dims()), 2, x.dims().size());
  require(indices.dims() == x.dims(), "indices ", str(indices.dims()), " differ in shape from x ",
          str(x.dims()));
  Dims dims;
  for (const Dim& d : unpooled(checked_window(op.window, in.size()), to_shape(x.dims())))
    dims.push_back(d.value());
  Tensor y = call.has(2) ? Tensor(x.dtype(), dims) : zeroed(call, x.dtype(), dims);
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t at = int_at(indices, i);
    require(at >= 0 && at < y.size(), "index ", at, " is out of the result's range 0 … ",
            y.size() - 1);
    set_double(y, at, double_at(x, i));
  }
  if (!call.has(2)) return;
  Dims wanted = to_ints(call.in(2));
  require(wanted.size() == dims.size(), "output_shape needs one entry an axis of x");
  Tensor padded = zeroed(call, x.dtype(), wanted);
  place_in_corner(y, padded);
}

}  // namespace vitrify
