// Guards: what inference could not prove of symbolic extents is checked when they are bound.
//
// There is no list of conditions: a node's own shape rule runs once more, on the extents that its
// inputs now have, and must say what the symbolic types say. So every op is covered by the rule
// that it has anyway.
#pragma once

#include "ops/interpreter.h"

namespace vitrify {

/// Checks node `index` as far as `symbols` (name → value) tell its inputs' extents and facts; what
/// they do not tell stays open. Throws a user error with the node's origin that names the op, the
/// shapes, what does not fit, and the symbols' values. Nodes without symbols cost nothing: they
/// were checked when they were added.
void check_guards(const Graph& graph, int32_t index, const Bindings& symbols);

}  // namespace vitrify
