// Plans for the bodies of control flow: each is optimised and planned like a model of its own.
#include "backend/backend.h"
#include "builder/parts.h"
#include "ops/table.h"

namespace vitrify {
namespace {

class BodyPlanner {
 public:
  BodyPlanner(const BuildOptions& options, std::vector<BodyPlan>& bodies, BuildReport& report)
      : options_(options), bodies_(bodies), report_(report) {
    options_.profiles.clear();
    options_.timing = false;
    options_.progress = nullptr;
    options_.passes.after = nullptr;
    options_.passes = with_knobs(options_.passes);
    options_.passes.trace = &report.decisions;
    options_.passes.computing_types = backends().front()->computing_types();
  }

  /// The graph with planned bodies in its control flow.
  Graph apply(Graph graph) {
    bool changed = false;
    for (Node& n : graph.nodes) {
      if (n.op.graphs().empty()) continue;
      n.op = with_planned_bodies(n.op);
      changed = true;
    }
    return changed ? rebuild(graph) : graph;
  }

 private:
  Op with_planned_bodies(const Op& op) {
    if (auto* branch = op.as<If>()) {
      If copy = *branch;
      copy.then_graph = plan(copy.then_graph), copy.else_graph = plan(copy.else_graph);
      return copy;
    }
    if (auto* loop = op.as<Loop>()) {
      Loop copy = *loop;
      copy.body = plan(copy.body);
      return copy;
    }
    if (auto* scan = op.as<Scan>()) {
      Scan copy = *scan;
      copy.body = plan(copy.body);
      return copy;
    }
    return op;
  }

  GraphRef plan(const GraphRef& body) {
    GraphRef& planned = planned_[body];
    if (planned) return planned;
    Graph graph = run_pipeline(*body, options_.passes);
    const std::vector<Profile> profiles = make_profiles(graph, options_);
    graph = settle_regions(std::move(graph), profiles, options_, report_.decisions);
    graph = apply(split_refused(std::move(graph), report_, options_.passes));
    planned = std::make_shared<const Graph>(std::move(graph));
    Plan made;
    made.profile = make_profiles(*planned, options_).front();
    made.steps =
        choose_tactics(*planned, made.profile, options_, report_.body_choices.emplace_back());
    bodies_.push_back({planned, std::move(made)});
    return planned;
  }

  BuildOptions options_;
  std::vector<BodyPlan>& bodies_;
  BuildReport& report_;
  std::map<GraphRef, GraphRef> planned_;
};

}  // namespace

Graph plan_bodies(const Graph& graph, const BuildOptions& options, std::vector<BodyPlan>& bodies,
                  BuildReport& report) {
  return BodyPlanner(options, bodies, report).apply(graph);
}

}  // namespace vitrify
