// Regions against their parts: which of both is faster is measured, or without timing, told by how
// much the region keeps in cache.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "builder/parts.h"
#include "ops/table.h"

namespace vitrify {
namespace {

/// Without timing: what a core keeps of a result until the next step reads it.
constexpr double kCacheShare = 1 << 20;

constexpr int kTurns = 3;  // of measuring one and the other

Type at_opt(const Type& type, const std::map<std::string, int64_t>& bindings) {
  Shape shape;
  for (const Dim& d : *type.shape)
    shape.push_back(d.eval([&](const std::string& s) {
      auto at = bindings.find(s);
      require(at != bindings.end(), "the extent '", s, "' is not known");
      return at->second;
    }));
  return Type::tensor(type.dtype, std::move(shape));
}

/// The region alone, over inputs of the profile's opt extents. User error when they are not known.
Graph alone(const Graph& graph, const Node& region,
            const std::map<std::string, int64_t>& bindings) {
  GraphBuilder b = make_builder();
  b.graph().next_constant = graph.next_constant;
  std::map<ValueId, ValueId> map;
  std::vector<ValueId> inputs;
  for (ValueId v : region.inputs) {
    require(v.valid(), "an input is left out");
    if (!map.count(v)) {
      auto* c = graph.node(v).op.as<Constant>();
      map[v] =
          c ? b.constant(c->data) : b.input(cat("x", map.size()), at_opt(graph.type(v), bindings));
    }
    inputs.push_back(map[v]);
  }
  const ValueId y = b.add(region.op, inputs, region.origins, int(region.types.size()));
  for (int32_t o = 0; o < int32_t(region.types.size()); ++o) b.output(cat("y", o), {y.node, o});
  return b.finish();
}

/// The steps of a graph of known extents, each on all of its tactics.
class Steps {
 public:
  Steps(const Graph& graph, int max_threads) : graph_(graph) {
    for (int32_t n : step_nodes(graph_)) {
      auto& bench =
          *benches_.emplace_back(std::make_unique<Bench>(graph_, n, nothing_, max_threads));
      for (const auto& [tactic, config] : able_tactics(graph_, n)) bench.add(*tactic, config);
    }
  }
  /// Milliseconds of all steps, each at its fastest so far; infinite where one has no tactic.
  double measure() {
    double total = 0;
    for (auto& bench : benches_) {
      double best = INFINITY;
      std::string unchecked;
      for (const Measurement& m : bench->measure(unchecked, true))
        if (m.problem.empty()) best = std::min(best, m.milliseconds);
      total += best;
    }
    return total;
  }

 private:
  const Graph& graph_;
  const std::map<std::string, int64_t> nothing_;
  std::vector<std::unique_ptr<Bench>> benches_;
};

/// Bytes of the largest value inside of the region.
double inner_bytes(const Graph& split) {
  double most = 0;
  for (size_t n = 0; n < split.nodes.size(); ++n) {
    bool inside = !split.nodes[n].op.is<Input>() && !split.nodes[n].op.is<Constant>();
    for (const auto& o : split.outputs) inside &= size_t(o.value.node) != n;
    if (!inside) continue;
    double bytes = 4;
    for (const Dim& d : *split.nodes[n].types[0].shape) bytes *= double(d.value());
    most = std::max(most, bytes);
  }
  return most;
}

struct Verdict {
  bool split = true;
  std::string reason;
};

std::string milliseconds(double ms) {
  if (!std::isfinite(ms)) return "no tactic";
  return cat(std::round(ms * 1e4) / 1e4, " ms");
}

Verdict judge(const Graph& graph, int32_t n, std::span<const Profile> profiles,
              const BuildOptions& options) {
  if (able_tactics(graph, n).empty()) return {true, "no fast tactic runs the region"};
  const Node& region = graph.nodes[size_t(n)];
  double fused = 0, apart = 0, most = 0;
  try {
    for (const Profile& profile : profiles) {
      const Graph one = alone(graph, region, opt_bindings(graph, profile));
      const Graph parts = split_nodes(one, [](const Node& node) { return node.op.is<Region>(); });
      most = std::max(most, inner_bytes(parts));
      if (!options.timing) continue;
      Steps whole(one, options.max_threads), pieces(parts, options.max_threads);
      double best = 0, best_apart = 0;
      for (int turn = 0; turn < kTurns; ++turn)
        best = whole.measure(), best_apart = pieces.measure();
      fused += best, apart += best_apart;
    }
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::kInternal) throw;
    return {true, e.message()};
  }
  if (options.timing)
    return {!(fused <= apart),
            cat("fused ", milliseconds(fused), ", split ", milliseconds(apart), " (measured)")};
  return {most <= kCacheShare, cat("the inner result has ", int64_t(most),
                                   " bytes, the cache share is ", int64_t(kCacheShare))};
}

}  // namespace

Graph settle_regions(Graph graph, std::span<const Profile> profiles, const BuildOptions& options,
                     Trace& trace) {
  std::set<const Node*> split;
  for (int32_t n : step_nodes(graph)) {
    const Node& node = graph.nodes[size_t(n)];
    if (!node.op.is<Region>()) continue;
    const Verdict verdict = judge(graph, n, profiles, options);
    if (verdict.split) split.insert(&node);
    trace.push_back({"settle_regions", verdict.split ? "region -> parts" : "region -> region",
                     node.origins, cat(node.op.label(), ": ", verdict.reason)});
  }
  if (split.empty()) return graph;
  return split_nodes(graph, [&](const Node& n) { return split.count(&n) > 0; });
}

}  // namespace vitrify
