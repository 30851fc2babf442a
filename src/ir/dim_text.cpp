// Dims as text, and back.
#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/error.h"
#include "ir/dim_terms.h"
#include "ir/text_cursor.h"

namespace vitrify {

namespace {
constexpr std::string_view kAtomNames[] = {"", "floordiv", "mod", "min", "max", "broadcast"};

bool plain_symbol(std::string_view s) {
  if (s.empty() || std::isdigit(static_cast<unsigned char>(s[0]))) return false;
  return std::all_of(s.begin(), s.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '.'; });
}

std::string quote_symbol(const std::string& name) {
  bool reserved =
      std::find(std::begin(kAtomNames), std::end(kAtomNames), name) != std::end(kAtomNames);
  if (plain_symbol(name) && !reserved) return name;
  std::string out = "`";  // backquotes inside a name are doubled
  for (char c : name) out += c == '`' ? std::string("``") : std::string(1, c);
  return out + "`";
}
}  // namespace

std::string Dim::atom_str(const AtomNode& n) {
  if (n.kind == AtomKind::kSymbol) return quote_symbol(n.name);
  return cat(kAtomNames[int(n.kind)], "(", n.a.str(), ", ", n.b.str(), ")");
}

std::string Dim::str() const {
  if (!terms_) return std::to_string(constant_);
  std::string out;
  auto append = [&](int64_t coefficient, const std::string& body) {
    std::string magnitude = std::to_string(coefficient);
    if (coefficient < 0) magnitude.erase(0, 1);
    out += out.empty() ? (coefficient < 0 ? "-" : "") : (coefficient < 0 ? " - " : " + ");
    out += body.empty() ? magnitude : magnitude == "1" ? body : magnitude + "*" + body;
  };
  for (const Term& t : *terms_) {
    std::string body;
    for (const Atom& f : t.factors) body += (body.empty() ? "" : "*") + atom_str(*f);
    append(t.coefficient, body);
  }
  if (constant_) append(constant_, "");
  return out;
}

namespace {
// expression := ['-'] term (('+' | '-') term)* ; term := factor ('*' factor)*
// factor := integer | name | `quoted` | function '(' expression ',' expression ')'
class DimParser : TextCursor {
 public:
  explicit DimParser(std::string_view s) : TextCursor(s) {}
  Dim parse_all() {
    Dim d = expression(0);
    if (!at_end()) bad();
    return d;
  }

 private:
  [[noreturn]] void bad() { fail("bad dimension expression at '", rest_.substr(0, 20), "'"); }
  Dim expression(int depth) {
    require(depth <= 64, "dimension expression is nested too deeply");
    Dim sum = signed_term(eat('-'), depth);
    for (;;) {
      if (eat('+'))
        sum = sum + term(depth);
      else if (eat('-'))
        sum = sum + signed_term(true, depth);
      else
        return sum;
    }
  }
  Dim signed_term(bool negative, int depth) {
    if (!negative) return term(depth);
    space();
    constexpr std::string_view kLeast = "9223372036854775808";  // no int64 without its sign
    if (rest_.substr(0, kLeast.size()) != kLeast) return Dim(0) - term(depth);
    rest_.remove_prefix(kLeast.size());
    return INT64_MIN;
  }
  Dim term(int depth) {
    Dim product = factor(depth);
    while (eat('*')) product = product * factor(depth);
    return product;
  }
  Dim factor(int depth) {
    space();
    if (rest_.empty()) bad();
    if (std::isdigit(static_cast<unsigned char>(rest_[0]))) return integer();
    if (rest_[0] == '`') return Dim::symbol(quoted());
    size_t n = 0;
    while (n < rest_.size() && plain_symbol(rest_.substr(0, n + 1))) ++n;
    if (n == 0) bad();
    std::string_view name = rest_.substr(0, n);
    rest_.remove_prefix(n);
    if (!eat('(')) return Dim::symbol(std::string(name));
    Dim a = expression(depth + 1);
    if (!eat(',')) bad();
    Dim b = expression(depth + 1);
    if (!eat(')')) bad();
    return apply(name, a, b);
  }
  Dim apply(std::string_view name, const Dim& a, const Dim& b) {
    if (name == "floordiv") return floor_div(a, b);
    if (name == "mod") return mod(a, b);
    if (name == "min") return min(a, b);
    if (name == "max") return max(a, b);
    if (name == "broadcast") return broadcast(a, b);
    fail("unknown function '", name, "' in a dimension expression");
  }
  int64_t integer() {
    int64_t v = 0;
    auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), v);
    if (error != std::errc()) bad();
    rest_.remove_prefix(size_t(end - rest_.data()));
    return v;
  }
  std::string quoted() {
    std::string name;
    for (rest_.remove_prefix(1);; rest_.remove_prefix(1)) {
      if (rest_.empty()) bad();
      if (rest_[0] == '`') {
        if (rest_.size() < 2 || rest_[1] != '`') break;
        rest_.remove_prefix(1);
      }
      name += rest_[0];
    }
    rest_.remove_prefix(1);
    return name;
  }
};
}  // namespace

Dim Dim::parse(std::string_view text) { return DimParser(text).parse_all(); }

}  // namespace vitrify
