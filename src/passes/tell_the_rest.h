// What a pass did beside its rules, for the record.
#pragma once

#include "rewrite/rewriter.h"

namespace vitrify {

/// Adds decisions for what the pass did silently: equal nodes that became one, nodes that nothing
/// reads any more, transposes that stand elsewhere now. Decisions from `told` on are the pass's
/// own; what they name is not told twice. A changed graph always leaves at least one decision.
void tell_the_rest(const Graph& before, const Graph& after, size_t told,
                   const PassContext& context);

/// Decisions for the equal nodes of a model that became one when it was imported.
void tell_imported(const Graph& graph, const PassContext& context);

}  // namespace vitrify
