// Transposed convolution by output phases: the outputs o with (o + pad) mod stride = phase see the
// same taps, so each phase is a convolution of stride 1 whose outputs lie `stride` apart.
#include <algorithm>
#include <numeric>

#include "backend/cpu/kernels/conv_algorithms.h"
#include "backend/cpu/kernels/conv_grid.h"
#include "backend/cpu/kernels/gemm.h"
#include "backend/cpu/kernels/gemm_block.h"
#include "backend/cpu/kernels/gemm_pack.h"
#include "backend/cpu/kernels/gemm_panels.h"
#include "backend/cpu/kernels/slots.h"
#include "base/error.h"
#include "base/thread_pool.h"

namespace vitrify::cpu {
namespace {

/// The taps first, first + step, … of a phase along one axis (those with tap * dilation mod stride
/// = phase).
struct PhaseTaps {
  int64_t first = 0, step = 1, count = 0;
};

PhaseTaps taps_of_phase(const ConvSpec& s, int axis, int64_t phase) {
  PhaseTaps taps;
  taps.step = s.stride[axis] / std::gcd(s.stride[axis], s.dilation[axis]);
  const int64_t end = std::min(taps.step, s.kernel[axis]);
  while (taps.first < end && taps.first * s.dilation[axis] % s.stride[axis] != phase) ++taps.first;
  taps.count = taps.first < end ? div_up(s.kernel[axis] - taps.first, taps.step) : 0;
  return taps;
}

struct Phase {
  int64_t at[3];
  PhaseTaps taps[3];
  int64_t count() const { return taps[0].count * taps[1].count * taps[2].count; }
};

int64_t phase_count(const ConvSpec& s) { return s.stride[0] * s.stride[1] * s.stride[2]; }

Phase phase_at(const ConvSpec& s, int64_t index) {
  Phase p;
  p.at[2] = index % s.stride[2];
  p.at[1] = index / s.stride[2] % s.stride[1];
  p.at[0] = index / s.stride[2] / s.stride[1];
  for (int i = 0; i < 3; ++i) p.taps[i] = taps_of_phase(s, i, p.at[i]);
  return p;
}

int64_t packed_phase_floats(Isa isa, const ConvSpec& s, const Phase& p) {
  return packed_b_floats(isa, checked_mul(p.count(), group_inputs(s)), group_outputs(s));
}

/// Offset of tap (i, j, k) of the phase in a weight of the kernel.
int64_t tap_offset(const ConvSpec& s, const Phase& p, int64_t tap) {
  const int64_t w = tap % p.taps[2].count, h = tap / p.taps[2].count % p.taps[1].count;
  const int64_t d = tap / p.taps[2].count / p.taps[1].count;
  const auto at = [&](int axis, int64_t i) { return p.taps[axis].first + i * p.taps[axis].step; };
  return (at(0, d) * s.kernel[1] + at(1, h)) * s.kernel[2] + at(2, w);
}

void pack_phase(Isa isa, const ConvSpec& s, const Phase& phase, const std::byte* w, float* out) {
  const int64_t inputs = group_inputs(s), outputs = group_outputs(s), taps = kernel_taps(s);
  const Panels panels(isa, outputs);
  const int64_t count = phase.count();
  for (int64_t p = 0; p < panels.count(); ++p) {
    float* panel = out + panels.begin(p) * count * inputs;
    for (int64_t t = 0; t < count; ++t) {
      const PanelSource source{w + 4 * tap_offset(s, phase, t), inputs, outputs * taps, taps};
      pack_panel(source, panels.begin(p), panels.valid(p), panels.width(p),
                 panel + t * inputs * panels.width(p));
    }
  }
  std::fill(out + panels.padded() * count * inputs, out + packed_phase_floats(isa, s, phase), 0.0f);
}

/// One phase as a grid over x, and where its outputs go.
struct PhaseGrid {
  Grid grid;  // first: fill_from_grid gets this struct's address
  int64_t out[3], first[3], stride[3];
};

void fill_phase(const void* ctx, int64_t row0, int64_t rows, int64_t tap0, int64_t taps,
                const float** table) {
  fill_from_grid(&static_cast<const PhaseGrid*>(ctx)->grid, row0, rows, tap0, taps, table);
}

/// The first output of line (n, d, h) of the phase.
int64_t phase_line(const PhaseGrid& p, int64_t line) {
  const Axis* axis = p.grid.axis;
  const int64_t h = line % axis[1].out, d = line / axis[1].out % axis[0].out;
  const int64_t n = line / axis[1].out / axis[0].out;
  const int64_t od = p.first[0] + d * p.stride[0], oh = p.first[1] + h * p.stride[1];
  return ((n * p.out[0] + od) * p.out[1] + oh) * p.out[2] + p.first[2];
}

void phase_out_rows(const void* ctx, int64_t row0, int64_t rows, int64_t* out) {
  const auto& p = *static_cast<const PhaseGrid*>(ctx);
  const Axis* axis = p.grid.axis;
  int64_t w = row0 % axis[2].out, line = row0 / axis[2].out, start = phase_line(p, line);
  for (int64_t r = 0; r < rows; ++r) {
    out[r] = start + w * p.stride[2];
    if (++w == axis[2].out) {
      w = 0;
      start = phase_line(p, ++line);
    }
  }
}

PhaseGrid phase_grid(const ConvArgs& a, const Phase& phase) {
  const ConvSpec& s = a.spec;
  PhaseGrid g;
  for (int i = 0; i < 3; ++i) {
    const int64_t stride = s.stride[i], pad = s.pad_begin[i];
    g.out[i] = a.out[i];
    g.stride[i] = stride;
    g.first[i] = ((phase.at[i] - pad) % stride + stride) % stride;
    Axis& axis = g.grid.axis[i];
    axis.out = a.out[i] > g.first[i] ? div_up(a.out[i] - g.first[i], stride) : 0;
    axis.in = a.in[i];
    axis.taps = phase.taps[i].count;
    axis.step = 1;
    axis.base = (g.first[i] + pad - phase.taps[i].first * s.dilation[i]) / stride;
    axis.delta = -(phase.taps[i].step * s.dilation[i] / stride);
    g.grid.stride[i] = a.x_stride[i];
  }
  g.grid.batch = a.batch;
  g.grid.batch_stride = a.x_batch_stride;
  g.grid.zero = a.workspace;
  return g;
}

void run_phase(const ConvArgs& args, const Phase& phase, const float* weights) {
  const int64_t inputs = group_inputs(args.spec), outputs = group_outputs(args.spec);
  const PhaseGrid grid = phase_grid(args, phase);
  Product base;
  base.m = grid.grid.pixels();
  base.n = outputs;
  base.taps = std::max<int64_t>(1, phase.count());
  base.k = phase.count() == 0 ? 0 : inputs;
  base.fill = fill_phase;
  base.out_rows = phase_out_rows;
  base.zero = args.workspace;
  base.c_row_stride = args.y_pixel_stride;
  base.epilogue = &args.epilogue;
  const Split split = split_product(args.isa, base.m, base.n, base.taps * base.k);
  const int64_t group_floats = packed_phase_floats(args.isa, args.spec, phase);
  parallel_for(args.spec.groups * split.count(), kernel_threads(args.max_threads), [&](int64_t i) {
    const int64_t group = i / split.count();
    PhaseGrid group_grid = grid;
    group_grid.grid.x = args.x + group * inputs;
    Product product = base;
    product.ctx = &group_grid;
    product.b = weights + group * group_floats;
    product.c = args.y + group * outputs;
    product.col_base = group * outputs;
    run_product_task(args.isa, product, split, i % split.count());
  });
}

}  // namespace

const char* conv_transpose_refusal(const ConvSpec& spec) {
  constexpr int64_t kMaxPhases = 65536;
  int64_t phases = 1;
  for (const int64_t stride : spec.stride) {
    if (stride > kMaxPhases / phases) return "the product of the strides is above 65,536";
    phases *= stride;
  }
  return nullptr;
}

int64_t packed_conv_transpose_floats(Isa isa, const ConvSpec& spec) {
  if (merges_transposed_taps(isa, spec)) return packed_merged_floats(isa, spec);
  int64_t total = 0;
  for (int64_t i = 0; i < phase_count(spec); ++i) {
    const int64_t group = packed_phase_floats(isa, spec, phase_at(spec, i));
    total = checked_add(total, checked_mul(group, spec.groups));
  }
  return total;
}

void pack_conv_transpose_weights(Isa isa, const ConvSpec& spec, const void* w, float* out) {
  if (merges_transposed_taps(isa, spec)) {
    return pack_merged(isa, spec, static_cast<const std::byte*>(w), out);
  }
  const int64_t group_bytes = 4 * group_inputs(spec) * group_outputs(spec) * kernel_taps(spec);
  for (int64_t i = 0; i < phase_count(spec); ++i) {
    const Phase phase = phase_at(spec, i);
    for (int64_t g = 0; g < spec.groups; ++g) {
      pack_phase(isa, spec, phase, static_cast<const std::byte*>(w) + g * group_bytes, out);
      out += packed_phase_floats(isa, spec, phase);
    }
  }
}

int64_t conv_transpose_workspace_floats(const ConvArgs& args) {
  if (merges_transposed_taps(args.isa, args.spec)) return merged_workspace_floats(args);
  return div_up(group_inputs(args.spec), 16) * 16;  // a row of zeros
}

void conv_transpose(const ConvArgs& args) {
  if (merges_transposed_taps(args.isa, args.spec)) return merged_conv_transpose(args);
  std::fill(args.workspace, args.workspace + group_inputs(args.spec), 0.0f);
  const float* weights = args.weights;
  for (int64_t i = 0; i < phase_count(args.spec); ++i) {
    const Phase phase = phase_at(args.spec, i);
    run_phase(args, phase, weights);
    weights += packed_phase_floats(args.isa, args.spec, phase) * args.spec.groups;
  }
}

}  // namespace vitrify::cpu
