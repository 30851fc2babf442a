// How long convolutions and products take, roughly: for choosing among algorithms without timing.
//
// time = arithmetic / (peak of the threads) + bytes / bandwidth. What an algorithm wastes counts as
// arithmetic: columns that fill up a vector, the start of every tap's inner loop, Winograd's
// transforms. The constants were fitted on the convolutions and products of some twenty networks;
// they mean to rank algorithms, not to foretell a machine's milliseconds.
#pragma once

#include "backend/cpu/kernels/conv.h"

namespace vitrify::cpu {

/// Milliseconds; reads isa, algorithm, spec, extents and max_threads.
double predict_conv(const ConvArgs& args);
/// `batch` products of [m, k] by [k, n]; B is packed while running unless `packed_b`.
double predict_product(Isa isa, double batch, double m, double n, double k, bool packed_b,
                       int max_threads);

}  // namespace vitrify::cpu
