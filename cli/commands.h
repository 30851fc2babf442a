// The commands, as data: main.cpp hands their options to the parser.
#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

namespace vitrify::cli {

/// The type of `target` says what the option takes: nothing (a flag), a number that is not
/// negative, a text, or a list (one value each time that it is given).
struct Option {
  const char* name;  ///< as "-o,--output"; without dashes it is positional
  std::variant<bool*, int*, std::string*, std::vector<std::string>*> target;
  const char* help;
  bool required = false;
  std::vector<std::string> choices = {};  ///< all that a text may be; empty: anything
};

struct Command {
  const char *name, *help;
  std::vector<Option> options;
  std::function<void()> run;  ///< owns what the targets point to
};

Command build_command();
Command run_command();
Command bench_command();
Command inspect_command();
Command ops_command();

}  // namespace vitrify::cli
