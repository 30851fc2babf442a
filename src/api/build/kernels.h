// Which ops have fast kernels, read off the tactic tables.
#pragma once

#include "api/describe.h"

namespace vitrify::api {

/// {op: {backend: {class of types: "fast" | "reference"}}}: for every op by its label
/// ("reduce_mean"), what takes the samples of the op table: "fast" when some tactic takes one, with
/// extents known and inputs after the first given or constant.
Json describe_kernels();

/// The row of `kernels` whose label is the ONNX operator's name in snake case; null when no op is
/// called so, because the operator becomes other ops.
Json find_kernels(const Json& kernels, std::string_view onnx_op);

}  // namespace vitrify::api
