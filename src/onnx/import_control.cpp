// Constant, If, Loop and Scan. Bodies become closed graphs; the types of what they carry from one
// iteration to the next are widened until the body keeps them.
#include <set>

#include "base/error.h"
#include "onnx/families.h"
#include "onnx/import_constant.h"
#include "onnx/scope.h"
#include "ops/interpreter.h"
#include "ops/table.h"

namespace vitrify::onnx {

namespace {

std::vector<ValueId> results_of(ValueId first, size_t count) {
  std::vector<ValueId> results;
  for (size_t k = 0; k < count; ++k) results.push_back({first.node, int32_t(k)});
  return results;
}

// ---- If ----

/// Values of small tensors that follow from constants and known integers alone.
class Evaluator {
 public:
  explicit Evaluator(const GraphBuilder& builder) : builder_(builder) {}

  std::optional<Tensor> operator()(ValueId v, int depth = 0) {
    auto [at, fresh] = known_.try_emplace(v);
    if (fresh && depth < kMaxDepth) known_[v] = look(v, depth);
    return known_[v];
  }

 private:
  static constexpr int kMaxDepth = 64;
  static constexpr int64_t kMaxElements = 1024;

  std::optional<Tensor> look(ValueId v, int depth) {
    const Type& type = builder_.type(v);
    if (!type.is_static() || element_count(type.dims()) > kMaxElements) return {};
    if (const Tensor* t = builder_.constant_of(v)) return t->aligned();
    if (const Fact& fact = builder_.fact(v)) return known_tensor(type, fact);
    const vitrify::Node& node = builder_.node(v);
    if (node.op.is<Input>() || !op_info(node.op).pure || !node.op.graphs().empty()) return {};
    std::vector<Value> inputs, outputs(node.types.size());
    for (ValueId i : node.inputs) {
      std::optional<Tensor> t = i.valid() ? (*this)(i, depth + 1) : Tensor();
      if (!t) return {};
      inputs.push_back(i.valid() ? Value(*t) : Value());
    }
    try {
      run_reference(node, inputs, outputs, {});
    } catch (const Error&) {
      return {};  // the model's own mistake comes to light when it runs
    }
    return outputs[size_t(v.output)].tensor;
  }

  const GraphBuilder& builder_;
  std::map<ValueId, std::optional<Tensor>> known_;
};

void import_if(NodeContext& c) {
  ValueId condition = c.in(0);
  require(c.type(condition).is_tensor() && c.dtype(condition) == DType::kBool,
          "the condition must be a bool, not ", c.type(condition).str());
  if (auto known = Evaluator(c.builder())(condition); known && known->size() == 1)
    return c.outputs(c.inline_graph(int_at(*known, 0) ? "then_branch" : "else_branch", {}));
  std::vector<ValueId> inputs{condition};
  If op;
  op.then_graph = c.graph_attribute("then_branch", {}, &inputs);
  op.then_captures = int64_t(inputs.size()) - 1;
  op.else_graph = c.graph_attribute("else_branch", {}, &inputs);
  size_t count = op.then_graph->outputs.size();
  c.outputs(results_of(c.add(std::move(op), std::move(inputs), int(count)), count));
}

// ---- What loops carry ----

/// Gives out extents that stand for any number, and knows them again.
class AnyDims {
 public:
  explicit AnyDims(GraphBuilder& builder) : builder_(builder) {}
  Dim make() {
    Dim d = Dim::symbol(cat("?", builder_.graph().next_symbol++));
    made_.insert(d.symbol_name());
    return d;
  }
  bool is_any(const Dim& d) const { return d.is_symbol() && made_.count(d.symbol_name()); }

 private:
  GraphBuilder& builder_;
  std::set<std::string> made_;
};

/// A body's own type for a value from outside: it binds symbols from bare extents only.
Type entry_type(Type type, GraphBuilder& builder) {
  if (type.has_rank())
    for (Dim& d : *type.shape)
      if (!d.is_constant() && !d.is_symbol())
        d = Dim::symbol(cat("?", builder.graph().next_symbol++));
  return type;
}

/// The least type of those tried that holds both what enters and what an iteration gives.
Type widen(const Type& entry, const Type& result, AnyDims& any, size_t k) {
  if (entry.kind == Type::Kind::kOptional) return entry;
  require(entry.kind == result.kind && entry.dtype == result.dtype, "carried value ", k, " is ",
          entry.str(), " before an iteration and ", result.str(), " after it");
  if (entry.kind == Type::Kind::kSequence) {
    if (*entry.element == *result.element || !entry.element->is_tensor()) return entry;
    require(entry.element->dtype == result.element->dtype, "carried value ", k, " is ", entry.str(),
            " before an iteration and ", result.str(), " after it");
    return Type::sequence(Type::unranked(entry.element->dtype));
  }
  if (!entry.has_rank()) return entry;
  if (!result.has_rank() || result.shape->size() != entry.shape->size())
    return Type::unranked(entry.dtype);
  Type wide = entry;
  for (size_t a = 0; a < wide.shape->size(); ++a) {
    Dim& d = (*wide.shape)[a];
    if (d != (*result.shape)[a] && !any.is_any(d)) d = any.make();
  }
  return wide;
}

/// Imports a body, widening types[first …) against its outputs [result …) until they agree.
GraphRef import_body(NodeContext& c, std::vector<Type> types, size_t first, size_t count,
                     size_t result, std::vector<ValueId>* captures) {
  AnyDims any(c.builder());
  for (int attempt = 0;; ++attempt) {
    constexpr int kMaxAttempts = 16;
    std::vector<ValueId> captured;
    GraphRef body = c.graph_attribute("body", types, &captured);
    size_t own = body->inputs.size() - captured.size();
    require(own == types.size(), "the body has ", own, " inputs, needs ", types.size());
    require(body->outputs.size() >= result + count, "the body has ", body->outputs.size(),
            " outputs, needs at least ", result + count);
    std::vector<Type> wide = types;
    for (size_t k = 0; k < count; ++k)
      wide[first + k] =
          widen(types[first + k], body->type(body->outputs[result + k].value), any, k);
    if (wide == types) {
      captures->insert(captures->end(), captured.begin(), captured.end());
      return body;
    }
    if (attempt >= kMaxAttempts)
      fail_unsupported("the types of what the body carries do not settle");
    types = std::move(wide);
  }
}

// ---- Loop ----

/// The type that a body takes for the iteration number or the condition: a scalar, or [1] where it
/// says so.
Type scalar_type(NodeContext& c, size_t input, DType dtype) {
  FoundAttribute body = c.scope_->attribute(c.node(), "body");
  require(body.attribute && body.attribute->graph, "attribute 'body' is missing");
  const auto& inputs = body.attribute->graph->inputs;
  bool one =
      input < inputs.size() && inputs[input].type.shape && inputs[input].type.shape->size() == 1;
  return Type::tensor(dtype, one ? Shape{1} : Shape{});
}

void import_loop(NodeContext& c) {
  std::vector<Type> types{scalar_type(c, 0, DType::kInt64), scalar_type(c, 1, DType::kBool)};
  std::vector<ValueId> inputs{c.optional_in(0), c.optional_in(1)};
  for (int i = 2; i < c.input_count(); ++i) {
    types.push_back(entry_type(c.type(c.in(i)), c.builder()));
    inputs.push_back(c.in(i));
  }
  size_t carried = types.size() - 2;
  Loop op;
  op.carried = int64_t(carried);
  op.body = import_body(c, std::move(types), 2, carried, 1, &inputs);
  size_t count = op.body->outputs.size() - 1;
  c.outputs(results_of(c.add(std::move(op), std::move(inputs), int(count)), count));
}

// ---- Scan ----

Type without_axis(Type type, int64_t axis) {
  if (!type.has_rank()) return type;
  int64_t rank = int64_t(type.shape->size());
  require(axis >= -rank && axis < rank, "scan axis ", axis, " is out of range for rank ", rank);
  type.shape->erase(type.shape->begin() + (axis < 0 ? axis + rank : axis));
  return type;
}

/// States and scan inputs are inputs [first …); `batch` axes come off in front of each.
Scan scan_op(NodeContext& c, int first, int batch, std::vector<ValueId>* inputs) {
  Scan op;
  op.scan_inputs = c.int_attribute("num_scan_inputs", 0);
  int given = c.input_count() - first;
  require(op.scan_inputs >= 1 && op.scan_inputs <= given, "has ", op.scan_inputs,
          " scan inputs among ", given, " inputs");
  op.states = given - op.scan_inputs;
  op.input_axes = c.ints_attribute("scan_input_axes");
  op.output_axes = c.ints_attribute("scan_output_axes");
  op.input_reverse = c.ints_attribute(batch ? "directions" : "scan_input_directions");
  op.output_reverse = c.ints_attribute("scan_output_directions");
  std::vector<Type> types;
  for (int64_t k = 0; k < given; ++k) {
    Type type = c.type(c.in(first + int(k)));
    for (int b = 0; b < batch; ++b) type = without_axis(std::move(type), 0);
    size_t scan = size_t(k - op.states);
    if (k >= op.states)
      type = without_axis(std::move(type), scan < op.input_axes.size() ? op.input_axes[scan] : 0);
    types.push_back(entry_type(std::move(type), c.builder()));
    inputs->push_back(c.in(first + int(k)));
  }
  size_t states = size_t(op.states);
  op.body = import_body(c, std::move(types), 0, states, 0, inputs);
  return op;
}

void import_scan(NodeContext& c) {
  std::vector<ValueId> inputs;
  Scan op = scan_op(c, 0, 0, &inputs);
  size_t count = op.body->outputs.size();
  c.outputs(results_of(c.add(std::move(op), std::move(inputs), int(count)), count));
}

/// Opset 8 has a batch axis in front of everything: a scan over the batch whose body scans.
void import_batched_scan(NodeContext& c) {
  if (c.has(0))
    fail_unsupported("Scan of opset 8 with sequence_lens: export with opset 9 or later");
  std::vector<ValueId> inputs;
  Scan inner = scan_op(c, 1, 1, &inputs);
  size_t own = size_t(inner.states + inner.scan_inputs), count = inner.body->outputs.size();
  GraphBuilder builder = make_builder(&c.builder().graph());
  std::vector<ValueId> arguments;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Type type = c.type(inputs[i]);
    if (i < own) type = without_axis(std::move(type), 0);
    arguments.push_back(builder.input(cat("argument ", i), entry_type(std::move(type), builder)));
  }
  Scan outer;
  outer.scan_inputs = int64_t(own);
  ValueId first = builder.add(std::move(inner), arguments, {c.origin_}, int(count));
  for (size_t k = 0; k < count; ++k) builder.output(cat("result ", k), {first.node, int32_t(k)});
  c.builder().graph().next_symbol = builder.graph().next_symbol;
  outer.body = std::make_shared<const vitrify::Graph>(builder.finish());
  c.outputs(results_of(c.add(std::move(outer), std::move(inputs), int(count)), count));
}

constexpr ImportRow kRows[] = {
    {"", "Constant", 1, import_constant}, {"", "If", 1, import_if},
    {"", "Loop", 1, import_loop},         {"", "Scan", 8, import_batched_scan},
    {"", "Scan", 9, import_scan},
};

}  // namespace

std::span<const ImportRow> control_imports() { return kRows; }

}  // namespace vitrify::onnx
