#include "backend/cpu/tactic_parts.h"

#include <algorithm>

#include "backend/cpu/epilogue_plan.h"
#include "base/error.h"

namespace vitrify::cpu {

std::vector<Config> isa_configs(const NodeView&) { return {isa_name(max_isa())}; }

Isa runnable_isa(std::string_view name) {
  const Isa isa = parse_isa(name);
  require(isa <= machine_isa(), "the engine needs ", name,
          ", which this machine lacks; build it again here");
  return isa;
}

TacticState load_isa(const Op&, const Config& config, std::span<const std::byte>) {
  return std::make_shared<Isa>(runnable_isa(config));
}

Refusal check_ranks(const NodeView& node, size_t most) {
  auto check = [&](const Type& t) -> Refusal {
    if (t.kind == Type::Kind::kNone) return {};
    if (!t.has_rank()) return "an operand is no tensor of known rank";
    return t.shape->size() <= most ? "" : cat("rank ", t.shape->size(), " is above ", most);
  };
  for (const Type& t : node.inputs)
    if (Refusal r = check(t); !r.empty()) return r;
  for (const Type& t : node.outputs)
    if (Refusal r = check(t); !r.empty()) return r;
  return {};
}

Refusal check_floats(const NodeView& node, size_t count) {
  for (size_t i = 0; i < count && i < node.inputs.size(); ++i)
    if (node.inputs[i].dtype != DType::kFloat32)
      return cat("operand ", i, " is ", name(node.inputs[i].dtype), ", not f32");
  return node.outputs[0].dtype == DType::kFloat32 ? "" : "the result is not f32";
}

bool all_floats(const NodeView& n) {
  return std::all_of(n.inputs.begin(), n.inputs.end(),
                     [](const Type& t) { return t.dtype == DType::kFloat32; }) &&
         n.outputs[0].dtype == DType::kFloat32;
}

uint32_t overwrites_residual(const NodeView& n) {
  const int input = residual_input(n, 2);
  return input >= 0 ? 1u << input : 0;
}

size_t axis_of(int64_t axis, size_t rank) {
  const auto r = int64_t(rank);
  require(axis >= -r && axis < r, "axis ", axis, " is out of range for rank ", rank);
  return size_t(axis < 0 ? axis + r : axis);
}

}  // namespace vitrify::cpu
