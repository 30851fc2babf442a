// The commands: each adds its options to the parser; what it returns runs it.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace vitrify::cli {

using Command = std::function<void()>;

Command add_build(CLI::App& app);
Command add_run(CLI::App& app);
Command add_bench(CLI::App& app);
Command add_inspect(CLI::App& app);
Command add_ops(CLI::App& app);

}  // namespace vitrify::cli
