// The interpreter: runs a graph with the reference kernels. It defines what a graph means.
#pragma once

#include <map>
#include <string>

#include "ir/graph.h"
#include "ops/op_info.h"

namespace vitrify {

/// Values of symbols (names of symbolic extents).
using Bindings = std::map<std::string, int64_t>;

/// Binds the symbols of `type` to the extents of `value`: a bare unbound symbol takes the extent,
/// any other Dim is checked. Throws a user error naming `what`, the expected type and the given
/// one.
void bind_symbols(const Type& type, const Value& value, const std::string& what,
                  Bindings& bindings);

/// Runs one node's reference kernel. `outputs` may hold tensors to write into. Bodies of control flow
/// run through `run_body`, or else in the interpreter.
void run_reference(const Node& node, std::span<const Value> inputs, std::span<Value> outputs,
                   const Bindings& bindings, const RunBody& run_body = {});

/// Runs the whole graph: `inputs` in the graph's input order. Values are freed after their last
/// use. Throws a user error that names the node's origin, and Cancelled (base/run_scope.h) where
/// the thread's run is to end.
std::vector<Value> interpret(const Graph& graph, std::vector<Value> inputs);
/// The same for a body that runs many times: without the guards (ops/guards.h), which cost more
/// than small kernels. The kernels check what they read.
std::vector<Value> interpret_body(const Graph& graph, std::vector<Value> inputs);
/// With a callback for every node's outputs (taps).
std::vector<Value> interpret(
    const Graph& graph, std::vector<Value> inputs, Bindings bindings,
    const std::function<void(int32_t node, std::span<const Value>)>& on_node);

}  // namespace vitrify
