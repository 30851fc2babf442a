// Every rule of every pass, fuzzed with no test code per rule: random graphs are built from the
// pattern itself, the rule must fire, and both sides must agree under the interpreter. Planted
// wrong rules must be caught.
#include <gtest/gtest.h>

#include "compare.h"
#include "ops/interpreter.h"
#include "ops/table.h"
#include "passes/pipeline.h"

namespace vitrify {
namespace {

using Leaves = std::map<std::string_view, Tensor>;

constexpr int kFirings = 100, kTries = 6000;

/// Random values; now and then NaN, infinities and zeros of both signs.
void fill(Tensor& t, Rng& r, bool special) {
  static constexpr double kSpecial[] = {NAN, INFINITY, -INFINITY, -0.0, 0.0};
  for (int64_t i = 0; i < t.size(); ++i) {
    double v = double(r() % 2001) / 250 - 4;
    if (special && is_float(t.dtype()) && r() % 8 == 0) v = kSpecial[r() % 5];
    if (is_float(t.dtype()))
      set_double(t, i, v);
    else
      set_int(t, i, int64_t(v * 2));
  }
}

/// Shapes that broadcast with each other: every leaf takes a tail of one base shape, some axes
/// as 1.
struct Shapes {
  explicit Shapes(Rng& r) : rng(r) {
    int rank = int(r() % 6);
    for (int a = 0; a < rank; ++a) base.push_back(r() % 8 == 0 ? 0 : int64_t(r() % 3 + 1));
  }
  Dims leaf() {
    Dims d(base.begin() + std::ptrdiff_t(rng() % 3 == 0 ? rng() % (base.size() + 1) : 0),
           base.end());
    for (int64_t& e : d)
      if (rng() % 5 == 0) e = 1;
    return d;
  }
  Rng& rng;
  Dims base;
};

DType random_dtype(Rng& r) {
  static constexpr DType kTypes[] = {
      DType::kFloat32,  DType::kFloat32, DType::kFloat32, DType::kFloat64, DType::kFloat16,
      DType::kBFloat16, DType::kInt64,   DType::kInt32,   DType::kInt8,    DType::kUint8,
      DType::kFloat32,  DType::kFloat32, DType::kBool,    DType::kInt16,   DType::kUint16,
      DType::kUint32,   DType::kUint64};
  return kTypes[r() % std::size(kTypes)];
}

class PatternBuilder {
 public:
  PatternBuilder(GraphBuilder& b, const Rule& rule, Rng& r)
      : b_(b),
        r_(r),
        shapes_(r),
        dtype_(random_dtype(r)),
        special_(r() % 3 == 0),
        ranked_(r() % 4 > 0) {
    if (rule.sampler) given_ = rule.sampler(r);
    if (!given_.empty()) dtype_ = given_.begin()->second.dtype();
  }
  ValueId build(const Pattern& p) {
    if (!p.name.empty())
      if (auto at = made_.find(p.name); at != made_.end()) return at->second;
    ValueId v;
    if (p.leaf == Pattern::Leaf::kNode) {
      std::vector<ValueId> inputs;
      for (const Pattern& i : p.inputs) inputs.push_back(build(i));
      if (p.commutes && r_() % 2) std::swap(inputs[0], inputs[1]);
      v = b_.add(p.sample(r_), inputs, {"n"});
    } else {
      v = leaf(p);
    }
    if (!p.name.empty()) made_[p.name] = v;
    return v;
  }
  std::vector<Value> inputs;

 private:
  ValueId leaf(const Pattern& p) {
    Tensor t;
    if (auto at = given_.find(p.name); at != given_.end()) {
      t = at->second;
    } else {
      t = Tensor(dtype_, p.is_scalar ? Dims(r_() % 2 ? 0 : r_() % 4, 1) : shapes_.leaf());
      fill(t, r_, special_ && p.leaf == Pattern::Leaf::kAny);
      if (p.is_scalar) set_double(t, 0, double(p.constant));
    }
    if (p.leaf == Pattern::Leaf::kConstant) return b_.constant(std::move(t));
    inputs.push_back(t);
    return b_.input(cat("i", inputs.size()), ranked_ ? t.type() : Type::unranked(t.dtype()));
  }
  GraphBuilder& b_;
  Rng& r_;
  Shapes shapes_;
  DType dtype_;
  bool special_, ranked_;
  Leaves given_;
  std::map<std::string_view, ValueId> made_;
};

struct Outcome {
  int fired = 0;
  bool ignores_switch = false;  ///< fired although its name was disabled
  std::string mismatch;
};

double tolerance(DType t) { return t == DType::kFloat16 || t == DType::kBFloat16 ? 2e-2 : 2e-4; }

bool fires_when_disabled(const Rule& rule, const Graph& graph) {
  const std::string name(rule.name), left = name.substr(0, name.find(" -> "));
  Trace trace;
  for (const std::string& off : {name, left})
    apply_rules(graph, {&rule, 1}, {.pass = "test", .trace = &trace, .disabled_rules = {off}}, 1);
  return std::ranges::any_of(trace, [](const Decision& d) { return d.effect != kLeftOut; });
}

Outcome fuzz(const Rule& rule) {
  Outcome out;
  Rng r(digest(rule.name).low);
  for (int i = 0; i < kTries && out.fired < kFirings; ++i) {
    GraphBuilder b = make_builder();
    PatternBuilder maker(b, rule, r);
    try {
      b.output("y", maker.build(rule.pattern));
    } catch (const Error& e) {
      if (e.kind() == ErrorKind::kInternal) throw;
      continue;  // the random shapes or types do not fit
    }
    Graph before = b.finish();
    Trace trace;
    PassContext context{.pass = "test", .trace = &trace};
    Graph after = apply_rules(before, {&rule, 1}, context, 1);
    if (trace.empty()) continue;
    ++out.fired;
    out.ignores_switch |= fires_when_disabled(rule, before);
    std::vector<Value> expected = interpret(before, maker.inputs),
                       actual = interpret(after, maker.inputs);
    std::string d = difference(actual, expected, tolerance(expected[0].tensor.dtype()), 0.1);
    if (!d.empty()) {
      out.mismatch = cat(d, "\nbefore:\n", print(before), "after:\n", print(after));
      return out;
    }
  }
  return out;
}

void check_all(std::span<const Rule> rules) {
  for (const Rule& rule : rules) {
    Outcome o = fuzz(rule);
    EXPECT_GE(o.fired, kFirings) << rule.name;
    EXPECT_EQ(o.mismatch, "") << rule.name;
    EXPECT_FALSE(o.ignores_switch) << rule.name;
  }
}

TEST(Rules, Simplify) { check_all(simplify_rules()); }
TEST(Rules, Activations) { check_all(activation_rules()); }
TEST(Rules, Norms) { check_all(norm_rules()); }
TEST(Rules, Affine) { check_all(affine_rules()); }
TEST(Rules, Siblings) { check_all(sibling_rules()); }
TEST(Rules, Attention) { check_all(attention_rules()); }

/// Whether rules leave the graph y = make(builder, x) of f32 as it is.
template <class Make>
void expect_untouched(std::span<const Rule> rules, Make make) {
  GraphBuilder b = make_builder();
  const ValueId x = b.input("x", Type::tensor(DType::kFloat32, Shape{3}));
  b.output("y", make(b, x));
  const Graph graph = b.finish();
  EXPECT_TRUE(digest(apply_rules(graph, rules, {"test"})) == digest(graph)) << print(graph);
}

TEST(Rules, NearlyZeroAndOneAreNeither) {
  const std::pair<BinaryKind, float> kNearly[] = {{BinaryKind::kSub, 9e-7F},
                                                  {BinaryKind::kMul, 1 + 9e-7F},
                                                  {BinaryKind::kDiv, 1 - 9e-7F},
                                                  {BinaryKind::kPow, 1 + 9e-7F},
                                                  {BinaryKind::kPow, 2 + 9e-7F}};
  for (const auto& [kind, number] : kNearly)
    expect_untouched(simplify_rules(),
                     [&, kind = kind, number = number](GraphBuilder& b, ValueId x) {
                       return b.add(Binary{kind}, {x, b.constant(Tensor::scalar(number))});
                     });
}

TEST(Rules, NearlyHardSwishIsNot) {
  const auto make = [](float three, float six) {
    return [=](GraphBuilder& b, ValueId x) {
      const auto number = [&](float v) { return b.constant(Tensor::scalar(v)); };
      const ValueId sum = b.add(Binary{BinaryKind::kAdd}, {x, number(three)});
      const ValueId clipped = b.add(Unary{UnaryKind::kClip, 0, 6}, {sum});
      const ValueId product = b.add(Binary{BinaryKind::kMul}, {x, clipped});
      return b.add(Binary{BinaryKind::kDiv}, {product, number(six)});
    };
  };
  expect_untouched(activation_rules(), make(3 + 2e-6F, 6));
  expect_untouched(activation_rules(), make(3, 6 + 4e-6F));
  GraphBuilder b = make_builder();
  b.output("y", make(3, 6)(b, b.input("x", Type::tensor(DType::kFloat32, Shape{3}))));
  const Graph swish = apply_rules(b.finish(), activation_rules(), {"test"});
  EXPECT_EQ(swish.nodes.size(), 2u) << print(swish);
}

// ---- Planted wrong rules ----

const Rule kWrong[] = {
    {"neg(relu(x)) -> relu(neg(x))", unary(UnaryKind::kNeg, unary(UnaryKind::kRelu, any("x"))),
     [](Match& m) { return m.unary(UnaryKind::kRelu, m.unary(UnaryKind::kNeg, m["x"])); }},
    {"x - y -> x + y", sub(any("x"), any("y")),
     [](Match& m) { return m.binary(BinaryKind::kAdd, m["x"], m["y"]); }},
    {"x * 0 -> 0 (NaN is lost)", mul(any("x"), scalar(0)),
     [](Match& m) {
       const Type& type = m.type(m.root());
       if (!is_float(type.dtype) || !type.is_static()) return ValueId{};
       return m.builder().constant(Tensor(type.dtype, type.dims()));
     }},
    {"x + a -> x (the value is lost)", add(any("x"), constant("a")),
     [](Match& m) { return m.type("x") == m.type(m.root()) ? m["x"] : ValueId{}; }},
    {"relu(x) -> abs(relu(x)) + 1e-2", unary(UnaryKind::kRelu, any("x")),
     [](Match& m) {
       if (m.type("x").dtype != DType::kFloat32) return ValueId{};
       ValueId twice = m.unary(UnaryKind::kAbs, m.unary(UnaryKind::kRelu, m["x"]));
       return m.binary(BinaryKind::kAdd, twice, m.builder().constant(Tensor::scalar(1e-2f)));
     }},
    {"(x - y) * s -> x * s - y", mul(sub(any("x"), any("y")), constant("s")),
     [](Match& m) {
       return m.binary(BinaryKind::kSub, m.binary(BinaryKind::kMul, m["x"], m["s"]), m["y"]);
     }},
};

TEST(Rules, WrongOnesAreCaught) {
  for (const Rule& rule : kWrong) {
    const std::string caught = fuzz(rule).mismatch;  // a difference: an Error fails the test
    EXPECT_NE(caught, "") << rule.name;
  }
}

}  // namespace
}  // namespace vitrify
