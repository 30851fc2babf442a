#include <map>

#include "api/build/kernels.h"
#include "api/build/options.h"
#include "api/describe.h"
#include "api/handles.h"
#include "backend/backend.h"
#include "base/knobs.h"
#include "builder/builder.h"
#include "builder/parts.h"
#include "onnx/importer.h"
#include "ops/table.h"

using namespace vitrify;  // NOLINT: this file is the boundary
using api::guard;
using api::Json;
using api::need;

namespace {

/// Opset of a domain that the model imports; 0 when it does not.
int64_t opset_of(const onnx::Model& model, std::string_view domain) {
  for (const auto& o : model.opset_imports)
    if (o.domain == domain || (domain == "ai.onnx" && o.domain.empty())) return o.version;
  return 0;
}

void count_ops(const onnx::Graph& graph, std::map<std::pair<std::string, std::string>, int>& out,
               int depth) {
  for (const onnx::Node& n : graph.nodes) {
    ++out[{std::string(n.domain), std::string(n.op_type)}];
    for (const onnx::Attribute& a : n.attributes) {
      if (depth > 100) continue;
      if (a.graph) count_ops(*a.graph, out, depth + 1);
      for (const auto& g : a.graphs)
        if (g) count_ops(*g, out, depth + 1);
    }
  }
}

Json describe_model(const onnx::Model& model, const Graph& graph,
                    const std::vector<onnx::ImportProblem>& problems) {
  Json inputs = Json::array(), outputs = Json::array(), ops = Json::array(),
       unsupported = Json::array(), opsets = Json::array();
  for (const auto& i : graph.inputs)
    inputs.push_back(api::describe_value(i.name, graph.type(i.value)));
  for (const auto& o : graph.outputs)
    outputs.push_back(api::describe_value(o.name, graph.type(o.value)));
  for (const auto& o : model.opset_imports)
    opsets.push_back({{"domain", std::string(o.domain)}, {"version", o.version}});
  std::map<std::pair<std::string, std::string>, int> counts;
  count_ops(model.graph, counts, 0);
  for (const auto& [op, count] : counts)
    ops.push_back({{"op", op.second},
                   {"domain", op.first},
                   {"opset", opset_of(model, op.first)},
                   {"count", count}});
  for (const auto& p : problems)
    unsupported.push_back({{"node", p.node},
                           {"op", p.op},
                           {"domain", p.domain},
                           {"opset", p.opset},
                           {"reason", p.reason}});
  return {{"producer", std::string(model.producer_name)},
          {"ir_version", model.ir_version},
          {"opsets", opsets},
          {"inputs", inputs},
          {"outputs", outputs},
          {"ops", ops},
          {"unsupported", unsupported}};
}

/// Every op runs on every backend that is usable: by a tactic, or by its reference kernel on host
/// memory.
Json list_operators(const Json& kernels) {
  Json on;
  for (Backend* backend : backends())
    on[std::string(backend->name())] = backend->unavailable().empty();
  Json rows = Json::array();
  for (const onnx::ImportRow& row : onnx::import_table())
    rows.push_back({{"domain", std::string(row.domain)},
                    {"op", std::string(row.op)},
                    {"since_opset", row.since},
                    {"backends", on},
                    {"kernels", api::find_kernels(kernels, row.op)}});
  return rows;
}

Json list_tactics() {
  Json rows = Json::array();
  for (Backend* backend : backends())
    for (const Tactic& t : backend->tactics())
      rows.push_back(
          {{"backend", backend->name()}, {"op", t.op}, {"tactic", t.name}, {"version", t.version}});
  return rows;
}

}  // namespace

extern "C" {

vitrify_status vitrify_inspect_model(const char* path, const vitrify_build_options* options,
                                     char** json) {
  return guard([&] {
    need(path, "model"), need(json, "json");
    check_knobs();
    const onnx::Model model = onnx::load_model(path);
    std::vector<onnx::ImportProblem> problems;
    const BuildOptions given = options ? options->options : BuildOptions();
    check_shared_dims(model, given);
    const Graph graph = onnx::import_model(model, import_options(given), &problems);
    *json = api::give_string(api::to_text(describe_model(model, graph, problems)));
  });
}

vitrify_status vitrify_graph_after(const char* path, const vitrify_build_options* options,
                                   const char* pass, char** text) {
  return guard([&] {
    need(path, "model"), need(pass, "pass"), need(text, "text");
    check_knobs();
    const BuildOptions given = options ? options->options : BuildOptions();
    std::optional<std::string> found;
    std::string names = "imported";
    for (const PassRow& row : pass_table()) names += cat(", ", row.name);
    PipelineOptions passes = given.passes;
    passes.after = [&](std::string_view name, const Graph& g, double) {
      if (name == pass) found = print(g);
    };
    const onnx::Model model = onnx::load_model(path);
    check_shared_dims(model, given);
    run_pipeline(onnx::import_model(model, path, import_options(given)), passes);
    require(found.has_value(), "there is no stage '", pass, "': choose from ", names);
    *text = api::give_string(*found);
  });
}

vitrify_status vitrify_list_ops(char** json) {
  return guard([&] {
    need(json, "json");
    check_knobs();
    const Json kernels = api::describe_kernels();
    *json = api::give_string(api::to_text({{"operators", list_operators(kernels)},
                                           {"kernels", kernels},
                                           {"tactics", list_tactics()}}));
  });
}

}  // extern "C"
