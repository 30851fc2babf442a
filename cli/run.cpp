#include <filesystem>
#include <map>

#include "commands.h"
#include "outputs.h"

namespace vitrify::cli {
namespace {

struct Flags {
  std::string path, folder, verify = "full";
  std::vector<std::string> inputs, shapes, states;
  int threads = 0, repeat = 1;
  bool no_passes = false, json = false;
};

/// Names that become the same file name would overwrite each other.
void check_output_names(const Engine& engine) {
  std::map<std::string, std::string> names;
  for (size_t o = 0; o < engine.output_count(); ++o) {
    const std::string name = engine.output_name(o), file = file_name(name);
    if (auto [at, fresh] = names.emplace(file, name); !fresh)
      throw UsageError("outputs '" + at->second + "' and '" + name +
                       "' would both be written to '" + file + ".npy': rename one in the model");
  }
}
/// The same for the items of sequences, of which only a run tells how many there are.
void check_output_files(const std::vector<OutputRow>& rows) {
  std::map<std::string, std::string> files;
  for (const OutputRow& row : rows)
    for (const std::string& file : row.files)
      if (auto [at, fresh] = files.emplace(file, row.name); !fresh)
        throw UsageError("outputs '" + at->second + "' and '" + row.name +
                         "' would both be written to '" + file + "': rename one in the model");
}

void run(const Flags& flags) {
  if (flags.repeat < 1) throw UsageError("--repeat must be at least 1");
  if ((flags.no_passes || !flags.states.empty()) && vitrify_is_engine(flags.path.c_str()))
    throw UsageError("--no-passes and --state are for models: an engine has its plan and states");
  BuildOptions options;
  add_shapes(options, flags.shapes);
  add_states(options, flags.states);
  options.set_timing(false).set_passes(!flags.no_passes).set_threads(flags.threads);
  double build_s = 0, load_ms = 0;
  Engine engine = open_engine(flags.path, options, flags.verify, &build_s, &load_ms);
  if (!flags.folder.empty()) check_output_names(engine);
  Context context(engine, flags.threads);
  set_inputs(context, engine, flags.inputs, flags.shapes);
  for (int i = 0; i < flags.repeat; ++i) context.run();
  std::vector<OutputRow> rows;
  for (size_t o = 0; o < engine.output_count(); ++o) {
    OutputRow row{engine.output_name(o), context.output(o), {}};
    if (!flags.folder.empty()) row.files = output_files(flags.folder, row.name, row.value);
    rows.push_back(std::move(row));
  }
  check_output_files(rows);
  if (!flags.folder.empty()) {
    std::error_code error;
    std::filesystem::create_directories(flags.folder, error);
    if (error) throw UsageError("cannot make '" + flags.folder + "': " + error.message());
    for (const OutputRow& row : rows) write_output(flags.folder, row.name, row.value);
  }
  if (!flags.json) return print_outputs(rows);
  Json outputs = Json::array();
  for (const OutputRow& row : rows)
    outputs.push_back(
        describe_output(row.name, row.value, flags.folder.empty() ? nullptr : &row.files));
  print_json({{"outputs", outputs}});
}

}  // namespace

Command run_command() {
  auto flags = std::make_shared<Flags>();
  auto& [path, folder, verify, inputs, shapes, states, threads, repeat, no_passes, json] = *flags;
  return {
      "run",
      "Run a model or engine",
      {{"file", &path, "ONNX or engine file", true},
       {"--input", &inputs, "NAME=FILE.npy"},
       {"--shape", &shapes,
        "NAME=1x3x224x224: random input of that shape, floats from 0 to 1, integers 0 and 1"},
       {"--output-dir", &folder,
        "write NAME.npy for every output into this folder, of a sequence NAME.0.npy, NAME.1.npy …; "
        "what else is there stays"},
       {"--threads", &threads, "use at most so many threads"},
       {"--state", &states, "of a model: as for build"},
       {"--repeat", &repeat,
        "run so many times, with states kept from run to run; the last outputs count"},
       verify_option(&verify),
       {"--no-passes", &no_passes, "of a model: run it as imported"},
       {"--json", &json, "print one JSON object"}},
      [flags] { run(*flags); }};
}

}  // namespace vitrify::cli
