// The base layer: number formats, the thread pool, knobs, files, digests.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <set>
#include <thread>

#include "base/digest.h"
#include "base/error.h"
#include "base/knobs.h"
#include "base/mapped_file.h"
#include "base/small_float.h"
#include "base/thread_pool.h"

namespace vitrify {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

struct NamedFormat {
  const char* name;
  SmallFloat format;
  double largest;
  uint32_t negative_infinity;  ///< code of -inf cast without saturation
};
const NamedFormat kFormats[] = {
    {"f16", kFloat16, 65504, 0xFC00},     {"bf16", kBFloat16, 0x1.FEp127, 0xFF80},
    {"e4m3fn", kFloat8E4M3FN, 448, 0xFF}, {"e4m3fnuz", kFloat8E4M3FNUZ, 240, 0x80},
    {"e5m2", kFloat8E5M2, 57344, 0xFC},   {"e5m2fnuz", kFloat8E5M2FNUZ, 57344, 0x80},
};

uint32_t sign_bit(const SmallFloat& f) { return 1u << (f.exponent_bits + f.mantissa_bits); }

/// The value that a finite code stands for, from the definition of a binary float.
double defined_value(const SmallFloat& f, uint32_t magnitude) {
  uint32_t exponent = magnitude >> f.mantissa_bits, fraction = magnitude % (1u << f.mantissa_bits);
  double scale = std::pow(2.0, exponent == 0 ? 1 - f.bias : int(exponent) - f.bias);
  return scale * ((exponent != 0) + fraction / std::pow(2.0, f.mantissa_bits));
}

TEST(SmallFloats, DecodeFollowsTheDefinition) {
  for (auto& [name, f, largest, negative_infinity] : kFormats) {
    EXPECT_EQ(decode(f, f.max_finite), largest) << name;
    EXPECT_EQ(decode(f, sign_bit(f) | f.max_finite), -largest) << name;
    EXPECT_TRUE(std::isnan(decode(f, f.nan))) << name;
    for (uint32_t code = 0; code <= f.max_finite; ++code)
      ASSERT_EQ(decode(f, code), defined_value(f, code)) << name << " " << code;
    for (uint32_t code = f.max_finite + 1; code < sign_bit(f); ++code)
      ASSERT_FALSE(std::isfinite(decode(f, code))) << name << " " << code;
  }
}

TEST(SmallFloats, EveryFiniteCodeSurvives) {
  for (auto& [name, f, largest, negative_infinity] : kFormats)
    for (uint32_t sign : {0u, sign_bit(f)})
      for (uint32_t code = sign; code <= (sign | f.max_finite); ++code)
        if (!(code == sign_bit(f) && !f.negative_zero)) {
          ASSERT_EQ(encode(f, decode(f, code), true), code) << name;
          ASSERT_EQ(encode(f, decode(f, code), false), code) << name;
        }
}

TEST(SmallFloats, RoundToNearestTiesToEven) {
  for (auto& [name, f, largest, negative_infinity] : kFormats)
    for (uint32_t code = 0; code < f.max_finite; ++code) {
      double low = decode(f, code), high = decode(f, code + 1), middle = (low + high) / 2;
      ASSERT_EQ(encode(f, middle, true), code + code % 2) << name;
      ASSERT_EQ(encode(f, std::nextafter(middle, 0), true), code) << name;
      ASSERT_EQ(encode(f, std::nextafter(middle, kInf), true), code + 1) << name;
    }
}

TEST(SmallFloats, EndsFollowTheCastTables) {
  for (auto& [name, f, largest, negative_infinity] : kFormats) {
    uint32_t sign = sign_bit(f), past = f.has_infinity ? f.max_finite + 1 : f.nan;
    double step = largest - decode(f, f.max_finite - 1), tie = largest + step / 2;
    EXPECT_EQ(encode(f, std::nextafter(tie, 0), false), f.max_finite) << name;
    EXPECT_EQ(encode(f, std::nextafter(tie, kInf), false), past) << name;
    for (double v : {2 * largest, kInf}) {
      EXPECT_EQ(encode(f, v, true), f.max_finite) << name;
      EXPECT_EQ(encode(f, -v, true), sign | f.max_finite) << name;
      EXPECT_EQ(encode(f, v, false), past) << name;
      EXPECT_EQ(encode(f, -v, false), negative_infinity) << name;
    }
    EXPECT_TRUE(std::isnan(decode(f, encode(f, kNaN, true)))) << name;
    EXPECT_TRUE(std::isnan(decode(f, encode(f, kNaN, false)))) << name;
    EXPECT_EQ(encode(f, 0.0, true), 0u) << name;
    EXPECT_EQ(encode(f, -0.0, true), f.negative_zero ? sign : 0) << name;
    EXPECT_EQ(encode(f, -1e-300, true), f.negative_zero ? sign : 0) << name;
  }
}

TEST(SmallFloats, Float4IsRoundedAndSaturated) {
  const double values[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  for (uint32_t code = 0; code < 8; ++code) {
    EXPECT_EQ(decode(kFloat4E2M1, code), values[code]);
    EXPECT_EQ(encode(kFloat4E2M1, -values[code], true), code | 8);
  }
  EXPECT_EQ(encode(kFloat4E2M1, 0.25, true), 0u);
  EXPECT_EQ(encode(kFloat4E2M1, 0.75, true), 2u);
  EXPECT_EQ(encode(kFloat4E2M1, 5, true), 6u);
  EXPECT_EQ(encode(kFloat4E2M1, 9, true), 7u);
  EXPECT_EQ(encode(kFloat4E2M1, -kInf, true), 15u);
  EXPECT_EQ(encode(kFloat4E2M1, kNaN, true), 8u);  // as ONNX's node tests have it
}

TEST(SmallFloats, PowersOfTwoRoundThreeWays) {
  using enum ScaleRounding;
  for (int code = 0; code < 255; ++code)
    for (auto r : {kUp, kDown, kNearest})
      ASSERT_EQ(encode_e8m0(decode_e8m0(uint8_t(code)), false, r), code);
  EXPECT_TRUE(std::isnan(decode_e8m0(255)));
  EXPECT_EQ(encode_e8m0(1.1, true, kUp), 128);
  EXPECT_EQ(encode_e8m0(1.9, true, kDown), 127);
  EXPECT_EQ(encode_e8m0(1.49, true, kNearest), 127);
  EXPECT_EQ(encode_e8m0(1.5, true, kNearest), 128);
  EXPECT_EQ(encode_e8m0(0, true, kUp), 0);
  EXPECT_EQ(encode_e8m0(0, false, kNearest), 255);
  EXPECT_EQ(encode_e8m0(1e-300, true, kUp), 0);
  EXPECT_EQ(encode_e8m0(1e-300, false, kUp), 255);
  EXPECT_EQ(encode_e8m0(1e300, true, kUp), 254);
  EXPECT_EQ(encode_e8m0(1e300, false, kUp), 255);
  EXPECT_EQ(encode_e8m0(kInf, true, kUp), 254);
  EXPECT_EQ(encode_e8m0(kNaN, true, kUp), 255);
}

/// The two bulk conversions against the codec, which shares no code with them.
TEST(SmallFloats, BulkConversionsAgreeWithTheCodec) {
  for (uint32_t code = 0; code < 65536; ++code) {
    double half = decode(kFloat16, code), brain = decode(kBFloat16, code);
    float h = half_to_float(uint16_t(code)), b = bfloat16_to_float(uint16_t(code));
    ASSERT_TRUE(std::isnan(half) ? std::isnan(h)
                                 : half == h && std::signbit(half) == std::signbit(h));
    ASSERT_TRUE(std::isnan(brain) ? std::isnan(b) : brain == b);
  }
  std::mt19937 random(1);
  for (int i = 0; i < 2'000'000; ++i) {
    // Half of the cases lie where f16 has its subnormals, ties and end.
    uint32_t bits = i % 2 ? random() : (random() & 0x8FFFF001u) + 0x30000000u;
    float x = std::bit_cast<float>(bits);
    if (std::isnan(x)) {
      ASSERT_TRUE(std::isnan(half_to_float(float_to_half(x))));
      ASSERT_TRUE(std::isnan(bfloat16_to_float(float_to_bfloat16(x))));
    } else {
      ASSERT_EQ(float_to_half(x), encode(kFloat16, x, false)) << x;
      ASSERT_EQ(float_to_bfloat16(x), encode(kBFloat16, x, false)) << x;
    }
  }
}

}  // namespace
}  // namespace vitrify
