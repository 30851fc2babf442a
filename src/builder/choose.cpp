#include <algorithm>

#include "backend/backend.h"
#include "base/error.h"
#include "base/knobs.h"
#include "builder/parts.h"
#include "ops/table.h"

namespace vitrify {
namespace {

/// What a node's choice depends on: equal keys, equal choice.
std::string choice_key(const Graph& graph, const Node& node) {
  OpPrinter printer;
  printer.constant = [](const ConstantRef& c) { return cat('#', c->id); };
  printer.graph = [](const GraphRef& g) { return digest(*g).hex(); };
  std::string key = print(node.op, printer);
  for (ValueId v : node.inputs) {
    key += v.valid() ? ";" + graph.type(v).str() : ";none";
    if (graph.constant(v)) key += " const";
    if (v.valid() && graph.fact(v)) key += str(*graph.fact(v));
  }
  return key;
}

class Chooser {
 public:
  Chooser(const Graph& graph, const Profile& profile, const BuildOptions& options)
      : graph_(graph),
        options_(options),
        bindings_(opt_bindings(graph, profile)),
        disabled_(knob_list(Knob::kDisableTactics)) {}

  Step choose(int32_t n, Choice& choice) {
    const Node& node = graph_.nodes[size_t(n)];
    choice.node = n;
    choice.op = node.op.label();
    choice.type = node.types[0].str();
    choice.origins = node.origins;
    Choice& known = known_[choice_key(graph_, node)];
    if (known.tactic.empty()) {
      known.tactic = kReference;
      consider(n, known);
    }
    choice.tactic = known.tactic, choice.config = known.config;
    choice.measured = known.measured, choice.candidates = known.candidates;
    Step step{n, choice.tactic, 0, choice.config, {}};
    if (!step.is_reference()) step.version = find_tactic(step.tactic)->version;
    return step;
  }

 private:
  /// Fills candidates, and picks the fastest: measured, else predicted, else the first.
  void consider(int32_t n, Choice& choice) {
    const Node& node = graph_.nodes[size_t(n)];
    NodeInfo info(graph_, n);
    std::vector<std::pair<const Tactic*, Config>> able;
    for (const Tactic* tactic : tactics_for(node.op.name())) {
      std::string refusal = tactic->supports(info.view());
      if (std::find(disabled_.begin(), disabled_.end(), tactic->name) != disabled_.end())
        refusal = "disabled by VITRIFY_DISABLE_TACTICS";
      if (!refusal.empty()) {
        choice.candidates.push_back({std::string(tactic->name), "", refusal, -1});
        continue;
      }
      for (const Config& config :
           tactic->configs ? tactic->configs(info.view()) : std::vector<Config>{""})
        able.emplace_back(tactic, config);
    }
    if (able.empty()) return;
    choice.tactic = able[0].first->name, choice.config = able[0].second;
    if (able.size() > 1)
      compare(n, able, choice);
    else
      choice.candidates.push_back({choice.tactic, choice.config, "", -1});
  }

  void compare(int32_t n, const std::vector<std::pair<const Tactic*, Config>>& able,
               Choice& choice) {
    const size_t first = choice.candidates.size();
    for (const auto& [tactic, config] : able)
      choice.candidates.push_back({std::string(tactic->name), config, "", -1});
    try {
      Bench bench(graph_, n, bindings_, options_.max_threads);
      if (options_.timing) {
        for (const auto& [tactic, config] : able) bench.add(*tactic, config);
        const std::vector<Measurement> results = bench.measure();
        for (size_t i = 0; i < able.size(); ++i) {
          choice.candidates[first + i].milliseconds = results[i].milliseconds;
          choice.candidates[first + i].refusal = results[i].problem;
        }
        choice.measured = true;
      } else {
        for (size_t i = 0; i < able.size(); ++i)
          choice.candidates[first + i].milliseconds = bench.predict(*able[i].first, able[i].second);
      }
    } catch (const Error&) {
      return;  // shapes that only a run tells: the table's order decides
    }
    double best = -1;
    for (size_t i = first; i < choice.candidates.size(); ++i) {
      const Candidate& c = choice.candidates[i];
      if (!c.refusal.empty() || c.milliseconds < 0 || (best >= 0 && c.milliseconds >= best))
        continue;
      best = c.milliseconds, choice.tactic = c.tactic, choice.config = c.config;
    }
  }

  const Graph& graph_;
  const BuildOptions& options_;
  std::map<std::string, int64_t> bindings_;
  std::vector<std::string> disabled_;
  std::map<std::string, Choice> known_;
};

}  // namespace

std::vector<Step> choose_tactics(const Graph& graph, const Profile& profile,
                                 const BuildOptions& options, std::vector<Choice>& choices) {
  Chooser chooser(graph, profile, options);
  std::vector<Step> steps;
  const std::vector<int32_t> nodes = step_nodes(graph);
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (options.progress)
      options.progress("choosing tactics", 0.2 + 0.6 * double(i) / double(nodes.size()));
    steps.push_back(chooser.choose(nodes[i], choices.emplace_back()));
  }
  return steps;
}

Blob WeightStore::pack(const Graph& graph, int32_t node, const Tactic& tactic,
                       const Config& config) {
  if (!tactic.prepare) return {};
  const std::string key = cat(tactic.name, ':', tactic.version, ':', node, ':', config);
  if (auto at = known_.find(key); at != known_.end()) return at->second;
  NodeInfo info(graph, node);
  const std::vector<std::byte> bytes = tactic.prepare(info.view(), config);
  return known_[key] = bytes.empty() ? Blob{} : writer_.append(bytes);
}

}  // namespace vitrify
