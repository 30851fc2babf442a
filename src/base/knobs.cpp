#include "base/knobs.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "base/error.h"

namespace vitrify {

namespace {
constexpr KnobRow kKnobs[] = {
    {Knob::kThreads, "VITRIFY_THREADS", "0",
     "threads of the process's pool; 0: one per CPU of the affinity mask"},
    {Knob::kMaxIsa, "VITRIFY_MAX_ISA", "all", "lowers the machine: baseline, avx2, avx512 or all"},
    {Knob::kVerbose, "VITRIFY_VERBOSE", "0",
     "0 silent, 1 models, devices and sizes, 2 passes, 3 tactics and refusals, 4 steps of runs"},
    {Knob::kKeepSubnormals, "VITRIFY_KEEP_SUBNORMALS", "0",
     "1: runs keep results below the smallest normal number, which cost time; 0: they become 0"},
    {Knob::kDisablePasses, "VITRIFY_DISABLE_PASSES", "", "passes to leave out, separated by ';'"},
    {Knob::kDisableRules, "VITRIFY_DISABLE_RULES", "",
     "rules or other decisions to leave out, as --explain names them, separated by ';'"},
    {Knob::kDisableTactics, "VITRIFY_DISABLE_TACTICS", "",
     "tactics to leave out, by name, separated by ';'"},
};
}  // namespace

std::span<const KnobRow> knob_table() { return kKnobs; }

std::string_view knob(Knob which) {
  const KnobRow& row = kKnobs[size_t(which)];
  const char* value = std::getenv(std::string(row.name).c_str());
  return value && *value ? value : row.otherwise;
}

int64_t knob_int(Knob which) {
  std::string_view text = knob(which);
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(error == std::errc() && end == text.data() + text.size() && value >= 0,
          kKnobs[size_t(which)].name, " must be a whole number from 0 on, not '", text, "'");
  return value;
}

std::vector<std::string> knob_list(Knob which) {
  std::vector<std::string> items;
  std::string_view rest = knob(which);
  while (!rest.empty()) {
    size_t end = std::min(rest.find(';'), rest.size());
    if (end) items.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return items;
}

void check_knobs() {
  for (Knob which : {Knob::kThreads, Knob::kVerbose, Knob::kKeepSubnormals}) knob_int(which);
}

int verbosity() {
  const std::string_view text = knob(Knob::kVerbose);
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

void log(int level, std::string_view line) {
  if (verbosity() >= level) std::fprintf(stderr, "vitrify: %.*s\n", int(line.size()), line.data());
}

}  // namespace vitrify
