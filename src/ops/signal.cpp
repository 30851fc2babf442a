// Signal processing, as Classic rows. Formulas: ONNX's operator specification; the last axis of a
// spectrum holds the real and the imaginary part.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "ops/classic.h"
#include "ops/dispatch.h"
#include "ops/fourier.h"
#include "ops/samples.h"
#include "ops/working.h"

namespace vitrify {

namespace {

using Complex = std::complex<double>;
constexpr int64_t kMaxLength = int64_t(1) << 31;

int64_t checked_length(int64_t v, const char* what) {
  require(v >= 1 && v <= kMaxLength, what, " is ", v, ", allowed are 1 to ", kMaxLength);
  return v;
}

/// The known value of a scalar input.
std::optional<Dim> known_scalar(const InferContext& context, int i) {
  if (!context.has(i) || !context.fact(i)) return {};
  require(context.fact(i)->size() == 1, "input ", i, " must be a scalar");
  return context.fact(i)->front();
}

int64_t scalar_of(ReferenceCall& call, int i) {
  require(call.in(i).size() == 1, "input ", i, " must be a scalar, not ", str(call.in(i).dims()));
  return int_at(call.in(i), 0);
}

// ---- DFT: (x […, 1 or 2], length?, axis?) → […, 2], or […, 1] for the one-sided inverse ----

struct Dft {
  bool inverse, onesided;
  int64_t axis;  ///< the attribute; an axis input wins
};

Dft dft_of(const Op& op) {
  ClassicAttributes a(op);
  return {a.integer("inverse", 0) != 0, a.integer("onesided", 0) != 0, a.integer("axis", -2)};
}

int64_t dft_axis(int64_t axis, int64_t rank) {
  axis = normal_axis(axis, rank);
  require(axis < rank - 1, "the last axis holds real and imaginary parts, it has no transform");
  return axis;
}

void infer_dft(InferContext& context) {
  Dft dft = dft_of(context.op());
  context.expect_tensor(0);
  const Shape* x = context.shape(0);
  if (!x) return context.output(Type::unranked(context.dtype(0)));
  require(x->size() >= 2, "x needs a rank of at least 2");
  auto axis = context.has(2) ? context.known_ints(2) : std::vector<int64_t>{dft.axis};
  if (!axis || axis->size() != 1)
    return context.output(Type::tensor(context.dtype(0), context.fresh_shape(0, int(x->size()))));
  size_t at = size_t(dft_axis(axis->front(), int64_t(x->size())));
  Shape shape = *x;
  bool real = dft.inverse && dft.onesided;
  Dim length = real ? ((*x)[at] - 1) * 2 : (*x)[at];
  auto given = known_scalar(context, 1);
  if (context.has(1)) length = given ? *given : context.fresh(0, int(at));
  bool unknown = context.has(1) && !given;
  shape[at] = dft.onesided && !dft.inverse && !unknown ? floor_div(length, 2) + 1 : length;
  shape.back() = real ? 1 : 2;
  context.output(Type::tensor(context.dtype(0), shape));
}

/// One signal, cut or padded with zeros to `length`; a one-sided spectrum is mirrored first.
std::vector<Complex> dft_signal(const Dft& dft, const double* x, int64_t count, int64_t stride,
                                int64_t parts, int64_t length) {
  std::vector<Complex> signal(static_cast<size_t>(length));
  bool mirror = dft.inverse && dft.onesided;
  for (int64_t i = 0; i < std::min(count, mirror ? length / 2 + 1 : length); ++i) {
    const double* v = x + i * stride;
    signal[size_t(i)] = {v[0], parts == 2 ? v[1] : 0};
    if (mirror && i > 0 && i < length - i)
      signal[size_t(length - i)] = std::conj(signal[size_t(i)]);
  }
  return signal;
}

void reference_dft(ReferenceCall& call) {
  Dft dft = dft_of(call.op());
  const Tensor& x = call.in(0);
  int64_t rank = x.rank();
  require(rank >= 2 && (x.dims().back() == 1 || x.dims().back() == 2),
          "the last extent of x must be 1 or 2, not shape ", str(x.dims()));
  size_t axis = size_t(dft_axis(call.has(2) ? scalar_of(call, 2) : dft.axis, rank));
  bool real = dft.inverse && dft.onesided;
  int64_t count = x.dims()[axis], parts = x.dims().back();
  int64_t length = checked_length(call.has(1) ? scalar_of(call, 1)
                                  : real      ? 2 * (count - 1)
                                              : count,
                                  "the transform's length");
  Dims dims = x.dims();
  dims[axis] = dft.onesided && !dft.inverse ? length / 2 + 1 : length;
  dims.back() = real ? 1 : 2;
  int64_t outer = element_count(Dims(dims.begin(), dims.begin() + int64_t(axis)));
  int64_t inner = element_count(Dims(dims.begin() + int64_t(axis) + 1, dims.end() - 1));
  Working<double> in(x);
  std::vector<double> y(size_t(element_count(dims)));
  int64_t out_parts = dims.back(), out_count = dims[axis];
  double scale = dft.inverse ? 1 / double(length) : 1;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      auto signal = dft_signal(dft, in.data() + (o * count * inner + i) * parts, count,
                               inner * parts, parts, length);
      auto spectrum = fourier(signal, dft.inverse);
      for (int64_t k = 0; k < out_count; ++k) {
        double* to = y.data() + ((o * out_count + k) * inner + i) * out_parts;
        to[0] = spectrum[size_t(k)].real() * scale;
        if (out_parts == 2) to[1] = spectrum[size_t(k)].imag() * scale;
      }
    }
  store_working(y.data(), call.out(0, x.dtype(), dims));
}

// ---- STFT: (x [B, L, 1 or 2], step, window?, length?) → [B, frames, bins, 2] ----

void infer_stft(InferContext& context) {
  bool onesided = ClassicAttributes(context.op()).integer("onesided", 1) != 0;
  context.expect_tensor(0);
  const Shape* x = context.shape(0);
  require(!x || x->size() == 3, "the signal must be [batch, length, 1 or 2]");
  auto step = known_scalar(context, 1), length = known_scalar(context, 3);
  const Shape* window = context.has(2) ? context.shape(2) : nullptr;
  if (!context.has(3) && window && window->size() == 1) length = window->front();
  Dim frames = context.fresh(0, 1), bins = context.fresh(0, 2);
  if (length) bins = onesided ? floor_div(*length, 2) + 1 : *length;
  if (x && step && length && step->is_constant() && step->value() > 0)
    frames = floor_div((*x)[1] - *length, *step) + 1;
  Dim batch = x ? x->front() : context.fresh(0, 0);
  context.output(Type::tensor(context.dtype(0), {batch, frames, bins, 2}));
}

void reference_stft(ReferenceCall& call) {
  bool onesided = ClassicAttributes(call.op()).integer("onesided", 1) != 0;
  const Tensor& x = call.in(0);
  require(x.rank() == 3 && (x.dims()[2] == 1 || x.dims()[2] == 2),
          "the signal must be [batch, length, 1 or 2], not ", str(x.dims()));
  require(call.has(2) || call.has(3), "needs a window or a frame length");
  int64_t step = checked_length(scalar_of(call, 1), "frame_step");
  int64_t length =
      checked_length(call.has(3) ? scalar_of(call, 3) : call.in(2).size(), "frame_length");
  require(!call.has(2) || call.in(2).dims() == Dims{length}, "the window must have shape [", length,
          "]");
  int64_t batch = x.dims()[0], total = x.dims()[1], parts = x.dims()[2];
  require(total >= length, "a frame of ", length, " is longer than the signal, ", total);
  int64_t frames = (total - length) / step + 1, bins = onesided ? length / 2 + 1 : length;
  Working<double> in(x), window(call.has(2) ? call.in(2) : Tensor());
  std::vector<double> y;
  y.reserve(size_t(element_count(Dims{batch, frames, bins, 2})));
  std::vector<Complex> frame(static_cast<size_t>(length));
  for (int64_t f = 0; f < batch * frames; ++f) {
    const double* from = in.data() + (f / frames * total + f % frames * step) * parts;
    for (int64_t i = 0; i < length; ++i)
      frame[size_t(i)] = Complex(from[i * parts], parts == 2 ? from[i * parts + 1] : 0) *
                         (call.has(2) ? window[i] : 1.0);
    auto spectrum = fourier(frame, false);
    for (int64_t k = 0; k < bins; ++k)
      y.insert(y.end(), {spectrum[size_t(k)].real(), spectrum[size_t(k)].imag()});
  }
  store_working(y.data(), call.out(0, x.dtype(), {batch, frames, bins, 2}));
}

// ---- Windows: size → [size] ----

DType output_dtype(const Op& op) {
  DType d = DType(ClassicAttributes(op).integer("dtype", int64_t(DType::kFloat32)));
  require(is_float(d) || is_integer(d), "a window of element type ", int64_t(d));
  return d;
}

void infer_window(InferContext& context) {
  auto size = known_scalar(context, 0);
  context.output(Type::tensor(output_dtype(context.op()), {size ? *size : context.fresh(0, 0)}));
}

/// a - b cos(2πi/N) + c cos(4πi/N)
void reference_window(ReferenceCall& call) {
  ClassicAttributes attributes(call.op());
  std::vector<double> c = attributes.numbers("coefficients");
  require(c.size() == 3, "a window has three coefficients");
  int64_t size = scalar_of(call, 0);
  require(size >= 0 && size <= kMaxLength, "a window of size ", size);
  int64_t period = attributes.integer("periodic", 1) != 0 ? size : size - 1;
  Tensor& y = call.out(0, output_dtype(call.op()), {size});
  for (int64_t i = 0; i < size; ++i) {
    double angle = 2 * std::numbers::pi * double(i) / double(period);
    double v = c[0] - c[1] * std::cos(angle) + c[2] * std::cos(2 * angle);
    set_double(y, i, period == 0 ? 1 : v);
  }
}

// ---- MelWeightMatrix: (bands, dft length, sample rate, low, high) → [length / 2 + 1, bands] ----

void infer_mel(InferContext& context) {
  auto bands = known_scalar(context, 0), length = known_scalar(context, 1);
  Dim rows = length ? floor_div(*length, 2) + 1 : context.fresh(0, 0);
  Dim columns = bands ? *bands : context.fresh(0, 1);
  context.output(Type::tensor(output_dtype(context.op()), {rows, columns}));
}

/// The spectrum bin of each band's edge: equal steps on the mel scale, 2595 log10(1 + f / 700).
std::vector<int64_t> mel_edges(int64_t bands, int64_t length, double rate, double low,
                               double high) {
  auto mel = [](double f) { return 2595 * std::log10(1 + f / 700); };
  std::vector<int64_t> edges;
  double step = (mel(high) - mel(low)) / double(bands + 2);
  for (int64_t i = 0; i < bands + 2; ++i) {
    double f = 700 * (std::pow(10.0, (double(i) * step + mel(low)) / 2595) - 1);
    double bin = std::floor(double(length + 1) * f / rate);
    require(bin >= 0 && bin <= double(length / 2), "a band's edge at ", f,
            " Hz lies outside the spectrum");
    edges.push_back(int64_t(bin));
  }
  return edges;
}

void reference_mel(ReferenceCall& call) {
  int64_t bands = checked_length(scalar_of(call, 0), "num_mel_bins");
  int64_t length = checked_length(scalar_of(call, 1), "dft_length");
  double rate = double(scalar_of(call, 2));
  require(rate > 0, "sample_rate must be positive");
  auto edges = mel_edges(bands, length, rate, double_at(call.in(3), 0), double_at(call.in(4), 0));
  Dims dims{length / 2 + 1, bands};
  std::vector<double> y(size_t(element_count(dims)));
  for (int64_t i = 0; i < bands; ++i) {
    int64_t low = edges[size_t(i)], center = edges[size_t(i + 1)], high = edges[size_t(i + 2)];
    for (int64_t j = low; j < center; ++j)
      y[size_t(j * bands + i)] = double(j - low) / double(center - low);
    y[size_t(center * bands + i)] = 1;
    for (int64_t j = center; j < high; ++j)
      y[size_t(j * bands + i)] = double(high - j) / double(high - center);
  }
  store_working(y.data(), call.out(0, output_dtype(call.op()), dims));
}

// ---- samples ----

std::vector<Sample> samples_dft(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  for (DType d : {DType::kFloat32, DType::kFloat64, DType::kFloat16})
    for (int64_t parts : {1, 2})
      for (int64_t inverse : {0, 1}) {
        Tensor x = random_tensor(random, d, {2, 12, 7, parts});
        Classic op = make_classic("dft", {{"inverse", inverse}});
        samples.push_back({op, {x}});
        samples.push_back({op, {x, Tensor::scalar(int64_t(9)), Tensor::scalar(int64_t(1))}});
        samples.push_back({op, {x, Tensor::scalar(int64_t(20)), Tensor::scalar(int64_t(1))}});
        if ((parts == 2) != (inverse == 1)) continue;
        op = make_classic("dft", {{"inverse", inverse}, {"onesided", int64_t(1)}});
        samples.push_back({op, {x}});
        samples.push_back({op, {x, Tensor::scalar(int64_t(9)), Tensor::scalar(int64_t(1))}});
      }
  return samples;
}

std::vector<Sample> samples_stft(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  for (DType d : {DType::kFloat32, DType::kFloat64}) {
    Tensor x = random_tensor(random, d, {2, 37, 1}), window = random_tensor(random, d, {12}, 0, 1);
    Tensor step = Tensor::scalar(int64_t(5)), length = Tensor::scalar(int64_t(12));
    samples.push_back({make_classic("stft"), {x, step, window, length}});
    samples.push_back({make_classic("stft"), {x, step, window}});
    samples.push_back({make_classic("stft", {{"onesided", int64_t(0)}}),
                       {random_tensor(random, d, {1, 20, 2}), step, window}});
  }
  return samples;
}

std::vector<Sample> samples_window(uint64_t) {
  std::vector<Sample> samples;
  for (int64_t size : {0, 1, 2, 11})
    for (int64_t periodic : {0, 1})
      for (DType d : {DType::kFloat32, DType::kFloat16, DType::kInt32})
        samples.push_back({make_classic("window", {{"coefficients", std::vector{0.42, 0.5, 0.08}},
                                                   {"periodic", periodic},
                                                   {"dtype", int64_t(d)}}),
                           {Tensor::scalar(size)}});
  return samples;
}

std::vector<Sample> samples_mel(uint64_t) {
  auto i = [](int64_t v) { return Tensor::scalar(v); };
  return {{make_classic("mel_weights"),
           {i(8), i(64), i(8192), Tensor::scalar(0.0f), Tensor::scalar(4096.0f)}}};
}

const ClassicRow kRows[] = {
    {"dft", infer_dft, reference_dft, samples_dft},
    {"stft", infer_stft, reference_stft, samples_stft},
    {"window", infer_window, reference_window, samples_window},
    {"mel_weights", infer_mel, reference_mel, samples_mel},
};

}  // namespace

std::span<const ClassicRow> signal_classics() { return kRows; }

}  // namespace vitrify
