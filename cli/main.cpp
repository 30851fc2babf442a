// The command line. Exit status: 0 good, 1 the user's mistake, 2 ours.
#include <cstdio>

#include "commands.h"
#include "common.h"

namespace vitrify::cli {
namespace {

int exit_status(vitrify_status status) { return status == VITRIFY_INTERNAL_ERROR ? 2 : 1; }

int main(int count, char** words) {
  CLI::App app("Vitrify turns ONNX models into engines and runs them.", "vitrify");
  app.set_version_flag("--version", vitrify_version());
  app.require_subcommand(1);
  app.footer(
      "`vitrify COMMAND --help` tells more. With --json, one JSON object goes to stdout and "
      "everything else to stderr.");
  std::vector<std::pair<CLI::App*, Command>> commands;
  for (Command (*add)(CLI::App&) : {add_build, add_run, add_bench, add_inspect, add_ops}) {
    Command run = add(app);
    commands.emplace_back(app.get_subcommands(nullptr).back(), std::move(run));
  }
  try {
    app.parse(count, words);
    for (const auto& [command, run] : commands)
      if (command->parsed()) run();
    return 0;
  } catch (const CLI::ParseError& e) {
    return app.exit(e, std::cout, std::cerr) == 0 ? 0 : 1;
  } catch (const Failure& e) {
    std::fprintf(stderr, "vitrify: %s\n", e.what());
    return exit_status(e.status());
  } catch (const UsageError& e) {
    std::fprintf(stderr, "vitrify: %s\n", e.what());
    return 1;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "vitrify: internal error: %s\n", e.what());
    return 2;
  }
}

}  // namespace
}  // namespace vitrify::cli

int main(int count, char** words) { return vitrify::cli::main(count, words); }
