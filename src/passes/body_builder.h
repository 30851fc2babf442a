// Appends pointwise nodes to a Body; shared by the passes that fuse.
#pragma once

#include <map>

#include "ir/graph.h"

namespace vitrify {

/// True for a pointwise node that a Body can hold: f32 values, with bool between them.
bool is_body_step(const Node& node, const GraphBuilder& builder);

class BodyBuilder {
 public:
  /// While building, a register is an operand (-1 - j) or a step (i ≥ 0): operands may still be
  /// added.
  using Ref = int32_t;

  /// Continues the epilogue `body`; its operand 0 is the op's own result, `operands` are the
  /// others.
  static BodyBuilder epilogue(const GraphBuilder& builder, const Body& body,
                              std::vector<ValueId> operands);
  /// An empty body, for a Pointwise.
  explicit BodyBuilder(const GraphBuilder& builder) : builder_(builder) {}

  /// The newest result (of an epilogue without steps: operand 0).
  Ref last() const { return steps_.empty() ? -1 : int32_t(steps_.size()) - 1; }
  /// Appends the node; inputs in `known` are registers already, scalar constants become constant
  /// steps, others become operands. A Pointwise's body is inlined.
  Ref append(const Node& node, const std::map<ValueId, Ref>& known);
  size_t step_count() const { return steps_.size(); }
  /// Operands, an epilogue's own result not among them.
  std::vector<ValueId> operands() const;
  Body body() const;

 private:
  Ref ref_of(ValueId v, const std::map<ValueId, Ref>& known);
  Ref push(BodyStep step);
  Ref inline_body(const Body& body, const std::vector<Ref>& arguments);

  const GraphBuilder& builder_;
  std::vector<BodyStep> steps_;    // args are Refs
  std::vector<ValueId> operands_;  // the main result of an epilogue is "no value" at 0
};

}  // namespace vitrify
