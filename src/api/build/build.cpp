#include "api/build/options.h"
#include "api/describe.h"
#include "api/handles.h"
#include "base/knobs.h"
#include "builder/builder.h"
#include "runtime/engine_file.h"

using namespace vitrify;  // NOLINT: this file is the boundary
using api::guard;
using api::Json;
using api::need;

namespace {

const BuildOptions& chosen(const vitrify_build_options* options) {
  static const BuildOptions defaults;
  return options ? options->options : defaults;
}

Json describe_candidate(const Candidate& c) {
  Json row = {{"tactic", c.tactic}, {"config", c.config}};
  if (!c.refusal.empty()) row["refusal"] = c.refusal;
  if (c.milliseconds >= 0) row["ms"] = c.milliseconds;
  return row;
}

/// Control flow only carries values between bodies, which have steps of their own.
bool only_carries(const Choice& c) {
  return c.op == If::kName || c.op == Loop::kName || c.op == Scan::kName;
}

Json describe_choice(const Choice& c) {
  Json candidates = Json::array();
  for (const Candidate& one : c.candidates) candidates.push_back(describe_candidate(one));
  const std::string tactic = only_carries(c) ? "planned bodies" : c.tactic;
  Json row = {{"op", c.op},         {"type", c.type},         {"origin", c.origins},
              {"inputs", c.inputs}, {"outputs", c.outputs},   {"tactic", tactic},
              {"config", c.config}, {"measured", c.measured}, {"candidates", candidates}};
  if (!c.unchecked.empty()) row["unchecked"] = c.unchecked;
  return row;
}

Json describe_choices(const std::vector<Choice>& choices) {
  Json rows = Json::array();
  for (const Choice& c : choices) rows.push_back(describe_choice(c));
  return rows;
}

/// Adds the steps that run on reference kernels.
void add_on_reference(const std::vector<Choice>& choices, Json& rows) {
  for (const Choice& c : choices)
    if (c.tactic == kReference && !only_carries(c))
      rows.push_back({{"op", c.op}, {"type", c.type}, {"origin", c.origins}});
}

Json describe_report(const BuildReport& report) {
  Json decisions = Json::array(), plans = Json::array(), stages = Json::array(),
       reference = Json::array(), bodies = Json::array();
  for (const Decision& d : report.decisions)
    decisions.push_back(
        {{"pass", d.pass}, {"rule", d.rule}, {"where", d.where}, {"effect", d.effect}});
  for (size_t i = 0; i < report.choices.size(); ++i)
    plans.push_back({{"index", i},
                     {"profile", api::describe_profile(report.profiles[i])},
                     {"steps", describe_choices(report.choices[i])}});
  for (const auto& choices : report.body_choices)
    bodies.push_back({{"steps", describe_choices(choices)}});
  if (!report.choices.empty()) add_on_reference(report.choices.front(), reference);
  for (const auto& choices : report.body_choices) add_on_reference(choices, reference);
  for (const auto& [name, ms] : report.stages) stages.push_back({{"stage", name}, {"ms", ms}});
  return {{"build_s", report.seconds}, {"reference_steps", reference.size()},
          {"on_reference", reference}, {"stages", stages},
          {"decisions", decisions},    {"plans", plans},
          {"bodies", bodies}};
}

}  // namespace

extern "C" {

vitrify_build_options* vitrify_build_options_create(void) {
  return new (std::nothrow) vitrify_build_options;
}
void vitrify_build_options_free(vitrify_build_options* options) { delete options; }

void vitrify_build_options_add_profile(vitrify_build_options* options) {
  if (options) options->options.profiles.emplace_back();
}

vitrify_status vitrify_build_options_add_range(vitrify_build_options* options, const char* input,
                                               size_t rank, const int64_t* min, const int64_t* opt,
                                               const int64_t* max) {
  return guard([&] {
    need(options, "options"), need(input, "input");
    require(rank <= kMaxRank, "rank ", rank, " is too big");
    if (rank) need(min, "min"), need(opt, "opt"), need(max, "max");
    auto& profiles = options->options.profiles;
    if (profiles.empty()) profiles.emplace_back();
    for (const InputShapes& known : profiles.back())
      require(known.name != input, "the profile has two ranges for input '", input, "'");
    profiles.back().push_back(
        {input, Dims(min, min + rank), Dims(opt, opt + rank), Dims(max, max + rank)});
  });
}

vitrify_status vitrify_build_options_add_state(vitrify_build_options* options, const char* input,
                                               const char* output) {
  return guard([&] {
    need(options, "options"), need(input, "input"), need(output, "output");
    for (const StatePair& s : options->options.states)
      require(s.input != input, "the input '", input, "' is in two states");
    options->options.states.push_back({input, output});
  });
}

void vitrify_build_options_set_threads(vitrify_build_options* options, int32_t max_threads) {
  if (options) options->options.max_threads = max_threads;
}
void vitrify_build_options_set_timing(vitrify_build_options* options, int on) {
  if (options) options->options.timing = on != 0;
}
void vitrify_build_options_set_passes(vitrify_build_options* options, int on) {
  if (options) options->options.passes.enabled = on != 0;
}
void vitrify_build_options_disable_pass(vitrify_build_options* options, const char* pass) {
  if (!options || !pass) return;
  PipelineOptions& passes = options->options.passes;
  (is_pass(pass) ? passes.disabled_passes : passes.disabled_rules).emplace_back(pass);
}
void vitrify_build_options_set_progress(vitrify_build_options* options,
                                        vitrify_progress_fn progress, void* user) {
  if (!options) return;
  options->options.progress = [=](std::string_view stage, double fraction) {
    if (progress && progress(std::string(stage).c_str(), fraction, user) != 0) throw Cancelled{};
  };
}

vitrify_status vitrify_build(const char* model, const char* engine_path,
                             const vitrify_build_options* options, char** report) {
  return guard([&] {
    need(model, "model"), need(engine_path, "engine_path");
    require(*engine_path, "the path of the engine file is empty");
    check_knobs();
    BuildOptions full = chosen(options);
    full.output = engine_path;
    const BuildResult result = build_model(model, full);
    if (report) *report = api::give_string(api::to_text(describe_report(result.report)));
  });
}

vitrify_status vitrify_build_engine(const char* model, const vitrify_build_options* options,
                                    vitrify_engine** engine, char** report) {
  return guard([&] {
    need(model, "model"), need(engine, "engine");
    check_knobs();
    const BuildResult result = build_model(model, chosen(options));
    // Just made by this process: the digests would say nothing.
    auto handle = std::make_unique<vitrify_engine>(load_engine(result.engine, Verify::kLazy));
    if (report) *report = api::give_string(api::to_text(describe_report(result.report)));
    *engine = handle.release();
  });
}

}  // extern "C"
