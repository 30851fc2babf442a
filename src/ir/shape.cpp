// Shapes: lists of extents.
#include <algorithm>

#include "base/error.h"
#include "ir/dim.h"

namespace vitrify {
namespace {

std::string text(const Dim& d) { return d.str(); }
std::string text(int64_t d) { return std::to_string(d); }

template <class D>
std::string join(const std::vector<D>& items) {
  std::string out = "[";
  for (size_t i = 0; i < items.size(); ++i) out += (i ? ", " : "") + text(items[i]);
  return out + "]";
}

template <class D, class Combine>
std::vector<D> broadcast_extents(const std::vector<D>& a, const std::vector<D>& b,
                                 Combine combine) {
  std::vector<D> out(std::max(a.size(), b.size()));
  for (size_t i = 0; i < out.size(); ++i) {
    D x = i < a.size() ? a[a.size() - 1 - i] : D(1), y = i < b.size() ? b[b.size() - 1 - i] : D(1);
    try {
      out[out.size() - 1 - i] = combine(x, y);
    } catch (const Error&) {
      fail("cannot broadcast shapes ", join(a), " and ", join(b));
    }
  }
  return out;
}
}  // namespace

Dim element_count(const Shape& shape) {
  Dim n = 1;
  for (const Dim& d : shape) n = n * d;
  return n;
}

int64_t element_count(const Dims& dims) {
  int64_t n = 1;
  bool zero = false;
  for (int64_t d : dims) {
    require(d >= 0, "negative extent ", d, " in shape ", join(dims));
    zero |= d == 0;
    if (d != 0) n = checked_mul(n, d);
  }
  return zero ? 0 : n;
}

Shape to_shape(const Dims& dims) { return Shape(dims.begin(), dims.end()); }
Shape broadcast_shapes(const Shape& a, const Shape& b) {
  return broadcast_extents(a, b, [](const Dim& x, const Dim& y) { return broadcast(x, y); });
}
Dims broadcast_dims(const Dims& a, const Dims& b) {
  return broadcast_extents(a, b,
                           [](int64_t x, int64_t y) { return broadcast(Dim(x), Dim(y)).value(); });
}
std::string str(const Shape& shape) { return join(shape); }
std::string str(const Dims& dims) { return join(dims); }

}  // namespace vitrify
