// What rows of CPU tactics that pack no weights have in common: the config is the Isa.
#pragma once

#include "backend/cpu/isa.h"
#include "backend/tactic.h"

namespace vitrify::cpu {

/// {"avx512"}: the best Isa that plans may use.
std::vector<Config> isa_configs(const NodeView& node);
/// The state is an Isa. User error when the config is no Isa of this machine.
TacticState load_isa(const Op& op, const Config& config, std::span<const std::byte> bytes);
inline Isa isa_of(const TacticState& state) { return *static_cast<const Isa*>(state.get()); }

/// What `bind` made, as run and workspace see it.
template <class T>
const T& bound_as(const TacticState& state) {
  return *static_cast<const T*>(state.get());
}

/// "" when every input that is there is a tensor of known rank up to `most`, and so the outputs.
Refusal check_ranks(const NodeView& node, size_t most = 8);
/// "" when inputs [0, count) and output 0 are f32.
Refusal check_floats(const NodeView& node, size_t count);

/// `axis` of a tensor of rank `rank`, from 0; user error when out of range.
size_t axis_of(int64_t axis, size_t rank);

}  // namespace vitrify::cpu
