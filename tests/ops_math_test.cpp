// What the reference kernels of pointwise ops, and the facts of shape arithmetic, promise.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "ops/interpreter.h"
#include "ops/regex.h"
#include "ops/table.h"

namespace vitrify {
namespace {

/// Infers and runs a sample; the extents and types must be what the shape rule said.
std::vector<Value> run_sample(const Sample& sample) {
  GraphBuilder builder = make_builder();
  std::vector<ValueId> inputs;
  std::vector<Value> values;
  for (const Tensor& t : sample.inputs) {
    inputs.push_back(t.defined() ? builder.input(cat("x", inputs.size()), t.type()) : ValueId{});
    if (t.defined()) values.push_back(t);
  }
  ValueId y = builder.add(sample.op, inputs, {}, sample.outputs);
  for (int o = 0; o < sample.outputs; ++o) builder.output(cat("y", o), {y.node, o});
  return interpret(builder.finish(), std::move(values));
}

Tensor unary(UnaryKind kind, Tensor x, double alpha = 0, double beta = 0) {
  return run_sample({Unary{kind, alpha, beta}, {std::move(x)}})[0].tensor;
}
Tensor binary(BinaryKind kind, Tensor a, Tensor b) {
  return run_sample({Binary{kind}, {std::move(a), std::move(b)}})[0].tensor;
}
template <class T>
std::vector<T> items(const Tensor& t) {
  return {t.data<T>(), t.data<T>() + t.size()};
}
Tensor floats(const std::vector<float>& v) {
  return Tensor::of(DType::kFloat32, {int64_t(v.size())}, v);
}

TEST(OpsMath, IntegersTruncateWrapAndNeverTrap) {
  Tensor a = Tensor::ints({7, -7, 7, INT64_MIN, 5}), b = Tensor::ints({2, 2, -2, -1, 0});
  EXPECT_EQ(items<int64_t>(binary(BinaryKind::kDiv, a, b)),
            (std::vector<int64_t>{3, -3, -3, INT64_MIN, 0}));
  EXPECT_EQ(items<int64_t>(binary(BinaryKind::kMod, a, b)), (std::vector<int64_t>{1, 1, -1, 0, 0}));
  EXPECT_EQ(items<int64_t>(binary(BinaryKind::kFmod, a, b)),
            (std::vector<int64_t>{1, -1, 1, 0, 0}));
  Tensor byte = Tensor::of(DType::kInt8, {2}, std::vector<int8_t>{127, -128});
  EXPECT_EQ(items<int8_t>(binary(BinaryKind::kAdd, byte, byte)), (std::vector<int8_t>{-2, 0}));
}

TEST(OpsMath, NanPassesThroughReluClipMinAndMax) {
  Tensor x = floats({NAN, -1, 9});
  for (auto kind : {UnaryKind::kRelu, UnaryKind::kClip}) {
    auto y = items<float>(unary(kind, x, 0, 3));
    EXPECT_TRUE(std::isnan(y[0]));
    EXPECT_EQ(y[1], 0);
    EXPECT_EQ(y[2], kind == UnaryKind::kClip ? 3 : 9);
  }
  for (auto kind : {BinaryKind::kMin, BinaryKind::kMax})
    for (const Tensor& other : {floats({0, NAN, 1}), floats({NAN, NAN, NAN})}) {
      EXPECT_TRUE(std::isnan(items<float>(binary(kind, x, other))[0]));
      EXPECT_TRUE(std::isnan(items<float>(binary(kind, other, x))[1]));
    }
}

TEST(OpsMath, CastSaturatesAndRoundsOnce) {
  auto cast = [](Tensor x, DType to) { return run_sample({Cast{to}, {std::move(x)}})[0].tensor; };
  EXPECT_EQ(items<int32_t>(cast(floats({NAN, 3e9F, -3e9F, -1.9F}), DType::kInt32)),
            (std::vector<int32_t>{0, INT32_MAX, INT32_MIN, -1}));
  EXPECT_EQ(items<uint8_t>(cast(floats({-5, 300}), DType::kUint8)), (std::vector<uint8_t>{0, 255}));
  EXPECT_EQ(items<std::string>(cast(floats({0.1F, INFINITY}), DType::kString)),
            (std::vector<std::string>{"0.1", "INF"}));
  // 2049 lies between two halves; the tie must not be decided by an earlier rounding to f32.
  Tensor wide = Tensor::of(DType::kFloat64, {1}, std::vector<double>{2049.0000000001});
  EXPECT_EQ(double_at(cast(wide, DType::kFloat16), 0), 2050);
}

TEST(OpsMath, CastPrintsNumbersAsOnnxRuntimeDoes) {
  using Texts = std::vector<std::string>;
  auto texts = [](Tensor x) {
    return items<std::string>(run_sample({Cast{DType::kString}, {std::move(x)}})[0].tensor);
  };
  EXPECT_EQ(
      texts(floats({123456789.0F, 0.1F, NAN, INFINITY, -INFINITY, -0.0F, 1e-5F, 1e-7F, 1e8F})),
      (Texts{"1.2345679e+08", "0.1", "NaN", "INF", "-INF", "-0", "9.9999997e-06", "1e-07",
             "1e+08"}));
  EXPECT_EQ(texts(floats({16777216, 12345678, 1e38F, 1e-45F, 1.F / 3})),
            (Texts{"16777216", "12345678", "9.9999997e+37", "1.4012985e-45", "0.33333334"}));
  EXPECT_EQ(texts(Tensor::of(DType::kFloat64, {3}, std::vector<double>{0.1, 1e-5, 1. / 3})),
            (Texts{"0.1", "1e-05", "0.33333333"}));
  Tensor half(DType::kFloat16, {2});
  set_double(half, 0, 0.1), set_double(half, 1, 65504);
  EXPECT_EQ(texts(half), (Texts{"0.099975586", "65504"}));
  EXPECT_EQ(texts(Tensor::ints({-5, 0, int64_t{1} << 62})),
            (Texts{"-5", "0", "4611686018427387904"}));
  EXPECT_EQ(texts(Tensor::of(DType::kUint8, {2}, std::vector<uint8_t>{200, 65})),
            (Texts{"200", "65"}));
  Tensor flags(DType::kBool, {2});
  set_int(flags, 0, 1);
  EXPECT_EQ(texts(flags), (Texts{"1", "0"}));
}

TEST(OpsMath, ArgReductionsPassOverNaN) {
  auto places = [](bool max, bool last) {
    Tensor x = Tensor::of(DType::kFloat32, {3, 4},
                          std::vector<float>{1, NAN, 3, 3, NAN, 5, 6, 7, 2, 2, 0, NAN});
    return items<int64_t>(run_sample({ArgReduce{max, 1, false, last}, {x}})[0].tensor);
  };
  EXPECT_EQ(places(true, false), (Ints{2, 0, 0}));
  EXPECT_EQ(places(true, true), (Ints{3, 0, 1}));
  EXPECT_EQ(places(false, false), (Ints{0, 0, 2}));
}

/// As a Flatten multiplies them: extents that are not yet large have a product.
TEST(OpsMath, ExtentsAtTheLimitHaveAProduct) {
  for (const int terms : {8, 16, 17}) {
    Dim sums[2] = {1, 1};
    for (int k = 0; k < 2; ++k)
      for (int i = 0; i < terms; ++i) {
        Dim extent = Dim::symbol(cat("n", k, "_", i));
        for (int pools = 0; pools < 3; ++pools) extent = floor_div(extent + 1, 2);
        sums[k] = sums[k] + extent;
      }
    EXPECT_EQ(sums[0].is_large(), terms > 16);
    if (terms > 16) continue;
    EXPECT_EQ((sums[0] * sums[1]).eval([](const std::string&) { return 80; }),
              (10 * terms + 1) * (10 * terms + 1));
  }
}

TEST(OpsMath, FactsFollowTheArithmeticOfShapes) {
  GraphBuilder b = make_builder();
  Dim n = Dim::symbol("n");
  ValueId shape = b.add(DimsValue{{n, Dim(6)}, false}, {});
  ValueId two = b.constant(Tensor::ints({2}));
  auto fact = [&](BinaryKind kind) { return b.fact(b.add(Binary{kind}, {shape, two})); };
  EXPECT_EQ(*fact(BinaryKind::kMul), (std::vector<Dim>{n * 2, Dim(12)}));
  EXPECT_EQ(*fact(BinaryKind::kDiv), (std::vector<Dim>{floor_div(n, 2), Dim(3)}));
  EXPECT_FALSE(fact(BinaryKind::kEqual));  // n may be 2
  ValueId minus_one = b.constant(Tensor::ints({-1}));
  ValueId equal = b.add(Binary{BinaryKind::kEqual}, {shape, minus_one});
  EXPECT_EQ(*b.fact(equal), (std::vector<Dim>{Dim(0), Dim(0)}));
  ValueId chosen = b.add(Select{}, {equal, two, shape});
  EXPECT_EQ(*b.fact(chosen), (std::vector<Dim>{n, Dim(6)}));
  ValueId narrow = b.add(Cast{DType::kInt32}, {chosen});
  EXPECT_EQ(*b.fact(narrow), (std::vector<Dim>{n, Dim(6)}));
}

TEST(OpsMath, RegexMatchesWholeTexts) {
  struct Case {
    const char *pattern, *text;
    bool matches;
  };
  const Case cases[] = {
      {"(\\W|^)[\\w.\\-]{0,25}@(yahoo|gmail)\\.com(\\W|$)", "account@gmail.com", true},
      {"a|ab", "ab", true},
      {"(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false},
      {"[^a-c\\d]+", "xyz", true},
      {"[^a-c\\d]+", "xy1", false},
      {"x{2,3}", "xxxx", false},
      {"x{2,}y?", "xxxxy", true},
      {"{x}", "{x}", true},
      {"(?i)STRASSE", "strasse", true},
      {"a(?i:b)c", "aBc", true},
      {"a(?i:b)c", "aBC", false},
      {"\\Qa.b\\E", "a.b", true},
      {".", "\u00e9", true},
      {".", "\n", false},
      {"(?s).", "\n", true},
      {"[[:alpha:]_]\\x41\\x{e9}", "_A\u00e9", true},
      {"\\bfoo\\b bar", "foo bar", true},
      {"", "", true},
      {"a??", "", true},
  };
  for (const Case& c : cases)
    EXPECT_EQ(Regex(c.pattern).full_match(c.text), c.matches) << c.pattern << " on " << c.text;
  for (const char* bad : {"(", ")", "[a", "*", "a{3,2}", "[z-a]", "(?=a)", "\\", "\\1", "[[:x:]]",
                          "((((a{999}){999}){999}){999})", "(((){999}){999}){999}"})
    EXPECT_THROW(Regex{bad}, Error) << bad;
}

TEST(OpsMath, WrongTypesAreRefusedWithTheirNames) {
  try {
    binary(BinaryKind::kAdd, Tensor::ints({1}), floats({1}));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kUser);
    EXPECT_NE(std::string(e.what()).find("add does not take i64 and f32"), std::string::npos);
  }
}

}  // namespace
}  // namespace vitrify
