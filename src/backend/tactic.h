// The tactic contract: how a backend says what it can run, prepares weights for it, and runs it.
//
// A tactic is a row of data and functions; there is no hierarchy. Life of a chosen tactic:
//   supports(node)           build time: ok, or the reason why not, for the whole range of shapes
//   configs(node)            build time: the few ways worth timing
//   prepare(node, config)    build time: weights packed into plain bytes, stored in the engine file
//   load(bytes)              once per engine: State (may refer to the bytes, which stay mapped)
//   bind(state, shapes)      when shapes change, cached per context: Bound; may allocate
//   workspace(bound)         bytes of scratch that run needs for these shapes
//   run(bound, call)         never allocates, never throws; `parallel_for` skips work once the run
//                            is cancelled, so that no address may depend on what it has written
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace vitrify {

/// What a tactic sees of a node at build time. Shapes may be symbolic.
struct NodeView {
  const Op& op;
  std::span<const Type> inputs;  ///< kNone for an input left out
  std::span<const Type> outputs;
  std::span<const Tensor* const> constants;  ///< per input: its tensor when constant, else null
  std::span<const Fact> facts;               ///< per input: small integer values, when known
};

/// "" when supported, else the reason, in the user's terms: "channels 18 are not a multiple of 4".
using Refusal = std::string;

/// Concrete shapes of one node, at bind time.
struct Extents {
  Dims dims;
  Dims strides;  ///< in elements; dense row-major unless the row declares the operand strided
};
struct BoundNode {
  const Op& op;                       ///< attributes may hold Dims: evaluate with `dim`
  std::span<const Type> input_types;  ///< dtypes; shapes possibly symbolic
  std::span<const Type> output_types;
  std::span<const Extents> inputs, outputs;
  /// Elements of small integer inputs that are known once shapes are bound (index as input), else
  /// empty.
  std::span<const std::vector<int64_t>> values;
  std::function<int64_t(const Dim&)> dim;
  int max_threads = 1;
};

/// One operand at run time. Its extents and strides are those given to bind.
struct Operand {
  std::byte* data = nullptr;  ///< null for an input left out
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data);
  }
};

struct RunCall {
  std::span<const Operand> inputs, outputs;
  std::byte* workspace = nullptr;  ///< 64-byte aligned
  int max_threads = 1;
  /// May be null; for bad data (an index out of range), run stores a message here: a static string.
  /// The run then fails with it.
  const char** error = nullptr;
};

using Config = std::string;  ///< "tile=6x64": printed in reports; "" is the default
using TacticState = std::shared_ptr<const void>;

struct Tactic {
  std::string_view name;  ///< "cpu.conv.implicit_gemm"
  int version = 1;        ///< raised whenever the packed bytes' meaning changes
  std::string_view op;    ///< the op struct's kName that it serves
  Refusal (*supports)(const NodeView&);
  std::vector<Config> (*configs)(const NodeView&) = nullptr;  ///< null: {""}
  std::vector<std::byte> (*prepare)(const NodeView&,
                                    const Config&) = nullptr;  ///< null: nothing to pack
  /// `bytes` are 64-byte aligned and outlive the state. Must check sizes: they come from a file.
  TacticState (*load)(const Op&, const Config&, std::span<const std::byte> bytes) = nullptr;
  TacticState (*bind)(const TacticState&, const BoundNode&) = nullptr;
  int64_t (*workspace)(const TacticState& bound) = nullptr;
  void (*run)(const TacticState& bound, const RunCall&);
  /// Inputs whose data `prepare` has taken over (weights): the engine need not keep the source for
  /// them.
  uint32_t packed_inputs = 0;
  /// Inputs and outputs that may be strided (innermost stride is still 1), as bit masks.
  uint32_t strided_inputs = 0, strided_outputs = 0;
  /// True when input `input` may be the transpose of a dense value, read by its strides (the
  /// innermost one need not be 1). Null: none.
  bool (*takes_permuted)(const NodeView&, const Config&, int32_t input,
                         const std::vector<int64_t>& permutation) = nullptr;
  /// For output 0: inputs that it may overwrite when they die here and the sizes agree, as a bit
  /// mask.
  uint32_t (*overwrites)(const NodeView&) = nullptr;
  /// Predicted milliseconds, to rank rows and configs by when nothing is timed. Null: the table's
  /// order decides.
  double (*predict)(const BoundNode&, const Config&) = nullptr;
};

}  // namespace vitrify
