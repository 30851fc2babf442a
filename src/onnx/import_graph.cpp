// A graph's inputs and initializers, and what the caller says of their shapes.
#include <algorithm>

#include "onnx/importer.h"
#include "onnx/scope.h"

namespace vitrify::onnx {

using Scope = NodeContext::Scope;

namespace {

void collect_dim_names(const TypeProto& type, Session& session, int depth = 0) {
  if (depth > 16) return;
  if (type.shape)
    for (const DimProto& d : *type.shape) session.dim_names.emplace(d.symbol);
  if (type.element) collect_dim_names(*type.element, session, depth + 1);
}

void check_input(const Graph& graph, std::string_view name) {
  std::string names;
  for (const ValueInfo& i : graph.inputs) {
    if (i.name == name) return;
    names += cat(names.empty() ? "" : ", ", i.name);
  }
  for (const TensorProto& t : graph.initializers)
    require(t.name != name, "'", name,
            "' is an initializer of the model and no input: it is built ",
            "in as a constant; list it among the model's inputs to give it with every run");
  fail("there is no input '", name, "': the model has ", names.empty() ? "no inputs" : names);
}

/// Names of the input's dims that its given shape makes numbers: in other inputs, too.
void fix_dims(const ValueInfo& input, const vitrify::Shape& shape, Session& session) {
  if (!input.type.shape || input.type.shape->size() != shape.size()) return;
  for (size_t a = 0; a < shape.size(); ++a)
    if (const DimProto& d = (*input.type.shape)[a]; !d.symbol.empty() && shape[a].is_constant())
      session.fixed_dims.emplace(d.symbol, shape[a]);
}

}  // namespace

void prepare_inputs(const Graph& graph, Session& session) {
  for (const ValueInfo& input : graph.inputs) collect_dim_names(input.type, session);
  for (const auto& given : session.options.input_shapes) check_input(graph, given.first);
  for (const auto& given : session.options.unranked_shapes) check_input(graph, given.first);
  for (const ValueInfo& input : graph.inputs)
    for (const auto& [name, shape] : session.options.input_shapes)
      if (name == input.name) fix_dims(input, shape, session);
}

namespace {

template <class Given>
bool names_input(const Given& given, std::string_view name) {
  return std::any_of(given.begin(), given.end(), [&](const auto& g) { return g.first == name; });
}

/// Initializers. Those that are inputs, too, are constants unless the caller names them.
void import_initializers(Scope& scope, const Graph& graph) {
  const Model& model = scope.session->model;
  const ImportOptions& options = scope.session->options;
  auto is_kept = [&](std::string_view name) {
    return scope.graph_depth == 0 &&
           (names_input(options.input_shapes, name) || names_input(options.unranked_shapes, name));
  };
  auto add = [&](std::string_view name, const auto& proto) {
    require(!name.empty(), "an initializer has no name");
    if (!is_kept(name))
      scope.bind(name, {scope.builder().constant(to_tensor(proto, model), std::string(name))});
  };
  for (const TensorProto& t : graph.initializers) add(t.name, t);
  for (const SparseTensorProto& t : graph.sparse_initializers) add(t.values.name, t);
}

Type input_type(Scope& scope, const ValueInfo& input, const Type* given) {
  if (given && given->kind != Type::Kind::kNone) return *given;
  Type type = to_type(input.type, input.name, *scope.session);
  if (scope.graph_depth > 0) return type;
  for (const auto& [name, shape] : scope.session->options.input_shapes)
    if (name == input.name) {
      require(type.is_tensor(), "input '", name, "' is no tensor and has no shape to set");
      require(!type.shape || type.shape->size() == shape.size(), "input '", name, "' is ",
              type.str(), ", the given shape ", str(shape), " has another rank");
      for (size_t a = 0; type.shape && a < shape.size(); ++a)
        require(!(*type.shape)[a].is_constant() || !shape[a].is_constant() ||
                    (*type.shape)[a] == shape[a],
                "input '", name, "': axis ", a, " is fixed at ", (*type.shape)[a].str(),
                " by the model, it cannot be ", shape[a].str());
      type.shape = shape;
      return type;
    }
  for (const auto& [name, dims] : scope.session->options.unranked_shapes)
    if (name == input.name && type.is_tensor() && !type.has_rank())
      type.shape = open_shape(dims, name, *scope.session);
  if (!type.is_tensor() || !type.shape || !input.type.shape) return type;
  for (size_t a = 0; a < type.shape->size(); ++a)
    if (auto at = scope.session->fixed_dims.find((*input.type.shape)[a].symbol);
        at != scope.session->fixed_dims.end())
      (*type.shape)[a] = at->second;
  return type;
}

/// Refuses an input that no machine can hold, as far as its extents are known.
void check_size(const Type& type, std::string_view name) {
  constexpr double kAddressable = 0x1p47;  // bytes of a process
  if (!type.is_tensor() || !type.has_rank()) return;
  double bytes = bit_width(type.dtype) / 8.0;
  for (const Dim& d : *type.shape)
    if (d.is_constant()) bytes *= double(d.value());
  require(bytes <= kAddressable, "input '", name, "' is ", type.str(), ": ", bytes,
          " bytes are more than a machine can address; mend its shape");
}
}  // namespace

void import_graph(Scope& scope, const Graph& graph, const std::vector<Type>& types,
                  const std::vector<ValueId>* bound) {
  import_initializers(scope, graph);
  std::unordered_set<std::string_view> seen;
  size_t index = 0;
  for (const ValueInfo& input : graph.inputs) {
    require(seen.insert(input.name).second, "two inputs are named '", input.name, "'");
    if (scope.names.count(input.name)) {
      const Type& t = scope.builder().type(scope.names.at(input.name).value);
      require(input.type.kind == TypeProto::Kind::kNone || input.type.elem_type == int32_t(t.dtype),
              "the initializer '", input.name, "' is ", t.str(),
              ", but the input of that name has another element type");
      continue;
    }
    if (bound) {
      require(index < bound->size(), "the graph '", graph.name, "' has more inputs than are given");
      scope.bind(input.name, {(*bound)[index++]});
      continue;
    }
    Type type = input_type(scope, input, index < types.size() ? &types[index] : nullptr);
    check_size(type, input.name);
    ++index;
    scope.bind(input.name, {scope.builder().input(std::string(input.name), std::move(type))});
  }
  require(!bound || index == bound->size(), "the graph '", graph.name, "' has ", index,
          " inputs, not ", bound ? bound->size() : 0);
  import_nodes(scope, graph.nodes);
}

}  // namespace vitrify::onnx
