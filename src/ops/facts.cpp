#include "ops/facts.h"

#include <cmath>

#include "base/error.h"

namespace vitrify {

namespace {
constexpr int64_t kMaxFact = 1024;

Interval bounds_of(const Dim& d) {
  return d.bounds([](const std::string&) { return Interval{}; });
}
bool never_negative(const Dim& d) { return bounds_of(d).low >= 0; }

bool holds_facts(DType dtype) {
  return dtype == DType::kInt64 || dtype == DType::kInt32 || dtype == DType::kBool;
}

Fact constant_fact(const Tensor& t) {
  if (t.rank() > 1 || t.size() > kMaxFact) return {};
  if (!is_float(t.dtype()) && t.dtype() != DType::kBool) return {};
  std::vector<Dim> values;
  for (int64_t i = 0; i < t.size(); ++i) {
    double v = double_at(t, i);
    if (!(std::fabs(v) < 0x1p53) || v != std::trunc(v)) return {};
    values.emplace_back(int64_t(v));
  }
  return values;
}
}  // namespace

Fact input_fact(const InferContext& context, int i) {
  if (const Fact& fact = context.fact(i)) return fact;
  const Tensor* t = context.constant(i);
  return t ? constant_fact(*t) : Fact{};
}

Fact fitting(Fact fact, const Type& type) {
  if (!fact || !holds_facts(type.dtype) || !type.has_rank() || type.shape->size() > 1) return {};
  Dim count = element_count(*type.shape);
  if (!count.is_constant() || count.value() != int64_t(fact->size()) || count.value() > kMaxFact)
    return {};
  for (const Dim& d : *fact) {
    if (!d.is_constant()) continue;
    if (type.dtype == DType::kInt32 && d.value() != int32_t(d.value())) return {};
    if (type.dtype == DType::kBool && d.value() != 0 && d.value() != 1) return {};
  }
  return fact;
}

std::optional<bool> truth(const Dim& d) {
  if (d.is_constant()) return d.value() != 0;
  Interval range = bounds_of(d);
  if (range.low > 0 || range.high < 0) return true;
  return {};
}

std::optional<Dim> unary_fact(UnaryKind kind, const Dim& x) {
  switch (kind) {
    case UnaryKind::kNeg:
      return Dim(0) - x;
    case UnaryKind::kAbs:
      if (never_negative(x)) return x;
      if (bounds_of(x).high <= 0) return Dim(0) - x;
      return {};
    case UnaryKind::kRelu:
      return never_negative(x) ? x : max(x, Dim(0));
    case UnaryKind::kSign:
      if (bounds_of(x).low > 0) return Dim(1);
      if (x.is_constant()) return Dim(x.value() < 0 ? -1 : 0);
      return {};
    case UnaryKind::kNot:
      if (auto t = truth(x)) return Dim(*t ? 0 : 1);
      return {};
    case UnaryKind::kFloor:
    case UnaryKind::kCeil:
    case UnaryKind::kRound:
      return x;
    default:
      return {};
  }
}

namespace {
std::optional<Dim> compare(BinaryKind kind, const Dim& a, const Dim& b) {
  if (a == b) return Dim(kind != BinaryKind::kLess && kind != BinaryKind::kGreater);
  Interval gap = bounds_of(a - b);
  bool above = gap.low > 0, below = gap.high < 0, not_below = gap.low >= 0,
       not_above = gap.high <= 0;
  auto decide = [](bool yes, bool no) -> std::optional<Dim> {
    if (yes) return Dim(1);
    if (no) return Dim(0);
    return {};
  };
  switch (kind) {
    case BinaryKind::kEqual:
      return decide(false, above || below);
    case BinaryKind::kLess:
      return decide(below, not_below);
    case BinaryKind::kLessEqual:
      return decide(not_above, above);
    case BinaryKind::kGreater:
      return decide(above, not_above);
    default:
      return decide(not_below, below);
  }
}

/// Truncating division of symbols is floor division where no side can be negative.
std::optional<Dim> divide(BinaryKind kind, const Dim& a, const Dim& b) {
  if (b.is_constant() && b.value() == 0) return {};
  if (a.is_constant() && b.is_constant()) {
    int64_t p = a.value(), q = b.value();
    if (q == -1) return kind == BinaryKind::kDiv ? Dim(0) - a : Dim(0);
    if (kind == BinaryKind::kDiv) return Dim(p / q);
    int64_t r = p % q;
    return Dim(kind == BinaryKind::kMod && r != 0 && (r < 0) != (q < 0) ? r + q : r);
  }
  if (bounds_of(b).low <= 0) return {};
  if (kind == BinaryKind::kMod) return mod(a, b);
  if (!never_negative(a)) return {};
  return kind == BinaryKind::kDiv ? floor_div(a, b) : mod(a, b);
}

std::optional<Dim> logical(BinaryKind kind, const Dim& a, const Dim& b) {
  auto p = truth(a), q = truth(b);
  if (kind == BinaryKind::kAnd && ((p && !*p) || (q && !*q))) return Dim(0);
  if (kind == BinaryKind::kOr && ((p && *p) || (q && *q))) return Dim(1);
  if (!p || !q) return {};
  return Dim(kind == BinaryKind::kAnd ? *p && *q : kind == BinaryKind::kOr ? *p || *q : *p != *q);
}
}  // namespace

std::optional<Dim> binary_fact(BinaryKind kind, const Dim& a, const Dim& b) {
  switch (kind) {
    case BinaryKind::kAdd:
      return a + b;
    case BinaryKind::kSub:
      return a - b;
    case BinaryKind::kMul:
      return a * b;
    case BinaryKind::kDiv:
    case BinaryKind::kMod:
    case BinaryKind::kFmod:
      return divide(kind, a, b);
    case BinaryKind::kMin:
      return min(a, b);
    case BinaryKind::kMax:
      return max(a, b);
    case BinaryKind::kAnd:
    case BinaryKind::kOr:
    case BinaryKind::kXor:
      return logical(kind, a, b);
    default:
      return is_comparison(kind) ? compare(kind, a, b) : std::optional<Dim>{};
  }
}

Fact map_facts(const Fact& a, const std::function<std::optional<Dim>(const Dim&)>& f) {
  return zip_facts(a, std::vector<Dim>{Dim(0)}, [&](const Dim& x, const Dim&) { return f(x); });
}

Fact zip_facts(const Fact& a, const Fact& b,
               const std::function<std::optional<Dim>(const Dim&, const Dim&)>& f) {
  if (!a || !b || (a->size() != b->size() && a->size() != 1 && b->size() != 1)) return {};
  size_t count = a->size() == 1 ? b->size() : a->size();
  std::vector<Dim> values;
  try {
    for (size_t i = 0; i < count; ++i) {
      auto v = f((*a)[a->size() == 1 ? 0 : i], (*b)[b->size() == 1 ? 0 : i]);
      if (!v) return {};
      values.push_back(std::move(*v));
    }
  } catch (const Error& e) {  // an overflow: the value wraps when run, so nothing is known
    if (e.kind() == ErrorKind::kInternal) throw;
    return {};
  }
  return values;
}

}  // namespace vitrify
