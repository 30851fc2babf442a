// The builder: model → graph → passes → tactics → plans → engine file.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "passes/pipeline.h"
#include "runtime/plan.h"

namespace vitrify {

/// What the user says of one input's extents.
struct InputShapes {
  std::string name;
  Dims min, opt, max;
};

struct BuildOptions {
  std::vector<std::vector<InputShapes>> profiles;  ///< empty: one profile, nothing bounded
  int max_threads = 0;                             ///< that candidates are timed with; 0: all
  bool timing = true;                              ///< false: tactics are chosen by prediction
  std::vector<StatePair> states;                   ///< besides those that the graph declares
  PipelineOptions passes;
  std::string output;  ///< the engine file; empty: the engine is built in memory
  /// Called now and then with what is being done and how far the whole build is, 0 … 1.
  std::function<void(std::string_view stage, double fraction)> progress;
};

/// A tactic that was considered for a step.
struct Candidate {
  std::string tactic, config, refusal;  ///< refusal: "" when it can run the step
  double milliseconds = -1;             ///< measured or predicted; -1: neither
};

struct Choice {
  int32_t node = -1;
  std::string op, type;  ///< label and the type of output 0
  std::vector<std::string> origins;
  std::vector<std::string> inputs, outputs;  ///< names of values; "" for an input left out
  std::string tactic, config;
  bool measured = false;
  std::string unchecked;  ///< why no answer was compared with the reference's; "" when they were
  std::vector<Candidate> candidates;
};

struct BuildReport {
  Trace decisions;
  std::vector<Profile> profiles;
  std::vector<std::vector<Choice>> choices;            ///< per profile, a row a step
  std::vector<std::vector<Choice>> body_choices;       ///< per body of control flow
  std::vector<std::pair<std::string, double>> stages;  ///< milliseconds
  double seconds = 0;
};

struct BuildResult {
  std::shared_ptr<const MappedFile> engine;
  BuildReport report;
};

/// Builds from an ONNX file. Throws Error.
BuildResult build_model(const std::string& path, const BuildOptions& options);
/// Builds from an imported graph.
BuildResult build_graph(Graph graph, const BuildOptions& options);

}  // namespace vitrify
