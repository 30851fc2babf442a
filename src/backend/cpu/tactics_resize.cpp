// The tactic of resize: channels last, along two axes.
#include <algorithm>
#include <cstring>

#include "backend/cpu/families.h"
#include "backend/cpu/tactic_parts.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "ops/resize.h"

namespace vitrify::cpu {

namespace {

constexpr int kScales = 2, kSizes = 3;

Refusal supports(const NodeView& n) {
  const auto& op = *n.op.as<Resize>();
  if (n.outputs[0].dtype != DType::kFloat32) return "not f32";
  if (!n.outputs[0].has_rank() || n.outputs[0].shape->size() != 4) return "only for four axes";
  if (op.coordinates == Resize::Coordinates::kTfCropAndResize)
    return "cropping needs the region of interest";
  Ints axes = op.axes;
  std::sort(axes.begin(), axes.end());
  bool all = axes.empty() || axes == Ints{0, 1, 2, 3};
  if (!all && axes != Ints{1, 2}) return "only along axes 1 and 2";
  bool has_sizes = n.inputs.size() > kSizes && n.inputs[kSizes].is_tensor();
  if (!has_sizes && (n.inputs.size() <= kScales || !n.constants[kScales]))
    return "the scales are not constant";
  if (has_sizes && !n.facts[kSizes]) return "the sizes are known only while running";
  if (has_sizes && op.aspect != Resize::Aspect::kStretch) return "the aspect ratio is kept";
  if (all && !has_sizes)
    for (int64_t outer : {0, 3})
      if (auto at = axes.empty() ? size_t(outer)
                                 : size_t(std::find(op.axes.begin(), op.axes.end(), outer) -
                                          op.axes.begin());
          double_at(*n.constants[kScales], int64_t(at)) != 1)
        return "batch or channels are scaled";
  if (all && has_sizes) return "sizes of all axes";
  return {};
}

/// The scales of axes 1 and 2 (0: follow from the sizes).
std::vector<std::byte> prepare(const NodeView& n, const Config&) {
  std::vector<std::byte> bytes(2 * sizeof(double));
  const auto& op = *n.op.as<Resize>();
  bool has_sizes = n.inputs.size() > kSizes && n.inputs[kSizes].is_tensor();
  for (int64_t a = 1; a <= 2; ++a) {
    size_t at = op.axes.empty()
                    ? size_t(a)
                    : size_t(std::find(op.axes.begin(), op.axes.end(), a) - op.axes.begin());
    double scale = has_sizes ? 0 : double_at(*n.constants[kScales], int64_t(at));
    std::memcpy(bytes.data() + size_t(a - 1) * sizeof scale, &scale, sizeof scale);
  }
  return bytes;
}

struct Scales {
  double of[2];
};
TacticState load(const Op&, const Config&, std::span<const std::byte> bytes) {
  require(bytes.size() == sizeof(Scales), "a resize's scales are damaged");
  auto s = std::make_shared<Scales>();
  std::memcpy(s.get(), bytes.data(), sizeof(Scales));
  for (double v : s->of) require(v >= 0, "a resize's scale is absurd");  // NaN is none either
  return s;
}

/// Taps of one axis, clamped, with float weights.
struct Taps {
  int64_t taps = 1;
  std::vector<int64_t> at;
  std::vector<float> weight;
};
Taps make_taps(const ResizeAxis& axis) {
  Taps t{axis.taps, {}, {}};
  for (int64_t j = 0; j < axis.out; ++j)
    for (int64_t k = 0; k < axis.taps; ++k) {
      t.at.push_back(
          std::clamp<int64_t>(axis.first[size_t(j)] + k, 0, std::max<int64_t>(0, axis.in - 1)));
      t.weight.push_back(axis.weights.empty() ? 1 : float(axis.weights[size_t(j * axis.taps + k)]));
    }
  return t;
}

struct Bound {
  Taps y, x;
  Extents in, out;
};

TacticState bind(const TacticState& loaded, const BoundNode& n) {
  const auto& scales = bound_as<Scales>(loaded);
  const auto& op = *n.op.as<Resize>();
  auto bound = std::make_shared<Bound>();
  bound->in = n.inputs[0], bound->out = n.outputs[0];
  for (size_t a = 1; a <= 2; ++a) {
    int64_t in = n.inputs[0].dims[a], out = n.outputs[0].dims[a];
    double scale = scales.of[a - 1] > 0 ? scales.of[a - 1] : in ? double(out) / double(in) : 1;
    // `out` is in * scale, rounded down in float: nothing else comes from a model.
    const double exact = scale * double(in), slack = 1e-6 * double(out) + 1e-6;
    require(exact >= double(out) - slack && exact <= double(out) + 1 + slack,
            "a resize's scale does not fit its extents");
    (a == 1 ? bound->y : bound->x) = make_taps(resize_axis(op, in, out, scale, 0, 1));
  }
  return bound;
}

void pixel(const Bound& b, const float* image, float* to, int64_t oy, int64_t ox) {
  int64_t channels = b.out.dims[3];
  bool first = true;
  for (int64_t i = 0; i < b.y.taps; ++i)
    for (int64_t j = 0; j < b.x.taps; ++j) {
      auto at_y = size_t(oy * b.y.taps + i), at_x = size_t(ox * b.x.taps + j);
      float w = b.y.weight[at_y] * b.x.weight[at_x];
      const float* from = image + b.y.at[at_y] * b.in.strides[1] + b.x.at[at_x] * b.in.strides[2];
      if (first && w == 1)
        std::memcpy(to, from, size_t(channels) * 4);
      else if (first)
        for (int64_t c = 0; c < channels; ++c) to[c] = w * from[c];
      else
        for (int64_t c = 0; c < channels; ++c) to[c] += w * from[c];
      first = false;
    }
}

void run(const TacticState& bound, const RunCall& call) {
  const auto& b = bound_as<Bound>(bound);
  int64_t height = b.out.dims[1], width = b.out.dims[2];
  parallel_for(b.out.dims[0] * height, call.max_threads, [&](int64_t row) {
    int64_t n = row / height, oy = row % height;
    const float* image = call.inputs[0].as<float>() + n * b.in.strides[0];
    float* to = call.outputs[0].as<float>() + n * b.out.strides[0] + oy * b.out.strides[1];
    for (int64_t ox = 0; ox < width; ++ox) pixel(b, image, to + ox * b.out.strides[2], oy, ox);
  });
}

const Tactic kRows[] = {
    {.name = "cpu.resize",
     .op = Resize::kName,
     .supports = supports,
     .prepare = prepare,
     .load = load,
     .bind = bind,
     .run = run,
     .strided_inputs = 1,
     .strided_outputs = 1},
};

}  // namespace

std::span<const Tactic> resize_tactics() { return kRows; }

}  // namespace vitrify::cpu
