// The discrete Fourier transform of any length, in double.
#pragma once

#include <complex>
#include <vector>

namespace vitrify {

/// X[k] = Σ_n x[n] · e^(∓2πikn/N), with + and no 1/N for the inverse. Time grows with N times the
/// sum of N's prime factors.
std::vector<std::complex<double>> fourier(const std::vector<std::complex<double>>& x, bool inverse);

}  // namespace vitrify
