#include "backend/cpu/kernels/predict.h"

#include <algorithm>
#include <cmath>

#include "backend/cpu/kernels/conv_algorithms.h"

namespace vitrify::cpu {
namespace {

constexpr double kLaneFlops = 15e9;       ///< a second, core and float of a vector, with FMA
constexpr double kBandwidth = 72e9;       ///< bytes a second, for all cores: memory and caches
constexpr double kBandCopy = 0.8;         ///< bytes moved for a byte copied into a band
constexpr double kTapStart = 2;           ///< inner-loop steps that starting a tap is worth
constexpr double kDepthwiseShare = 0.15;  ///< of the peak
/// Flops an element of a transformed tile (input and output side), for tiles of 2 and of 4.
constexpr double kTransform2 = 40, kTransform4 = 60;
constexpr double kTileRows = 8;  ///< fewer rows than this leave the product waiting for weights

double peak(Isa isa, int threads) {
  const double fma = isa == Isa::kBaseline ? 0.5 : 1;
  return kLaneFlops * fma * isa_lanes(isa) * std::max(1, threads);
}

double up(double value, double step) { return std::ceil(value / step) * step; }

/// Flops of m rows by n columns with `starts` inner loops of `k` steps in all, waste included.
double product_flops(Isa isa, double m, double n, double k, double starts) {
  return 2 * std::max(m, kTileRows) * up(n, isa_lanes(isa)) * (k + kTapStart * starts);
}

double milliseconds(const ConvArgs& a, double flops, double bytes) {
  return 1e3 * (flops / peak(a.isa, a.max_threads) + bytes / kBandwidth);
}

double in_floats(const ConvArgs& a) {
  return double(a.batch) * double(a.in[0]) * double(a.in[1]) * double(a.in[2]) *
         double(a.spec.in_channels);
}
double out_floats(const ConvArgs& a) { return double(out_pixels(a)) * double(a.spec.out_channels); }

double weight_floats(const ConvSpec& s) {
  return double(kernel_taps(s)) * double(group_inputs(s)) * double(s.out_channels);
}

double predict_gemm_conv(const ConvArgs& a) {
  const ConvSpec& s = a.spec;
  const double taps = double(kernel_taps(s));
  const bool banded = a.algorithm == ConvAlgorithm::kBanded;  // a row of taps is one inner loop
  const double starts = banded ? taps / double(s.kernel[2]) : taps;
  const double flops =
      double(s.groups) * product_flops(a.isa, double(out_pixels(a)), double(group_outputs(s)),
                                       taps * double(group_inputs(s)), starts);
  const double copied = banded ? kBandCopy * in_floats(a) : 0;
  return milliseconds(a, flops, 4 * (in_floats(a) + out_floats(a) + weight_floats(s) + copied));
}

double predict_depthwise(const ConvArgs& a) {
  const double flops = 2 * out_floats(a) * double(kernel_taps(a.spec)) / kDepthwiseShare;
  return milliseconds(a, flops, 4 * (in_floats(a) + out_floats(a)));
}

double predict_winograd(const ConvArgs& a, double tile) {
  const ConvSpec& s = a.spec;
  const double tiles = double(a.batch) * double(a.out[0]) * std::ceil(double(a.out[1]) / tile) *
                       std::ceil(double(a.out[2]) / tile);
  const double elements = (tile + 2) * (tile + 2), c = double(s.in_channels),
               n = double(s.out_channels);
  const double transform = tile == 2 ? kTransform2 : kTransform4;
  const double flops = elements * (product_flops(a.isa, tiles, n, c, 1) +
                                   transform * tiles * (up(c, 16) + up(n, 16)));
  return milliseconds(a, flops, 4 * (in_floats(a) + out_floats(a) + elements * c * n));
}

}  // namespace

double predict_conv(const ConvArgs& args) {
  switch (args.algorithm) {
    case ConvAlgorithm::kDepthwise:
      return predict_depthwise(args);
    case ConvAlgorithm::kWinograd2:
      return predict_winograd(args, 2);
    case ConvAlgorithm::kWinograd4:
      return predict_winograd(args, 4);
    default:
      return predict_gemm_conv(args);
  }
}

double predict_product(Isa isa, double batch, double m, double n, double k, bool packed_b,
                       int max_threads) {
  const double bytes = 4 * batch * (m * k + m * n) + 4 * k * n * (packed_b ? 1 : 3 * batch);
  const double flops = batch * product_flops(isa, m, n, k, 1);
  return 1e3 * (flops / peak(isa, max_threads) + bytes / kBandwidth);
}

}  // namespace vitrify::cpu
