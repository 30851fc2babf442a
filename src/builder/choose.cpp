#include <algorithm>
#include <set>

#include "backend/backend.h"
#include "base/error.h"
#include "base/knobs.h"
#include "base/run_scope.h"
#include "builder/parts.h"
#include "ir/value_name.h"
#include "ops/table.h"
#include "runtime/layout.h"

namespace vitrify {
namespace {

/// What a node's choice depends on: equal keys, equal choice.
std::string choice_key(const Graph& graph, const Node& node) {
  OpPrinter printer;
  printer.constant = [](const ConstantRef& c) { return cat('#', c->id); };
  printer.graph = [](const GraphRef& g) { return digest(*g).hex(); };
  std::string key = print(node.op, printer);
  for (ValueId v : node.inputs) {
    key += cat(';', v.valid() ? graph.type(v).str() : "none");
    if (graph.constant(v)) key += " const";
    if (v.valid() && graph.fact(v)) key += str(*graph.fact(v));
  }
  for (const Type& t : node.types) key += cat('>', t.str());
  return key;
}

class Chooser {
 public:
  Chooser(const Graph& graph, const Profile& profile, const BuildOptions& options)
      : graph_(graph), options_(options), bindings_(opt_bindings(graph, profile)) {}

  Step choose(int32_t n, Choice& choice) {
    const Node& node = graph_.nodes[size_t(n)];
    choice.node = n;
    choice.op = node.op.label();
    choice.type = node.types[0].str();
    choice.origins = node.origins;
    for (ValueId v : node.inputs)
      choice.inputs.push_back(v.valid() ? value_name(graph_, v) : std::string());
    for (size_t o = 0; o < node.types.size(); ++o)
      choice.outputs.push_back(value_name(graph_, {n, int32_t(o)}));
    Choice& known = known_[choice_key(graph_, node)];
    if (known.tactic.empty()) {
      known.tactic = kReference;
      consider(n, known);
    }
    choice.tactic = known.tactic, choice.config = known.config;
    choice.measured = known.measured, choice.candidates = known.candidates;
    choice.unchecked = known.unchecked;
    Step step{n, choice.tactic, 0, choice.config, {}};
    if (!step.is_reference()) step.version = find_tactic(step.tactic)->version;
    return step;
  }

 private:
  void consider(int32_t n, Choice& choice) {
    const std::vector<AbleTactic> able = able_tactics(graph_, n, &choice.candidates);
    choose_among(graph_, n, bindings_, options_.max_threads, options_.timing, able, choice);
  }

  const Graph& graph_;
  const BuildOptions& options_;
  std::map<std::string, int64_t> bindings_;
  std::map<std::string, Choice> known_;
};

/// The fastest that nothing speaks against, or the first where no times are known; -1 when none.
int best_of(std::span<const Candidate> candidates) {
  int best = -1;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!candidates[i].refusal.empty()) continue;
    const double ms = candidates[i].milliseconds;
    if (best < 0 || (ms >= 0 && ms < candidates[size_t(best)].milliseconds)) best = int(i);
  }
  return best;
}

void measure(Bench& bench, std::span<const AbleTactic> able, std::span<Candidate> candidates,
             Choice& choice) {
  for (const auto& [tactic, config] : able) bench.add(*tactic, config);
  const std::vector<Measurement> results = bench.measure(choice.unchecked);
  for (size_t i = 0; i < able.size(); ++i) {
    candidates[i].milliseconds = results[i].milliseconds;
    candidates[i].refusal = results[i].problem;
  }
  choice.measured = able.size() > 1;
}

void predict(const Bench& bench, std::span<const AbleTactic> able,
             std::span<Candidate> candidates) {
  for (size_t i = 0; i < able.size(); ++i)
    candidates[i].milliseconds = bench.predict(*able[i].first, able[i].second);
}

}  // namespace

namespace {
/// Results that only the node itself can tell the extents of: room is made for a tactic before it
/// runs.
bool tells_extents(const Graph& graph, int32_t node) {
  std::set<std::string> told;
  auto drop = [&](const Type& t) {
    std::set<std::string> known;
    collect_symbols(t, known);
    for (const std::string& s : known) told.erase(s);
  };
  for (const Type& t : graph.nodes[size_t(node)].types) collect_symbols(t, told);
  for (const auto& input : graph.inputs) drop(graph.type(input.value));
  for (int32_t before = 0; before < node && !told.empty(); ++before)
    for (const Type& t : graph.nodes[size_t(before)].types) drop(t);
  return !told.empty();
}
}  // namespace

std::vector<AbleTactic> able_tactics(const Graph& graph, int32_t node,
                                     std::vector<Candidate>* refused) {
  const std::vector<std::string> disabled = knob_list(Knob::kDisableTactics);
  NodeInfo info(graph, node);
  const bool late = tells_extents(graph, node);
  std::vector<AbleTactic> able;
  for (const Tactic* tactic : tactics_for(graph.nodes[size_t(node)].op.name())) {
    std::string refusal = late ? "the extents of its results are known only when it has run"
                               : tactic->supports(info.view());
    if (std::find(disabled.begin(), disabled.end(), tactic->name) != disabled.end())
      refusal = "disabled by VITRIFY_DISABLE_TACTICS";
    if (!refusal.empty()) {
      if (refused) refused->push_back({std::string(tactic->name), "", refusal, -1});
      continue;
    }
    for (const Config& config :
         tactic->configs ? tactic->configs(info.view()) : std::vector<Config>{""})
      able.emplace_back(tactic, config);
  }
  return able;
}

void choose_among(const Graph& graph, int32_t node, const std::map<std::string, int64_t>& bindings,
                  int max_threads, bool timing, std::span<const AbleTactic> able, Choice& choice) {
  choice.tactic = kReference, choice.config.clear();
  if (able.empty()) return;
  const size_t first = choice.candidates.size();
  for (const auto& [tactic, config] : able)
    choice.candidates.push_back({std::string(tactic->name), config, "", -1});
  const std::span candidates = std::span(choice.candidates).subspan(first);
  choice.unchecked = Bench::obstacle(graph, node, bindings);
  if (choice.unchecked.empty()) {
    Bench bench(graph, node, bindings, max_threads);
    const int64_t bytes = bench.bytes(able.size());
    const bool fits = bytes <= usable_memory() / 2;  // the rest is for workspaces and others
    if (timing && fits)
      measure(bench, able, candidates, choice);
    else
      predict(bench, able, candidates);
    if (!fits) choice.unchecked = cat("its operands would take ", bytes, " bytes to time");
  }
  if (!timing) choice.unchecked = "nothing is timed";
  const int best = best_of(candidates);
  if (best < 0) return;
  choice.tactic = candidates[size_t(best)].tactic, choice.config = candidates[size_t(best)].config;
}

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
  const std::tuple key(&graph, node, cat(tactic.name, ':', tactic.version, ':', config));
  if (auto at = known_.find(key); at != known_.end()) return at->second;
  NodeInfo info(graph, node);
  const std::vector<std::byte> bytes = tactic.prepare(info.view(), config);
  return known_[key] = bytes.empty() ? Blob{} : writer_.append(bytes);
}

}  // namespace vitrify
