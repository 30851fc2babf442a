// Plan: how a graph is run for one range of shapes, as pure data.
//
// A plan is little more than a list of steps (which node runs on which tactic) and of aliases
// (which values share memory). Everything else (storage, lifetimes, segments, offsets) follows from
// the graph and these two, and is derived when the plan is loaded (layout.h) or shapes are bound
// (binding.h): what is not in the file cannot be wrong in the file.
#pragma once

#include <string>
#include <vector>

#include "ir/graph.h"

namespace vitrify {

/// The extents that a plan serves for one graph input; `max` is INT64_MAX where nothing bounds it.
struct InputRange {
  std::string name;
  Dims min, opt, max;
};
struct Profile {
  std::vector<InputRange> inputs;  ///< inputs of known rank, in the graph's order
};

/// Packed weights start at multiples of this in their section.
inline constexpr int64_t kWeightAlignment = 64;

/// A run of bytes in a section of the engine.
struct Blob {
  int32_t section = -1;
  int64_t offset = 0, bytes = 0;
  bool empty() const { return bytes == 0; }
};

/// Why a value has no memory of its own.
struct Alias {
  enum class Kind : uint8_t {
    kView,     ///< the producer is no step: the value is its input 0, reshaped or sliced
    kInPlace,  ///< the producing step overwrites its input `input`
    kConcat,   ///< the value is written into the output of Concat node `node`, whose input it is
  };
  Kind kind{};
  ValueId value;
  int32_t input = 0;
  int32_t node = -1;
};

inline constexpr const char* kReference = "reference";

struct Step {
  int32_t node = -1;
  std::string tactic = kReference;
  int32_t version = 0;
  std::string config;
  Blob packed;  ///< what the tactic's `prepare` made
  bool is_reference() const { return tactic == kReference; }
};

struct Plan {
  Profile profile;
  std::vector<Step> steps;  ///< by node, ascending
  std::vector<Alias> aliases;
};

/// How the body of a control-flow op is run: a plan of its own.
struct BodyPlan {
  GraphRef graph;  ///< as the op holds it
  Plan plan;
};

/// A line a step and alias, for people.
std::string print(const Plan& plan, const Graph& graph);

}  // namespace vitrify
