// What importer functions see of a node: attributes, and the shorthands of every family.
#include <bit>

#include "onnx/scope.h"
#include "ops/table.h"

namespace vitrify::onnx {

ValueId NodeContext::in(int i) const {
  require(has(i), "input ", i, " is missing");
  return inputs_[size_t(i)];
}

int NodeContext::rank(ValueId v) const {
  const Type& t = type(v);
  return t.has_rank() ? int(t.shape->size()) : -1;
}

int NodeContext::known_rank(ValueId v) const {
  require(type(v).is_tensor(), "expects a tensor, not ", type(v).str());
  if (!type(v).has_rank())
    fail_unsupported("needs an input of known rank, and the model does not tell it: give the ",
                     "model's inputs of unknown rank a profile: --profile NAME=1x3x224x224 "
                     "(--shape of run and bench)");
  return rank(v);
}

std::optional<std::vector<int64_t>> NodeContext::known_ints(ValueId v) const {
  if (!v.valid()) return {};
  if (const Tensor* t = constant(v); t && is_integer(t->dtype())) return to_ints(*t);
  return vitrify::known_ints(fact(v));
}

namespace {

std::string_view kind_name(Attribute::Kind kind) {
  constexpr std::string_view kNames[] = {"undefined",      "float",   "int",    "string",
                                         "tensor",         "graph",   "floats", "ints",
                                         "strings",        "tensors", "graphs", "sparse tensor",
                                         "sparse tensors", "type",    "types"};
  return size_t(kind) < std::size(kNames) ? kNames[size_t(kind)] : "unknown";
}

/// The attribute, or null when absent; user error on another kind. An empty list has no kind in
/// the file.
FoundAttribute find(const NodeContext& c, std::string_view name, Attribute::Kind kind) {
  FoundAttribute found = c.scope_->attribute(c.node(), name);
  if (!found.attribute) return {};
  Attribute::Kind given = found.attribute->kind;
  require(given == kind || given == Attribute::Kind::kUndefined, "attribute '", name, "' is a ",
          kind_name(given), ", expected a ", kind_name(kind));
  return found;
}

}  // namespace

bool NodeContext::has_attribute(std::string_view name) const {
  return scope_->attribute(*node_, name).attribute != nullptr;
}

int64_t NodeContext::int_attribute(std::string_view name, int64_t otherwise) const {
  const Attribute* a = find(*this, name, Attribute::Kind::kInt).attribute;
  return a ? a->i : otherwise;
}

double NodeContext::float_attribute(std::string_view name, double otherwise) const {
  const Attribute* a = find(*this, name, Attribute::Kind::kFloat).attribute;
  return a ? double(a->f) : otherwise;
}

std::string NodeContext::string_attribute(std::string_view name, std::string_view otherwise) const {
  const Attribute* a = find(*this, name, Attribute::Kind::kString).attribute;
  return std::string(a ? a->s : otherwise);
}

std::vector<int64_t> NodeContext::ints_attribute(std::string_view name,
                                                 std::vector<int64_t> otherwise) const {
  const Attribute* a = find(*this, name, Attribute::Kind::kInts).attribute;
  return a ? a->ints : otherwise;
}

std::vector<double> NodeContext::floats_attribute(std::string_view name,
                                                  std::vector<double> otherwise) const {
  const Attribute* a = find(*this, name, Attribute::Kind::kFloats).attribute;
  return a ? std::vector<double>(a->floats.begin(), a->floats.end()) : otherwise;
}

std::vector<std::string> NodeContext::strings_attribute(std::string_view name) const {
  const Attribute* a = find(*this, name, Attribute::Kind::kStrings).attribute;
  return a ? std::vector<std::string>(a->strings.begin(), a->strings.end())
           : std::vector<std::string>();
}

Tensor NodeContext::tensor_attribute(std::string_view name) const {
  FoundAttribute sparse = scope_->attribute(*node_, name);
  if (sparse.attribute && sparse.attribute->sparse_tensor)
    return to_tensor(*sparse.attribute->sparse_tensor, scope_->session->model);
  const Attribute* a = find(*this, name, Attribute::Kind::kTensor).attribute;
  if (!a) return {};
  require(a->tensor != nullptr, "attribute '", name, "' has no tensor");
  return to_tensor(*a->tensor, scope_->session->model);
}

DType NodeContext::dtype_attribute(std::string_view name, DType otherwise) const {
  int64_t number = int_attribute(name, int64_t(otherwise));
  require(number >= 0 && number < kDTypeCount, "attribute '", name,
          "' is the unknown element type ", number);
  return number == 0 ? otherwise : DType(number);  // UNDEFINED says what leaving out says
}

namespace {

struct BodyScope {
  NodeContext::Scope scope;
  const Graph* graph = nullptr;
};

/// A scope for a graph attribute, names not yet filled in.
BodyScope open_graph(const NodeContext& c, std::string_view name, GraphState* state) {
  FoundAttribute found = find(c, name, Attribute::Kind::kGraph);
  require(found.attribute && found.attribute->graph, "attribute '", name, "' is missing");
  const NodeContext::Scope& here = *c.scope_;
  if (found.home->state != here.state)
    fail_unsupported("a graph is handed to a function that uses it inside another graph");
  require(here.graph_depth < kMaxGraphDepth, "graphs are nested deeper than ", kMaxGraphDepth);
  BodyScope body;
  body.graph = found.attribute->graph.get();
  body.scope.session = here.session;
  body.scope.state = state;
  body.scope.parent = found.home;
  body.scope.caller = c.scope_;
  body.scope.opsets = found.home->opsets;
  body.scope.path = nested_path(c.origin_, name);
  body.scope.graph_depth = here.graph_depth + 1;
  body.scope.call_depth = here.call_depth;
  return body;
}

}  // namespace

GraphRef NodeContext::graph_attribute(std::string_view name, const std::vector<Type>& input_types,
                                      std::vector<ValueId>* captures) {
  GraphState state{make_builder(), {}, {}};
  state.builder.graph().next_symbol = builder_->graph().next_symbol;
  state.builder.graph().next_constant = builder_->graph().next_constant;
  BodyScope body = open_graph(*this, name, &state);
  state.builder.graph().name = body.graph->name;
  import_graph(body.scope, *body.graph, input_types, nullptr);
  for (const ValueInfo& o : body.graph->outputs) {
    ValueId v = body.scope.need(o.name, "output");
    require(v.valid(), "output '", o.name, "' of '", name, "' has no value");
    state.builder.output(std::string(o.name), v);
  }
  builder_->graph().next_symbol = state.builder.graph().next_symbol;
  builder_->graph().next_constant = state.builder.graph().next_constant;
  captures->insert(captures->end(), state.captures.begin(), state.captures.end());
  return std::make_shared<const vitrify::Graph>(state.builder.finish());
}

std::vector<ValueId> NodeContext::inline_graph(std::string_view name,
                                               const std::vector<ValueId>& inputs) {
  BodyScope body = open_graph(*this, name, scope_->state);
  import_graph(body.scope, *body.graph, {}, &inputs);
  std::vector<ValueId> values;
  for (const ValueInfo& o : body.graph->outputs)
    values.push_back(body.scope.need(o.name, "output"));
  return values;
}

ValueId NodeContext::add(Op op, std::vector<ValueId> inputs, int outputs) {
  return builder_->add(std::move(op), std::move(inputs), {origin_}, outputs);
}

ValueId NodeContext::scalar(double value, DType dtype) {
  auto [at, fresh] =
      scope_->state->scalars.try_emplace({dtype, std::bit_cast<uint64_t>(value)}, ValueId{});
  if (fresh) {
    Tensor t(dtype, {});
    set_double(t, 0, value);
    at->second = constant(std::move(t));
  }
  return at->second;
}

ValueId NodeContext::unary(UnaryKind kind, ValueId x, double alpha, double beta) {
  return add(Unary{kind, alpha, beta}, {x});
}

ValueId NodeContext::binary(BinaryKind kind, ValueId a, ValueId b) {
  return add(Binary{kind}, {a, b});
}

ValueId NodeContext::cast(ValueId x, DType to) {
  return dtype(x) == to ? x : add(Cast{.to = to}, {x});
}

ValueId NodeContext::transpose(ValueId x, Ints permutation) {
  bool identity = true;
  for (size_t i = 0; i < permutation.size(); ++i) identity &= permutation[i] == int64_t(i);
  return identity ? x : add(Transpose{std::move(permutation)}, {x});
}

ValueId NodeContext::reshape(ValueId x, Shape shape) {
  const Type& t = type(x);
  return t.has_rank() && *t.shape == shape ? x : add(Reshape{.shape = std::move(shape)}, {x});
}

ValueId NodeContext::channels_last(ValueId x, int otherwise) {
  int r = rank(x) < 0 && otherwise >= 0 ? otherwise : known_rank(x);
  require(r >= 3, "expects at least 3 dims, got ", type(x).str());
  Ints permutation{0};
  for (int a = 2; a < r; ++a) permutation.push_back(a);
  permutation.push_back(1);
  return transpose(x, std::move(permutation));
}

ValueId NodeContext::channels_first(ValueId x, int otherwise) {
  int r = rank(x) < 0 && otherwise >= 0 ? otherwise : known_rank(x);
  require(r >= 3, "expects at least 3 dims, got ", type(x).str());
  Ints permutation{0, r - 1};
  for (int a = 1; a + 1 < r; ++a) permutation.push_back(a);
  return transpose(x, std::move(permutation));
}

int64_t NodeContext::axis(int64_t axis, int64_t rank) const {
  require(axis >= -rank && axis < rank, "axis ", axis, " is out of range for rank ", rank);
  return axis < 0 ? axis + rank : axis;
}

int NodeContext::output_count() const {
  size_t n = node_->outputs.size();
  while (n && node_->outputs[n - 1].empty()) --n;
  return int(n);
}

bool NodeContext::wants(int i) const {
  return i >= 0 && size_t(i) < node_->outputs.size() && !node_->outputs[size_t(i)].empty();
}

}  // namespace vitrify::onnx
