#include <cmath>

#include "base/error.h"
#include "ops/pointwise.h"
#include "ops/row_kernels.h"
#include "ops/samples.h"

namespace vitrify {

namespace {
Unary unary_sample(UnaryKind kind) {
  Unary op{kind, 0, 0};
  switch (kind) {
    case UnaryKind::kIsInf:
      op.alpha = 1, op.beta = 1;
      break;
    case UnaryKind::kSelu:
      op.alpha = 1.67326, op.beta = 1.0507;
      break;
    case UnaryKind::kHardSigmoid:
      op.alpha = 0.2, op.beta = 0.5;
      break;
    case UnaryKind::kClip:
      op.alpha = -1, op.beta = 1.25;
      break;
    case UnaryKind::kShrink:
      op.alpha = 0.5, op.beta = 0.25;
      break;
    case UnaryKind::kElu:
    case UnaryKind::kCelu:
    case UnaryKind::kLeakyRelu:
    case UnaryKind::kThresholdedRelu:
    case UnaryKind::kSwish:
      op.alpha = 0.75;
      break;
    default:
      break;
  }
  return op;
}

bool takes(auto&& result, auto... arguments) {
  try {
    result(arguments...);
    return true;
  } catch (const Error&) {
    return false;
  }
}

struct Shaped {
  DType dtype;
  Dims a, b;
};
}  // namespace

std::vector<Sample> samples_unary(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  for (int k = 0; k < kUnaryKindCount; ++k) {
    auto kind = UnaryKind(k);
    double range = kind == UnaryKind::kTan ? 1 : 2;
    auto add = [&](Tensor t) {
      if (takes(unary_result, kind, t.dtype())) samples.push_back({unary_sample(kind), {t}});
    };
    add(special_tensor(random, DType::kFloat32, {7}));
    add(random_tensor(random, DType::kFloat32, {2, 3, 1, 5, 7}, -range, range));
    add(random_tensor(random, DType::kFloat32, {33, 65}, -range, range));
    add(random_tensor(random, DType::kFloat16, {3, 17}, -range, range));
    add(random_tensor(random, DType::kBFloat16, {19}, -range, range));
    add(random_tensor(random, DType::kFloat64, {}, -range, range));
    add(random_tensor(random, DType::kFloat32, {0, 3}));
    add(random_tensor(random, DType::kBool, {11}));
    if (k > int(UnaryKind::kBitwiseNot) && kind != UnaryKind::kRelu && kind != UnaryKind::kClip)
      continue;
    add(random_tensor(random, DType::kInt32, {3, 5}, -9, 9));
    add(random_tensor(random, DType::kInt64, {4}, -9, 9));
    add(random_tensor(random, DType::kUint8, {5}, 0, 200));
    add(random_tensor(random, DType::kInt8, {6}, -128, 128));
  }
  return samples;
}

std::vector<Sample> samples_binary(uint64_t seed) {
  SampleRandom random(seed);
  const Shaped cases[] = {
      {DType::kFloat32, {2, 3, 4}, {4}}, {DType::kFloat32, {5, 1, 3}, {1, 4, 1}},
      {DType::kFloat32, {7}, {7}},       {DType::kFloat32, {}, {3, 5}},
      {DType::kFloat32, {0, 3}, {1}},    {DType::kFloat32, {2, 1, 3, 1, 5}, {2, 1, 4, 1}},
      {DType::kFloat16, {3, 5}, {5}},    {DType::kBFloat16, {9}, {}},
      {DType::kFloat64, {2, 3}, {2, 1}}, {DType::kInt32, {3, 5}, {5}},
      {DType::kInt64, {7}, {}},          {DType::kInt8, {65}, {65}},
      {DType::kUint8, {4, 3}, {4, 1}},   {DType::kUint32, {5}, {5}},
      {DType::kUint64, {5}, {5}},        {DType::kBool, {3, 4}, {4}},
      {DType::kString, {2, 3}, {3}},     {DType::kFloat32, {31, 67}, {67}},
  };
  std::vector<Sample> samples;
  for (int k = 0; k < kBinaryKindCount; ++k) {
    auto kind = BinaryKind(k);
    for (const Shaped& c : cases) {
      if (!takes(binary_result, kind, c.dtype, c.dtype)) continue;
      bool shift = kind == BinaryKind::kShiftLeft || kind == BinaryKind::kShiftRight;
      bool pow = kind == BinaryKind::kPow;
      double low = pow ? 0.5 : is_integer(c.dtype) ? -5 : -2;
      double high = is_integer(c.dtype) ? 6 : 2;
      Tensor a = random_tensor(random, c.dtype, c.a, low, high);
      Tensor b = random_tensor(random, c.dtype, c.b, shift || pow ? 0 : low, high);
      samples.push_back({Binary{kind}, {a, b}});
    }
  }
  samples.push_back({Binary{BinaryKind::kMax},
                     {special_tensor(random, DType::kFloat32, {2, 5}),
                      special_tensor(random, DType::kFloat32, {5})}});
  samples.push_back({Binary{BinaryKind::kPow},
                     {random_tensor(random, DType::kFloat32, {5}, 0, 3),
                      random_tensor(random, DType::kInt64, {5}, -3, 4)}});
  return samples;
}

std::vector<Sample> samples_select(uint64_t seed) {
  SampleRandom random(seed);
  const Shaped cases[] = {
      {DType::kFloat32, {2, 3, 4}, {4}}, {DType::kFloat32, {5, 1}, {3}}, {DType::kInt64, {7}, {}},
      {DType::kFloat16, {3, 3}, {3}},    {DType::kBool, {5}, {5}},       {DType::kString, {4}, {1}},
      {DType::kFloat64, {0, 2}, {2}},    {DType::kInt4, {5}, {5}},
  };
  std::vector<Sample> samples;
  for (const Shaped& c : cases)
    samples.push_back({Select{},
                       {random_tensor(random, DType::kBool, c.a),
                        random_tensor(random, c.dtype, c.b), random_tensor(random, c.dtype, c.a)}});
  samples.push_back({Select{},
                     {random_tensor(random, DType::kBool, {1, 3}),
                      random_tensor(random, DType::kFloat32, {2, 1, 3}),
                      random_tensor(random, DType::kFloat32, {})}});
  samples.push_back({Select{},
                     {random_tensor(random, DType::kBool, {0}),
                      random_tensor(random, DType::kInt64, {1}),
                      random_tensor(random, DType::kInt64, {})}});
  return samples;
}

std::vector<Sample> samples_cast(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  auto casts = [](DType d) { return d != DType::kComplex64 && d != DType::kComplex128; };
  for (int from = 1; from < kDTypeCount; ++from)
    for (int to = 1; to < kDTypeCount; ++to) {
      auto source = DType(from), target = DType(to);
      if (!casts(source) || !casts(target) || source == DType::kString) continue;
      samples.push_back({Cast{target}, {random_tensor(random, source, {3, 5}, -6, 7)}});
    }
  for (DType to : {DType::kInt32, DType::kInt64, DType::kUint8, DType::kFloat16, DType::kBool,
                   DType::kFloat8E4M3FN, DType::kFloat8E5M2, DType::kBFloat16})
    samples.push_back({Cast{to}, {special_tensor(random, DType::kFloat32, {9})}});
  samples.push_back({Cast{DType::kFloat8E4M3FN, false},
                     {random_tensor(random, DType::kFloat32, {9}, -999, 999)}});
  samples.push_back({Cast{DType::kFloat32}, {Tensor::strings({3}, {"1.5", "-2e3", "NaN"})}});
  samples.push_back({Cast{DType::kFloat16}, {random_tensor(random, DType::kFloat32, {})}});
  samples.push_back({Cast{DType::kBool},
                     {Tensor::of<double>(DType::kFloat64, {5}, {1e-300, 0, -1e-310, 5, NAN})}});
  samples.push_back({Cast{DType::kFloat32}, {random_tensor(random, DType::kInt64, {0, 2})}});
  return samples;
}

std::vector<Sample> samples_bitcast(uint64_t seed) {
  SampleRandom random(seed);
  return {{BitCast{DType::kInt32}, {random_tensor(random, DType::kFloat32, {3, 5})}},
          {BitCast{DType::kFloat16}, {random_tensor(random, DType::kUint16, {7}, 0, 30000)}},
          {BitCast{DType::kInt8}, {random_tensor(random, DType::kUint8, {0})}}};
}

std::vector<Sample> samples_pointwise(uint64_t seed) {
  SampleRandom random(seed);
  using Step = BodyStep;
  auto unary = [](UnaryKind kind, int x, DType d, double a = 0, double b = 0) {
    return Step{Step::Code::kUnary, kind, {}, {x, -1, -1}, a, b, d};
  };
  auto binary = [](BinaryKind kind, int a, int b, DType d) {
    return Step{Step::Code::kBinary, {}, kind, {a, b, -1}, 0, 0, d};
  };
  std::vector<Sample> samples;
  for (DType d : {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat64}) {
    // relu((a * b) + c), and |a| > b ? a : 2
    Body scale{3,
               {binary(BinaryKind::kMul, 0, 1, d), binary(BinaryKind::kAdd, 3, 2, d),
                unary(UnaryKind::kRelu, 4, d)},
               {}};
    Body choose{2,
                {unary(UnaryKind::kAbs, 0, d), binary(BinaryKind::kGreater, 2, 1, DType::kBool),
                 Step{Step::Code::kConstant, {}, {}, {-1, -1, -1}, 2, 0, d},
                 Step{Step::Code::kSelect, {}, {}, {3, 0, 4}, 0, 0, d}},
                {}};
    for (const Dims& dims : {Dims{2, 5, 7}, Dims{3, 1, 65}, Dims{1, 1, 1}, Dims{0, 2, 3}}) {
      Tensor a = random_tensor(random, d, dims), b = random_tensor(random, d, {dims[2]}),
             c = random_tensor(random, d, {});
      samples.push_back({Pointwise{scale}, {a, b, c}});
      samples.push_back({Pointwise{choose}, {a, b}});
    }
  }
  // Two results, and a quantising tail: i8(clip(round(x * 16), -128, 127)).
  Body two{1,
           {unary(UnaryKind::kSigmoid, 0, DType::kFloat32),
            binary(BinaryKind::kMul, 0, 1, DType::kFloat32)},
           {1, 2}};
  samples.push_back({Pointwise{two}, {random_tensor(random, DType::kFloat32, {3, 11})}, 2});
  Body quantize{1,
                {Step{Step::Code::kConstant, {}, {}, {-1, -1, -1}, 16, 0, DType::kFloat32},
                 binary(BinaryKind::kMul, 0, 1, DType::kFloat32),
                 unary(UnaryKind::kRound, 2, DType::kFloat32),
                 unary(UnaryKind::kClip, 3, DType::kFloat32, -128, 127),
                 Step{Step::Code::kCast, {}, {}, {4, -1, -1}, 0, 0, DType::kInt8}},
                {}};
  samples.push_back({Pointwise{quantize}, {random_tensor(random, DType::kFloat32, {5, 9}, -9, 9)}});
  return samples;
}

}  // namespace vitrify
