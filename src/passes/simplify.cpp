// simplify: identities, and neighbours that undo or repeat each other.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "passes/pipeline.h"

namespace vitrify {

namespace {

Ints random_permutation(Rng& r) {
  Ints p{0, 1, 2};
  std::shuffle(p.begin(), p.end(), r);
  return p;
}
std::map<std::string_view, Tensor> rank3(Rng& r) {
  Tensor x(DType::kFloat32, {int64_t(r() % 3 + 1), int64_t(r() % 4), int64_t(r() % 3 + 1)});
  for (int64_t i = 0; i < x.size(); ++i) set_double(x, i, double(r() % 100) / 10 - 5);
  return {{"x", x}};
}
Pattern transpose(Pattern x) {
  return op<Transpose>({std::move(x)}, [](Rng& r) { return Transpose{random_permutation(r)}; });
}
Pattern reshape(Pattern x) {
  return op<Reshape>(
      {std::move(x)}, [](Rng&) { return Reshape{{Dim(1)}}; }, [](const Reshape&) { return true; });
}
Pattern cast(Pattern x) {
  return op<Cast>({std::move(x)}, [](Rng&) { return Cast{DType::kFloat32}; });
}
Pattern expand(Pattern x) {
  return op<Expand>({std::move(x)}, [](Rng&) { return Expand{{Dim(2), Dim(3)}}; });
}

/// The value itself, when dropping the constant does not change the shape (it may broadcast).
ValueId itself(Match& m, std::string_view name) {
  ValueId x = m[name];
  return m.is_of_root_type(x) ? x : ValueId{};
}
bool same_dtype(Match& m, std::string_view a, std::string_view b) {
  return m.type(a).dtype == m.type(b).dtype;
}
bool is_f32(Match& m, std::string_view a) { return m.type(a).dtype == DType::kFloat32; }

const Rule kRules[] = {
    {"x + 0 -> x", add(any("x"), scalar(0)),
     [](Match& m) {
       return is_integer(m.type("x").dtype) ? itself(m, "x") : ValueId{};  // -0.0 + 0 is +0
     },
     [](Rng& r) {
       Tensor x(DType::kInt64, {2, int64_t(r() % 4)});
       for (int64_t i = 0; i < x.size(); ++i) set_int(x, i, int64_t(r()));
       return std::map<std::string_view, Tensor>{{"x", x}};
     }},
    {"x - 0 -> x", sub(any("x"), scalar(0)), [](Match& m) { return itself(m, "x"); }},
    {"x * 1 -> x", mul(any("x"), scalar(1)), [](Match& m) { return itself(m, "x"); }},
    {"x / 1 -> x", div(any("x"), scalar(1)), [](Match& m) { return itself(m, "x"); }},
    {"pow(x, 1) -> x", pow(any("x"), scalar(1)), [](Match& m) { return itself(m, "x"); }},
    {"pow(x, 2) -> x * x", pow(any("x"), scalar(2)),
     [](Match& m) {
       bool same = is_f32(m, "x") && m.is_of_root_type(m["x"]);
       return same ? m.binary(BinaryKind::kMul, m["x"], m["x"]) : ValueId{};
     }},
    {"neg(neg(x)) -> x", unary(UnaryKind::kNeg, unary(UnaryKind::kNeg, any("x")).keep()),
     [](Match& m) { return m["x"]; }},
    {"relu(relu(x)) -> relu(x)",
     unary(UnaryKind::kRelu, unary(UnaryKind::kRelu, any("x")).as("y").keep()),
     [](Match& m) { return m["y"]; }},
    {"abs(abs(x)) -> abs(x)",
     unary(UnaryKind::kAbs, unary(UnaryKind::kAbs, any("x")).as("y").keep()),
     [](Match& m) { return m["y"]; }},
    {"transpose(x){identity} -> x", transpose(any("x")).as("t"),
     [](Match& m) {
       const Ints& p = m.op<Transpose>("t").permutation;
       return std::is_sorted(p.begin(), p.end()) ? m["x"] : ValueId{};
     },
     rank3},
    {"transpose(transpose(x)) -> transpose(x)",
     transpose(transpose(any("x")).as("inner").keep()).as("outer"),
     [](Match& m) {
       Ints p;
       for (int64_t a : m.op<Transpose>("outer").permutation)
         p.push_back(m.op<Transpose>("inner").permutation[size_t(a)]);
       return m.add(Transpose{p}, {m["x"]});
     },
     rank3},
    {"reshape(x){same} -> x", reshape(any("x")),
     [](Match& m) { return m.type("x").has_rank() ? itself(m, "x") : ValueId{}; },
     [](Rng&) {
       return std::map<std::string_view, Tensor>{{"x", Tensor(DType::kFloat32, {1})}};
     }},
    {"reshape(reshape(x)) -> reshape(x)", reshape(reshape(any("x")).keep()).as("outer"),
     [](Match& m) { return m.add(Reshape{m.op<Reshape>("outer").shape}, {m["x"]}); },
     [](Rng& r) {
       Dims d(r() % 4, 1);
       return std::map<std::string_view, Tensor>{{"x", Tensor(DType::kFloat32, d)}};
     }},
    {"cast(x){same} -> x", cast(any("x")), [](Match& m) { return itself(m, "x"); }},
    {"expand(x){same} -> x", expand(any("x")),
     [](Match& m) { return m.type("x").has_rank() ? itself(m, "x") : ValueId{}; },
     [](Rng& r) {
       Tensor x(DType::kFloat32, {2, 3});
       for (int64_t i = 0; i < x.size(); ++i) set_double(x, i, double(r() % 9));
       return std::map<std::string_view, Tensor>{{"x", x}};
     }},
    {"(x + a) + b -> x + (a + b)", add(add(any("x"), constant("a")), constant("b")),
     [](Match& m) {
       if (!is_f32(m, "x") || m.builder().constant_of(m["x"])) return ValueId{};
       return m.binary(BinaryKind::kAdd, m["x"], m.binary(BinaryKind::kAdd, m["a"], m["b"]));
     }},
    {"(x * a) * b -> x * (a * b)", mul(mul(any("x"), constant("a")), constant("b")),
     [](Match& m) {
       if (!is_f32(m, "x") || m.builder().constant_of(m["x"])) return ValueId{};
       const Tensor &a = m.constant("a"), &b = m.constant("b");
       for (const Tensor* t :
            {&a, &b})  // products that leave the normal range would change infinities and zeros
         for (int64_t i = 0; i < t->size(); ++i)
           if (double v = std::fabs(double_at(*t, i)); !(v > 1e-9 && v < 1e9)) return ValueId{};
       return m.binary(BinaryKind::kMul, m["x"], m.binary(BinaryKind::kMul, m["a"], m["b"]));
     }},
    {"min(max(x, lo), hi) -> clip(x)",
     binary(BinaryKind::kMin, binary(BinaryKind::kMax, any("x"), constant("lo")), constant("hi")),
     [](Match& m) {
       bool scalars = m.constant("lo").size() == 1 && m.constant("hi").size() == 1;
       if (!scalars || !is_f32(m, "x") || !same_dtype(m, "x", "lo") || !m.is_of_root_type(m["x"]))
         return ValueId{};
       double lo = double_at(m.constant("lo"), 0), hi = double_at(m.constant("hi"), 0);
       return lo <= hi ? m.unary(UnaryKind::kClip, m["x"], lo, hi) : ValueId{};
     },
     [](Rng& r) {
       Tensor x(DType::kFloat32, {int64_t(r() % 5), 3});
       for (int64_t i = 0; i < x.size(); ++i) set_double(x, i, double(r() % 100) / 10 - 5);
       return std::map<std::string_view, Tensor>{{"x", x},
                                                 {"lo", Tensor::scalar(float(r() % 3) - 3)},
                                                 {"hi", Tensor::scalar(float(r() % 3) + 1)}};
     }},
};

}  // namespace

std::span<const Rule> simplify_rules() { return kRules; }

Graph simplify(const Graph& graph, const PassContext& context) {
  return apply_rules(graph, kRules, context);
}

}  // namespace vitrify
