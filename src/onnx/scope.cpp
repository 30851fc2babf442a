#include "onnx/scope.h"

namespace vitrify::onnx {

std::string_view plain_domain(std::string_view domain) {
  return domain == "ai.onnx" ? std::string_view() : domain;
}

std::string node_label(const Node& node, size_t index) {
  return node.name.empty() ? cat("#", index, " ", node.op_type) : std::string(node.name);
}

std::string nested_path(const std::string& origin, std::string_view part) {
  constexpr size_t kMaxPath = 400;
  std::string path = cat(origin, "/", part, part.empty() ? "" : "/");
  return path.size() <= kMaxPath ? path : "…" + path.substr(path.size() - kMaxPath);
}

const Function* Session::find_function(const Node& node) const {
  auto at = functions.find({plain_domain(node.domain), node.op_type, node.overload});
  return at == functions.end() ? nullptr : at->second;
}

namespace {

bool has_composite_dim(const Dim& d) { return !d.is_constant() && !d.is_symbol(); }

/// The type of a captured value inside the body. A body binds its symbols from its own inputs, so
/// an extent that is no bare symbol gets one of its own.
Type captured_type(Type type, GraphBuilder& body) {
  if (!type.has_rank()) return type;
  for (Dim& d : *type.shape)
    if (has_composite_dim(d)) d = Dim::symbol(cat("?", body.graph().next_symbol++));
  return type;
}

/// Brings a value of the enclosing graph into `body`: constants are made again with their identity,
/// all else becomes one more input.
ValueId capture(GraphState& body, GraphState& outer, ValueId value, std::string_view name) {
  if (!value.valid()) return value;
  if (auto* c = outer.builder.node(value).op.as<Constant>()) return body.builder.constant(c->data);
  const Type& type = outer.builder.type(value);
  if (auto known = known_tensor(type, outer.builder.fact(value)))
    return body.builder.constant(std::move(*known));
  body.captures.push_back(value);
  return body.builder.input(std::string(name), captured_type(type, body.builder));
}

}  // namespace

std::optional<Binding> NodeContext::Scope::find(std::string_view name) {
  if (auto at = names.find(name); at != names.end()) return at->second;
  if (auto at = definitions.find(name); at != definitions.end())
    fail("reads '", name, "', which only a later node defines: nodes must be in topological order ",
         "and must not form a cycle");
  if (!parent) return {};
  std::optional<Binding> outer = parent->find(name);
  if (!outer || outer->failed || parent->state == state) return outer;
  Binding inner{capture(*state, *parent->state, outer->value, name)};
  names.emplace(name, inner);
  return inner;
}

ValueId NodeContext::Scope::need(std::string_view name, std::string_view what) {
  std::optional<Binding> binding = find(name);
  require(binding.has_value(), what, " '", name, "' is defined nowhere");
  if (binding->failed) throw AlreadyReported{};
  return binding->value;
}

void NodeContext::Scope::bind(std::string_view name, Binding binding) {
  require(names.emplace(name, binding).second, "the name '", name, "' is defined twice");
  if (!binding.failed && binding.value.valid())
    builder().graph().value_names.emplace(binding.value, path + std::string(name));
}

FoundAttribute NodeContext::Scope::attribute(const Node& node, std::string_view name) {
  const Attribute* a = node.attribute(name);
  if (!a) return {};
  if (a->ref_name.empty()) return {a, this};
  Scope* call = this;
  while (call && !call->function) call = call->parent;
  require(call != nullptr, "attribute '", name, "' refers to '", a->ref_name,
          "' of a function, but is not inside one");
  auto at = call->attributes.find(a->ref_name);
  return at == call->attributes.end() ? FoundAttribute{} : at->second;
}

int64_t NodeContext::Scope::opset(std::string_view domain) const {
  auto at = opsets->find(plain_domain(domain));
  require(at != opsets->end(), "the model imports no opset of domain '",
          domain.empty() ? "ai.onnx" : domain, "'");
  return at->second;
}

Opsets read_opsets(const std::vector<OpsetImport>& imports, std::string_view where) {
  Opsets opsets;
  for (const OpsetImport& o : imports) {
    std::string_view domain = plain_domain(o.domain);
    int64_t newest = domain.empty()                ? kMaxOpset
                     : domain == "ai.onnx.ml"      ? kMaxMlOpset
                     : domain == "ai.onnx.preview" ? kMaxPreviewOpset
                                                   : INT64_MAX;
    require(o.version >= 1, where, " imports opset ", o.version, " of domain '", domain,
            "': versions begin at 1");
    if (o.version > newest)
      fail_unsupported(where, " imports opset ", o.version, " of domain '",
                       domain.empty() ? "ai.onnx" : domain, "', the newest known is ", newest);
    require(opsets.emplace(domain, o.version).second, where, " imports domain '", domain,
            "' twice");
  }
  return opsets;
}

namespace {

DType checked_dtype(int32_t elem_type, std::string_view name) {
  require(elem_type > 0 && elem_type < kDTypeCount, "'", name, "' has the unknown element type ",
          elem_type);
  return DType(elem_type);
}

/// "x_0", or "x_0_" … when the model uses that for something else.
std::string axis_symbol(std::string_view name, size_t axis, const Session& session) {
  std::string symbol = cat(name, "_", axis);
  while (session.dim_names.count(symbol)) symbol += '_';
  return symbol;
}

Shape to_shape(const std::vector<DimProto>& dims, std::string_view name, const Session& session) {
  Shape shape;
  for (const DimProto& d : dims) {
    size_t axis = shape.size();
    // Many exporters write -1 for an unknown extent.
    require(!d.value || *d.value >= -1, "'", name, "' has the extent ", d.value.value_or(0),
            " on axis ", axis, ": name unknown extents instead");
    if (d.value && *d.value >= 0)
      shape.push_back(*d.value);
    else
      shape.push_back(
          Dim::symbol(d.symbol.empty() ? axis_symbol(name, axis, session) : std::string(d.symbol)));
  }
  return shape;
}

/// Elements of a sequence may differ in shape, so that only a fully known one says something.
Type sequence_type(Type element) {
  if (element.is_tensor() && !element.is_static()) element.shape.reset();
  return Type::sequence(std::move(element));
}

Type to_type(const TypeProto& proto, std::string_view name, Session& session, int depth) {
  require(depth < 16, "the type of '", name, "' is nested too deeply");
  using Kind = TypeProto::Kind;
  switch (proto.kind) {
    case Kind::kTensor: {
      DType dtype = checked_dtype(proto.elem_type, name);
      return proto.shape ? Type::tensor(dtype, to_shape(*proto.shape, name, session))
                         : Type::unranked(dtype);
    }
    case Kind::kSequence:
    case Kind::kOptional: {
      require(proto.element != nullptr, "the type of '", name, "' lacks its element type");
      Type element = to_type(*proto.element, name, session, depth + 1);
      return proto.kind == Kind::kSequence ? sequence_type(std::move(element))
                                           : Type::optional(std::move(element));
    }
    case Kind::kNone:
      fail("'", name, "' has no type");
    default:
      fail_unsupported("'", name, "' is a ", proto.kind == Kind::kMap ? "map" : "sparse tensor",
                       ", which is not supported");
  }
}

}  // namespace

Shape open_shape(const Dims& dims, std::string_view name, const Session& session) {
  Shape shape;
  for (int64_t d : dims)
    shape.push_back(d >= 0 ? Dim(d) : Dim::symbol(axis_symbol(name, shape.size(), session)));
  return shape;
}

Type to_type(const TypeProto& proto, std::string_view name, Session& session) {
  return to_type(proto, name, session, 0);
}

}  // namespace vitrify::onnx
