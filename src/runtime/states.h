// States: pairs of an input and an output of a graph (Graph::states). After a run the output's
// value is the input's for the next one.
#pragma once

#include "ir/graph.h"

namespace vitrify {

/// Throws a user error, naming what there is, unless every pair names an input and an output that
/// are tensors of one element type and rank whose fixed extents agree (others may grow from run to
/// run), and no input is in two pairs.
void check_states(const Graph& graph);

}  // namespace vitrify
