// Dim: a tensor extent, possibly symbolic.
//
// A Dim is a canonical polynomial with integer coefficients over atoms: named symbols and
// floor-division, modulo, min, max and broadcast of Dims. Structurally equal means equal; otherwise
// nothing is known, and what has to hold becomes a guard that is checked when shapes are bound.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace vitrify {

/// Inclusive bounds of a Dim.
struct Interval {
  int64_t low = 0, high = INT64_MAX;
  bool bounded() const { return high != INT64_MAX; }
  bool operator==(const Interval&) const = default;
};

class Dim {
 public:
  Dim(int64_t value = 0) : constant_(value) {}  // NOLINT: implicit, so that {1, 3, n} reads well
  static Dim symbol(std::string name);

  bool is_constant() const { return !terms_; }
  /// Throws an internal error unless constant.
  int64_t value() const;
  /// True for a bare symbol; `symbol_name()` is then its name.
  bool is_symbol() const;
  const std::string& symbol_name() const;

  /// The value under `lookup` (symbol name → value). Throws a user error where a broadcast atom's
  /// sides clash, on division by zero and on overflow; whatever lookup throws passes through.
  int64_t eval(const std::function<int64_t(const std::string&)>& lookup) const;
  /// Bounds by interval arithmetic; `range` gives each symbol's. Saturates instead of overflowing.
  Interval bounds(const std::function<Interval(const std::string&)>& range) const;
  /// Replaces symbols by `lookup`'s Dims.
  Dim substitute(const std::function<Dim(const std::string&)>& lookup) const;
  void collect_symbols(std::set<std::string>& out) const;
  /// Symbols and operations as written out. An operation above 2048, of more than 256 terms or
  /// nested deeper than 64 is refused with a user error.
  int64_t size() const;
  /// How deep the operations are nested; 0 for a polynomial of symbols.
  int depth() const;
  /// True where growing on would make walks over Dims slow: such an extent is better a symbol.
  bool is_large() const;
  /// Text that `parse` reads back: "2*n + floordiv(h, 2) - 1".
  std::string str() const;
  /// Throws a user error on bad text.
  static Dim parse(std::string_view text);

  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator*(const Dim& a, const Dim& b);
  /// Rounds toward minus infinity; exact polynomial division where the divisor divides every term.
  friend Dim floor_div(const Dim& a, const Dim& b);
  friend Dim ceil_div(const Dim& a, const Dim& b);
  friend Dim mod(const Dim& a, const Dim& b);
  friend Dim min(const Dim& a, const Dim& b);
  friend Dim max(const Dim& a, const Dim& b);
  /// The extent of two broadcast extents; user error where both are constant and clash.
  friend Dim broadcast(const Dim& a, const Dim& b);

  friend bool operator==(const Dim& a, const Dim& b) { return (a <=> b) == 0; }
  friend std::strong_ordering operator<=>(const Dim& a, const Dim& b);

 private:
  enum class AtomKind : uint8_t { kSymbol, kFloorDiv, kMod, kMin, kMax, kBroadcast };
  struct AtomNode;
  using Atom = std::shared_ptr<const AtomNode>;
  struct Term;
  using Terms = std::vector<Term>;

  static Dim of_atom(AtomKind kind, std::string name, Dim a, Dim b);
  static Dim of_terms(int64_t constant, Terms terms);
  static std::strong_ordering compare(const Atom& a, const Atom& b);
  static std::strong_ordering compare(const std::vector<Atom>& a, const std::vector<Atom>& b);
  static std::string atom_str(const AtomNode& atom);

  int64_t constant_ = 0;
  std::shared_ptr<const Terms> terms_;  // null for a constant; sorted by factors
};

using Shape = std::vector<Dim>;
/// Concrete extents.
using Dims = std::vector<int64_t>;
/// The most axes that what comes from outside may have.
inline constexpr int64_t kMaxRank = 64;

/// The product of all extents (1 for rank 0).
Dim element_count(const Shape& shape);
/// The same for concrete extents; user error on overflow or a negative extent.
int64_t element_count(const Dims& dims);
Shape to_shape(const Dims& dims);
/// Numpy broadcasting of two shapes.
Shape broadcast_shapes(const Shape& a, const Shape& b);
Dims broadcast_dims(const Dims& a, const Dims& b);
/// "[1, 3, n]"
std::string str(const Shape& shape);
std::string str(const Dims& dims);

}  // namespace vitrify
