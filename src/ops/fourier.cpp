#include "ops/fourier.h"

#include <cmath>
#include <cstdint>
#include <numbers>

namespace vitrify {

namespace {

using Complex = std::complex<double>;

int64_t smallest_factor(int64_t n) {
  for (int64_t p = 2; p * p <= n; ++p)
    if (n % p == 0) return p;
  return n;
}

/// Cooley and Tukey's step for the smallest prime factor p: p transforms of every p-th element,
/// combined. `roots[j * roots_step]` is the j-th power of the root for this length.
void transform(const Complex* x, int64_t stride, int64_t n, const std::vector<Complex>& roots,
               Complex* out) {
  if (n == 1) {
    out[0] = x[0];
    return;
  }
  int64_t p = smallest_factor(n), m = n / p, step = int64_t(roots.size()) / n;
  std::vector<Complex> parts(static_cast<size_t>(n));
  for (int64_t r = 0; r < p; ++r)
    transform(x + r * stride, stride * p, m, roots, parts.data() + r * m);
  for (int64_t k = 0; k < n; ++k) {
    Complex sum = 0;
    for (int64_t r = 0; r < p; ++r) {
      const Complex &a = parts[size_t(r * m + k % m)], &w = roots[size_t(r * k % n * step)];
      sum += Complex(a.real() * w.real() - a.imag() * w.imag(),
                     a.real() * w.imag() + a.imag() * w.real());
    }
    out[k] = sum;
  }
}

}  // namespace

std::vector<Complex> fourier(const std::vector<Complex>& x, bool inverse) {
  int64_t n = int64_t(x.size());
  std::vector<Complex> roots(x.size()), out(x.size());
  for (int64_t k = 0; k < n; ++k) {
    double angle = 2 * std::numbers::pi * double(k) / double(n);
    roots[size_t(k)] = {std::cos(angle), inverse ? std::sin(angle) : -std::sin(angle)};
  }
  if (n > 0) transform(x.data(), 1, n, roots, out.data());
  return out;
}

}  // namespace vitrify
