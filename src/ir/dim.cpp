#include <algorithm>

#include "base/error.h"
#include "ir/dim_terms.h"

namespace vitrify {

std::strong_ordering Dim::compare(const Atom& a, const Atom& b) {
  if (a == b) return std::strong_ordering::equal;
  if (auto c = a->kind <=> b->kind; c != 0) return c;
  if (auto c = a->name <=> b->name; c != 0) return c;
  if (auto c = a->a <=> b->a; c != 0) return c;
  return a->b <=> b->b;
}

std::strong_ordering Dim::compare(const std::vector<Atom>& a, const std::vector<Atom>& b) {
  if (auto c = a.size() <=> b.size(); c != 0) return c;
  for (size_t i = 0; i < a.size(); ++i)
    if (auto c = compare(a[i], b[i]); c != 0) return c;
  return std::strong_ordering::equal;
}

std::strong_ordering operator<=>(const Dim& a, const Dim& b) {
  if (auto c = bool(a.terms_) <=> bool(b.terms_); c != 0) return c;
  if (a.terms_ && a.terms_ != b.terms_) {
    if (auto c = a.terms_->size() <=> b.terms_->size(); c != 0) return c;
    for (size_t i = 0; i < a.terms_->size(); ++i) {
      const auto &x = (*a.terms_)[i], &y = (*b.terms_)[i];
      if (auto c = Dim::compare(x.factors, y.factors); c != 0) return c;
      if (auto c = x.coefficient <=> y.coefficient; c != 0) return c;
    }
  }
  return a.constant_ <=> b.constant_;
}

namespace {
// From here on an extent gets a symbol of its own (`is_large`).
constexpr int64_t kLargeTerms = 16, kLargeSize = 128;
constexpr int kLargeDepth = 32;
// The product of two that are not large has room, constants among their terms.
constexpr int64_t kMaxTerms = (kLargeTerms + 1) * (kLargeTerms + 1);
constexpr int64_t kMaxSize = 2 * (kLargeTerms + 1) * kLargeSize;
constexpr int kMaxDepth = 64;  // as of the parser
constexpr std::string_view kTooLarge =
    "the expression of a dimension grows too large: fix some of the model's dimensions";
}  // namespace

int64_t Dim::size() const {
  int64_t size = 0;
  if (terms_)
    for (const Term& t : *terms_)
      for (const Atom& f : t.factors) size += f->size;
  return size;
}

int Dim::depth() const {
  int depth = 0;
  if (terms_)
    for (const Term& t : *terms_)
      for (const Atom& f : t.factors) depth = std::max(depth, f->depth);
  return depth;
}

bool Dim::is_large() const {
  return terms_ &&
         (int64_t(terms_->size()) > kLargeTerms || size() > kLargeSize || depth() > kLargeDepth);
}

Dim Dim::of_terms(int64_t constant, Terms terms) {
  std::sort(terms.begin(), terms.end(),
            [](const Term& x, const Term& y) { return compare(x.factors, y.factors) < 0; });
  Terms merged;
  for (Term& t : terms) {
    if (!merged.empty() && compare(merged.back().factors, t.factors) == 0)
      merged.back().coefficient = checked_add(merged.back().coefficient, t.coefficient);
    else
      merged.push_back(std::move(t));
  }
  std::erase_if(merged, [](const Term& t) { return t.coefficient == 0; });
  // Its negative is no int64.
  for (const Term& t : merged) require(t.coefficient != INT64_MIN, "dimension overflows");
  Dim d(constant);
  if (!merged.empty()) d.terms_ = std::make_shared<const Terms>(std::move(merged));
  require(!d.terms_ || (int64_t(d.terms_->size()) <= kMaxTerms && d.size() <= kMaxSize), kTooLarge);
  return d;
}

Dim Dim::of_atom(AtomKind kind, std::string name, Dim a, Dim b) {
  const int64_t size = 1 + a.size() + b.size();
  const int depth = kind == AtomKind::kSymbol ? 0 : 1 + std::max(a.depth(), b.depth());
  require(depth <= kMaxDepth, kTooLarge);
  auto atom = std::make_shared<const AtomNode>(
      AtomNode{kind, std::move(name), std::move(a), std::move(b), size, depth});
  return of_terms(0, {Term{{std::move(atom)}, 1}});
}

Dim Dim::symbol(std::string name) { return of_atom(AtomKind::kSymbol, std::move(name), 0, 0); }

int64_t Dim::value() const {
  CHECK(is_constant());
  return constant_;
}

bool Dim::is_symbol() const {
  return terms_ && constant_ == 0 && terms_->size() == 1 && (*terms_)[0].coefficient == 1 &&
         (*terms_)[0].factors.size() == 1 && (*terms_)[0].factors[0]->kind == AtomKind::kSymbol;
}

const std::string& Dim::symbol_name() const {
  CHECK(is_symbol());
  return (*terms_)[0].factors[0]->name;
}

Dim operator+(const Dim& a, const Dim& b) {
  Dim::Terms terms;
  if (a.terms_) terms = *a.terms_;
  if (b.terms_) terms.insert(terms.end(), b.terms_->begin(), b.terms_->end());
  return Dim::of_terms(checked_add(a.constant_, b.constant_), std::move(terms));
}

Dim operator-(const Dim& a, const Dim& b) { return a + Dim(-1) * b; }

Dim operator*(const Dim& a, const Dim& b) {
  if (a.is_constant() && b.is_constant()) return checked_mul(a.constant_, b.constant_);
  Dim::Terms left, right;
  if (a.terms_) left = *a.terms_;
  if (b.terms_) right = *b.terms_;
  if (a.constant_) left.push_back({{}, a.constant_});
  if (b.constant_) right.push_back({{}, b.constant_});
  require(left.size() * right.size() <= size_t(kMaxTerms), kTooLarge);
  Dim::Terms terms;
  int64_t constant = 0;
  for (const auto& x : left)
    for (const auto& y : right) {
      Dim::Term t{x.factors, checked_mul(x.coefficient, y.coefficient)};
      t.factors.insert(t.factors.end(), y.factors.begin(), y.factors.end());
      require(t.factors.size() <= 64, kTooLarge);
      std::sort(t.factors.begin(), t.factors.end(),
                [](const auto& p, const auto& q) { return Dim::compare(p, q) < 0; });
      if (t.factors.empty())
        constant = checked_add(constant, t.coefficient);
      else
        terms.push_back(std::move(t));
    }
  return Dim::of_terms(constant, std::move(terms));
}

namespace {
int64_t floor_div_int(int64_t a, int64_t b) {
  require(b != 0, "division of a dimension by zero");
  require(!(a == INT64_MIN && b == -1), "dimension overflows");
  return a / b - ((a % b != 0) && ((a < 0) != (b < 0)));
}

int64_t mod_int(int64_t a, int64_t b) { return a - floor_div_int(a, b) * b; }

int64_t broadcast_int(int64_t a, int64_t b) {
  if (a == b || b == 1) return a;
  require(a == 1, "cannot broadcast extents ", a, " and ", b);
  return b;
}
}  // namespace

Dim floor_div(const Dim& a, const Dim& b) {
  if (a.is_constant() && b.is_constant()) return floor_div_int(a.constant_, b.constant_);
  if (b == Dim(1) || a == Dim(0)) return a;
  if (a == b) return 1;
  if (b.is_constant() && b.constant_ != 0) {
    bool exact = true;  // the constant part splits off: (8n + 9) / 4 = 2n + 2
    for (const auto& t : *a.terms_) exact &= t.coefficient % b.constant_ == 0;
    if (exact) {
      Dim::Terms terms = *a.terms_;
      for (auto& t : terms) t.coefficient /= b.constant_;
      return Dim::of_terms(floor_div_int(a.constant_, b.constant_), std::move(terms));
    }
  }
  if (a.terms_ && a.constant_ == 0 && b.terms_ && b.terms_->size() == 1 && b.constant_ == 0) {
    const auto& divisor = b.terms_->front();  // a monomial that divides every term of a
    Dim quotient = 0;
    bool exact = true;
    for (Dim::Term t : *a.terms_) {
      exact &= t.coefficient % divisor.coefficient == 0;
      t.coefficient /= divisor.coefficient;
      for (const auto& f : divisor.factors) {
        auto at = std::find_if(t.factors.begin(), t.factors.end(),
                               [&](const auto& g) { return Dim::compare(f, g) == 0; });
        exact &= at != t.factors.end();
        if (!exact) break;
        t.factors.erase(at);
      }
      if (!exact) break;
      quotient = quotient + (t.factors.empty() ? Dim(t.coefficient) : Dim::of_terms(0, {t}));
    }
    if (exact) return quotient;
  }
  return Dim::of_atom(Dim::AtomKind::kFloorDiv, "", a, b);
}

Dim ceil_div(const Dim& a, const Dim& b) { return floor_div(a + b - 1, b); }

Dim mod(const Dim& a, const Dim& b) {
  if (a.is_constant() && b.is_constant()) return mod_int(a.constant_, b.constant_);
  if (b == Dim(1) || a == b) return 0;
  return Dim::of_atom(Dim::AtomKind::kMod, "", a, b);
}

// Min, max and broadcast commute: operands are put in order, so that equal means structurally
// equal.
Dim min(const Dim& a, const Dim& b) {
  if (a == b) return a;
  if (Dim difference = a - b; difference.is_constant()) return difference.constant_ < 0 ? a : b;
  return Dim::of_atom(Dim::AtomKind::kMin, "", a < b ? a : b, a < b ? b : a);
}

Dim max(const Dim& a, const Dim& b) {
  if (a == b) return a;
  if (Dim difference = a - b; difference.is_constant()) return difference.constant_ > 0 ? a : b;
  return Dim::of_atom(Dim::AtomKind::kMax, "", a < b ? a : b, a < b ? b : a);
}

Dim broadcast(const Dim& a, const Dim& b) {
  if (a == b || b == Dim(1)) return a;
  if (a == Dim(1)) return b;
  if (a.is_constant() && b.is_constant()) return broadcast_int(a.constant_, b.constant_);
  return Dim::of_atom(Dim::AtomKind::kBroadcast, "", a < b ? a : b, a < b ? b : a);
}

int64_t Dim::eval(const std::function<int64_t(const std::string&)>& lookup) const {
  if (!terms_) return constant_;
  auto atom = [&](const AtomNode& n) -> int64_t {
    if (n.kind == AtomKind::kSymbol) return lookup(n.name);
    int64_t a = n.a.eval(lookup), b = n.b.eval(lookup);
    switch (n.kind) {
      case AtomKind::kFloorDiv:
        return floor_div_int(a, b);
      case AtomKind::kMod:
        return mod_int(a, b);
      case AtomKind::kMin:
        return std::min(a, b);
      case AtomKind::kMax:
        return std::max(a, b);
      default:
        return broadcast_int(a, b);
    }
  };
  int64_t sum = constant_;
  for (const Term& t : *terms_) {
    int64_t product = t.coefficient;
    for (const Atom& f : t.factors) product = checked_mul(product, atom(*f));
    sum = checked_add(sum, product);
  }
  return sum;
}

Dim Dim::substitute(const std::function<Dim(const std::string&)>& lookup) const {
  if (!terms_) return *this;
  auto atom = [&](const AtomNode& n) -> Dim {
    if (n.kind == AtomKind::kSymbol) return lookup(n.name);
    Dim a = n.a.substitute(lookup), b = n.b.substitute(lookup);
    switch (n.kind) {
      case AtomKind::kFloorDiv:
        return floor_div(a, b);
      case AtomKind::kMod:
        return mod(a, b);
      case AtomKind::kMin:
        return min(a, b);
      case AtomKind::kMax:
        return max(a, b);
      default:
        return broadcast(a, b);
    }
  };
  Dim sum = constant_;
  for (const Term& t : *terms_) {
    Dim product = t.coefficient;
    for (const Atom& f : t.factors) product = product * atom(*f);
    sum = sum + product;
  }
  return sum;
}

namespace {
// Saturating interval arithmetic; INT64_MAX and INT64_MIN stand for infinity.
__extension__ using Wide = __int128;

int64_t saturate(Wide v) {
  return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : int64_t(v);
}

Interval add_interval(Interval a, Interval b) {
  bool no_low = a.low == INT64_MIN || b.low == INT64_MIN;
  bool no_high = a.high == INT64_MAX || b.high == INT64_MAX;
  return {no_low ? INT64_MIN : saturate(Wide(a.low) + b.low),
          no_high ? INT64_MAX : saturate(Wide(a.high) + b.high)};
}

Interval mul_interval(Interval a, Interval b) {
  Wide c[] = {Wide(a.low) * b.low, Wide(a.low) * b.high, Wide(a.high) * b.low,
              Wide(a.high) * b.high};
  return {saturate(std::min({c[0], c[1], c[2], c[3]})),
          saturate(std::max({c[0], c[1], c[2], c[3]}))};
}

Interval floor_div_interval(Interval a, Interval b) {
  if (b.low <= 0) return {INT64_MIN, INT64_MAX};
  auto divide = [](int64_t x, int64_t y) {
    if (x == INT64_MAX || x == INT64_MIN) return y == INT64_MAX ? int64_t{0} : x;
    return floor_div_int(x, y);
  };
  int64_t c[] = {divide(a.low, b.low), divide(a.low, b.high), divide(a.high, b.low),
                 divide(a.high, b.high)};
  int64_t high = a.high == INT64_MAX ? INT64_MAX : std::max({c[0], c[1], c[2], c[3]});
  return {std::min({c[0], c[1], c[2], c[3]}), high};
}
}  // namespace

Interval Dim::bounds(const std::function<Interval(const std::string&)>& range) const {
  auto atom = [&](const AtomNode& n) -> Interval {
    if (n.kind == AtomKind::kSymbol) return range(n.name);
    Interval a = n.a.bounds(range), b = n.b.bounds(range);
    switch (n.kind) {
      case AtomKind::kFloorDiv:
        return floor_div_interval(a, b);
      case AtomKind::kMod:
        if (b.low <= 0) return {INT64_MIN, INT64_MAX};
        return {0, b.high == INT64_MAX ? INT64_MAX : b.high - 1};
      case AtomKind::kMin:
        return {std::min(a.low, b.low), std::min(a.high, b.high)};
      case AtomKind::kMax:
        return {std::max(a.low, b.low), std::max(a.high, b.high)};
      default:
        return {std::min(a.low, b.low), std::max(a.high, b.high)};
    }
  };
  Interval sum{constant_, constant_};
  if (!terms_) return sum;
  for (const Term& t : *terms_) {
    Interval product{t.coefficient, t.coefficient};
    for (const Atom& f : t.factors) product = mul_interval(product, atom(*f));
    sum = add_interval(sum, product);
  }
  return sum;
}

void Dim::collect_symbols(std::set<std::string>& out) const {
  if (!terms_) return;
  for (const Term& t : *terms_)
    for (const Atom& f : t.factors) {
      if (f->kind == AtomKind::kSymbol) out.insert(f->name);
      f->a.collect_symbols(out);
      f->b.collect_symbols(out);
    }
}

}  // namespace vitrify
