// The op table: one row an op, in OpVariant's order.
#pragma once

#include "ops/op_info.h"

namespace vitrify {

const OpInfo& op_info(const Op& op);
const OpInfo& op_info(size_t index);
size_t op_count();

/// The op's shape rule on these inputs; `outputs`, `like` as for GraphBuilder::add. Throws a user
/// error that names op and types.
Inferred infer(const Op& op, std::vector<KnownInput> inputs, int outputs, const Node* like,
               int64_t* next_symbol);

/// A builder with the table's shape rules; continues from `old` when given.
GraphBuilder make_builder(const Graph* old = nullptr);
/// Copies every node: dead ones vanish, equal ones merge.
Graph rebuild(const Graph& graph);

}  // namespace vitrify
