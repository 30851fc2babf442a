// Decisions of the build that no pass makes: how ONNX nodes were imported, which values share
// memory, which weights the engine leaves out.
#pragma once

#include "builder/builder.h"
#include "onnx/importer.h"
#include "runtime/engine_file.h"

namespace vitrify {

/// For each ONNX node, constants aside, that did not become exactly one node, or whose form an
/// opset has replaced since, and for each call of a local function; alike ones are one decision.
/// For equal nodes that became one.
void explain_import(const Graph& graph, const std::vector<onnx::ImportedNode>& nodes, Trace& trace);
/// For each declared shape that contradicts what was inferred.
void explain_contradictions(const std::vector<onnx::Contradiction>& found, Trace& trace);
/// As `explain_aliases` tells of one.
Decision describe_alias(const Graph& graph, const Alias& alias);
/// For each value that has no memory of its own in some plan, of the graph or of a body.
void explain_aliases(const Graph& graph, const std::vector<Plan>& plans,
                     const std::vector<BodyPlan>& bodies, Trace& trace);
/// For each weight that the engine keeps in packed form alone: named, with the nodes that read it.
void explain_left_out(const Graph& graph, const std::vector<StoredConstant>& constants,
                      Trace& trace);

}  // namespace vitrify
