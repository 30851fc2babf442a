// Contraction, convolution, pooling, resampling and quantisation against their defining sums, and
// the messages for what does not fit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "compare.h"
#include "ops/classic.h"
#include "ops/fourier.h"
#include "ops/samples.h"
#include "ops/window.h"
#include "run_op.h"

namespace vitrify {
namespace {

std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "nothing thrown";
}

Tensor drawn(const Dims& dims, uint64_t seed = 1) {
  SampleRandom random(seed);
  return random_tensor(random, DType::kFloat32, dims);
}

float at(const Tensor& t, std::initializer_list<int64_t> index) {
  int64_t flat = 0;
  size_t a = 0;
  for (int64_t i : index) flat = flat * t.dims()[a++] + i;
  return t.data<float>()[flat];
}

/// The defining sum of a two-dimensional channels-last convolution.
double conv_at(const Tensor& x, const Tensor& w, const Conv& op, int64_t oy, int64_t ox,
               int64_t m) {
  const Window& v = op.window;
  int64_t per_group = w.dims()[1], group = m / (w.dims()[0] / op.group);
  double sum = 0;
  for (int64_t ky = 0; ky < v.kernel[0]; ++ky)
    for (int64_t kx = 0; kx < v.kernel[1]; ++kx)
      for (int64_t c = 0; c < per_group; ++c) {
        int64_t iy = oy * v.strides[0] + ky * v.dilations[0] - v.pads_begin[0];
        int64_t ix = ox * v.strides[1] + kx * v.dilations[1] - v.pads_begin[1];
        if (iy < 0 || iy >= x.dims()[1] || ix < 0 || ix >= x.dims()[2]) continue;
        sum += double(at(x, {0, iy, ix, group * per_group + c})) * double(at(w, {m, c, ky, kx}));
      }
  return sum;
}

TEST(Conv, EqualsItsSum) {
  for (int64_t group : {1, 2, 6}) {
    Tensor x = drawn({1, 9, 8, 6}), w = drawn({12, 6 / group, 3, 2}, 2);
    Conv op{{.kernel = {3, 2},
             .strides = {2, 1},
             .dilations = {1, 3},
             .pads_begin = {2, 1},
             .pads_end = {0, 2}},
            group,
            {}};
    Tensor y = run1(op, {x, w});
    ASSERT_EQ(y.dims(), (Dims{1, 5, 8, 12}));
    for (int64_t i = 0; i < 5; ++i)
      for (int64_t j = 0; j < 8; ++j)
        for (int64_t m = 0; m < 12; ++m)
          ASSERT_NEAR(at(y, {0, i, j, m}), conv_at(x, w, op, i, j, m), 1e-5);
  }
}

TEST(Conv, BytesMakeIntegersOf32Bits) {
  Tensor x = Tensor::of<uint8_t>(DType::kUint8, {1, 1, 2, 1}, {255, 200});
  Tensor w = Tensor::of<int8_t>(DType::kInt8, {1, 1, 1, 2}, {-128, 127});
  Tensor y = run1(Conv{{.kernel = {1, 2}}, 1, {}}, {x, w});
  ASSERT_EQ(y.dtype(), DType::kInt32);
  EXPECT_EQ(int_at(y, 0), 255 * -128 + 200 * 127);
}

TEST(Conv, TransposedUndoesTheGeometry) {
  // <conv(x), y> = <x, conv_transpose(y)> for the same weights.
  Window window{.kernel = {3, 2},
                .strides = {2, 3},
                .dilations = {1, 2},
                .pads_begin = {1, 0},
                .pads_end = {1, 1}};
  Tensor x = drawn({1, 9, 11, 4}), w = drawn({6, 2, 3, 2}, 2);
  Tensor conv = run1(Conv{window, 2, {}}, {x, w});
  Tensor y = drawn(conv.dims(), 3);
  Tensor back = run1(ConvTranspose{window, 2, {}, {}, {}}, {y, w});
  double left = 0, right = 0;
  for (int64_t i = 0; i < y.size(); ++i) left += double_at(conv, i) * double_at(y, i);
  for (int64_t i = 0; i < back.dims()[1]; ++i)
    for (int64_t j = 0; j < back.dims()[2]; ++j)
      for (int64_t c = 0; c < 4; ++c)
        right += double(at(back, {0, i, j, c})) * double(at(x, {0, i, j, c}));
  EXPECT_NEAR(left, right, 1e-3);
}

TEST(Conv, SaysWhatDoesNotFit) {
  Conv op{{.kernel = {3, 3}}, 1, {}};
  auto conv = [&](const Conv& o, const Dims& x, const Dims& w) {
    return message([&] { run(o, {drawn(x), drawn(w)}); });
  };
  EXPECT_NE(conv(op, {1, 5, 5, 4}, {8, 3, 3, 3}).find("x has 4 channels, the weights expect 3"),
            std::string::npos);
  EXPECT_NE(conv(op, {1, 5, 5, 3}, {8, 3, 5, 5}).find("differs from the weights"),
            std::string::npos);
  EXPECT_NE(conv(op, {1, 1, 1, 3}, {8, 3, 3, 3}).find("does not fit"), std::string::npos);
  Conv grouped{{.kernel = {3, 3}}, 3, {}};
  EXPECT_NE(conv(grouped, {1, 5, 5, 3}, {8, 1, 3, 3}).find("3 groups"), std::string::npos);
  Conv bad{{.kernel = {3, 3}, .strides = {0, 1}}, 1, {}};
  EXPECT_NE(conv(bad, {1, 5, 5, 3}, {8, 3, 3, 3}).find("strides holds 0"), std::string::npos);
}

TEST(Window, SymbolicExtentsFollowTheConcreteOnes) {
  for (bool ceil_mode : {false, true})
    for (int pad : {0, 1, 2})
      for (auto same : {Window::AutoPad::kExplicit, Window::AutoPad::kSameUpper}) {
        Window w = checked_window({.kernel = {3},
                                   .strides = {2},
                                   .pads_begin = {pad},
                                   .pads_end = {pad},
                                   .auto_pad = same,
                                   .ceil_mode = ceil_mode},
                                  1);
        Shape symbolic = window_output(w, {Dim::symbol("n")});
        for (int64_t n = 3; n < 20; ++n)
          EXPECT_EQ(symbolic[0].eval([&](const std::string&) { return n; }),
                    window_geometry(w, {n}).out[0]);
      }
}

TEST(Window, TapsAreThoseInside) {
  WindowGeometry g = window_geometry(
      checked_window(
          {.kernel = {3}, .strides = {2}, .dilations = {2}, .pads_begin = {3}, .pads_end = {2}}, 1),
      {5});
  std::vector<std::vector<int64_t>> seen(size_t(g.out_count));
  for (int64_t o = 0; o < g.out_count; ++o)
    for_each_tap(g, o, [&](int64_t tap, int64_t from) {
      EXPECT_EQ(from, o * 2 + tap * 2 - 3);
      seen[size_t(o)].push_back(from);
    });
  EXPECT_EQ(seen, (std::vector<std::vector<int64_t>>{{1}, {1, 3}, {1, 3}}));
}

TEST(Pool, CountsAndIgnoresPads) {
  Tensor x = Tensor::of<float>(DType::kFloat32, {1, 3, 1}, {3, 6, 9});
  Window w{.kernel = {3}, .strides = {2}, .pads_begin = {1}, .pads_end = {1}};
  Tensor ignored = run1(Pool{.kind = Pool::Kind::kAverage, .window = w}, {x});
  Tensor counted =
      run1(Pool{.kind = Pool::Kind::kAverage, .window = w, .count_include_pad = true}, {x});
  EXPECT_EQ(ignored.span<float>()[0], 4.5f);
  EXPECT_EQ(counted.span<float>()[0], 3.0f);
  EXPECT_EQ(ignored.span<float>()[1], 7.5f);
  EXPECT_EQ(counted.span<float>()[1], 5.0f);
}

TEST(Pool, MaximumTakesNanAndSkipsPads) {
  Tensor x = Tensor::of<float>(DType::kFloat32, {1, 4, 1}, {-5, -2, NAN, -1});
  Window w{.kernel = {2}, .pads_begin = {1}};
  Tensor y = run1(Pool{.kind = Pool::Kind::kMax, .window = w}, {x});
  EXPECT_EQ(y.span<float>()[0], -5);
  EXPECT_EQ(y.span<float>()[1], -2);
  EXPECT_TRUE(std::isnan(y.span<float>()[2]));
  EXPECT_TRUE(std::isnan(y.span<float>()[3]));
}

TEST(MaxUnpool, RefusesIndicesOutOfRange) {
  Tensor x = drawn({1, 1, 2, 2});
  MaxUnpool op{{.kernel = {2, 2}, .strides = {2, 2}}};
  for (int64_t bad : {int64_t(-1), int64_t(16), INT64_MAX}) {
    Tensor indices = Tensor::of<int64_t>(DType::kInt64, {1, 1, 2, 2}, {0, 1, 2, bad});
    EXPECT_NE(message([&] {
                run(op, {x, indices});
              }).find("out of the result's range"),
              std::string::npos);
  }
}

TEST(MatMul, EqualsItsSumInEveryForm) {
  for (bool ta : {false, true})
    for (bool tb : {false, true}) {
      Tensor a = drawn(ta ? Dims{2, 1, 5, 3} : Dims{2, 1, 3, 5});
      Tensor b = drawn(tb ? Dims{4, 7, 5} : Dims{4, 5, 7}, 2);
      Tensor y = run1(MatMul{ta, tb, {}}, {a, b});
      ASSERT_EQ(y.dims(), (Dims{2, 4, 3, 7}));
      for (int64_t n = 0; n < 2; ++n)
        for (int64_t h = 0; h < 4; ++h)
          for (int64_t i = 0; i < 3; ++i)
            for (int64_t j = 0; j < 7; ++j) {
              double sum = 0;
              for (int64_t k = 0; k < 5; ++k)
                sum += double(ta ? at(a, {n, 0, k, i}) : at(a, {n, 0, i, k})) *
                       double(tb ? at(b, {h, j, k}) : at(b, {h, k, j}));
              ASSERT_NEAR(at(y, {n, h, i, j}), sum, 1e-5);
            }
    }
}

TEST(MatMul, IntegersWrapAndStayExact) {
  int64_t big = int64_t(1) << 62;
  Tensor a = Tensor::of<int64_t>(DType::kInt64, {1, 2}, {big, 3});
  Tensor b = Tensor::of<int64_t>(DType::kInt64, {2, 1}, {4, 5});
  EXPECT_EQ(int_at(run1(MatMul{}, {a, b}), 0), 15);
}

TEST(Einsum, RefusesBadEquations) {
  Tensor a = drawn({2, 3});
  auto text = [&](const char* equation) { return message([&] { run(Einsum{equation}, {a}); }); };
  EXPECT_NE(text("ijk->i").find("does not fit an operand of rank 2"), std::string::npos);
  EXPECT_NE(text("ij->k").find("no operand has"), std::string::npos);
  EXPECT_NE(text("ij->ii").find("repeats a letter"), std::string::npos);
  EXPECT_NE(text("i1->i").find("no letter"), std::string::npos);
  EXPECT_NE(text("ij,jk->ik").find("2 operands, the node 1"), std::string::npos);
  EXPECT_NE(text("......->").find("two ellipses"), std::string::npos);
}

TEST(Resize, RefusesMeaninglessScales) {
  Tensor x = drawn({1, 4});
  for (float bad : {0.0f, -1.0f, NAN, INFINITY, 1e30f}) {
    Tensor none = Tensor::of<float>(DType::kFloat32, {0}, {});
    Tensor scales = Tensor::of<float>(DType::kFloat32, {2}, {1, bad});
    EXPECT_NE(message([&] { run(Resize{}, {x, none, scales}); }).find("scale"), std::string::npos);
  }
}

TEST(Resize, LinearAlongAnyAxis) {
  Tensor x = Tensor::of<float>(DType::kFloat32, {2, 1, 2}, {0, 10, 20, 30});
  Tensor none = Tensor::of<float>(DType::kFloat32, {0}, {});
  Resize op{.mode = Resize::Mode::kLinear,
            .coordinates = Resize::Coordinates::kAlignCorners,
            .axes = {0}};
  Tensor y = run1(op, {x, none, none, Tensor::ints({3})});
  ASSERT_EQ(y.dims(), (Dims{3, 1, 2}));
  EXPECT_EQ(std::vector<float>(y.data<float>(), y.data<float>() + 6),
            (std::vector<float>{0, 10, 10, 20, 20, 30}));
}

/// The crop's ends are the corners of the result, whatever the scale was rounded to.
TEST(Resize, CropsOverWholeExtents) {
  Tensor x(DType::kFloat32, {4, 6});
  for (int64_t i = 0; i < 24; ++i) x.data<float>()[i] = float(i);
  Tensor roi = Tensor::of<float>(DType::kFloat32, {4}, {0.2F, 0.1F, 0.9F, 0.6F});
  Tensor scales = Tensor::of<float>(DType::kFloat32, {2}, {1.3F, 1.7F});
  Resize op{.mode = Resize::Mode::kLinear, .coordinates = Resize::Coordinates::kTfCropAndResize};
  Tensor y = run1(op, {x, roi, scales});
  ASSERT_EQ(y.dims(), (Dims{5, 10}));
  const float wanted[] = {16.7F,    16.9778F, 17.2556F, 17.5333F, 17.8111F,
                          18.0889F, 18.3667F, 18.6444F, 18.9222F, 19.2F};
  for (int64_t i = 0; i < 10; ++i) EXPECT_NEAR(y.data<float>()[40 + i], wanted[i], 1e-3) << i;
}

/// The weight of a tap at a distance from the point, with coefficient -0.75.
double cubic_weight(double distance) {
  double d = std::abs(distance), a = -0.75;
  if (d <= 1) return (a + 2) * d * d * d - (a + 3) * d * d + 1;
  return d < 2 ? a * (d * d * d - 5 * d * d + 8 * d - 4) : 0;
}

/// Position i of a line of n as padded: -1 where it reads 0.
int64_t padded(int64_t i, int64_t n, GridSample::Padding padding, bool align_corners) {
  if (padding == GridSample::Padding::kBorder) return std::clamp<int64_t>(i, 0, n - 1);
  while (padding == GridSample::Padding::kReflection && (i < 0 || i >= n))
    if (i < 0)
      i = align_corners ? -i : -1 - i;
    else
      i = align_corners ? 2 * (n - 1) - i : 2 * n - 1 - i;
  return i < 0 || i >= n ? -1 : i;
}

/// One cubic sample of a square image at (gx, gy), over every tap that might count.
double cubic_sample(const Tensor& x, const GridSample& op, double gx, double gy) {
  int64_t n = x.dims()[3];
  auto position = [&](double g) {
    return op.align_corners ? (g + 1) / 2 * double(n - 1) : ((g + 1) * double(n) - 1) / 2;
  };
  double sum = 0;
  for (int64_t i = -20; i < 20; ++i)
    for (int64_t j = -20; j < 20; ++j) {
      int64_t row = padded(i, n, op.padding, op.align_corners);
      int64_t column = padded(j, n, op.padding, op.align_corners);
      if (row < 0 || column < 0) continue;
      sum += cubic_weight(position(gy) - double(i)) * cubic_weight(position(gx) - double(j)) *
             double(at(x, {0, 0, row, column}));
    }
  return sum;
}

TEST(GridSample, CubicPadsTheTapsAndNotThePoint) {
  using Padding = GridSample::Padding;
  const std::vector<float> grid{0.9F, -0.95F, -1.2F, 1.1F, 1.7F, 0.3F, -2.5F, -1.05F, 0.1F, 0.2F};
  Tensor x = drawn({1, 1, 4, 4});
  Tensor where = Tensor::of<float>(DType::kFloat32, {1, 1, 5, 2}, grid);
  for (Padding padding : {Padding::kZeros, Padding::kBorder, Padding::kReflection})
    for (bool align_corners : {false, true}) {
      GridSample op{GridSample::Mode::kCubic, padding, align_corners};
      Tensor y = run1(op, {x, where});
      for (int64_t p = 0; p < 5; ++p)
        EXPECT_NEAR(y.data<float>()[p],
                    cubic_sample(x, op, grid[size_t(2 * p)], grid[size_t(2 * p + 1)]), 1e-5)
            << "padding " << int(padding) << ", align_corners " << align_corners << ", point " << p;
    }
}

TEST(Quantize, RoundsToEvenAndSaturates) {
  Tensor x = Tensor::of<float>(DType::kFloat32, {8}, {0.5, 1.5, 2.5, -0.5, 1e30, -1e30, NAN, -1.5});
  Tensor y = run1(Quantize{.to = DType::kInt8}, {x, Tensor::scalar(1.0f)});
  EXPECT_EQ(to_ints(y), (std::vector<int64_t>{0, 2, 2, 0, 127, -128, 0, -2}));
  Tensor four = run1(Quantize{.to = DType::kUint4}, {x, Tensor::scalar(1.0f)});
  EXPECT_EQ(to_ints(four), (std::vector<int64_t>{0, 2, 2, 0, 15, 0, 0, 0}));
}

TEST(Quantize, BlocksHaveTheirOwnScale) {
  Tensor x = Tensor::of<int8_t>(DType::kInt8, {5}, {1, 1, 1, 1, 1});
  Tensor scale = Tensor::of<float>(DType::kFloat32, {3}, {1, 2, 4});
  Tensor y = run1(Dequantize{.axis = 0, .block_size = 2}, {x, scale});
  EXPECT_EQ(std::vector<float>(y.data<float>(), y.data<float>() + 5),
            (std::vector<float>{1, 1, 2, 2, 4}));
  EXPECT_NE(message([&] {
              run(Dequantize{.axis = 0, .block_size = 3}, {x, scale});
            }).find("scale must have shape [2]"),
            std::string::npos);
}

TEST(Fourier, EqualsItsSumForAnyLength) {
  SampleRandom random(5);
  for (size_t n : {1u, 2u, 7u, 12u, 30u, 49u, 64u, 97u}) {
    std::vector<std::complex<double>> x(n);
    for (auto& v : x) v = {random.uniform(), random.uniform()};
    auto y = fourier(x, false);
    for (size_t k = 0; k < n; ++k) {
      std::complex<double> sum = 0;
      for (size_t i = 0; i < n; ++i)
        sum += x[i] * std::polar(1.0, -2 * M_PI * double(i * k % n) / double(n));
      EXPECT_NEAR(std::abs(sum - y[k]), 0, 1e-11 * double(n));
    }
    auto back = fourier(y, true);
    for (size_t i = 0; i < n; ++i) EXPECT_NEAR(std::abs(back[i] / double(n) - x[i]), 0, 1e-12);
  }
}

TEST(NonMaxSuppression, KeepsTheBestOfOverlappingBoxes) {
  Tensor boxes =
      Tensor::of<float>(DType::kFloat32, {1, 3, 4}, {0, 0, 1, 1, 0, 0.1f, 1, 1.1f, 5, 5, 6, 6});
  Tensor scores = Tensor::of<float>(DType::kFloat32, {1, 1, 3}, {0.5f, 0.9f, 0.1f});
  Tensor y = run1(NonMaxSuppression{}, {boxes, scores, Tensor::ints({9}), Tensor::scalar(0.5f)});
  EXPECT_EQ(to_ints(y), (std::vector<int64_t>{0, 0, 1, 0, 0, 2}));
}

TEST(Classic, RefusesUnknownOpsAndAttributeTypes) {
  EXPECT_NE(message([&] { run(make_classic("no_such_op"), {drawn({1})}); }).find("no_such_op"),
            std::string::npos);
  Op op = make_classic("dft", {{"inverse", std::string("yes")}});
  EXPECT_NE(message([&] { run(op, {drawn({2, 4, 1})}); }).find("wrong type"), std::string::npos);
}

}  // namespace
}  // namespace vitrify
