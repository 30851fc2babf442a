// Matrix and convolution kernels against naive loops in double, for every Isa of this machine and
// for one and two threads, between guard floats.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "backend/cpu/isa.h"
#include "backend/cpu/kernels/conv.h"
#include "backend/cpu/kernels/gemm.h"
#include "base/error.h"

namespace vitrify::cpu {
namespace {

constexpr float kGuard = -7.25e33f;
constexpr int64_t kGuardFloats = 64;

std::vector<Isa> all_isas() {
  std::vector<Isa> isas;
  for (int i = 0; i <= static_cast<int>(machine_isa()); ++i) isas.push_back(static_cast<Isa>(i));
  return isas;
}

/// 64-byte aligned floats between guards.
class Buffer {
 public:
  explicit Buffer(int64_t floats, float value = kGuard)
      : size_(floats), memory_(static_cast<size_t>(floats + 2 * kGuardFloats + 16), kGuard) {
    const auto address = reinterpret_cast<uintptr_t>(memory_.data());
    start_ = memory_.data() + (64 - address % 64) % 64 / 4 + kGuardFloats;
    std::fill(start_, start_ + size_, value);
  }
  float* get() const { return start_; }
  int64_t size() const { return size_; }
  float& operator[](int64_t i) const { return start_[i]; }
  void randomize(std::mt19937& rng) {
    std::uniform_real_distribution<float> value(-1, 1);
    for (int64_t i = 0; i < size_; ++i) start_[i] = value(rng);
  }
  void check_guards(const std::string& what) const {
    for (int64_t i = 1; i <= kGuardFloats; ++i) {
      ASSERT_EQ(start_[-i], kGuard) << what << ": written before the start";
      ASSERT_EQ(start_[size_ + i - 1], kGuard) << what << ": written beyond the end";
    }
  }

 private:
  int64_t size_;
  std::vector<float> memory_;
  float* start_;
};

double activate(const Epilogue& e, double x) {
  const double a = e.a, b = e.b;
  const auto bound = [](double v, double lo, double hi) { return v < lo ? lo : v > hi ? hi : v; };
  switch (e.activation) {
    case Activation::kNone:
      return x;
    case Activation::kRelu:
      return x < 0 ? 0 : x;
    case Activation::kClip:
      return bound(x, a, b);
    case Activation::kLeakyRelu:
      return x < 0 ? a * x : x;
    case Activation::kHardSigmoid:
      return bound(a * x + b, 0, 1);
    case Activation::kHardSwish:
      return x * bound(x / 6 + 0.5, 0, 1);
    case Activation::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
    case Activation::kTanh:
      return std::tanh(x);
    case Activation::kGeluErf:
      return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::kGeluTanh:
      return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::kElu:
      return x < 0 ? a * std::expm1(x) : x;
    case Activation::kSoftplus:
      return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
    case Activation::kMish:
      return x * std::tanh(std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))));
  }
  return x;
}

double finish(const Epilogue& e, double sum, int64_t row, int64_t col) {
  if (e.bias) sum += e.bias[col];
  if (e.residual) sum += e.residual[row * e.residual_stride + col];
  return activate(e, sum);
}

/// The callback under test adds a value that names the element, so misplaced calls show.
double callback_value(int64_t row, int64_t col) {
  return static_cast<double>(row % 7) - 0.25 * static_cast<double>(col % 5);
}
void add_position(void*, float* row, int64_t row_index, int64_t col0, int64_t cols) {
  for (int64_t i = 0; i < cols; ++i)
    row[i] += static_cast<float>(callback_value(row_index, col0 + i));
}

/// Equal within rounding of a sum of `terms` products below 1, or both NaN, or the same infinity.
bool near(float got, double want, double terms) {
  if (std::isnan(want)) return std::isnan(got);
  if (std::isinf(want)) return static_cast<double>(got) == want;
  return std::abs(static_cast<double>(got) - want) <=
         1e-6 * (2 + std::sqrt(terms)) + 2e-6 * std::abs(want);
}

bool same_bits(const std::vector<float>& a, const Buffer& b) {
  return a.empty() || std::memcmp(a.data(), b.get(), a.size() * sizeof(float)) == 0;
}

struct Operands {
  std::mt19937 rng{7};
  Buffer random(int64_t floats) {
    Buffer b(floats);
    b.randomize(rng);
    return b;
  }
};

// ---- GEMM

struct GemmCase {
  int64_t m, n, k;
  int64_t a_pad = 0;  // extra elements between rows of A
  bool a_transposed = false;
  enum { kPacked, kRows, kColumns } b = kPacked;
  int64_t batch = 1;
  int features = 0;  // bits: 1 bias, 2 residual, 4 relu, 8 callback, 16 residual in place
};

std::string describe(const GemmCase& c, Isa isa, int threads) {
  return cat(isa_name(isa), " m ", c.m, " n ", c.n, " k ", c.k, " batch ", c.batch, " b ", int{c.b},
             " a^T ", c.a_transposed, " features ", c.features, " threads ", threads);
}

void check_gemm(const GemmCase& c, Isa isa) {
  Operands make;
  const int64_t lda = c.a_transposed ? c.m + c.a_pad : c.k + c.a_pad, ldc = c.n + 3;
  const int64_t a_size = lda * (c.a_transposed ? c.k : c.m) + 5, b_size = c.k * c.n + 3;
  const Buffer a = make.random(a_size * c.batch), b = make.random(b_size * c.batch);
  const Buffer bias = make.random(c.n), residual = make.random(c.batch * c.m * ldc);
  GemmArgs g;
  g.isa = isa;
  g.m = c.m, g.n = c.n, g.k = c.k, g.batch = c.batch;
  g.a = a.get(), g.b = b.get();
  g.a_row_stride = c.a_transposed ? 1 : lda, g.a_col_stride = c.a_transposed ? lda : 1;
  g.packed_b = c.b == GemmCase::kPacked;
  g.b_row_stride = c.b == GemmCase::kColumns ? 1 : c.n;
  g.b_col_stride = c.b == GemmCase::kColumns ? c.k : 1;
  g.c_row_stride = ldc;
  const int64_t packed_size = packed_b_floats(isa, c.k, c.n);
  const Buffer packed(packed_size * c.batch);
  std::vector<int64_t> a_offsets, b_offsets, c_offsets;
  for (int64_t i = 0; i < c.batch; ++i) {
    a_offsets.push_back(i * a_size);
    b_offsets.push_back(i * (g.packed_b ? packed_size : b_size));
    c_offsets.push_back(i * c.m * ldc);
    // The source of a packed B may be unaligned: copy it one byte off.
    std::vector<char> bytes(static_cast<size_t>(b_size * 4 + 1));
    std::memcpy(bytes.data() + 1, b.get() + i * b_size, static_cast<size_t>(b_size * 4));
    if (g.packed_b) pack_b(isa, c.k, c.n, bytes.data() + 1, c.n, 1, packed.get() + i * packed_size);
  }
  packed.check_guards("packed B");
  if (g.packed_b) g.b = packed.get();
  g.a_offsets = a_offsets.data(), g.b_offsets = b_offsets.data(), g.c_offsets = c_offsets.data();
  Epilogue& e = g.epilogue;
  if (c.features & 1) e.bias = bias.get();
  if (c.features & 2) e.residual = residual.get(), e.residual_stride = ldc;
  if (c.features & 4) e.activation = Activation::kRelu;
  if (c.features & 8) e.tile = add_position;

  std::vector<float> first;
  for (int threads = 1; threads <= 2; ++threads) {
    const std::string what = describe(c, isa, threads);
    g.max_threads = threads;
    const Buffer out(c.batch * c.m * ldc), workspace(gemm_workspace_floats(g));
    g.c = out.get(), g.workspace = workspace.get();
    if (c.features & 16) {
      std::copy_n(residual.get(), residual.size(), out.get());
      e.residual = out.get(), e.residual_stride = ldc;
    }
    gemm(g);
    out.check_guards(what + " C");
    workspace.check_guards(what + " workspace");
    if (threads > 1) {
      ASSERT_TRUE(same_bits(first, out)) << what << ": other bits";
      continue;
    }
    first.assign(out.get(), out.get() + out.size());
    Epilogue reference = e;
    if (e.residual) reference.residual = residual.get();
    for (int64_t i = 0; i < c.batch; ++i) {
      for (int64_t row = 0; row < c.m; ++row) {
        for (int64_t col = 0; col < ldc; ++col) {
          const float got = out[c_offsets[static_cast<size_t>(i)] + row * ldc + col];
          if (col >= c.n) {
            if (!(c.features & 16)) {
              ASSERT_EQ(got, kGuard) << what << ": padding of C written";
            }
            continue;
          }
          double sum = 0;
          for (int64_t k = 0; k < c.k; ++k) {
            const float x = a[i * a_size + row * g.a_row_stride + k * g.a_col_stride];
            const float y = c.b == GemmCase::kColumns ? b[i * b_size + col * c.k + k]
                                                      : b[i * b_size + k * c.n + col];
            sum += static_cast<double>(x) * static_cast<double>(y);
          }
          double want = finish(reference, sum, i * c.m + row, col);
          if (c.features & 8) want += callback_value(i * c.m + row, col);
          ASSERT_TRUE(near(got, want, static_cast<double>(c.k)))
              << what << " at (" << i << ", " << row << ", " << col << "): " << got << ", not "
              << want;
        }
      }
    }
  }
}

TEST(Gemm, OddSizes) {
  const int64_t sizes[] = {0, 1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 48, 63, 64, 65, 100, 130};
  std::mt19937 rng(1);
  const auto pick = [&] { return sizes[rng() % std::size(sizes)]; };
  for (const Isa isa : all_isas()) {
    for (int i = 0; i < 150; ++i) {
      GemmCase c{pick(), pick(), pick()};
      c.a_pad = static_cast<int64_t>(rng() % 3) * 5;
      c.a_transposed = rng() % 4 == 0;
      c.b = static_cast<decltype(c.b)>(rng() % 3);
      c.batch = rng() % 3 == 0 ? static_cast<int64_t>(rng() % 12) : 1;
      c.features = static_cast<int>(rng() % 32);
      check_gemm(c, isa);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Gemm, LargeSizesInBlocks) {
  for (const Isa isa : all_isas()) {
    for (const GemmCase& c :
         {GemmCase{301, 200, 700, 3, false, GemmCase::kPacked, 1, 15}, GemmCase{1, 1000, 777},
          GemmCase{4, 300, 1100, 0, false, GemmCase::kRows},
          GemmCase{500, 17, 513, 0, true, GemmCase::kColumns},
          GemmCase{64, 129, 600, 0, false, GemmCase::kRows, 2, 17},
          GemmCase{250, 33, 300, 0, false, GemmCase::kColumns, 9, 2}}) {
      check_gemm(c, isa);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Gemm, NanAndInfinitySpreadThroughZeros) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  for (const Isa isa : all_isas()) {
    for (const bool packed : {true, false}) {
      const int64_t m = 9, n = 70, k = 19;
      Buffer a(m * k, 0.0f), b(k * n, 0.0f), out(m * n), packed_b(packed_b_floats(isa, k, n));
      a[2 * k + 3] = nan;
      a[4 * k + 18] = inf;   // times 0: NaN
      b[5 * n + 69] = -inf;  // 0 times it: NaN in the whole column
      pack_b(isa, k, n, b.get(), n, 1, packed_b.get());
      GemmArgs g;
      g.isa = isa, g.m = m, g.n = n, g.k = k, g.a = a.get(), g.a_row_stride = k;
      g.b = packed ? packed_b.get() : b.get(), g.packed_b = packed, g.b_row_stride = n;
      g.c = out.get(), g.c_row_stride = n;
      g.epilogue.activation = Activation::kRelu;
      const Buffer workspace(gemm_workspace_floats(g));
      g.workspace = workspace.get();
      gemm(g);
      for (int64_t i = 0; i < m * n; ++i) {
        const bool is_nan = i / n == 2 || i / n == 4 || i % n == 69;
        ASSERT_EQ(std::isnan(out[i]), is_nan) << isa_name(isa) << " element " << i;
      }
    }
  }
}

TEST(Gemm, EqualColumnsGiveEqualSums) {
  Operands make;
  for (const Isa isa : all_isas()) {
    for (const int64_t m : {1, 2, 3, 7, 9, 13}) {
      for (const int64_t n : {20, 72, 112, 200}) {
        const int64_t k = 333;
        const Buffer a = make.random(m * k), column = make.random(k), out(m * n);
        const Buffer packed(packed_b_floats(isa, k, n));
        pack_b(isa, k, n, column.get(), 1, 0, packed.get());
        GemmArgs g;
        g.isa = isa, g.m = m, g.n = n, g.k = k, g.a = a.get(), g.a_row_stride = k;
        g.b = packed.get(), g.c = out.get(), g.c_row_stride = n;
        gemm(g);
        for (int64_t i = 0; i < m * n; ++i) {
          ASSERT_EQ(out[i], out[i / n * n])
              << isa_name(isa) << " m " << m << " n " << n << " at " << i;
        }
      }
    }
  }
}

TEST(Gemm, WorkspaceGrowsWithSizes) {
  for (const bool rows : {true, false}) {
    for (const Isa isa : all_isas()) {
      GemmArgs g;
      g.isa = isa, g.packed_b = false, g.a_col_stride = 3;
      g.b_row_stride = rows ? 99 : 1, g.b_col_stride = rows ? 1 : 99;
      const auto at = [&](int64_t m, int64_t n, int64_t k, int64_t batch) {
        g.m = m, g.n = n, g.k = k, g.batch = batch;
        return gemm_workspace_floats(g);
      };
      for (const int64_t m : {1, 31, 32, 33, 90}) {
        for (const int64_t n : {1, 15, 16, 17, 64, 65}) {
          const int64_t here = at(m, n, 20, 3);
          EXPECT_LE(here, at(m + 1, n, 20, 3));
          EXPECT_LE(here, at(m, n + 1, 20, 3));
          EXPECT_LE(here, at(m, n, 21, 3));
          EXPECT_LE(at(m, n, 20, 7), at(m, n, 20, 8));
        }
      }
    }
  }
}

TEST(Epilogue, ActivationsOfEveryKind) {
  std::vector<float> points = {0.0f,  -0.0f,  1e-20f, -1e-20f, 0.6249f, 0.6251f, 1.41f,
                               1.42f, -88.5f, 88.5f,  100.0f,  -100.0f, 30.0f,   -30.0f};
  for (float x = -12; x <= 12; x += 0.0137f) points.push_back(x);
  const auto n = static_cast<int64_t>(points.size());
  for (const Isa isa : all_isas()) {
    for (int kind = 0; kind <= static_cast<int>(Activation::kMish); ++kind) {
      const Buffer packed(packed_b_floats(isa, 0, n)), out(n);
      GemmArgs g;
      g.isa = isa, g.m = 1, g.n = n, g.k = 0, g.b = packed.get(), g.c = out.get(),
      g.c_row_stride = n;
      g.epilogue.bias = points.data();
      g.epilogue.activation = static_cast<Activation>(kind);
      g.epilogue.a = kind == static_cast<int>(Activation::kClip) ? -1.5f : 0.2f;
      g.epilogue.b = 0.5f;
      gemm(g);
      double worst = 0;
      for (int64_t i = 0; i < n; ++i) {
        const double want =
            activate(g.epilogue, static_cast<double>(points[static_cast<size_t>(i)]));
        worst = std::max(
            worst, std::abs(static_cast<double>(out[i]) - want) / std::max(1.0, std::abs(want)));
      }
      EXPECT_LT(worst, 4e-7) << isa_name(isa) << " activation " << kind;
      // NaN goes through.
      const float nan = std::nanf("");
      g.epilogue.bias = &nan, g.n = 1;
      gemm(g);
      EXPECT_TRUE(std::isnan(out[0])) << isa_name(isa) << " activation " << kind;
    }
  }
}

// ---- Convolution

struct ConvCase {
  ConvSpec spec;
  int64_t batch = 1;
  int64_t in[3] = {1, 1, 1};
  int64_t pad_end[3] = {0, 0, 0};
  bool nchw = false;
  bool transposed = false;
  int features = 0;
};

std::string describe(const ConvCase& c, ConvAlgorithm algorithm, Isa isa, int threads) {
  const ConvSpec& s = c.spec;
  std::string text =
      cat(isa_name(isa), " algorithm ", static_cast<int>(algorithm), " ", s.in_channels, " -> ",
          s.out_channels, " groups ", s.groups, " batch ", c.batch, " nchw ", c.nchw,
          " transposed ", c.transposed, " features ", c.features, " threads ", threads);
  for (int i = 0; i < 3; ++i) {
    text += cat(", axis ", i, ": in ", c.in[i], " kernel ", s.kernel[i], " stride ", s.stride[i],
                " dilation ", s.dilation[i], " pad ", s.pad_begin[i], "/", c.pad_end[i]);
  }
  return text;
}

int64_t out_size(const ConvCase& c, int i) {
  const ConvSpec& s = c.spec;
  const int64_t reach = (s.kernel[i] - 1) * s.dilation[i] + 1, pads = s.pad_begin[i] + c.pad_end[i];
  if (c.transposed) return (c.in[i] - 1) * s.stride[i] + reach - pads;
  return c.in[i] + pads < reach ? 0 : (c.in[i] + pads - reach) / s.stride[i] + 1;
}

/// Sum of products at one output, in double. Returns false where a tap meets no input.
double conv_reference(const ConvCase& c, const ConvArgs& a, const Buffer& w, int64_t n,
                      const int64_t (&o)[3], int64_t channel) {
  const ConvSpec& s = c.spec;
  const int64_t inputs = s.in_channels / s.groups, outputs = s.out_channels / s.groups;
  const int64_t group = channel / outputs;
  double sum = 0;
  int64_t t[3];
  for (t[0] = 0; t[0] < s.kernel[0]; ++t[0]) {
    for (t[1] = 0; t[1] < s.kernel[1]; ++t[1]) {
      for (t[2] = 0; t[2] < s.kernel[2]; ++t[2]) {
        const float* x = a.x + n * a.x_batch_stride;
        bool inside = true;
        for (int i = 0; i < 3; ++i) {
          int64_t at = c.transposed ? o[i] + s.pad_begin[i] - t[i] * s.dilation[i]
                                    : o[i] * s.stride[i] - s.pad_begin[i] + t[i] * s.dilation[i];
          if (c.transposed) {
            inside &= at % s.stride[i] == 0;
            at /= s.stride[i];
          }
          inside &= at >= 0 && at < c.in[i];
          x += at * a.x_stride[i];
        }
        if (!inside) continue;
        const int64_t taps = s.kernel[0] * s.kernel[1] * s.kernel[2];
        const int64_t tap = (t[0] * s.kernel[1] + t[1]) * s.kernel[2] + t[2];
        for (int64_t k = 0; k < inputs; ++k) {
          const int64_t in = group * inputs + k;
          const float y = c.transposed ? w[(in * outputs + channel % outputs) * taps + tap]
                                       : w[(channel * inputs + k) * taps + tap];
          sum += static_cast<double>(x[in * a.x_channel_stride]) * static_cast<double>(y);
        }
      }
    }
  }
  return sum;
}

void set_input_strides(const ConvCase& c, ConvArgs& a) {
  // Gaps between pixels, lines and planes, none of which may be read as data.
  const int64_t channels = c.spec.in_channels;
  a.x_channel_stride = c.nchw ? c.in[0] * c.in[1] * (c.in[2] + 2) : 1;
  a.x_stride[2] = c.nchw ? 1 : channels + 3;
  a.x_stride[1] = c.nchw ? c.in[2] + 2 : c.in[2] * a.x_stride[2] + 1;
  a.x_stride[0] = c.in[1] * a.x_stride[1];
  a.x_batch_stride = c.nchw ? channels * a.x_channel_stride : c.in[0] * a.x_stride[0];
}

void check_conv(const ConvCase& c, ConvAlgorithm algorithm, Isa isa) {
  const ConvSpec& s = c.spec;
  Operands make;
  ConvArgs a;
  a.isa = isa, a.algorithm = algorithm, a.spec = s, a.batch = c.batch;
  for (int i = 0; i < 3; ++i) a.in[i] = c.in[i], a.out[i] = out_size(c, i);
  if (a.out[0] < 0 || a.out[1] < 0 || a.out[2] < 0) return;
  set_input_strides(c, a);
  const Buffer x = make.random(std::max<int64_t>(0, c.batch * a.x_batch_stride));
  const int64_t weight_count =
      s.in_channels * s.out_channels / s.groups * s.kernel[0] * s.kernel[1] * s.kernel[2];
  const Buffer w = make.random(weight_count);
  std::vector<char> bytes(static_cast<size_t>(weight_count * 4 + 3));
  std::memcpy(bytes.data() + 3, w.get(), static_cast<size_t>(weight_count * 4));
  const Buffer packed(c.transposed ? packed_conv_transpose_floats(isa, s)
                                   : packed_conv_floats(isa, algorithm, s));
  if (c.transposed) {
    pack_conv_transpose_weights(isa, s, bytes.data() + 3, packed.get());
  } else {
    pack_conv_weights(isa, algorithm, s, bytes.data() + 3, packed.get());
  }
  packed.check_guards("packed weights");
  const int64_t pixels = c.batch * a.out[0] * a.out[1] * a.out[2];
  a.x = x.get(), a.weights = packed.get(), a.y_pixel_stride = s.out_channels + 2;
  const Buffer bias = make.random(s.out_channels),
               residual = make.random(pixels * a.y_pixel_stride);
  Epilogue& e = a.epilogue;
  if (c.features & 1) e.bias = bias.get();
  if (c.features & 2) e.residual = residual.get(), e.residual_stride = a.y_pixel_stride;
  if (c.features & 4) e.activation = Activation::kRelu;
  if (c.features & 8) e.tile = add_position;
  if (c.features & 32) e.activation = Activation::kSilu;

  std::vector<float> first;
  for (int threads = 1; threads <= 2; ++threads) {
    const std::string what = describe(c, algorithm, isa, threads);
    a.max_threads = threads;
    const Buffer out(pixels * a.y_pixel_stride);
    const Buffer workspace(
        c.transposed ? conv_transpose_workspace_floats(a) : conv_workspace_floats(a),
        std::nanf(""));
    a.y = out.get(), a.workspace = workspace.get();
    if (c.features & 16) {
      std::copy_n(residual.get(), residual.size(), out.get());
      e.residual = out.get(), e.residual_stride = a.y_pixel_stride;
    }
    c.transposed ? conv_transpose(a) : conv(a);
    out.check_guards(what + " y");
    workspace.check_guards(what + " workspace");
    if (threads > 1) {
      ASSERT_TRUE(same_bits(first, out)) << what << ": other bits";
      continue;
    }
    first.assign(out.get(), out.get() + out.size());
    Epilogue reference = e;
    if (e.residual) reference.residual = residual.get();
    const double terms = static_cast<double>(weight_count / s.out_channels) *
                         (algorithm >= ConvAlgorithm::kWinograd2 ? 400 : 1);
    for (int64_t p = 0; p < pixels; ++p) {
      const int64_t plane = p / a.out[2] / a.out[1];
      const int64_t o[3] = {plane % a.out[0], p / a.out[2] % a.out[1], p % a.out[2]};
      for (int64_t channel = 0; channel < s.out_channels; ++channel) {
        double want =
            finish(reference, conv_reference(c, a, w, plane / a.out[0], o, channel), p, channel);
        if (c.features & 8) want += callback_value(p, channel);
        const float got = out[p * a.y_pixel_stride + channel];
        ASSERT_TRUE(near(got, want, terms))
            << what << " at pixel (" << o[0] << ", " << o[1] << ", " << o[2] << ") channel "
            << channel << ": " << got << ", not " << want;
      }
      for (int64_t i = s.out_channels; i < a.y_pixel_stride && !(c.features & 16); ++i) {
        ASSERT_EQ(out[p * a.y_pixel_stride + i], kGuard) << what << ": gap written";
      }
    }
  }
}

/// A random conv of `dims` spatial dimensions.
ConvCase random_conv(std::mt19937& rng, int dims) {
  const auto pick = [&](std::initializer_list<int64_t> values) {
    return values.begin()[rng() % values.size()];
  };
  ConvCase c;
  for (int i = 3 - dims; i < 3; ++i) {
    c.spec.kernel[i] = pick({1, 2, 3, 3, 3, 4, 5, 7});
    c.spec.stride[i] = pick({1, 1, 1, 2, 2, 3});
    c.spec.dilation[i] = pick({1, 1, 1, 2, 3});
    c.spec.pad_begin[i] = static_cast<int64_t>(rng() % static_cast<uint64_t>(c.spec.kernel[i] + 1));
    c.pad_end[i] = static_cast<int64_t>(rng() % static_cast<uint64_t>(c.spec.kernel[i] + 1));
    c.in[i] = dims == 3 ? pick({1, 2, 4, 5}) : pick({1, 2, 5, 7, 8, 13, 19});
  }
  c.batch = pick({1, 1, 2, 3});
  c.features = static_cast<int>(rng() % 64);
  return c;
}

TEST(Conv, ImplicitGemm) {
  std::mt19937 rng(2);
  const auto pick = [&](std::initializer_list<int64_t> values) {
    return values.begin()[rng() % values.size()];
  };
  for (const Isa isa : all_isas()) {
    for (int i = 0; i < 150; ++i) {
      ConvCase c = random_conv(rng, 1 + i % 3);
      c.spec.groups = pick({1, 1, 1, 2, 3});
      c.spec.in_channels = c.spec.groups * pick({1, 3, 8, 17});
      c.spec.out_channels = c.spec.groups * pick({1, 4, 16, 19, 33, 70});
      check_conv(c, ConvAlgorithm::kImplicitGemm, isa);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Conv, Banded) {
  std::mt19937 rng(3);
  for (const Isa isa : all_isas()) {
    for (int i = 0; i < 90; ++i) {
      ConvCase c = random_conv(rng, 1 + i % 3);
      c.spec.in_channels = 1 + static_cast<int64_t>(rng() % 5);
      c.spec.out_channels = 1 + static_cast<int64_t>(rng() % 40);
      c.nchw = rng() % 2 == 0;
      check_conv(c, ConvAlgorithm::kBanded, isa);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Conv, BandsOfALargeImage) {
  for (const Isa isa : all_isas()) {
    ConvCase c;
    c.spec.in_channels = 3, c.spec.out_channels = 20;
    for (int i = 1; i < 3; ++i)
      c.spec.kernel[i] = 7, c.spec.stride[i] = 2, c.spec.pad_begin[i] = 3, c.pad_end[i] = 3,
      c.in[i] = 90;
    c.in[2] = 130;
    c.nchw = true, c.features = 5;
    check_conv(c, ConvAlgorithm::kBanded, isa);
    if (HasFatalFailure()) return;
  }
}

TEST(Conv, Depthwise) {
  std::mt19937 rng(4);
  for (const Isa isa : all_isas()) {
    for (int i = 0; i < 150; ++i) {
      ConvCase c = random_conv(rng, i % 5 == 0 ? 3 : 1 + i % 2);
      if (i % 2 == 0) c.spec.dilation[2] = 1;
      c.spec.groups = 1 + static_cast<int64_t>(rng() % 40);
      c.spec.in_channels = c.spec.out_channels = c.spec.groups;
      check_conv(c, ConvAlgorithm::kDepthwise, isa);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Conv, Winograd) {
  std::mt19937 rng(6);
  const auto pick = [&](std::initializer_list<int64_t> values) {
    return values.begin()[rng() % values.size()];
  };
  for (const Isa isa : all_isas()) {
    for (int i = 0; i < 40; ++i) {
      ConvCase c;
      c.spec.in_channels = pick({1, 3, 16, 19, 40});
      c.spec.out_channels = pick({1, 5, 16, 33, 64});
      c.batch = pick({1, 1, 2});
      c.features = static_cast<int>(rng() % 64);
      c.in[0] = pick({1, 1, 2});
      for (int axis = 1; axis < 3; ++axis) {
        c.spec.kernel[axis] = 3;
        c.spec.pad_begin[axis] = pick({0, 1, 1, 2});
        c.pad_end[axis] = pick({0, 1, 1, 2});
        c.in[axis] = pick({1, 4, 7, 9, 14, 30});
      }
      check_conv(c, i % 2 ? ConvAlgorithm::kWinograd2 : ConvAlgorithm::kWinograd4, isa);
      if (HasFatalFailure()) return;
    }
  }
}

/// Largest difference of an algorithm to the implicit GEMM, as a share of the largest output.
double winograd_error(ConvAlgorithm algorithm, Isa isa) {
  Operands make;
  ConvArgs a;
  a.isa = isa;
  a.spec.in_channels = 256, a.spec.out_channels = 64;
  for (int i = 1; i < 3; ++i) {
    a.spec.kernel[i] = 3, a.spec.pad_begin[i] = 1, a.in[i] = a.out[i] = 14;
  }
  a.x_stride[2] = 256, a.x_stride[1] = 14 * 256, a.y_pixel_stride = 64;
  const Buffer x = make.random(14 * 14 * 256), w = make.random(9 * 256 * 64);
  a.x = x.get();
  const auto run = [&](ConvAlgorithm which) {
    a.algorithm = which;
    const Buffer packed(packed_conv_floats(isa, which, a.spec)), y(14 * 14 * 64);
    pack_conv_weights(isa, which, a.spec, w.get(), packed.get());
    const Buffer workspace(conv_workspace_floats(a));
    a.weights = packed.get(), a.y = y.get(), a.workspace = workspace.get();
    conv(a);
    return std::vector<float>(y.get(), y.get() + y.size());
  };
  const auto want = run(ConvAlgorithm::kImplicitGemm), got = run(algorithm);
  double error = 0, largest = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(want[i])));
    error = std::max(error, std::abs(static_cast<double>(got[i]) - static_cast<double>(want[i])));
  }
  return error / largest;
}

TEST(Conv, WinogradError) {
  for (const Isa isa : all_isas()) {
    const double f2 = winograd_error(ConvAlgorithm::kWinograd2, isa);
    const double f4 = winograd_error(ConvAlgorithm::kWinograd4, isa);
    RecordProperty(cat(isa_name(isa), "_f2"), cat(f2));
    RecordProperty(cat(isa_name(isa), "_f4"), cat(f4));
    EXPECT_LT(f2, 2e-6);
    EXPECT_LT(f4, 5e-6);
  }
}

TEST(Conv, RefusalsSayWhy) {
  ConvSpec s;
  s.in_channels = s.out_channels = 64;
  EXPECT_EQ(conv_refusal(ConvAlgorithm::kImplicitGemm, s), nullptr);
  EXPECT_NE(conv_refusal(ConvAlgorithm::kBanded, s), nullptr);
  EXPECT_NE(conv_refusal(ConvAlgorithm::kDepthwise, s), nullptr);
  EXPECT_NE(conv_refusal(ConvAlgorithm::kWinograd4, s), nullptr);
  s.kernel[1] = s.kernel[2] = 3;
  EXPECT_EQ(conv_refusal(ConvAlgorithm::kWinograd4, s), nullptr);
  s.stride[2] = 2;
  EXPECT_NE(conv_refusal(ConvAlgorithm::kWinograd2, s), nullptr);
  EXPECT_EQ(conv_transpose_refusal(s), nullptr);
  s.stride[0] = int64_t{1} << 40;
  EXPECT_NE(conv_transpose_refusal(s), nullptr);
}

TEST(Conv, LargeInBlocks) {
  for (const Isa isa : all_isas()) {
    for (const int64_t channels : {70, 300}) {
      ConvCase c;
      c.spec.in_channels = channels, c.spec.out_channels = 100;
      for (int i = 1; i < 3; ++i)
        c.spec.kernel[i] = 3, c.spec.pad_begin[i] = 1, c.pad_end[i] = 1, c.in[i] = 19;
      c.features = 15;
      check_conv(c, ConvAlgorithm::kImplicitGemm, isa);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(ConvTranspose, AllPhases) {
  std::mt19937 rng(5);
  const auto pick = [&](std::initializer_list<int64_t> values) {
    return values.begin()[rng() % values.size()];
  };
  for (const Isa isa : all_isas()) {
    for (int i = 0; i < 120; ++i) {
      ConvCase c = random_conv(rng, 1 + i % 3);
      c.transposed = true;
      for (int axis = 0; axis < 3; ++axis) c.pad_end[axis] -= pick({0, 0, 1});  // output_padding
      c.spec.groups = pick({1, 1, 2});
      c.spec.in_channels = c.spec.groups * pick({1, 3, 20});
      c.spec.out_channels = c.spec.groups * pick({1, 5, 18, 64});
      check_conv(c, ConvAlgorithm::kImplicitGemm, isa);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(ConvTranspose, TapsThatDoNotOverlap) {
  std::mt19937 rng(8);
  const auto pick = [&](std::initializer_list<int64_t> values) {
    return values.begin()[rng() % values.size()];
  };
  for (const Isa isa : all_isas()) {
    for (int i = 0; i < 60; ++i) {
      ConvCase c = random_conv(rng, 1 + i % 3);
      c.transposed = true;
      for (int axis = 0; axis < 3; ++axis) {
        c.spec.dilation[axis] = 1;
        c.spec.stride[axis] = c.spec.kernel[axis];
        c.pad_end[axis] -= pick({0, 1, 2});
      }
      if (i % 6 == 0) c.in[2] = 300;
      c.spec.in_channels = pick({1, 3, 20});
      c.spec.out_channels = pick({1, 2, 5, 24});
      check_conv(c, ConvAlgorithm::kImplicitGemm, isa);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Isa, NamesAndLimit) {
  for (int i = 0; i < kIsaCount; ++i)
    EXPECT_EQ(parse_isa(isa_name(static_cast<Isa>(i))), static_cast<Isa>(i));
  EXPECT_THROW(parse_isa("avx1024"), Error);
  const Isa before = max_isa();
  set_max_isa(Isa::kBaseline);
  EXPECT_EQ(max_isa(), Isa::kBaseline);
  set_max_isa(Isa::kAvx512);
  EXPECT_EQ(max_isa(), machine_isa());
  set_max_isa(before);
}

}  // namespace
}  // namespace vitrify::cpu
