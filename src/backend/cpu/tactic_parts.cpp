#include "backend/cpu/tactic_parts.h"

#include "base/error.h"

namespace vitrify::cpu {

std::vector<Config> isa_configs(const NodeView&) { return {isa_name(max_isa())}; }

TacticState load_isa(const Op&, const Config& config, std::span<const std::byte>) {
  const Isa isa = parse_isa(config);
  require(isa <= machine_isa(), "the engine needs ", config,
          ", which this machine lacks; build it again here");
  return std::make_shared<Isa>(isa);
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

size_t axis_of(int64_t axis, size_t rank) {
  const auto r = int64_t(rank);
  require(axis >= -r && axis < r, "axis ", axis, " is out of range for rank ", rank);
  return size_t(axis < 0 ? axis + r : axis);
}

}  // namespace vitrify::cpu
