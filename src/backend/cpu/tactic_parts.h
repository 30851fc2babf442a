// What rows of CPU tactics have in common. The config of those that pack no weights is the Isa.
#pragma once

#include "backend/cpu/isa.h"
#include "backend/tactic.h"

namespace vitrify::cpu {

/// {"avx512"}: the best Isa that plans may use.
std::vector<Config> isa_configs(const NodeView& node);
/// The Isa of that name; user error when there is none or this machine lacks it.
Isa runnable_isa(std::string_view name);
/// The state is `runnable_isa(config)`.
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
/// Whether all inputs and output 0 are f32.
bool all_floats(const NodeView& node);
/// Tactic::overwrites of ops whose epilogue reads and writes its residual element by element, for
/// an op with two inputs of its own.
uint32_t overwrites_residual(const NodeView& node);

/// `axis` of a tensor of rank `rank`, from 0; user error when out of range.
size_t axis_of(int64_t axis, size_t rank);

}  // namespace vitrify::cpu
