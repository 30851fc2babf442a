// Engines as JSON, for `inspect` and reports.
#pragma once

#include <nlohmann/json.hpp>

#include "runtime/context.h"

namespace vitrify::api {

using Json = nlohmann::ordered_json;

/// What runs a step: its tactic's name, or "planned bodies" for control flow that only carries
/// values from one body with a plan to the next.
std::string shown_tactic(const Engine& engine, const Node& node, const Step& step);
/// {"name", "type", "dtype", "shape"}; symbolic extents are strings, unknown rank is null.
Json describe_value(const std::string& name, const Type& type);
/// A list of {"input", "min", "opt", "max"}; what nothing bounds is null.
Json describe_profile(const Profile& profile);
Json describe_engine(const Engine& engine);
/// JSON text; bytes that are no UTF-8 are replaced.
std::string to_text(const Json& json);

}  // namespace vitrify::api
