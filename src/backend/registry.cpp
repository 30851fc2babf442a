#include <array>

#include "backend/backend.h"
#include "backend/cpu/cpu_backend.h"
#include "backend/null/null_backend.h"
#include "base/error.h"

namespace vitrify {

std::span<Backend* const> backends() {
  static const std::array<Backend*, 2> rows = {
      &cpu::backend(),
      &null::backend(),
  };
  return rows;
}

const Tactic* find_tactic(std::string_view name) {
  for (Backend* backend : backends())
    for (const Tactic& tactic : backend->tactics())
      if (tactic.name == name) return &tactic;
  return nullptr;
}

Backend& backend_of(const Tactic& tactic) {
  for (Backend* backend : backends())
    for (const Tactic& row : backend->tactics())
      if (&row == &tactic) return *backend;
  fail_internal("no backend has the tactic '", tactic.name, "'");
}

std::vector<const Tactic*> tactics_for(std::string_view op) {
  std::vector<const Tactic*> found;
  for (Backend* backend : backends()) {
    if (!backend->unavailable().empty()) continue;
    for (const Tactic& tactic : backend->tactics())
      if (tactic.op == op) found.push_back(&tactic);
  }
  return found;
}

}  // namespace vitrify
