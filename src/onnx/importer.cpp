// The import driver: walks a model's graph node by node and collects what goes wrong.
#include "onnx/importer.h"

#include <algorithm>
#include <limits>
#include <new>
#include <stdexcept>

#include "onnx/import_custom.h"
#include "onnx/scope.h"
#include "onnx/signatures.h"
#include "ops/custom.h"
#include "ops/table.h"

namespace vitrify::onnx {

using Scope = NodeContext::Scope;

void report(Session& session, const Error& error, const Node& node, const std::string& origin,
            int64_t opset) {
  std::string domain(node.domain.empty() ? "ai.onnx" : node.domain);
  session.problems.push_back(
      {origin, std::string(node.op_type), std::move(domain), error.message(), opset});
  session.kinds.push_back(error.kind());
}

namespace {

/// Why there is no import row for an op.
[[noreturn]] void fail_unknown(const Node& node, int64_t opset) {
  if (node.domain == "ai.onnx.preview.training" || node.domain == "ai.onnx.training")
    fail_unsupported("training operators are out of scope");
  for (const ImportRow& row : import_table())
    if (row.domain == plain_domain(node.domain) && row.op == node.op_type)
      fail("needs opset ", row.since, " or later; the model imports ", opset);
  fail_unsupported(plain_domain(node.domain).empty() ? "no such operator is supported"
                                                     : "no operator of that domain is registered");
}

const ImportRow* import_row(const NodeContext& c) {
  return find_import(plain_domain(c.node().domain), c.node().op_type, c.opset_);
}

/// Before the inputs are looked at, so that a model's unknown operators are listed all at once.
void check_known(NodeContext& c) {
  const Node& node = c.node();
  if (c.scope_->session->find_function(node)) return;
  c.opset_ = c.scope_->opset(node.domain);
  if (!import_row(c) && !find_custom_op(node.domain, node.op_type)) fail_unknown(node, c.opset_);
}

void record(const NodeContext& c, const ImportRow* row) {
  auto* imported = c.scope_->session->options.imported;
  if (!imported) return;
  const int64_t latest = std::numeric_limits<int64_t>::max();
  const bool newest = !row || row->since == find_import(row->domain, row->op, latest)->since;
  imported->push_back({c.origin_, std::string(c.node().op_type), row ? row->since : 0, newest});
}

void import_op(NodeContext& c) {
  const Function* function = c.scope_->session->find_function(c.node());
  const ImportRow* row = function ? nullptr : import_row(c);
  if (function || row) record(c, row);
  if (function) return import_call(c, *function);
  if (!row) return void(import_custom(c));
  check_signature(c.node(), c.opset());
  row->import(c);
}

/// Throws AlreadyReported when an input failed.
void gather_inputs(NodeContext& c) {
  for (std::string_view name : c.node().inputs)
    c.inputs_.push_back(name.empty() ? ValueId{} : c.scope_->need(name, "input"));
}

void check_outputs(NodeContext& c) {
  if (c.scope_->session->find_function(c.node())) return;  // optional results may be absent
  for (size_t i = 0; i < c.node().outputs.size(); ++i)
    if (c.wants(int(i)))
      require(i < c.outputs_.size() && c.outputs_[i].valid(), "has no output ", i,
              " in this form, yet the node names one");
}

/// Imports one node into `c.outputs_`; false when there is a problem, which is then recorded.
bool try_import(NodeContext& c) {
  Session& session = *c.scope_->session;
  auto record = [&](const Error& e) {
    report(session, e, c.node(), e.origin().empty() ? c.origin_ : e.origin(), c.opset_);
    return false;
  };
  try {
    if (++session.imported_nodes > kMaxImportedNodes)
      throw Error(ErrorKind::kUser,
                  cat("the model expands to more than ", kMaxImportedNodes, " nodes"));
    check_known(c);
    gather_inputs(c);
    import_op(c);
    check_outputs(c);
    return true;
  } catch (const AlreadyReported&) {
    return false;
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::kInternal)
      throw Error(e.kind(), e.message(), e.origin().empty() ? c.origin_ : e.origin());
    return record(e);
  } catch (const std::bad_alloc&) {
    return record(Error(ErrorKind::kUser, "needs more memory than there is"));
  } catch (const std::length_error&) {
    return record(Error(ErrorKind::kUser, "needs more memory than there is"));
  }
}

void import_node(Scope& scope, const Node& node, size_t index) {
  NodeContext c;
  c.scope_ = &scope;
  c.node_ = &node;
  c.builder_ = &scope.builder();
  c.origin_ = scope.path + node_label(node, index);
  bool ok = try_import(c);
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i].empty()) continue;
    ValueId v = ok && i < c.outputs_.size() ? c.outputs_[i] : ValueId{};
    scope.bind(node.outputs[i], {v, !ok});
  }
}

}  // namespace

void import_nodes(Scope& scope, const std::vector<Node>& nodes) {
  for (size_t n = 0; n < nodes.size(); ++n)
    for (std::string_view name : nodes[n].outputs) {
      if (name.empty()) continue;
      bool fresh = scope.definitions.emplace(name, n).second && !scope.names.count(name);
      if (!fresh)
        throw Error(ErrorKind::kUser, cat("defines '", name, "', a name that is taken already"),
                    scope.path + node_label(nodes[n], n));
    }
  for (size_t n = 0; n < nodes.size(); ++n) import_node(scope, nodes[n], n);
}

namespace {

void check_versions(const Model& model, Session& session) {
  require(model.ir_version >= 1, "the model has no IR version: not an ONNX model?");
  if (model.ir_version > kMaxIrVersion)
    fail_unsupported("the model has IR version ", model.ir_version, ", the newest known is ",
                     kMaxIrVersion);
  session.opsets = read_opsets(model.opset_imports, "the model");
  if (model.ir_version < 3) session.opsets.emplace("", 1);  // opsets came with IR version 3
}

void prepare(const Model& model, Session& session) {
  check_versions(model, session);
  for (const Function& f : model.functions)
    require(session.functions.emplace(FunctionKey{plain_domain(f.domain), f.name, f.overload}, &f)
                .second,
            "the function '", f.name, "' is defined twice");
  prepare_inputs(model.graph, session);
}

void import_outputs(Scope& scope, const Graph& graph) {
  std::unordered_set<std::string_view> seen;
  for (const ValueInfo& o : graph.outputs) {
    require(seen.insert(o.name).second, "two outputs are named '", o.name, "'");
    std::optional<Binding> binding = scope.find(o.name);
    require(binding.has_value(), "output '", o.name, "' is defined nowhere");
    if (binding->failed) continue;
    require(binding->value.valid(), "output '", o.name, "' has no value");
    scope.builder().output(std::string(o.name), binding->value);
  }
}

/// "conv1 (Conv, opset 7)": the node of a problem.
std::string place_of(const ImportProblem& p) {
  return cat(p.node, " (", p.op, p.domain == "ai.onnx" ? "" : cat(" of ", p.domain), ", opset ",
             p.opset, ")");
}

[[noreturn]] void throw_problems(const Session& session) {
  const auto& problems = session.problems;
  bool user = std::count(session.kinds.begin(), session.kinds.end(), ErrorKind::kUser) > 0;
  ErrorKind kind = user ? ErrorKind::kUser : ErrorKind::kUnsupported;
  if (problems.size() == 1) throw Error(kind, problems[0].reason, place_of(problems[0]));
  std::string message = cat(problems.size(), " nodes cannot be imported:");
  constexpr size_t kShown = 100;
  for (size_t i = 0; i < std::min(problems.size(), kShown); ++i)
    message += cat("\n  ", place_of(problems[i]), ": ", problems[i].reason);
  if (problems.size() > kShown) message += cat("\n  … and ", problems.size() - kShown, " more");
  throw Error(kind, message);
}

}  // namespace

vitrify::Graph import_model(const Model& model, const ImportOptions& options,
                            std::vector<ImportProblem>* problems) {
  Session session{.model = model, .options = options};
  prepare(model, session);
  GraphState state{make_builder(), {}, {}};
  state.builder.graph().name = model.graph.name;
  Scope scope;
  scope.session = &session;
  scope.state = &state;
  scope.opsets = &session.opsets;
  import_graph(scope, model.graph, {}, nullptr);
  if (session.problems.empty()) require(!model.graph.outputs.empty(), "the model has no outputs");
  if (problems)
    *problems = session.problems;
  else if (!session.problems.empty())
    throw_problems(session);
  check_values(scope, model.graph);
  import_outputs(scope, model.graph);
  return state.builder.finish();
}

vitrify::Graph import_model(const std::string& path, const ImportOptions& options) {
  return import_model(load_model(path), path, options);
}

vitrify::Graph import_model(const Model& model, const std::string& path,
                            const ImportOptions& options) {
  try {
    return import_model(model, options, nullptr);
  } catch (const Error& e) {
    if (!e.origin().empty()) throw;
    throw Error(e.kind(), e.message(), path);
  }
}

}  // namespace vitrify::onnx
