// Any Body as an epilogue: runs on finished segments of rows of the main result, in place.
//
//   bind:  runner = EpilogueRunner(isa, body, result dims, operands, outputs …)
//   run:   EpilogueRun run = runner.start(call, own);  epilogue.tile = EpilogueRunner::tile;
//          epilogue.ctx = &run;
//
// A row is one index of all axes of the result but the last, row-major; columns are the last axis.
#pragma once

#include "backend/cpu/kernels/body.h"
#include "backend/tactic.h"

namespace vitrify::cpu {

class EpilogueRunner;

/// What one run needs; lives on its stack.
struct EpilogueRun {
  const EpilogueRunner* runner = nullptr;
  const std::byte* operands[kMaxBodyOperands];
  std::byte* outputs[kMaxBodyResults];
};

class EpilogueRunner {
 public:
  /// As seen by `supports`: "" or the reason against the node's epilogue. `own` inputs come before
  /// the epilogue's operands; the main result is float32.
  static Refusal refusal(const NodeView& node, int own);

  /// Does nothing.
  EpilogueRunner() = default;
  /// For the node's epilogue over a result of extents `dims` (those of outputs[0], or what the op
  /// computes before its epilogue). Throws a user error when operands do not fit.
  EpilogueRunner(Isa isa, const BoundNode& node, int own, const Dims& dims);

  bool empty() const { return program_.empty(); }
  /// Inputs of the node that the epilogue takes, after the op's own.
  int operand_count() const { return int(operands_.size()); }
  EpilogueRun start(const RunCall& call, int own) const;

  /// Epilogue::tile; `run` is an EpilogueRun. Thread-safe.
  static void tile(void* run, float* row, int64_t row_index, int64_t col0, int64_t cols);

 private:
  struct Walk {
    Dims strides;        ///< elements, per axis of rows_
    int64_t column = 0;  ///< 0 or 1
    int64_t size = 4;    ///< bytes of an element
  };
  Walk make_walk(const Extents& e, const Dims& dims, DType dtype) const;
  void merge_axes();
  const std::byte* at(const Walk& w, const int64_t* index, const std::byte* data,
                      int64_t col) const;

  Isa isa_ = Isa::kBaseline;
  BodyProgram program_;
  Dims rows_;  ///< extents of the axes before the last, merged where all walk alike
  std::vector<Walk> operands_, outputs_;  ///< after the main value; results 1 …
};

}  // namespace vitrify::cpu
