// Knobs: every environment variable that Vitrify reads. Rows in knobs.cpp; no getenv elsewhere.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrify {

enum class Knob {
  kThreads,
  kMaxIsa,
  kVerbose,
  kKeepSubnormals,
  kDisablePasses,
  kDisableRules,
  kDisableTactics
};

struct KnobRow {
  Knob knob;
  std::string_view name, otherwise, about;
};
std::span<const KnobRow> knob_table();

/// The variable's value, or the row's default when it is empty or not set. Read from the
/// environment at each call.
std::string_view knob(Knob which);
/// As a number; user error when it is none, or negative.
int64_t knob_int(Knob which);
/// Split at ';'.
std::vector<std::string> knob_list(Knob which);

/// Throws a user error when a variable that must be a number is none.
void check_knobs();

/// VITRIFY_VERBOSE; 0 when it is no number.
int verbosity();
/// Prints a line to stderr when `verbosity` is at least `level`: 1 models, devices and sizes, 2
/// passes, 3 tactics with refusals, 4 every step of every run.
void log(int level, std::string_view line);

}  // namespace vitrify
