#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "commands.h"
#include "common.h"

namespace vitrify::cli {
namespace {

struct Flags {
  std::string model, output, explain;
  std::vector<std::string> profiles, states, disabled;
  int threads = 0;
  bool no_timing = false, no_passes = false, json = false;
};

volatile std::sig_atomic_t interrupted = 0;

/// Ctrl-C ends a build through its progress callback, so that nothing half-written stays behind; a
/// second one ends the program at once.
void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = int(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

/// Absolute, without links: where a file of that name is or will be.
std::filesystem::path resolved(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  fs::path at = fs::absolute(path, ignored);
  for (int i = 0; i < 40 && fs::is_symlink(at, ignored); ++i)  // also one to what is not there yet
    at = at.parent_path() / fs::read_symlink(at, ignored);
  return fs::weakly_canonical(at, ignored);
}

/// Whether a report goes into what is there: a pipe, a terminal.
bool is_stream(const std::string& path) {
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  return exists(status) && !is_regular_file(status) && !is_directory(status);
}

/// The stream of this process that goes to where `path` leads, be it a file; null when none does.
std::FILE* own_stream(const std::string& path) {
  struct stat at {
  }, of{};
  if (stat(path.c_str(), &at) != 0) return nullptr;
  for (std::FILE* stream : {stdout, stderr})
    if (fstat(fileno(stream), &of) == 0 && at.st_dev == of.st_dev && at.st_ino == of.st_ino)
      return stream;
  return nullptr;
}

void write_report(const std::string& path, const std::string& text) {
  if (std::FILE* stream = own_stream(path)) {
    if (std::fwrite(text.data(), 1, text.size(), stream) != text.size() || std::fflush(stream) != 0)
      throw UsageError("cannot write '" + path + "': " + std::strerror(errno));
  } else if (is_stream(path)) {
    write_file(path, text);
  } else {
    replace_file(resolved(path), text);
  }
}

/// Refuses what could only fail after the build, or destroy what is there.
void check_outputs(const Flags& flags) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (flags.output.empty()) throw UsageError("--output is empty: name the engine file");
  if (flags.explain.empty()) return;
  if (own_stream(flags.explain) || is_stream(flags.explain)) return;
  const fs::path explain = resolved(flags.explain);
  if (access(explain.parent_path().c_str(), W_OK) != 0)
    throw UsageError("cannot write '" + flags.explain + "': " + std::strerror(errno));
  if (fs::exists(explain, ignored) && !fs::is_regular_file(explain, ignored))
    throw UsageError("cannot write '" + flags.explain + "': it is no file");
  for (const std::string& other : {flags.model, flags.output})
    if (explain == resolved(other) || fs::equivalent(explain, other, ignored))
      throw UsageError("--explain would overwrite '" + other + "'");
}

void build(const Flags& flags) {
  check_outputs(flags);
  catch_interrupts();
  BuildOptions options;
  add_profiles(options, flags.profiles);
  add_states(options, flags.states);
  options.set_threads(flags.threads).set_timing(!flags.no_timing).set_passes(!flags.no_passes);
  for (const auto& pass : flags.disabled) options.disable_pass(pass);
  Json report;
  {
    Progress progress;
    options.set_progress([&](const char* stage, double fraction) {
      progress.show(stage, fraction);
      return !interrupted;
    });
    report = Json::parse(build(flags.model, flags.output, options));
  }
  if (!flags.explain.empty()) {
    const std::string text = report.dump(1, ' ', false, Json::error_handler_t::replace) + '\n';
    write_report(flags.explain, text);
  }
  Json summary = {{"engine", flags.output},
                  {"build_s", report["build_s"]},
                  {"steps", report["plans"][0]["steps"].size()},
                  {"reference_steps", report["reference_steps"]},
                  {"on_reference", report["on_reference"]},
                  {"decisions", report["decisions"].size()}};
  if (flags.json) return print_json(summary);
  std::fprintf(stderr, "%s: %zu steps, %d on reference kernels, built in %.2f s\n",
               flags.output.c_str(), summary["steps"].get<size_t>(),
               summary["reference_steps"].get<int>(), summary["build_s"].get<double>());
}

}  // namespace

Command build_command() {
  auto flags = std::make_shared<Flags>();
  auto& [model, output, explain, profiles, states, disabled, threads, no_timing, no_passes, json] =
      *flags;
  return {
      "build",
      "Build an engine file from an ONNX model",
      {{"model", &model, "the ONNX file", true},
       {"-o,--output", &output, "the engine file", true},
       {"--profile", &profiles,
        "NAME=MIN:OPT:MAX, as x=1x3x32x32:1x3x224x224:8x3x640x640, or NAME=SHAPE; once for every "
        "input, again for the next profile"},
       {"--state", &states,
        "IN=OUT: after a run, output OUT is the next run's input IN; once for every pair"},
       {"--threads", &threads, "threads to time tactics with"},
       {"--no-timing", &no_timing, "choose tactics without timing: reproducible"},
       {"--no-passes", &no_passes, "leave the graph as imported"},
       {"--disable-pass", &disabled,
        "leave out a pass, or by the name that --explain prints, what is decided: of a rule, "
        "the rule; "
        "of an alias, the alias; else the whole pass. Import cannot be left out"},
       {"--explain", &explain,
        "write all decisions, kernel choices and profiles to this JSON file"},
       {"--json", &json, "print one JSON object"}},
      [flags] { build(*flags); }};
}

}  // namespace vitrify::cli
