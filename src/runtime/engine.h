// Engine: a loaded plan. Immutable and shared between threads; each caller runs its own Context.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/layout.h"

namespace vitrify {

/// What an engine is made of, built in memory or read from a file.
struct EngineParts {
  Graph graph;  ///< constants that only `prepare` reads may be without data (see `stripped`)
  std::vector<Plan> plans;       ///< one a profile, at least one
  std::vector<BodyPlan> bodies;  ///< innermost first; a body without a plan is interpreted
  std::vector<std::span<const std::byte>> sections;  ///< what Blobs refer to; 64-byte aligned
  std::shared_ptr<const void> owner;                 ///< keeps sections and constants mapped
  std::vector<bool> stripped;  ///< per node: a Constant whose source is not there (may be empty)
};

/// One profile's plan, ready to be bound.
struct LoadedPlan {
  Plan plan;
  Layout layout;
  std::vector<const Tactic*> tactics;  ///< per step; null: the reference kernel
  std::vector<TacticState> states;     ///< per step
};

class Engine {
 public:
  /// Checks the plans against the graph and loads the tactics. Throws a user error when they do not
  /// fit (a file's fault), an unsupported error when a tactic is not there.
  static std::shared_ptr<const Engine> create(EngineParts parts);

  const Graph& graph() const { return graph_; }
  const std::vector<LoadedPlan>& plans() const { return plans_; }
  /// The aligned tensor of a Constant node that some step reads.
  const Tensor& constant(int32_t node) const { return constants_[size_t(node)]; }
  int64_t weight_bytes() const { return weight_bytes_; }
  /// Bodies of control flow as engines, innermost first: of this graph's ops and of those inside
  /// them.
  using Bodies = std::vector<std::pair<const Graph*, std::shared_ptr<const Engine>>>;
  const Bodies& bodies() const { return bodies_; }
  /// One of them; null when the graph has no plan.
  std::shared_ptr<const Engine> body(const Graph& graph) const;
  /// Steps of a plan (the first one) that run on reference kernels, and those of the bodies.
  /// Control flow over planned bodies does not count: it only carries values from one to the next.
  int reference_steps(const Plan& plan) const;
  /// Whether the node is such control flow.
  bool only_carries(const Node& node) const;
  int reference_steps() const { return reference_steps(plans_.front().plan); }

 private:
  Engine() = default;
  static std::shared_ptr<Engine> load(EngineParts parts, Bodies bodies);
  void load_plan(Plan plan, const EngineParts& parts);
  Graph graph_;
  std::vector<LoadedPlan> plans_;
  std::vector<Tensor> constants_;
  std::shared_ptr<const void> owner_;
  int64_t weight_bytes_ = 0;
  Bodies bodies_;
};

}  // namespace vitrify
