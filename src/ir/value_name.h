#pragma once

#include "ir/graph.h"

namespace vitrify {

/// The user's name of a value (an output's first), or "%12" and "%12.1" by node and output.
std::string value_name(const Graph& graph, ValueId v);

}  // namespace vitrify
