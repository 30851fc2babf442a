// What the importer keeps while it walks a model: one Session an import, one GraphState a graph
// under construction, one Scope a namespace (a graph, or the body of one call of a local function).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "onnx/importer.h"

namespace vitrify::onnx {

constexpr int kMaxGraphDepth = 32, kMaxCallDepth = 100;
/// ONNX nodes imported in all, expanded calls and repeated bodies counted.
constexpr int64_t kMaxImportedNodes = 500'000;
constexpr int64_t kMaxOpset = 27, kMaxMlOpset = 5, kMaxPreviewOpset = 1, kMaxIrVersion = 13;

/// Leaves the graph that holds a problem which has been recorded already.
struct AlreadyReported {};

using Opsets = std::map<std::string, int64_t, std::less<>>;
using FunctionKey = std::tuple<std::string_view, std::string_view, std::string_view>;

/// One import. Functions are keyed by (domain, name, overload).
struct Session {
  const Model& model;
  const ImportOptions& options;
  std::vector<ImportProblem> problems;
  std::vector<ErrorKind> kinds;  ///< of each problem
  std::map<FunctionKey, const Function*> functions;
  Opsets opsets;
  std::unordered_set<std::string> dim_names;   ///< every dim_param of the model's inputs
  std::map<std::string_view, Dim> fixed_dims;  ///< dim_params that the given shapes make numbers
  int64_t imported_nodes = 0;

  const Function* find_function(const Node& node) const;
};

/// A graph under construction. Several scopes may fill it (calls and branches imported in place).
struct GraphState {
  GraphBuilder builder;
  std::vector<ValueId> captures;  ///< of the enclosing graph, in the order of the captured inputs
  std::map<std::pair<DType, uint64_t>, ValueId> scalars;
};

/// What a name stands for: a value, an input left out (no value), or a result that could not be
/// imported.
struct Binding {
  ValueId value;
  bool failed = false;
};

/// An attribute, and the scope that its graphs' names are looked up in.
struct FoundAttribute {
  const Attribute* attribute = nullptr;
  NodeContext::Scope* home = nullptr;
};

struct NodeContext::Scope {
  Session* session = nullptr;
  GraphState* state = nullptr;
  Scope* parent = nullptr;  ///< whose names are visible here; null for a model and for a call
  Scope* caller = nullptr;  ///< the scope that this one was opened from
  const Opsets* opsets = nullptr;
  const Function* function = nullptr;  ///< the local function whose call this is
  std::map<std::string, FoundAttribute, std::less<>> attributes;  ///< the call's arguments
  std::string path;                                               ///< in front of node names
  int graph_depth = 0, call_depth = 0;
  std::unordered_map<std::string_view, size_t> definitions;  ///< name → the node that gives it
  std::unordered_map<std::string_view, Binding> names;

  GraphBuilder& builder() { return state->builder; }
  /// The binding of a name, captured into this graph when an outer one holds it; empty when it is
  /// nowhere. User error when a later node of this scope defines it.
  std::optional<Binding> find(std::string_view name);
  /// The same; user error when it is nowhere. AlreadyReported when it failed.
  ValueId need(std::string_view name, std::string_view what);
  /// User error when the name is taken.
  void bind(std::string_view name, Binding binding);
  /// A node's attribute, through references to the enclosing function's; null when absent.
  FoundAttribute attribute(const Node& node, std::string_view name);
  /// The version of a domain that this scope's nodes are of; user error when it is not imported.
  int64_t opset(std::string_view domain) const;
};

/// "" for the default domain under either of its names.
std::string_view plain_domain(std::string_view domain);
/// "add_1", or "#7 Add" for a node without a name.
std::string node_label(const Node& node, size_t index);
/// "if_3/then_branch/": the path of what is nested in `origin`, long ones cut in front.
std::string nested_path(const std::string& origin, std::string_view part = {});
/// Reads opset imports; user error on versions that are not known.
Opsets read_opsets(const std::vector<OpsetImport>& imports, std::string_view where);
/// The IR type; unnamed extents get symbols "<input>_<axis>". Throws on maps and sparse tensors.
Type to_type(const TypeProto& proto, std::string_view name, Session& session);

/// The same symbols for the extents of `dims` that are below 0.
Shape open_shape(const Dims& dims, std::string_view name, const Session& session);

/// Collects the dim names of the model's inputs, and checks the inputs that the options name.
void prepare_inputs(const Graph& graph, Session& session);
/// Fills `scope` from a graph: inputs (typed by `types` where those say something, or bound to
/// `bound`, if given), initializers, nodes. Problems of nodes are recorded in the session.
void import_graph(NodeContext::Scope& scope, const Graph& graph, const std::vector<Type>& types,
                  const std::vector<ValueId>* bound);
void import_nodes(NodeContext::Scope& scope, const std::vector<Node>& nodes);
/// Replaces a call of a local function by its body.
void import_call(NodeContext& call, const Function& function);
/// Checks what the model declares of the graph's values: a user error for a wrong kind or element
/// type; shapes that contradict the inferred ones go to the session's options.
void check_values(NodeContext::Scope& scope, const Graph& graph);
/// Records what went wrong with a node.
void report(Session& session, const Error& error, const Node& node, const std::string& origin,
            int64_t opset);

}  // namespace vitrify::onnx
