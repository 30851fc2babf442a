// ONNX → Graph. An importer turns one ONNX node into IR ops; rows are in onnx/table.cpp.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "onnx/model.h"

namespace vitrify::onnx {

/// An ONNX node that was imported, or the call of a local function that was replaced by its body.
struct ImportedNode {
  std::string origin, op;
  int since = 0;       ///< the row's version: the form that the model uses; 0: a local function
  bool newest = true;  ///< no later row has another form
};

/// A declared shape that cannot be right, and is passed over.
struct Contradiction {
  std::string value, declared, inferred;
  std::vector<std::string> origins;  ///< of the node that gives the value
};

struct ImportOptions {
  /// Fixed or renamed input shapes: input name → shape ("x" → [1, 3, h, w]). A dim_param that
  /// becomes a number is one in the other inputs, too.
  std::vector<std::pair<std::string, Shape>> input_shapes;
  /// Shapes of inputs whose rank the model does not tell; extents below 0 are open. An input that
  /// is named here or in `input_shapes` stays one even when an initializer of its name holds a
  /// default.
  std::vector<std::pair<std::string, Dims>> unranked_shapes;
  /// Gets every value whose declared shape contradicts the inferred one; may be null.
  std::vector<Contradiction>* contradictions = nullptr;
  /// Gets every imported node that is no custom op, in order; may be null.
  std::vector<ImportedNode>* imported = nullptr;
};

/// A problem found while importing: all are collected and reported at once.
struct ImportProblem {
  std::string node, op, domain, reason;  ///< node: name or "#index", through local functions
  int64_t opset = 0;
};

/// Reads, checks and imports. Throws vitrify::Error (kUser: not a valid model; kUnsupported: the
/// message lists every problem).
vitrify::Graph import_model(const std::string& path, const ImportOptions& options = {});
/// The same of a model that is loaded; errors name the path.
vitrify::Graph import_model(const Model& model, const std::string& path,
                            const ImportOptions& options);
/// The same, but collects problems instead of throwing where it can (for `inspect`).
vitrify::Graph import_model(const Model& model, const ImportOptions& options,
                            std::vector<ImportProblem>* problems);

/// What an importer function sees: one ONNX node, its inputs as IR values, and the builder.
class NodeContext {
 public:
  const Node& node() const { return *node_; }  ///< the ONNX node (onnx/model.h)
  int64_t opset() const { return opset_; }     ///< version of the node's domain
  GraphBuilder& builder() { return *builder_; }

  int input_count() const { return int(inputs_.size()); }
  bool has(int i) const { return i < input_count() && inputs_[size_t(i)].valid(); }
  /// Input i; user error when it is left out.
  ValueId in(int i) const;
  /// Input i or no value.
  ValueId optional_in(int i) const { return has(i) ? inputs_[size_t(i)] : ValueId{}; }
  const std::vector<ValueId>& inputs() const { return inputs_; }
  const Type& type(ValueId v) const { return builder_->type(v); }
  DType dtype(ValueId v) const { return builder_->type(v).dtype; }
  /// Rank of a tensor value, or -1 when unknown.
  int rank(ValueId v) const;
  /// Rank; throws kUnsupported when unknown.
  int known_rank(ValueId v) const;
  /// The value's elements, when a constant (of any type) …
  const Tensor* constant(ValueId v) const { return builder_->constant_of(v); }
  /// … or a small integer tensor known symbolically, or as plain numbers.
  const Fact& fact(ValueId v) const { return builder_->fact(v); }
  std::optional<std::vector<int64_t>> known_ints(ValueId v) const;

  // Attributes, with the default when absent. User error on the wrong attribute type.
  bool has_attribute(std::string_view name) const;
  int64_t int_attribute(std::string_view name, int64_t otherwise) const;
  double float_attribute(std::string_view name, double otherwise) const;
  std::string string_attribute(std::string_view name, std::string_view otherwise) const;
  std::vector<int64_t> ints_attribute(std::string_view name,
                                      std::vector<int64_t> otherwise = {}) const;
  std::vector<double> floats_attribute(std::string_view name,
                                       std::vector<double> otherwise = {}) const;
  std::vector<std::string> strings_attribute(std::string_view name) const;
  /// A tensor attribute; undefined Tensor when absent.
  Tensor tensor_attribute(std::string_view name) const;
  /// A graph attribute imported as a closed body: captures (values of outer scopes) are appended to
  /// its inputs, and their ids in the enclosing graph to `captures`. `input_types` overrides the
  /// types of the body's own inputs (kNone entries keep the declared ones).
  GraphRef graph_attribute(std::string_view name, const std::vector<Type>& input_types,
                           std::vector<ValueId>* captures);
  /// A graph attribute imported in place, its inputs bound to `inputs`: its outputs' values.
  std::vector<ValueId> inline_graph(std::string_view name, const std::vector<ValueId>& inputs);
  DType dtype_attribute(std::string_view name, DType otherwise) const;

  /// Adds an IR node whose origin is this ONNX node.
  ValueId add(Op op, std::vector<ValueId> inputs, int outputs = 0);
  ValueId constant(Tensor t) { return builder_->constant(std::move(t)); }
  /// A scalar of `dtype` with the given value.
  ValueId scalar(double value, DType dtype);
  /// Shorthands that nearly every family needs.
  ValueId unary(UnaryKind kind, ValueId x, double alpha = 0, double beta = 0);
  ValueId binary(BinaryKind kind, ValueId a, ValueId b);
  ValueId cast(ValueId x, DType to);  ///< x itself when it already has the type
  ValueId transpose(ValueId x, Ints permutation);
  ValueId reshape(ValueId x, Shape shape);
  /// NCHW… → NHWC… and back, for a value of known rank ≥ 3, or of unknown rank that must be `rank`.
  ValueId channels_last(ValueId x, int rank = -1);
  ValueId channels_first(ValueId x, int rank = -1);
  /// Normalises a possibly negative axis against `rank`; user error when out of range.
  int64_t axis(int64_t axis, int64_t rank) const;

  /// The node's results, in ONNX's output order; entries for outputs that the node does not name
  /// may be left out or invalid.
  void outputs(std::vector<ValueId> values) { outputs_ = std::move(values); }
  /// How many outputs the ONNX node names (trailing empty ones not counted).
  int output_count() const;
  bool wants(int i) const;  ///< output i has a name

  struct Scope;  // the importer's own
  Scope* scope_ = nullptr;
  const Node* node_ = nullptr;
  int64_t opset_ = 0;
  GraphBuilder* builder_ = nullptr;
  std::vector<ValueId> inputs_, outputs_;
  std::string origin_;
};

using ImportFn = void (*)(NodeContext&);

/// A row: the function serves opsets `since` and later, up to the next row of the same op.
struct ImportRow {
  std::string_view domain, op;
  int since;
  ImportFn import;
};
/// All rows, families one after the other.
std::vector<ImportRow> import_table();
/// The row for an op at an opset, or null.
const ImportRow* find_import(std::string_view domain, std::string_view op, int64_t opset);

}  // namespace vitrify::onnx
