// Facts of whole chains: what shape rules tell of the values that a model computes from its extents
// is what the kernels compute when nothing is told.
#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "compare.h"
#include "ops/interpreter.h"
#include "ops/table.h"

namespace vitrify {
namespace {

/// A random chain of integer arithmetic twice: over facts, and over inputs of the same values.
class Chain {
 public:
  explicit Chain(uint64_t seed) : r_(seed), told_(make_builder()), plain_(make_builder()) {
    for (const char* name : {"a", "b", "c"}) bindings_[name] = pick(5);
    for (int i = 0; i < 3; ++i) start(i);
    for (int tries = 0; tries < 40 && values_.size() < 14; ++tries) {
      try {
        step();
      } catch (const Error& e) {
        if (e.kind() == ErrorKind::kInternal) throw;  // what does not fit is skipped
      }
    }
  }

  /// How many elements were compared; -1 when the run is refused (by a division by 0, or a guard).
  int64_t check() {
    for (size_t i = 0; i < values_.size(); ++i) {
      told_.output(cat("y", i), values_[i].told);
      plain_.output(cat("y", i), values_[i].plain);
    }
    const Graph told = told_.finish(), plain = plain_.finish();
    std::vector<Value> results;
    try {
      results = interpret(plain, inputs_);
      const auto again = interpret(told, {}, bindings_, [](int32_t, std::span<const Value>) {});
      EXPECT_EQ(difference(again, results, 0), "");
    } catch (const Error& e) {
      EXPECT_NE(e.kind(), ErrorKind::kInternal) << e.what();
      return -1;
    }
    int64_t compared = 0;
    for (size_t i = 0; i < values_.size(); ++i) {
      const Fact& fact = told.fact(told.outputs[i].value);
      if (!fact) continue;
      EXPECT_EQ(int64_t(fact->size()), results[i].tensor.size());
      for (size_t e = 0; e < fact->size() && !testing::Test::HasFailure(); ++e, ++compared)
        EXPECT_EQ(value_of((*fact)[e]), int_at(results[i].tensor, int64_t(e)))
            << (*fact)[e].str() << "\n"
            << print(told);
    }
    return compared;
  }

 private:
  struct Both {
    ValueId told, plain;
  };

  int64_t pick(int64_t n) { return int64_t(r_() % uint64_t(n)); }
  int64_t value_of(const Dim& d) const {
    return d.eval([&](const std::string& symbol) { return bindings_.at(symbol); });
  }
  Dim random_dim() {
    const Dim symbol = Dim::symbol(std::string(1, char('a' + pick(3))));
    switch (pick(5)) {
      case 0:
        return pick(9) - 4;
      case 1:
        return symbol * (pick(4) + 1) + (pick(7) - 3);
      default:
        return symbol;
    }
  }
  void start(int i) {
    DimsValue dims;
    dims.scalar = pick(4) == 0;
    for (int64_t n = dims.scalar ? 1 : pick(4); n > 0; --n) dims.values.push_back(random_dim());
    Dims shape;
    if (!dims.scalar) shape.push_back(int64_t(dims.values.size()));
    Tensor given(DType::kInt64, shape);
    for (size_t e = 0; e < dims.values.size(); ++e)
      set_int(given, int64_t(e), value_of(dims.values[e]));
    inputs_.emplace_back(given);
    values_.push_back({told_.add(dims, {}), plain_.input(cat("x", i), given.type())});
  }
  const Both& any() { return values_[size_t(pick(int64_t(values_.size())))]; }
  Both constant(Ints values) {
    const Tensor t = Tensor::ints(values);
    return {told_.constant(t), plain_.constant(t)};
  }
  Both add(const Op& op, const std::vector<Both>& from) {
    std::vector<ValueId> told, plain;
    for (const Both& v : from) told.push_back(v.told), plain.push_back(v.plain);
    return {told_.add(op, told), plain_.add(op, plain)};
  }
  Both as(DType dtype, const Both& v) { return add(Cast{dtype}, {v}); }

  void step() {
    static constexpr UnaryKind kUnary[] = {UnaryKind::kAbs, UnaryKind::kNeg, UnaryKind::kSign,
                                           UnaryKind::kRelu};
    static constexpr BinaryKind kBinary[] = {BinaryKind::kAdd, BinaryKind::kSub, BinaryKind::kMul,
                                             BinaryKind::kDiv, BinaryKind::kMod, BinaryKind::kFmod,
                                             BinaryKind::kMin, BinaryKind::kMax};
    static constexpr BinaryKind kCompare[] = {BinaryKind::kEqual, BinaryKind::kLess,
                                              BinaryKind::kLessEqual, BinaryKind::kGreater,
                                              BinaryKind::kGreaterEqual};
    static constexpr BinaryKind kLogical[] = {BinaryKind::kAnd, BinaryKind::kOr, BinaryKind::kXor};
    static constexpr Reduce::Kind kReduce[] = {Reduce::Kind::kSum, Reduce::Kind::kProd,
                                               Reduce::Kind::kMax, Reduce::Kind::kMin};
    const Both x = any(), y = any();
    switch (pick(11)) {
      case 0:
        return values_.push_back(add(Unary{kUnary[pick(std::size(kUnary))]}, {x}));
      case 1:
      case 2:
      case 3:
        return values_.push_back(add(Binary{kBinary[pick(std::size(kBinary))]}, {x, y}));
      case 4:
      case 5: {
        Both decided = add(Binary{kCompare[pick(std::size(kCompare))]}, {x, y});
        if (pick(2))
          decided =
              add(Binary{kLogical[pick(std::size(kLogical))]}, {decided, as(DType::kBool, any())});
        if (pick(3) == 0) decided = add(Unary{UnaryKind::kNot}, {decided});
        if (pick(4) == 0) return values_.push_back(as(DType::kInt64, decided));
        return values_.push_back(add(Select{}, {decided, any(), any()}));
      }
      case 6:
        return values_.push_back(
            add(Reduce{kReduce[pick(std::size(kReduce))], {0}, pick(2) == 0}, {x}));
      case 7:
        return values_.push_back(add(Concat{0}, {x, y}));
      case 8:
        return values_.push_back(add(Gather{0}, {x, constant({pick(3) - 1})}));
      case 9:
        return values_.push_back(
            add(SliceDynamic{}, {x, constant({pick(7) - 3}), constant({pick(7) - 3}), constant({0}),
                                 constant({pick(2) ? 1 : -1 - pick(2)})}));
      default:
        return values_.push_back(as(DType::kInt64, as(DType::kInt32, x)));
    }
  }

  std::mt19937_64 r_;
  GraphBuilder told_, plain_;
  Bindings bindings_;
  std::vector<Value> inputs_;
  std::vector<Both> values_;
};

TEST(Facts, AreWhatTheKernelsCompute) {
  int64_t compared = 0, ran = 0;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    const int64_t n = Chain(seed).check();
    ran += n >= 0, compared += std::max<int64_t>(n, 0);
    if (HasFailure()) return;
  }
  EXPECT_GT(ran, 1000);
  EXPECT_GT(compared, 10'000);
}

}  // namespace
}  // namespace vitrify
