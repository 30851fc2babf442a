// What a row of the op table holds: the shape rule, the reference kernel, and what tests, cost
// model and builder need to know of an op. Rows are in ops/table.cpp, in OpVariant's order.
#pragma once

#include <functional>
#include <span>

#include "ir/graph.h"

namespace vitrify {

/// What is known of a node's input; all null for one left out.
struct KnownInput {
  const Type* type = nullptr;
  const Fact* fact = nullptr;
  const Tensor* constant = nullptr;  ///< of a Constant, else null
};

/// What a shape rule sees and says. Throws user errors through `fail`/`require`.
class InferContext {
 public:
  InferContext(const Op& op, std::vector<KnownInput> inputs, int outputs, const Node* like,
               int64_t* next_symbol);

  const Op& op() const { return op_; }
  int input_count() const { return int(inputs_.size()); }
  /// How many outputs the caller wants; 0: as many as the op has.
  int output_count() const { return outputs_; }
  /// False for an input left out (or past the end).
  bool has(int i) const { return i < input_count() && inputs_[size_t(i)].type != nullptr; }
  const Type& type(int i) const;
  DType dtype(int i) const { return type(i).dtype; }
  /// Null when the rank is unknown.
  const Shape* shape(int i) const;
  /// User errors unless input i is there, a tensor, and (for rank) of known rank.
  void expect_tensor(int i) const;
  /// The tensor of a Constant input, else null.
  const Tensor* constant(int i) const;
  /// The elements of a small integer input when known symbolically.
  const Fact& fact(int i) const;
  /// The same when all are plain numbers.
  std::optional<std::vector<int64_t>> known_ints(int i) const;

  /// A symbol for an extent that only a run can tell, `axis` of output `output`. Rebuilding a node
  /// gives the same symbol again.
  Dim fresh(int output, int axis);
  /// A shape of `rank` fresh symbols.
  Shape fresh_shape(int output, int rank);

  /// The next output. An extent whose expression is large becomes a fresh symbol, a fact with such
  /// an element nothing: chains of hundreds of ops then stay cheap.
  void output(Type type, Fact fact = {});
  Inferred take() { return std::move(result_); }

 private:
  const Op& op_;
  std::vector<KnownInput> inputs_;
  int outputs_;
  const Node* like_;
  int64_t* next_symbol_;
  Inferred result_;
};

/// Runs a body: its inputs in order → its outputs. Results are values of their own.
using RunBody = std::function<std::vector<Value>(const Graph&, std::vector<Value>)>;

/// What a reference kernel sees: values in, values out. Tensors are dense and aligned.
class ReferenceCall {
 public:
  ReferenceCall(const Op& op, std::span<const Value> inputs, std::span<Value> outputs,
                const std::vector<Dims>* out_dims = nullptr)
      : op_(op), inputs_(inputs), outputs_(outputs), out_dims_(out_dims) {}
  const Op& op() const { return op_; }
  int input_count() const { return int(inputs_.size()); }
  int output_count() const { return int(outputs_.size()); }
  bool has(int i) const { return i < input_count() && inputs_[size_t(i)].has_value(); }
  const Value& value(int i) const { return inputs_[size_t(i)]; }
  /// Input i as a tensor; user error if it is left out or no tensor.
  const Tensor& in(int i) const;
  /// Storage for output i: what the caller has put there when type and extents agree (the run
  /// time's own buffer), else freshly allocated and zeroed. Storage given by the caller is NOT
  /// zeroed.
  Tensor& out(int i, DType dtype, const Dims& dims);
  /// The tensor that `out(i, …)` gave.
  Tensor& result(int i) { return outputs_[size_t(i)].tensor; }
  void set(int i, Value value) { outputs_[size_t(i)] = std::move(value); }
  /// False when nobody wants output i.
  bool wants(int i) const { return i < output_count(); }
  /// Extents of output i as bound by symbolic shapes, for ops whose attributes hold Dims (Reshape,
  /// Expand, Slice begins …): `dim(d)` evaluates such an attribute.
  int64_t dim(const Dim& d) const { return d.is_constant() ? d.value() : lookup_dim(d); }
  std::function<int64_t(const std::string&)>
      symbols;       ///< values of symbols; set by the interpreter
  RunBody run_body;  ///< for control flow; set by whoever runs the node

 private:
  int64_t lookup_dim(const Dim& d) const;
  const Op& op_;
  std::span<const Value> inputs_;
  std::span<Value> outputs_;
  const std::vector<Dims>* out_dims_;
};

/// A node with concrete extents, for cost.
struct Cost {
  double flops = 0, bytes = 0;
};

/// One test case: inputs are drawn by `fill` unless given. Used on every tactic of every backend.
struct Sample {
  Op op;
  std::vector<Tensor> inputs;  ///< filled with values in a range that suits the op
  int outputs = 1;
};
/// Small cases with odd sizes, zero extents, every type; `seed` varies the random values.
using SamplesFn = std::vector<Sample> (*)(uint64_t seed);

struct OpInfo {
  std::string_view name;
  void (*infer)(InferContext&);
  void (*reference)(ReferenceCall&);  ///< null: the interpreter runs it itself (leaves)
  double tolerance = 1e-5;            ///< relative to the largest magnitude, for fp32 tactics
  SamplesFn samples = nullptr;
  Cost (*cost)(const Op&, std::span<const Dims> inputs, std::span<const Dims> outputs) = nullptr;
  bool pure = true;
};

}  // namespace vitrify
