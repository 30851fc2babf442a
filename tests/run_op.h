// One op on tensors, as a graph of its own.
#pragma once

#include <vector>

#include "ops/interpreter.h"
#include "ops/table.h"

namespace vitrify {

/// Runs one op on tensors through builder and interpreter, so that types and bounds are checked.
inline std::vector<Value> run(const Op& op, const std::vector<Tensor>& inputs, int outputs = 1) {
  GraphBuilder b = make_builder();
  std::vector<ValueId> ids;
  std::vector<Value> values;
  for (const Tensor& t : inputs) {
    ids.push_back(b.input(cat("x", ids.size()), t.type()));
    values.emplace_back(t);
  }
  ValueId y = b.add(op, ids, {}, outputs);
  for (int i = 0; i < outputs; ++i) b.output(cat("y", i), {y.node, i});
  return interpret(b.finish(), values);
}
/// The first output of an op.
inline Tensor run1(const Op& op, const std::vector<Tensor>& inputs) {
  return run(op, inputs)[0].tensor;
}

}  // namespace vitrify
