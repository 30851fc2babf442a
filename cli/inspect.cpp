#include <iostream>

#include "commands.h"
#include "common.h"

namespace vitrify::cli {
namespace {

struct Flags {
  std::string path, stage, verify = "full";
  std::vector<std::string> profiles;
  bool json = false;
};

std::string text(const Json& name) { return visible_name(name.get<std::string>()); }

void print_values(const char* title, const Json& values) {
  std::cout << title << "\n";
  for (const Json& v : values)
    std::cout << "  " << text(v["name"]) << " : " << text(v["type"]) << "\n";
}

std::string origin(const Json& step) {
  return step["origin"].empty() ? "" : "  # " + text(step["origin"][0]);
}

std::string tactic(const Json& step) {
  std::string all = step["tactic"];
  if (step.contains("bodies"))
    for (size_t i = 0; i < step["bodies"].size(); ++i)
      all += (i ? ", " : " ") + std::to_string(step["bodies"][i].get<int>());
  return all;
}

/// Of a plan or body: its steps, and the values that share memory.
void print_steps(const Json& plan) {
  for (const Json& s : plan["steps"])
    std::cout << "  " << text(s["name"]) << " = " << text(s["label"]) << " : "
              << text(s["types"][0]) << " on " << tactic(s) << origin(s) << "\n";
  for (const Json& a : plan["aliases"])
    std::cout << "  " << text(a["value"]) << " " << text(a["kind"]) << " " << text(a["of"]) << "\n";
}

void print_plans(const Json& about) {
  const Json& plans = about["plans"];
  for (size_t i = 0; i < plans.size(); ++i)
    for (const Json& r : plans[i]["profile"])
      std::cout << "profile " << i << ": " << text(r["input"]) << " " << r["min"] << " " << r["opt"]
                << " " << r["max"] << "\n";
  for (size_t i = 0; i < plans.size(); ++i) {
    std::cout << (plans.size() > 1 ? "plan " + std::to_string(i) + ": " : "")
              << plans[i]["steps"].size() << " steps, " << plans[i]["reference_steps"]
              << " on reference kernels, " << about["weight_bytes"] << " bytes of weights"
              << (plans.size() > 1 ? " in all plans" : "") << "\n";
    print_steps(plans[i]);
  }
  for (const Json& body : about["bodies"]) {
    std::cout << "body " << body["index"] << " (" << text(body["graph"])
              << "): " << body["steps"].size() << " steps, " << body["reference_steps"]
              << " on reference kernels\n";
    print_steps(body);
  }
}

void print_text(const Json& about) {
  print_values("inputs", about["inputs"]);
  print_values("outputs", about["outputs"]);
  if (about.contains("states"))
    for (const Json& s : about["states"])
      std::cout << "state " << text(s["input"]) << " = " << text(s["output"]) << "\n";
  if (about.contains("ops")) {
    std::cout << "operators\n";
    for (const Json& op : about["ops"])
      std::cout << "  " << text(op["op"]) << " × " << op["count"] << "\n";
  }
  if (about.contains("unsupported") && !about["unsupported"].empty()) {
    std::cout << "not supported\n";
    for (const Json& p : about["unsupported"])
      std::cout << "  " << text(p["node"]) << " (" << text(p["op"]) << ", opset " << p["opset"]
                << "): " << text(p["reason"]) << "\n";
  }
  if (about.contains("plans")) print_plans(about);
}

Json inspect_model(const Flags& flags, const BuildOptions& options) {
  char* text = nullptr;
  detail::check(vitrify_inspect_model(flags.path.c_str(), options.handle(), &text));
  Json about = Json::parse(detail::take(text));
  if (!about["unsupported"].empty()) return about;
  const Json engine = Json::parse(Engine::build(flags.path, options).describe());
  for (const char* key : {"profiles", "steps", "aliases", "dynamic", "segments", "plans",
                          "weight_bytes", "reference_steps", "bodies"})
    about[key] = engine[key];
  return about;
}

void inspect(const Flags& flags) {
  BuildOptions options;
  add_profiles(options, flags.profiles);
  options.set_timing(false);
  const bool is_engine = vitrify_is_engine(flags.path.c_str());
  if (is_engine && !flags.profiles.empty())
    throw UsageError("--profile is for models: an engine has its profiles");
  if (!flags.stage.empty()) {
    if (is_engine) throw UsageError("--graph is for models: an engine has no passes");
    char* text = nullptr;
    detail::check(
        vitrify_graph_after(flags.path.c_str(), options.handle(), flags.stage.c_str(), &text));
    const std::string graph = detail::take(text);
    if (flags.json) return print_json({{"stage", flags.stage}, {"graph", graph}});
    std::cout << visible(graph);
    return;
  }
  const Json about =
      is_engine ? Json::parse(Engine::load(flags.path, parse_verify(flags.verify)).describe())
                : inspect_model(flags, options);
  flags.json ? print_json(about) : print_text(about);
}

}  // namespace

Command inspect_command() {
  auto flags = std::make_shared<Flags>();
  auto& [path, stage, verify, profiles, json] = *flags;
  return {
      "inspect",
      "Show what a model or engine holds",
      {{"file", &path, "ONNX or engine file", true},
       {"--graph", &stage, "print a model's graph after this pass (imported, or a pass's name)"},
       {"--profile", &profiles, "as for build"},
       verify_option(&verify),
       {"--json", &json, "print one JSON object"}},
      [flags] { inspect(*flags); }};
}

}  // namespace vitrify::cli
