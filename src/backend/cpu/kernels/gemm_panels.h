// How the columns of B are cut into panels. A panel is up to 4 (AVX-512) or 2 vectors wide and the
// vectors are spread evenly over the panels, so that no panel is much narrower than the others. The
// packed form of B[k, n] is panel after panel, each k rows of `width` floats, the last one filled
// up with zeros.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backend/cpu/isa.h"

namespace vitrify::cpu {

inline constexpr int64_t div_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Vectors of the widest panel.
constexpr int panel_max_vectors(Isa isa) { return isa == Isa::kAvx512 ? 4 : 2; }

class Panels {
 public:
  Panels(Isa isa, int64_t n)
      : n_(n),
        lanes_(isa_lanes(isa)),
        vectors_(div_up(n, lanes_)),
        count_(div_up(vectors_, panel_max_vectors(isa))) {}
  int64_t count() const { return count_; }
  /// Columns rounded up to whole vectors.
  int64_t padded() const { return vectors_ * lanes_; }
  /// First column of panel p; panel count() begins at padded().
  int64_t begin(int64_t p) const {
    return count_ == 0 ? 0 : (p * (vectors_ / count_) + std::min(p, vectors_ % count_)) * lanes_;
  }
  /// Columns of panel p, a multiple of the lanes.
  int64_t width(int64_t p) const { return begin(p + 1) - begin(p); }
  /// Columns of panel p that B has.
  int64_t valid(int64_t p) const { return std::min(width(p), n_ - begin(p)); }
  bool has_tail() const { return vectors_ * lanes_ != n_; }

 private:
  int64_t n_, lanes_, vectors_, count_;
};

}  // namespace vitrify::cpu
