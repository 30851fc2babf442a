// The builder's parts, in the order in which they work.
#pragma once

#include <map>
#include <span>
#include <tuple>

#include "builder/builder.h"
#include "builder/expected.h"
#include "onnx/importer.h"
#include "runtime/engine_file.h"

namespace vitrify {

/// One profile for every entry of `options` (or the default one), with a range for every input of
/// known rank. Throws a user error when ranges contradict the model or each other.
std::vector<Profile> make_profiles(const Graph& graph, const BuildOptions& options);
/// What the profiles tell the importer: the shapes that a single one fixes, and for inputs of which
/// the model tells no rank the extents that all fix.
onnx::ImportOptions import_options(const BuildOptions& options);
/// Throws a user error where a profile gives a dim that the model's inputs share two ranges.
void check_shared_dims(const onnx::Model& model, const BuildOptions& options);
/// The symbols' values at the profile's opt shapes.
std::map<std::string, int64_t> opt_bindings(const Graph& graph, const Profile& profile);

/// Packed weights by tactic, version, config, graph and node, so that profiles share them.
class WeightStore {
 public:
  explicit WeightStore(EngineWriter& writer) : writer_(writer) {}
  Blob pack(const Graph& graph, int32_t node, const Tactic& tactic, const Config& config);

 private:
  EngineWriter& writer_;
  std::map<std::tuple<const Graph*, int32_t, std::string>, Blob> known_;
};

/// Splits the regions that no fast tactic runs, or whose parts are faster: measured at the
/// profiles' opt extents, or without timing by the size of what stays in cache.
Graph settle_regions(Graph graph, std::span<const Profile> profiles, const BuildOptions& options,
                     Trace& trace);
/// The graph with the bodies of its control flow after the passes, and a plan for each body,
/// innermost first. Tactics of bodies are not timed: only a run tells their shapes.
Graph plan_bodies(const Graph& graph, const BuildOptions& options, std::vector<BodyPlan>& bodies,
                  BuildReport& report);
/// Takes apart the fused nodes that no fast tactic runs; what becomes pointwise is fused again.
Graph split_refused(Graph graph, BuildReport& report, const PipelineOptions& options);

/// Chooses a tactic for every step of the graph (`choices` gets the reasons). Nodes that are views
/// or vanish in `add_aliases` are steps here, too.
std::vector<Step> choose_tactics(const Graph& graph, const Profile& profile,
                                 const BuildOptions& options, std::vector<Choice>& choices);

/// Decides which values share memory, and drops the steps that vanish with that. `allowed` may
/// refuse an alias.
using AllowAlias = std::function<bool(const Alias&)>;
void add_aliases(const Graph& graph, Plan& plan, const AllowAlias& allowed);

/// A tactic that supports a node, and one of its configs.
using AbleTactic = std::pair<const Tactic*, Config>;
/// All of a node's, in order of preference. Tactics that cannot run it, or are switched off, go to
/// `refused` with the reason (null: nowhere).
std::vector<AbleTactic> able_tactics(const Graph& graph, int32_t node,
                                     std::vector<Candidate>* refused = nullptr);

/// Picks one of `able`, which come in order of preference, and fills `choice.candidates` with them:
/// the fastest of those that answer rightly when `timing`, the one predicted to be the fastest
/// otherwise, the first where nothing tells them apart; the reference tactic when all are refused.
/// A lone tactic is checked like the others.
void choose_among(const Graph& graph, int32_t node, const std::map<std::string, int64_t>& bindings,
                  int max_threads, bool timing, std::span<const AbleTactic> able, Choice& choice);

struct Measurement {
  double milliseconds = -1;  ///< of one run; -1 when there was nothing to compare it with
  std::string problem;       ///< what speaks against the candidate; "" when all is well
};

/// Runs a node alone on made-up data.
class Bench {
 public:
  /// Why that cannot be done with these extents; "" when it can.
  static std::string obstacle(const Graph& graph, int32_t node,
                              const std::map<std::string, int64_t>& bindings);
  /// Throws when there is an obstacle.
  Bench(const Graph& graph, int32_t node, const std::map<std::string, int64_t>& bindings,
        int max_threads);
  ~Bench();
  /// Of the operands of so many candidates, each with its own results and its own packing of
  /// constants, and of the results that they are checked against.
  int64_t bytes(size_t candidates) const;
  /// Prepares a candidate for `measure`.
  void add(const Tactic& tactic, const Config& config);
  /// Checks the candidates, and runs the good ones by turns; one measurement each, in the order of
  /// `add`. `unchecked` gets the reason when there was nothing to check the answers against. A
  /// single good one is timed only when asked for.
  std::vector<Measurement> measure(std::string& unchecked, bool time_single = false);
  /// What the tactic's own model says; -1 when it has none.
  double predict(const Tactic& tactic, const Config& config) const;

 private:
  struct Entry;
  void make_inputs();
  BoundNode bound_node() const;
  std::string check(Entry& entry, const Expected& expected);

  const Graph& graph_;
  const Node& node_;
  NodeInfo info_;
  const std::map<std::string, int64_t>& bindings_;
  int max_threads_;
  std::vector<Value> inputs_;
  std::vector<std::vector<int64_t>> known_;
  std::vector<Dims> out_dims_;
  std::vector<Extents> in_, out_;
  std::vector<std::unique_ptr<Entry>> entries_;
};

}  // namespace vitrify
