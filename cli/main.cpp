// The command line. Exit status: 0 good, 1 the user's mistake, 2 ours.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>

#include "commands.h"
#include "common.h"

namespace vitrify::cli {
namespace {

int exit_status(vitrify_status status) { return status == VITRIFY_INTERNAL_ERROR ? 2 : 1; }

void add(CLI::App& app, const Command& command) {
  CLI::App* c = app.add_subcommand(command.name, command.help);
  for (const Option& option : command.options) {
    CLI::Option* added = std::visit(
        [&](auto* target) {
          using T = std::remove_pointer_t<decltype(target)>;
          if constexpr (std::is_same_v<T, bool>)
            return c->add_flag(option.name, *target, option.help);
          else
            return c->add_option(option.name, *target, option.help);
        },
        option.target);
    if (std::holds_alternative<int*>(option.target))
      added->check(CLI::Range(0, INT32_MAX).description(""));
    if (option.target.index() == 3) added->allow_extra_args(false);
    added->required(option.required);
  }
}

/// Says what went wrong; with --json on stdout, too.
int fail(const CLI::App& app, const std::string& message, int status) {
  std::fprintf(stderr, "vitrify: %s\n", message.c_str());
  for (const CLI::App* command : app.get_subcommands())
    if (command->get_option("--json")->as<bool>()) print_json({{"error", message}});
  return status;
}

int main(int count, char** words) {
  CLI::App app("Vitrify turns ONNX models into engines and runs them.", "vitrify");
  app.set_version_flag("--version", vitrify_version());
  app.require_subcommand(1);
  app.footer(
      "`vitrify COMMAND --help` tells more. With --json, one JSON object goes to stdout and "
      "everything else to stderr.");
  const std::vector<Command> commands = {build_command(), run_command(), bench_command(),
                                         inspect_command(), ops_command()};
  for (const Command& command : commands) add(app, command);
  try {
    app.parse(count, words);
    for (const Command& command : commands)
      if (app.got_subcommand(command.name)) command.run();
    return 0;
  } catch (const CLI::ParseError& e) {
    return app.exit(e, std::cout, std::cerr) == 0 ? 0 : 1;
  } catch (const Failure& e) {
    return fail(app, e.what(), exit_status(e.status()));
  } catch (const UsageError& e) {
    return fail(app, e.what(), 1);
  } catch (const std::exception& e) {
    return fail(app, std::string("internal error: ") + e.what(), 2);
  }
}

}  // namespace
}  // namespace vitrify::cli

int main(int count, char** words) { return vitrify::cli::main(count, words); }
