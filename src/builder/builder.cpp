#include "builder/builder.h"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "backend/backend.h"
#include "base/error.h"
#include "base/knobs.h"
#include "base/thread_pool.h"
#include "builder/explain.h"
#include "builder/parts.h"
#include "runtime/states.h"

namespace vitrify {
namespace {

using Clock = std::chrono::steady_clock;
double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

void tell(const BuildOptions& options, std::string_view stage, double fraction) {
  if (options.progress) options.progress(stage, fraction);
}

/// Rounded for people.
double rounded(double milliseconds) { return double(int64_t(milliseconds * 1e3)) / 1e3; }

void log_devices() {
  for (Backend* backend : backends()) {
    std::string features;
    for (const auto& f : backend->features()) features += " " + f;
    const std::string why = backend->unavailable();
    log(1, cat("backend ", backend->name(), features, why.empty() ? "" : ": not usable: ", why));
  }
  log(1, cat("threads: ", ThreadPool::process().size()));
}

void log_choice(const Choice& c) {
  const std::string where = c.origins.empty() ? c.op : cat(c.op, " (", c.origins.front(), ")");
  log(3, cat(where, " : ", c.type, " on ", c.tactic, c.config.empty() ? "" : " ", c.config));
  for (const Candidate& one : c.candidates) {
    std::string line = cat("  ", one.tactic, one.config.empty() ? "" : " ", one.config);
    if (!one.refusal.empty()) line += ": refused: " + one.refusal;
    if (one.milliseconds >= 0)
      line += cat(c.measured ? ": measured " : ": predicted ", one.milliseconds, " ms");
    log(3, line);
  }
}

/// Weights smaller than this stay in the engine anyway: shape rules may look at them.
constexpr size_t kSmallConstant = 64 << 10;

/// Constants of the graph that no step reads but through its packed weights.
std::set<const ConstantData*> packed_only(const Graph& graph, const std::vector<Plan>& plans) {
  std::set<const ConstantData*> found;
  for (const Node& n : graph.nodes)
    if (auto* c = n.op.as<Constant>();
        c && c->data->tensor.bytes() >= kSmallConstant && c->data->tensor.dtype() != DType::kString)
      found.insert(c->data.get());
  auto keep = [&](ValueId v) {
    if (!v.valid()) return;
    if (auto* c = graph.node(v).op.as<Constant>()) found.erase(c->data.get());
  };
  for (const auto& o : graph.outputs) keep(o.value);
  for (const Plan& plan : plans) {
    std::vector<const Step*> step_of(graph.nodes.size());
    for (const Step& s : plan.steps) step_of[size_t(s.node)] = &s;
    for (size_t n = 0; n < graph.nodes.size(); ++n) {
      const Tactic* tactic = step_of[n] ? find_tactic(step_of[n]->tactic) : nullptr;
      for (size_t i = 0; i < graph.nodes[n].inputs.size(); ++i)
        if (!tactic || i >= 32 || !(tactic->packed_inputs >> i & 1)) keep(graph.nodes[n].inputs[i]);
    }
  }
  return found;
}

/// Constants that an op or body refers to, rather than a Constant node of the graph.
std::set<const ConstantData*> inner_constants(const Graph& graph) {
  std::set<const ConstantData*> found;
  OpPrinter printer;
  printer.constant = [&](const ConstantRef& c) {
    found.insert(c.get());
    return std::string();
  };
  printer.graph = [](const GraphRef&) { return std::string(); };
  std::vector<const Graph*> graphs = list_graphs(graph);
  for (const Graph* g : graphs)
    for (const Node& n : g->nodes)
      if (g != &graph || !n.op.is<Constant>()) print(n.op, printer);
  return found;
}

std::vector<StoredConstant> store_constants(const Graph& graph, const std::vector<Plan>& plans,
                                            EngineWriter& writer) {
  std::set<const ConstantData*> leave_out = packed_only(graph, plans);
  for (const ConstantData* c : inner_constants(graph)) leave_out.erase(c);
  std::vector<StoredConstant> stored;
  writer.begin_section("source");
  for (const ConstantRef& c : list_constants(list_graphs(graph))) {
    StoredConstant entry{c, {}, leave_out.count(c.get()) > 0};
    const Tensor& t = c->tensor;
    if (!entry.stripped && t.dtype() != DType::kString && t.bytes() > 0)
      entry.blob = writer.append(std::span(t.raw(), t.bytes()));
    stored.push_back(std::move(entry));
  }
  writer.end_section();
  return stored;
}

/// ISA features that the chosen tactics need.
std::vector<std::string> needed_features(std::vector<Plan> plans,
                                         const std::vector<BodyPlan>& bodies) {
  for (const BodyPlan& body : bodies) plans.push_back(body.plan);
  std::set<std::string> needed;
  for (const Plan& plan : plans)
    for (const Step& step : plan.steps) {
      if (step.is_reference()) continue;
      const auto features = backend_of(*find_tactic(step.tactic)).features_of(step.config);
      needed.insert(features.begin(), features.end());
    }
  return {needed.begin(), needed.end()};
}

/// Decides on aliases, drops the choices of steps that vanish with them, and packs the weights of
/// the steps that are left.
void pack_weights(const Graph& graph, Plan& plan, std::vector<Choice>& choices, WeightStore& store,
                  const PipelineOptions& passes, Trace& trace) {
  const auto has = [](const std::vector<std::string>& names, std::string_view name) {
    return std::ranges::find(names, name) != names.end();
  };
  add_aliases(graph, plan, [&](const Alias& alias) {
    if (has(passes.disabled_passes, kAddAliases)) return false;
    Decision d = describe_alias(graph, alias);
    if (!has(passes.disabled_rules, d.rule)) return true;
    d.effect = kLeftOut;
    trace.push_back(std::move(d));
    return false;
  });
  std::set<int32_t> steps;
  for (const Step& step : plan.steps) steps.insert(step.node);
  std::erase_if(choices, [&](const Choice& c) { return !steps.count(c.node); });
  for (Step& step : plan.steps)
    if (!step.is_reference())
      step.packed = store.pack(graph, step.node, *find_tactic(step.tactic), step.config);
}

/// Throws a user error when a tactic that the environment switches off is none.
void check_disabled_tactics() {
  for (const std::string& name : knob_list(Knob::kDisableTactics))
    require(std::ranges::any_of(backends(),
                                [&](const Backend* backend) {
                                  return std::ranges::any_of(
                                      backend->tactics(),
                                      [&](const Tactic& tactic) { return tactic.name == name; });
                                }),
            "VITRIFY_DISABLE_TACTICS: there is no tactic '", name, "': `vitrify ops` lists them");
}

BuildResult build_imported(Graph graph, const BuildOptions& options, BuildReport report) {
  const auto start = Clock::now();
  check_disabled_tactics();
  graph.states.insert(graph.states.end(), options.states.begin(), options.states.end());
  check_states(graph);
  PipelineOptions passes = with_knobs(options.passes);
  passes.trace = &report.decisions;
  passes.computing_types = backends().front()->computing_types();
  size_t before = graph.nodes.size();
  passes.after = [&](std::string_view pass, const Graph& g, double ms) {
    log(2,
        cat("pass ", pass, ": ", before, " -> ", g.nodes.size(), " nodes in ", rounded(ms), " ms"));
    before = g.nodes.size();
    report.stages.emplace_back(pass, ms);
    tell(options, pass, 0.1);
    if (options.passes.after) options.passes.after(pass, g, ms);
  };
  graph = run_pipeline(std::move(graph), passes);
  auto mark = Clock::now();
  std::vector<Profile> profiles = make_profiles(graph, options);
  report.profiles = profiles;
  graph = settle_regions(std::move(graph), profiles, options, report.decisions);
  graph = split_refused(std::move(graph), report, passes);
  std::vector<BodyPlan> bodies;
  graph = plan_bodies(graph, options, bodies, report);
  std::vector<Plan> plans;
  for (Profile& profile : profiles) {
    Plan plan;
    plan.steps = choose_tactics(graph, profile, options, report.choices.emplace_back());
    if (verbosity() >= 3)
      for (const Choice& c : report.choices.back()) log_choice(c);
    plan.profile = std::move(profile);
    plans.push_back(std::move(plan));
  }
  report.stages.emplace_back("choose_tactics", milliseconds_since(mark));
  mark = Clock::now();
  std::optional<EngineWriter> writer;
  options.output.empty() ? writer.emplace() : writer.emplace(options.output);
  writer->begin_section("packed");
  WeightStore store(*writer);
  for (size_t i = 0; i < bodies.size(); ++i)
    pack_weights(*bodies[i].graph, bodies[i].plan, report.body_choices[i], store, passes,
                 report.decisions);
  for (size_t i = 0; i < plans.size(); ++i) {
    tell(options, "packing weights", 0.8 + 0.1 * double(i) / double(plans.size()));
    pack_weights(graph, plans[i], report.choices[i], store, passes, report.decisions);
  }
  writer->end_section();
  tell(options, "writing", 0.9);
  const std::vector<StoredConstant> constants = store_constants(graph, plans, *writer);
  explain_aliases(graph, plans, bodies, report.decisions);
  explain_left_out(graph, constants, report.decisions);
  check_left_out(passes, report.decisions);
  tell(options, "done", 1);  // before the file is in place: a callback may end the build
  BuildResult result;
  result.engine = writer->finish(graph, plans, bodies, constants, needed_features(plans, bodies));
  report.stages.emplace_back("write", milliseconds_since(mark));
  report.seconds += milliseconds_since(start) / 1e3;
  result.report = std::move(report);
  return result;
}

}  // namespace

BuildResult build_graph(Graph graph, const BuildOptions& options) {
  return build_imported(std::move(graph), options, {});
}

BuildResult build_model(const std::string& path, const BuildOptions& options) {
  const auto start = Clock::now();
  std::error_code ignored;
  require(!std::filesystem::equivalent(path, options.output, ignored),
          "the engine would overwrite '", path, "', the model it is built from");
  tell(options, "importing", 0);
  if (verbosity() >= 1) log_devices();
  std::vector<onnx::ImportedNode> imported;
  const onnx::Model model = onnx::load_model(path);
  check_shared_dims(model, options);
  onnx::ImportOptions given = import_options(options);
  std::vector<onnx::Contradiction> contradictions;
  given.imported = &imported, given.contradictions = &contradictions;
  Graph graph = onnx::import_model(model, path, given);
  log(1, cat("model '", path, "': ", graph.nodes.size(), " nodes, ", graph.inputs.size(),
             " inputs, ", graph.outputs.size(), " outputs"));
  BuildReport report;
  explain_import(graph, imported, report.decisions);
  explain_contradictions(contradictions, report.decisions);
  report.stages.emplace_back("import", milliseconds_since(start));
  report.seconds = milliseconds_since(start) / 1e3;
  return build_imported(std::move(graph), options, std::move(report));
}

}  // namespace vitrify
