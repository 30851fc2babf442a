// The command line. Exit status: 0 good, 1 the user's mistake, 2 ours.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <span>

#include "commands.h"
#include "common.h"

namespace vitrify::cli {
namespace {

const std::vector<Command>& commands() {
  static const std::vector<Command> all = {build_command(), run_command(), bench_command(),
                                           inspect_command(), ops_command()};
  return all;
}

int exit_status(vitrify_status status) { return status == VITRIFY_INTERNAL_ERROR ? 2 : 1; }

void add(CLI::App& app, const Command& command) {
  CLI::App* c = app.add_subcommand(command.name, command.help);
  c->footer("`vitrify --help` tells of environment variables and exit statuses.");
  for (const Option& option : command.options) {
    CLI::Option* added = std::visit(
        [&](auto* target) {
          using T = std::remove_pointer_t<decltype(target)>;
          if constexpr (std::is_same_v<T, bool>)
            return c->add_flag(option.name, *target, option.help)->disable_flag_override();
          else
            return c->add_option(option.name, *target, option.help);
        },
        option.target);
    if (std::holds_alternative<int*>(option.target))
      added->check(CLI::Range(0, INT32_MAX).description(""));
    else if (!std::holds_alternative<bool*>(option.target))
      added->check(CLI::Validator(
          [](std::string& text) { return std::string(text.empty() ? "is empty" : ""); }, ""));
    if (!option.choices.empty())
      added->check(CLI::Validator(
          [&option](std::string& text) {
            std::string known;
            for (const std::string& choice : option.choices) {
              if (choice == text) return std::string();
              known += (known.empty() ? "" : " or ") + choice;
            }
            return "write " + known + ", not '" + text + "'";
          },
          ""));
    if (option.target.index() == 3) added->allow_extra_args(false);
    added->required(option.required);
  }
}

/// Says what went wrong; with --json on stdout, too.
int fail(std::span<char*> words, const std::string& message, int status) {
  std::fprintf(stderr, "vitrify: %s\n", visible(message).c_str());
  if (std::ranges::find(words, std::string_view("--json")) != words.end())
    print_json({{"error", message}});
  return status;
}

/// The end of the main help.
std::string footer() {
  std::string text =
      "`vitrify COMMAND --help` tells more. With --json, one JSON object goes to stdout and "
      "everything else to stderr.\n\n"
      "Exit status: 0 good, 1 a mistake in what was given (or something that is not supported), "
      "2 a mistake of ours.\n\nEnvironment variables:\n";
  char* variables = nullptr;
  detail::check(vitrify_list_variables(&variables));
  const Json known = Json::parse(detail::take(variables));
  for (const Json& row : known["variables"]) {
    std::string name = row["name"], otherwise = row["default"];
    name.resize(26, ' ');
    text += "  " + name + row["about"].get<std::string>() +
            (otherwise.empty() ? "" : " (default " + otherwise + ")") + "\n";
  }
  return text;
}

/// The first word that is no option names the command.
void check_command(std::span<char*> words) {
  std::string known;
  for (const Command& command : commands())
    known += (known.empty() ? "" : ", ") + std::string(command.name);
  const auto named = std::ranges::find_if(words, [](const char* word) { return *word != '-'; });
  const bool asks = std::ranges::any_of(words, [](std::string_view word) {
    return word == "-h" || word == "--help" || word == "--version";
  });
  if (named == words.end() && !asks)
    throw UsageError("give a command: " + known + "; `vitrify --help` tells more");
  if (named != words.end() && std::ranges::none_of(commands(), [&](const Command& command) {
        return std::string_view(command.name) == *named;
      }))
    throw UsageError("there is no command '" + std::string(*named) + "': the commands are " +
                     known);
}

int main(int count, char** all_words) {
  const std::span<char*> words(all_words + 1, size_t(std::max(count, 1) - 1));
  CLI::App app("Vitrify turns ONNX models into engines and runs them.", "vitrify");
  app.set_version_flag("--version", vitrify_version());
  app.require_subcommand(1);
  try {
    app.footer(footer());
    for (const Command& command : commands()) add(app, command);
    check_command(words);
    app.parse(count, all_words);
    for (const Command& command : commands())
      if (app.got_subcommand(command.name)) command.run();
    std::cout.flush();
    if (!std::cout || std::fflush(stdout) != 0 || std::ferror(stdout))
      throw UsageError("standard output cannot be written to");
    return 0;
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e, std::cout, std::cerr);
    return fail(words, std::string(e.what()) + " (see --help)", 1);
  } catch (const Failure& e) {
    return fail(words, e.what(), exit_status(e.status()));
  } catch (const UsageError& e) {
    return fail(words, e.what(), 1);
  } catch (const std::bad_alloc&) {
    return fail(words, "no memory left", 1);
  } catch (const std::exception& e) {
    return fail(words, std::string("internal error: ") + e.what(), 2);
  }
}

}  // namespace
}  // namespace vitrify::cli

int main(int count, char** words) { return vitrify::cli::main(count, words); }
