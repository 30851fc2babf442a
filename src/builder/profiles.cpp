#include <algorithm>
#include <array>
#include <set>

#include "base/error.h"
#include "builder/parts.h"
#include "ops/interpreter.h"

namespace vitrify {
namespace {

/// The extent to tune for where nobody has said: batches of one, sequences and pictures of some
/// size.
int64_t default_opt(size_t axis) { return axis == 0 ? 1 : 64; }

InputRange default_range(const std::string& name, const Type& type) {
  InputRange range{name, {}, {}, {}};
  for (size_t a = 0; a < type.shape->size(); ++a) {
    const Dim& d = (*type.shape)[a];
    const bool known = d.is_constant();
    range.min.push_back(known ? d.value() : 0);
    range.opt.push_back(known ? d.value() : default_opt(a));
    range.max.push_back(known ? d.value() : INT64_MAX);
  }
  return range;
}

void check_range(const InputShapes& given, const Type& type) {
  const std::string what = cat("profile of input '", given.name, "'");
  const size_t rank = type.shape->size();
  require(given.min.size() == rank && given.opt.size() == rank && given.max.size() == rank, what,
          " must have rank ", rank, ", as the input has type ", type.str());
  for (size_t a = 0; a < rank; ++a) {
    const Dim& d = (*type.shape)[a];
    require(0 <= given.min[a] && given.min[a] <= given.opt[a] && given.opt[a] <= given.max[a], what,
            ": axis ", a, " needs 0 <= min <= opt <= max, not ", given.min[a], ":", given.opt[a],
            ":", given.max[a]);
    require(!d.is_constant() || (given.min[a] == d.value() && given.max[a] == d.value()), what,
            ": axis ", a, " is fixed at ", d.str(), " by the model");
  }
}

Profile make_profile(const Graph& graph, const std::vector<InputShapes>& given) {
  Profile profile;
  for (const auto& input : graph.inputs) {
    const Type& type = graph.type(input.value);
    const InputShapes* shapes = nullptr;
    for (const InputShapes& g : given)
      if (g.name == input.name) shapes = &g;
    require(!shapes || type.has_rank(), "input '", input.name, "' has no known rank: no profile");
    if (!type.has_rank()) continue;
    if (shapes) check_range(*shapes, type);
    profile.inputs.push_back(shapes
                                 ? InputRange{shapes->name, shapes->min, shapes->opt, shapes->max}
                                 : default_range(input.name, type));
  }
  for (const InputShapes& g : given) {
    bool found = false;
    for (const auto& input : graph.inputs) found |= input.name == g.name;
    std::string names;
    for (const auto& input : graph.inputs) names += cat(names.empty() ? "" : ", ", input.name);
    require(found, "there is no input '", g.name, "': the model has ",
            names.empty() ? "no inputs" : names);
  }
  return profile;
}

/// Of a dim_param: who gave it which range first.
struct SharedDim {
  std::string input;
  size_t axis;
  std::array<int64_t, 3> range;  ///< min, opt, max
};

std::string str(const std::array<int64_t, 3>& range) {
  const auto& [min, opt, max] = range;
  return min == max ? cat(min) : cat(min, ":", opt, ":", max);
}

void check_shared_dims(const onnx::ValueInfo& input, const InputShapes& given,
                       std::map<std::string_view, SharedDim>& known) {
  if (!input.type.shape) return;
  const auto& dims = *input.type.shape;
  const size_t rank = std::min({dims.size(), given.min.size(), given.opt.size(), given.max.size()});
  for (size_t a = 0; a < rank; ++a) {
    if (dims[a].symbol.empty()) continue;
    const SharedDim one{given.name, a, {given.min[a], given.opt[a], given.max[a]}};
    const SharedDim& first = known.emplace(dims[a].symbol, one).first->second;
    require(first.range == one.range, "the dim '", dims[a].symbol, "' is axis ", first.axis,
            " of input '", first.input, "' and axis ", a, " of input '", given.name,
            "', but they are given as ", str(first.range), " and ", str(one.range),
            ": give both the same");
  }
}

}  // namespace

std::vector<Profile> make_profiles(const Graph& graph, const BuildOptions& options) {
  std::vector<Profile> profiles;
  for (const auto& given : options.profiles) profiles.push_back(make_profile(graph, given));
  if (profiles.empty()) profiles.push_back(make_profile(graph, {}));
  return profiles;
}

void check_shared_dims(const onnx::Model& model, const BuildOptions& options) {
  for (const auto& profile : options.profiles) {
    std::map<std::string_view, SharedDim> known;
    for (const InputShapes& given : profile)
      for (const onnx::ValueInfo& input : model.graph.inputs)
        if (input.name == given.name) check_shared_dims(input, given, known);
  }
}

onnx::ImportOptions import_options(const BuildOptions& options) {
  onnx::ImportOptions given;
  std::map<std::string, Dims> extents;
  for (const auto& profile : options.profiles)
    for (const InputShapes& g : profile) {
      if (options.profiles.size() == 1 && g.min == g.max)
        given.input_shapes.emplace_back(g.name, to_shape(g.min));
      Dims& known = extents.emplace(g.name, g.min).first->second;
      require(known.size() == g.min.size(), "the profiles of input '", g.name, "' are of rank ",
              known.size(), " and ", g.min.size(), ": give one rank in all");
      for (size_t a = 0; a < known.size(); ++a)
        if (a >= g.min.size() || a >= g.max.size() || g.min[a] != known[a] || g.max[a] != known[a])
          known[a] = -1;
    }
  given.unranked_shapes.assign(extents.begin(), extents.end());
  return given;
}

std::map<std::string, int64_t> opt_bindings(const Graph& graph, const Profile& profile) {
  std::map<std::string, int64_t> bindings;
  for (const auto& input : graph.inputs) {
    const Type& type = graph.type(input.value);
    for (const InputRange& range : profile.inputs)
      if (range.name == input.name && type.has_rank() && type.shape->size() == range.opt.size())
        for (size_t a = 0; a < range.opt.size(); ++a)
          if (const Dim& d = (*type.shape)[a]; d.is_symbol())
            bindings.emplace(d.symbol_name(), range.opt[a]);
  }
  return bindings;
}

}  // namespace vitrify
