// Epilogues of unusual form on every op that takes one: scales, per-row operands, residuals that
// are multiplied, selects, several results; and bodies alone with many shapes.
#include "ops/samples.h"
#include "tactic_harness.h"

namespace vitrify {
namespace {

class BodyMaker {
 public:
  explicit BodyMaker(int32_t inputs) { body_.inputs = inputs; }
  int32_t unary(UnaryKind kind, int32_t a, double alpha = 0, double beta = 0) {
    BodyStep s{.unary = kind, .alpha = alpha, .beta = beta, .dtype = DType::kFloat32};
    s.args[0] = a;
    return add(s);
  }
  int32_t binary(BinaryKind kind, int32_t a, int32_t b) {
    BodyStep s{.code = BodyStep::Code::kBinary,
               .binary = kind,
               .dtype = is_comparison(kind) ? DType::kBool : DType::kFloat32};
    s.args[0] = a, s.args[1] = b;
    return add(s);
  }
  int32_t select(int32_t c, int32_t a, int32_t b) {
    BodyStep s{.code = BodyStep::Code::kSelect, .dtype = DType::kFloat32};
    s.args[0] = c, s.args[1] = a, s.args[2] = b;
    return add(s);
  }
  /// To `half` and back.
  int32_t rounded(int32_t a, DType half) {
    BodyStep down{.code = BodyStep::Code::kCast, .dtype = half}, up = down;
    down.args[0] = a, up.args[0] = add(down), up.dtype = DType::kFloat32;
    return add(up);
  }
  int32_t constant(double v) {
    return add({.code = BodyStep::Code::kConstant, .alpha = v, .dtype = DType::kFloat32});
  }
  Body take(std::vector<int32_t> outputs = {}) {
    body_.outputs = std::move(outputs);
    return std::move(body_);
  }

 private:
  int32_t add(const BodyStep& s) {
    body_.steps.push_back(s);
    return body_.inputs + int32_t(body_.steps.size()) - 1;
  }
  Body body_;
};

struct Epilogue {
  Body body;
  std::vector<Tensor> operands;
  double tolerance = 0;  ///< beyond the op's own
};

/// Bodies over a result of extents `dims`.
std::vector<Epilogue> make_epilogues(const Dims& dims, SampleRandom& random) {
  auto tensor = [&](const Dims& d) { return random_tensor(random, DType::kFloat32, d); };
  const Dims channels{dims.back()};
  Dims rows = dims;
  rows.back() = 1;
  std::vector<Epilogue> all;
  {
    BodyMaker m(4);  // hard_swish(x * scale + shift) * gate
    const int32_t v = m.binary(BinaryKind::kAdd, m.binary(BinaryKind::kMul, 0, 1), 2);
    m.binary(BinaryKind::kMul, m.unary(UnaryKind::kHardSwish, v), 3);
    all.push_back({m.take(), {tensor(channels), tensor(channels), tensor(rows)}});
  }
  {
    BodyMaker m(3);  // x > limit ? x - residual : exp(-|x|) * 0.5
    const int32_t c = m.binary(BinaryKind::kGreater, 0, 2), d = m.binary(BinaryKind::kSub, 0, 1);
    const int32_t e =
        m.unary(UnaryKind::kExp, m.unary(UnaryKind::kNeg, m.unary(UnaryKind::kAbs, 0)));
    m.select(c, d, m.binary(BinaryKind::kMul, e, m.constant(0.5)));
    all.push_back({m.take(), {tensor(dims), tensor({})}});
  }
  {
    BodyMaker m(2);  // (max(x, y), x * y): two results
    const int32_t a = m.binary(BinaryKind::kMax, 0, 1), b = m.binary(BinaryKind::kMul, 0, 1);
    all.push_back({m.take({a, b}), {tensor(dims)}});
  }
  {
    BodyMaker m(3);  // tanh(x / (1 + y^2)) - z, y along an inner axis
    const int32_t square = m.binary(BinaryKind::kMul, 1, 1);
    const int32_t q =
        m.binary(BinaryKind::kDiv, 0, m.binary(BinaryKind::kAdd, m.constant(1), square));
    m.binary(BinaryKind::kSub, m.unary(UnaryKind::kTanh, q), 2);
    Dims inner(dims.size(), 1);
    inner[dims.size() - 2] = dims[dims.size() - 2];
    all.push_back({m.take(), {tensor(inner), tensor({1})}});
  }
  for (DType half : {DType::kFloat16, DType::kBFloat16}) {
    const double tolerance = half == DType::kFloat16 ? 2e-3 : 2e-2;
    const auto sum = [&](BodyMaker& m, int32_t a) {
      return m.rounded(m.binary(BinaryKind::kAdd, 0, a), half);
    };
    BodyMaker clipped(2);  // clip(round(x + y))
    clipped.unary(UnaryKind::kClip, sum(clipped, 1), -0.5, 0.5);
    all.push_back({clipped.take(), {tensor(channels)}, tolerance});
    BodyMaker swish(2);  // round(swish(round(x + y)))
    swish.rounded(swish.unary(UnaryKind::kSwish, sum(swish, 1), 1), half);
    all.push_back({swish.take(), {tensor(dims)}, tolerance});
    BodyMaker late(2);  // round(relu(x + y))
    late.rounded(late.unary(UnaryKind::kRelu, late.binary(BinaryKind::kAdd, 0, 1)), half);
    all.push_back({late.take(), {tensor(channels)}, tolerance});
    BodyMaker twice(3);  // relu(round(round(x + y) + z))
    const int32_t inner = sum(twice, 1);
    twice.unary(UnaryKind::kRelu, twice.rounded(twice.binary(BinaryKind::kAdd, inner, 2), half));
    all.push_back({twice.take(), {tensor(channels), tensor(dims)}, tolerance});
  }
  return all;
}

void check_op(Op op, const std::vector<Tensor>& own, const Dims& result, double tolerance) {
  SampleRandom random(7);
  int number = 0;
  for (Epilogue& e : make_epilogues(result, random)) {
    SCOPED_TRACE(cat(op.label(), " epilogue ", number++));
    std::vector<Tensor> inputs = own;
    inputs.insert(inputs.end(), e.operands.begin(), e.operands.end());
    *op.body() = e.body;
    TacticCase c(op, inputs, int(e.body.results().size()), 1);
    int ran = 0;
    for (const Tactic& t : cpu::tactics())
      if (t.op == op.name()) ran += check_tactic(t, c, std::max(tolerance, e.tolerance));
    EXPECT_GT(ran, 0);
  }
}

class EpilogueTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    const auto isa = static_cast<cpu::Isa>(GetParam());
    if (isa > cpu::machine_isa()) GTEST_SKIP() << "not on this machine";
    cpu::set_max_isa(isa);
  }
  void TearDown() override { cpu::set_max_isa(cpu::machine_isa()); }
  Tensor tensor(const Dims& dims) { return random_tensor(random_, DType::kFloat32, dims); }
  SampleRandom random_{11};
};

TEST_P(EpilogueTest, Convolutions) {
  const Window plain{.kernel = {3, 3}, .pads_begin = {1, 1}, .pads_end = {1, 1}};
  check_op(Conv{.window = plain}, {tensor({2, 7, 9, 19}), tensor({21, 19, 3, 3})}, {2, 7, 9, 21},
           1e-4);
  check_op(Conv{.window = plain}, {tensor({1, 7, 9, 3}), tensor({33, 3, 3, 3})}, {1, 7, 9, 33},
           1e-4);
  check_op(Conv{.window = plain, .group = 19}, {tensor({2, 7, 9, 19}), tensor({19, 1, 3, 3})},
           {2, 7, 9, 19}, 1e-4);
  const Window one{.kernel = {1, 1}};
  check_op(Conv{.window = one, .group = 2}, {tensor({1, 5, 6, 16}), tensor({40, 8, 1, 1})},
           {1, 5, 6, 40}, 1e-4);
  const Window up{.kernel = {2, 2}, .strides = {2, 2}};
  check_op(ConvTranspose{.window = up}, {tensor({2, 4, 5, 9}), tensor({9, 17, 2, 2})},
           {2, 8, 10, 17}, 1e-4);
  const Window wide{.kernel = {3, 3}, .strides = {2, 2}, .pads_begin = {1, 1}, .pads_end = {1, 1}};
  check_op(ConvTranspose{.window = wide}, {tensor({1, 4, 5, 9}), tensor({9, 17, 3, 3})},
           {1, 7, 9, 17}, 1e-4);
}

TEST_P(EpilogueTest, Products) {
  check_op(MatMul{}, {tensor({13, 24}), tensor({24, 35})}, {13, 35}, 1e-4);
  check_op(MatMul{}, {tensor({3, 5, 24}), tensor({24, 35})}, {3, 5, 35}, 1e-4);
  check_op(MatMul{}, {tensor({2, 3, 5, 8}), tensor({2, 3, 8, 35})}, {2, 3, 5, 35}, 1e-4);
  check_op(MatMul{}, {tensor({2, 1, 5, 8}), tensor({3, 8, 16})}, {2, 3, 5, 16}, 1e-4);
}

TEST_P(EpilogueTest, PoolsAndReductions) {
  const Window window{.kernel = {3, 2}, .strides = {2, 2}};
  check_op(Pool{.kind = Pool::Kind::kMax, .window = window}, {tensor({2, 7, 8, 19})}, {2, 3, 4, 19},
           1e-5);
  check_op(Pool{.kind = Pool::Kind::kAverage, .window = {.kernel = {20, 31}}},
           {tensor({1, 20, 31, 131})}, {1, 1, 1, 131}, 1e-5);
  check_op(Reduce{.kind = Reduce::Kind::kMean, .axes = {1, 2}}, {tensor({2, 7, 8, 19})},
           {2, 1, 1, 19}, 1e-5);
  check_op(Reduce{.kind = Reduce::Kind::kSum, .axes = {2}, .keepdims = false}, {tensor({3, 7, 50})},
           {3, 7}, 1e-5);
  check_op(Reduce{.kind = Reduce::Kind::kMax, .axes = {1}}, {tensor({2, 6, 4100})}, {2, 1, 4100},
           1e-5);
}

TEST_P(EpilogueTest, LargeReductions) {
  struct Case {
    Dims dims;
    Ints axes;
  };
  const Case cases[] = {{{1, 160, 150, 3}, {1, 2}}, {{70001}, {0}},          {{2, 66001}, {1}},
                        {{2, 130, 2, 257}, {1, 3}}, {{5, 40, 700}, {1}},     {{1, 34000, 2}, {1}},
                        {{9000, 3}, {1}},           {{9, 2, 3, 40}, {0, 2}}, {{3, 5000}, {0}},
                        {{10, 4097}, {0}},          {{2, 34000}, {0}},       {{2, 9, 2049}, {1}}};
  for (const Case& c : cases)
    for (int k = 0; k <= int(Reduce::Kind::kSumSquare); ++k) {
      Tensor x = random_tensor(random_, DType::kFloat32, c.dims, 0.5, k == 4 ? 1.0 : 2.0);
      TacticCase t(Reduce{.kind = Reduce::Kind(k), .axes = c.axes}, {x}, 1, 1);
      SCOPED_TRACE(cat("reduce ", k, " of ", str(c.dims)));
      for (const Tactic& row : cpu::tactics())
        if (row.op == Reduce::kName) {
          EXPECT_TRUE(check_tactic(row, t, 2e-6));
        }
    }
}

/// Rows and columns, with NaN in first place, in others and everywhere, and with equals.
TEST_P(EpilogueTest, ArgReductionsPassOverNaN) {
  Tensor x = random_tensor(random_, DType::kFloat32, {7, 37});
  for (int64_t at : {0, 40, 77, 90, 111, 120, 148, 149, 150, 222})
    x.data<float>()[at] = std::numeric_limits<float>::quiet_NaN();
  for (int64_t i = 5 * 37; i < 6 * 37; ++i) x.data<float>()[i] = float(i % 3);
  for (int64_t i = 6 * 37; i < 7 * 37; ++i)
    x.data<float>()[i] = std::numeric_limits<float>::quiet_NaN();
  for (int64_t axis : {0, 1})
    for (int way = 0; way < 4; ++way) {
      SCOPED_TRACE(cat("axis ", axis, ", way ", way));
      TacticCase t(ArgReduce{way % 2 == 0, axis, false, way / 2 == 0}, {x}, 1, 1);
      for (const Tactic& row : cpu::tactics())
        if (row.op == ArgReduce::kName) {
          EXPECT_TRUE(check_tactic(row, t, 0));
        }
    }
}

/// Random shapes that broadcast, of every rank.
TEST_P(EpilogueTest, BroadcastsOfRandomShapes) {
  for (int round = 0; round < 150; ++round) {
    Dims dims;
    const auto rank = random_.integer(1, 5);
    for (int64_t a = 0; a < rank; ++a) dims.push_back(random_.integer(1, a + 1 == rank ? 70 : 6));
    auto part = [&] {
      Dims d(dims.begin() + random_.integer(0, rank), dims.end());
      for (int64_t& extent : d)
        if (random_.integer(0, 2) == 0) extent = 1;
      return tensor(d);
    };
    BodyMaker m(4);  // (a * b + c) < d ? a : c
    const int32_t v = m.binary(BinaryKind::kAdd, m.binary(BinaryKind::kMul, 0, 1), 2);
    m.select(m.binary(BinaryKind::kLess, v, 3), 0, 2);
    TacticCase c(Pointwise{m.take()}, {part(), part(), part(), part()}, 1, 4);
    std::string shapes = str(dims);
    SCOPED_TRACE(shapes);
    for (const Tactic& row : cpu::tactics())
      if (row.op == Pointwise::kName) check_tactic(row, c, 1e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, EpilogueTest, testing::Range(0, cpu::kIsaCount),
                         [](const auto& info) {
                           return std::string(cpu::isa_name(static_cast<cpu::Isa>(info.param)));
                         });

}  // namespace
}  // namespace vitrify
