// Random numbers: rows of the op table. The generator is counter-based (Philox 4×32-10, Salmon,
// Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011): element i of a node
// depends on nothing but the key and i, so that results do not depend on threads or machines.
#pragma once

#include <array>

#include "ops/op_info.h"

namespace vitrify {

using PhiloxBlock = std::array<uint32_t, 4>;
PhiloxBlock philox(PhiloxBlock counter, std::array<uint32_t, 2> key);

/// Numbers of one stream: the same seed and stream give the same numbers.
class RandomStream {
 public:
  RandomStream(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}
  /// Element i, in [0, 1) with 53 bits.
  double uniform(uint64_t i) const;
  /// Element i of a standard normal distribution (Box and Muller).
  double normal(uint64_t i) const;

 private:
  std::array<double, 2> pair(uint64_t block) const;
  uint64_t seed_, stream_;
};

void infer_random(InferContext&);
/// With a seed every run gives the same numbers; without one every run of the process draws new
/// ones.
void reference_random(ReferenceCall&);
std::vector<Sample> samples_random(uint64_t seed);

}  // namespace vitrify
