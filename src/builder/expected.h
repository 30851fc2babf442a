// What a node ought to answer, at enough elements to catch a wrong candidate: corners, the first
// and last places of every axis, and elements here and there.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "ops/interpreter.h"

namespace vitrify {

/// Flat positions in a dense tensor of these extents, ascending: all when there are at most
/// `all_up_to`, else some hundred. A function of its arguments alone.
std::vector<int64_t> sample_positions(const Dims& dims, int64_t all_up_to);

/// Values of one output at some positions.
struct ExpectedOutput {
  std::vector<int64_t> positions;
  std::vector<double> values;
};

/// What is expected of a node's outputs, or the reason why it cannot be told.
struct Expected {
  std::vector<ExpectedOutput> outputs;
  std::string unknown;
};

/// Values of the reference kernel; of big contractions only those elements are computed (sums in
/// double). Nothing is said of other nodes that take a reference kernel more than some seconds.
Expected expected_of(const Node& node, std::span<const Value> inputs,
                     const std::vector<Dims>& out_dims, const Bindings& bindings);

/// "" when `got` (an output each) agrees with what is expected, within `tolerance` of the largest
/// expected magnitude. Results that jump (a rounding, a comparison) may differ at one of a thousand
/// elements.
std::string difference(const Node& node, const Expected& expected, std::span<const Tensor> got,
                       double tolerance);

}  // namespace vitrify
