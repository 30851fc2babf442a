// Binding: a plan with concrete extents: where every value lies and what every step does.
//
// Made when a context sees a combination of input extents for the first time, and cached. Values
// and steps that only a run can tell (`late`) are filled in while running.
#pragma once

#include "ops/interpreter.h"
#include "runtime/engine.h"

namespace vitrify {

struct BoundValue {
  Dims dims, strides;  ///< in elements
  int64_t offset = 0;  ///< bytes from the start of the root
  bool known = false;
};

struct BoundStep {
  TacticState state;
  int64_t workspace = 0, workspace_offset = 0;
  std::vector<Operand> inputs, outputs;  ///< room for the run's operands
  std::vector<int64_t> key;              ///< of a late step: the extents that it is bound for
  bool bound = false;
  /// Of control flow that can run in place, per input: where in the workspace its bodies' copy
  /// lies; -1 where they need none. Empty for all else.
  std::vector<int64_t> lent_offset;
  std::vector<Value> lent;  ///< the inputs as its bodies get them; empty: not in place
  bool in_place = true;     ///< false: extents that iterations change were found
};

class Binding {
 public:
  /// Evaluates extents, checks guards, lays out the arena and binds the tactics. `inputs` are the
  /// graph's, already checked against their types; `symbols` follow from them. Throws a user error
  /// naming the node whose shapes do not fit.
  Binding(const Engine& engine, const LoadedPlan& plan, Bindings symbols,
          std::span<const Value> inputs, int max_threads);

  /// Writes the facts that are known from segment `segment` on.
  void write_late_facts(size_t segment);
  /// Binds step s to the extents its inputs now have. Throws as the constructor.
  void bind_late_step(size_t s);
  /// Records the extents of a value that a run has produced.
  void set_dims(int32_t v, const Dims& dims);
  /// The extents of a value whose symbols are known; false when some are not.
  bool try_eval(const Type& type, Dims& dims) const;

  int64_t eval(const Dim& d) const;

  std::vector<int64_t> key;  ///< set by the context: extents of all inputs
  Bindings symbols;          ///< grows while a run finds data-dependent extents
  std::vector<BoundValue> values;
  std::vector<int64_t> root_offset;  ///< per value: where a kArena root starts
  std::vector<Tensor> facts;         ///< per value: the tensor of a kFact
  std::vector<BoundStep> steps;
  int64_t arena_bytes = 0, arena_lower_bound = 0;
  std::vector<Value> outputs;  ///< kept by the context
  uint64_t outputs_generation = 0;

 private:
  void bind_values(std::span<const Value> inputs);
  void bind_node(int32_t n);
  void place_or_explain(int32_t v);
  void place(int32_t v);
  void place_view(int32_t v, const Alias& alias, const BoundValue& parent);
  void place_box(int32_t v, const BoundValue& parent, const Dims& begins);
  void write_fact(int32_t v);
  void bind_step(size_t s);
  void bind_control_flow(size_t s);
  void lay_out_arena();
  void check_dense(size_t s, int32_t v, bool strided_allowed) const;
  std::string where(int32_t node) const;

  const Engine& engine_;
  const LoadedPlan& plan_;
  int max_threads_;
};

/// True when elements lie one after the other (extents of 1 and empty tensors do not matter).
bool is_dense(const Dims& dims, const Dims& strides);

}  // namespace vitrify
