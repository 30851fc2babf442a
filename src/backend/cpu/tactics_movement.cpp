// Tactics that move data: transpose, slice, concat, expand, reshape, pad and gather.
#include <algorithm>
#include <cstring>

#include "backend/cpu/families.h"
#include "backend/cpu/kernels/strided_copy.h"
#include "backend/cpu/tactic_parts.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "ops/elements.h"

namespace vitrify::cpu {

namespace {

/// Bytes of an element that a copy can move, or 0.
int64_t movable(DType dtype) {
  return dtype == DType::kString || is_sub_byte(dtype) || dtype == DType::kUndefined
             ? 0
             : bit_width(dtype) / 8;
}

Refusal moves(const NodeView& n) {
  if (!movable(n.outputs[0].dtype)) return cat("elements of type ", name(n.outputs[0].dtype));
  for (const Type& t : n.inputs)
    if (t.is_tensor() && !t.has_rank()) return "an operand's rank is unknown";
  return n.outputs[0].has_rank() ? "" : "the result's rank is unknown";
}

bool takes_any(const NodeView&, const Config&, int32_t, const Ints&) { return true; }
bool takes_data(const NodeView&, const Config&, int32_t input, const Ints&) { return input == 0; }

/// One copy from an operand into a box of the result.
struct Piece {
  CopyPlan plan;
  int64_t to_offset = 0, from_offset = 0;  ///< elements
};
struct Copies {
  std::vector<Piece> pieces;  ///< by input
  CopyPlan fill;              ///< of a pad: the whole result first
};

void copies_run(const TacticState& bound, const RunCall& call) {
  const auto& c = bound_as<Copies>(bound);
  for (size_t i = 0; i < c.pieces.size(); ++i) {
    const Piece& p = c.pieces[i];
    strided_copy(p.plan, call.outputs[0].data + p.to_offset * p.plan.element,
                 call.inputs[i].data + p.from_offset * p.plan.element, call.max_threads);
  }
}

int64_t element_of(const BoundNode& n) { return movable(n.output_types[0].dtype); }

TacticState transpose_bind(const TacticState&, const BoundNode& n) {
  auto c = std::make_shared<Copies>();
  Dims from;
  for (int64_t a : n.op.as<Transpose>()->permutation)
    from.push_back(n.inputs[0].strides[size_t(a)]);
  c->pieces.push_back({plan_copy(element_of(n), n.outputs[0].dims, n.outputs[0].strides, from)});
  return c;
}

TacticState concat_bind(const TacticState&, const BoundNode& n) {
  auto c = std::make_shared<Copies>();
  const size_t axis = axis_of(n.op.as<Concat>()->axis, n.outputs[0].dims.size());
  int64_t at = 0;
  for (const Extents& x : n.inputs) {
    c->pieces.push_back({plan_copy(element_of(n), x.dims, n.outputs[0].strides, x.strides),
                         at * n.outputs[0].strides[axis]});
    at += x.dims[axis];
  }
  return c;
}

TacticState slice_bind(const TacticState&, const BoundNode& n) {
  const auto& op = *n.op.as<Slice>();
  Piece p;
  Dims from = n.inputs[0].strides;
  for (size_t i = 0; i < op.axes.size(); ++i) {
    const size_t axis = axis_of(op.axes[i], from.size());
    p.from_offset += n.dim(op.begins[i]) * n.inputs[0].strides[axis];
    from[axis] *= op.steps.empty() ? 1 : op.steps[i];
  }
  if (element_count(n.outputs[0].dims) == 0) p.from_offset = 0;
  p.plan = plan_copy(element_of(n), n.outputs[0].dims, n.outputs[0].strides, from);
  auto c = std::make_shared<Copies>();
  c->pieces.push_back(std::move(p));
  return c;
}

TacticState expand_bind(const TacticState&, const BoundNode& n) {
  const Extents &x = n.inputs[0], &y = n.outputs[0];
  Dims from(y.dims.size(), 0);
  size_t skip = y.dims.size() - x.dims.size();
  for (size_t a = 0; a < x.dims.size(); ++a)
    if (x.dims[a] == y.dims[skip + a] && x.dims[a] != 1) from[skip + a] = x.strides[a];
  auto c = std::make_shared<Copies>();
  c->pieces.push_back({plan_copy(element_of(n), y.dims, y.strides, from)});
  return c;
}

/// The same bytes under other extents: both sides are dense.
TacticState reshape_bind(const TacticState&, const BoundNode& n) {
  int64_t count = element_count(n.outputs[0].dims);
  require(count == element_count(n.inputs[0].dims), "cannot reshape ", str(n.inputs[0].dims),
          " to ", str(n.outputs[0].dims));
  auto c = std::make_shared<Copies>();
  c->pieces.push_back({plan_copy(element_of(n), {count}, {1}, {1})});
  return c;
}

Refusal static_reshape(const NodeView& n) {
  if (n.op.is<Reshape>() && n.inputs.size() > 1) return "the shape is known only while running";
  return moves(n);
}
Refusal static_expand(const NodeView& n) {
  return n.inputs.size() > 1 ? "the shape is known only while running" : moves(n);
}

// ---- pad ----

Refusal pad_supports(const NodeView& n) {
  const auto& op = *n.op.as<Pad>();
  if (op.mode != Pad::Mode::kConstant) return "only padding with a constant";
  if (n.inputs.size() > 2) return "the pads are known only while running";
  return moves(n);
}

TacticState pad_bind(const TacticState&, const BoundNode& n) {
  const auto& op = *n.op.as<Pad>();
  const Extents &x = n.inputs[0], &y = n.outputs[0];
  size_t rank = x.dims.size();
  auto c = std::make_shared<Copies>();
  Piece p;
  Dims box = x.dims;
  for (size_t a = 0; a < rank; ++a) {
    int64_t begin = n.dim(op.pads[a]), end = n.dim(op.pads[a + rank]);
    p.to_offset += std::max<int64_t>(0, begin) * y.strides[a];
    p.from_offset += std::max<int64_t>(0, -begin) * x.strides[a];
    box[a] =
        std::max<int64_t>(0, x.dims[a] + std::min<int64_t>(0, begin) + std::min<int64_t>(0, end));
  }
  if (element_count(box) == 0) p.to_offset = p.from_offset = 0;
  p.plan = plan_copy(element_of(n), box, y.strides, x.strides);
  c->pieces.push_back(std::move(p));
  c->fill = plan_copy(element_of(n), y.dims, y.strides, Dims(rank, 0));
  return c;
}

void pad_run(const TacticState& bound, const RunCall& call) {
  const auto& c = bound_as<Copies>(bound);
  static constexpr std::byte kZero[16] = {};
  bool given = call.inputs.size() > 1 && call.inputs[1].data;
  strided_copy(c.fill, call.outputs[0].data, given ? call.inputs[1].data : kZero, call.max_threads);
  const Piece& p = c.pieces[0];
  strided_copy(p.plan, call.outputs[0].data + p.to_offset * p.plan.element,
               call.inputs[0].data + p.from_offset * p.plan.element, call.max_threads);
}

// ---- gather ----

Refusal gather_supports(const NodeView& n) {
  DType t = n.inputs[1].dtype;
  if (t != DType::kInt64 && t != DType::kInt32) return "indices are not i32 or i64";
  return moves(n);
}

struct GatherBound {
  int64_t axis, outer, extent, count, block;  ///< block in bytes
  bool wide;
};

TacticState gather_bind(const TacticState&, const BoundNode& n) {
  const Dims& x = n.inputs[0].dims;
  const size_t axis = axis_of(n.op.as<Gather>()->axis, x.size());
  return std::make_shared<GatherBound>(GatherBound{
      int64_t(axis), count_range(x, 0, axis), x[axis], element_count(n.inputs[1].dims),
      count_range(x, axis + 1, x.size()) * element_of(n), n.input_types[1].dtype == DType::kInt64});
}

/// The message stays until this thread's next.
const char* describe_bad_index(int64_t index, const GatherBound& g) {
  thread_local char message[128];
  std::memset(message, 0, sizeof message);
  const std::string text =
      cat("gather: index ", index, " is out of range for axis ", g.axis, " of extent ", g.extent);
  text.copy(message, sizeof message - 1);
  return message;
}

void gather_run(const TacticState& bound, const RunCall& call) {
  const auto& g = bound_as<GatherBound>(bound);
  auto given = [&](int64_t i) {
    return g.wide ? call.inputs[1].as<int64_t>()[i] : int64_t(call.inputs[1].as<int32_t>()[i]);
  };
  auto index = [&](int64_t i) { return given(i) < 0 ? given(i) + g.extent : given(i); };
  for (int64_t i = 0; i < g.count; ++i)
    if (index(i) < 0 || index(i) >= g.extent) {
      if (call.error) *call.error = describe_bad_index(given(i), g);
      return;
    }
  int64_t grain = std::max<int64_t>(1, 65536 / std::max<int64_t>(1, g.block)),
          rows = g.outer * g.count;
  parallel_for((rows + grain - 1) / grain, call.max_threads, [&](int64_t task) {
    for (int64_t r = task * grain; r < std::min(rows, (task + 1) * grain); ++r)
      std::memcpy(call.outputs[0].data + r * g.block,
                  call.inputs[0].data + (r / g.count * g.extent + index(r % g.count)) * g.block,
                  size_t(g.block));
  });
}

constexpr uint32_t kAll = 0xFFFFFFFF;

const Tactic kRows[] = {
    {.name = "cpu.transpose",
     .op = Transpose::kName,
     .supports = moves,
     .bind = transpose_bind,
     .run = copies_run,
     .strided_inputs = 1,
     .strided_outputs = 1,
     .takes_permuted = takes_any},
    {.name = "cpu.concat",
     .op = Concat::kName,
     .supports = moves,
     .bind = concat_bind,
     .run = copies_run,
     .strided_inputs = kAll,
     .strided_outputs = 1,
     .takes_permuted = takes_any},
    {.name = "cpu.slice",
     .op = Slice::kName,
     .supports = moves,
     .bind = slice_bind,
     .run = copies_run,
     .strided_inputs = 1,
     .strided_outputs = 1,
     .takes_permuted = takes_any},
    {.name = "cpu.expand",
     .op = Expand::kName,
     .supports = static_expand,
     .bind = expand_bind,
     .run = copies_run,
     .strided_inputs = 1,
     .strided_outputs = 1,
     .takes_permuted = takes_any},
    {.name = "cpu.reshape",
     .op = Reshape::kName,
     .supports = static_reshape,
     .bind = reshape_bind,
     .run = copies_run},
    {.name = "cpu.pad",
     .op = Pad::kName,
     .supports = pad_supports,
     .bind = pad_bind,
     .run = pad_run,
     .strided_inputs = 1,
     .strided_outputs = 1,
     .takes_permuted = takes_data},
    {.name = "cpu.gather",
     .op = Gather::kName,
     .supports = gather_supports,
     .bind = gather_bind,
     .run = gather_run},
};

}  // namespace

std::span<const Tactic> movement_tactics() { return kRows; }

}  // namespace vitrify::cpu
