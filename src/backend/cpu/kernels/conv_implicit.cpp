// Convolution as a matrix product over pointers to input pixels: nothing is copied.
#include <algorithm>

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

Grid conv_grid(const ConvArgs& a, const float* zero) {
  Grid g;
  for (int i = 0; i < 3; ++i) {
    g.axis[i] = {
        a.out[i],          a.in[i], a.spec.kernel[i], a.spec.stride[i], -a.spec.pad_begin[i],
        a.spec.dilation[i]};
    g.stride[i] = a.x_stride[i];
  }
  g.batch = a.batch;
  g.x = a.x;
  g.batch_stride = a.x_batch_stride;
  g.zero = zero;
  return g;
}

int64_t packed_group_floats(Isa isa, const ConvSpec& s) {
  return packed_b_floats(isa, checked_mul(kernel_taps(s), group_inputs(s)), group_outputs(s));
}

/// Weights of one group: rows (tap, input), columns outputs.
void pack_group(Isa isa, const ConvSpec& s, const std::byte* w, float* out) {
  const int64_t taps = kernel_taps(s), inputs = group_inputs(s), n = group_outputs(s);
  const Panels panels(isa, n);
  for (int64_t p = 0; p < panels.count(); ++p) {
    float* panel = out + panels.begin(p) * taps * inputs;
    for (int64_t t = 0; t < taps; ++t) {
      const PanelSource source{w + 4 * t, inputs, taps, inputs * taps};
      pack_panel(source, panels.begin(p), panels.valid(p), panels.width(p),
                 panel + t * inputs * panels.width(p));
    }
  }
  std::fill(out + panels.padded() * taps * inputs, out + packed_group_floats(isa, s), 0.0f);
}

}  // namespace

int64_t packed_gemm_conv_floats(Isa isa, const ConvSpec& spec) {
  return checked_mul(packed_group_floats(isa, spec), spec.groups);
}

void pack_gemm_conv(Isa isa, const ConvSpec& spec, const void* w, float* out) {
  const int64_t group_bytes = 4 * kernel_taps(spec) * group_inputs(spec) * group_outputs(spec);
  for (int64_t g = 0; g < spec.groups; ++g) {
    pack_group(isa, spec, static_cast<const std::byte*>(w) + g * group_bytes,
               out + g * packed_group_floats(isa, spec));
  }
}

int64_t implicit_conv_workspace_floats(const ConvArgs& args) {
  return div_up(group_inputs(args.spec), 16) * 16;  // a row of zeros
}

void implicit_conv(const ConvArgs& args) {
  const ConvSpec& spec = args.spec;
  const int64_t inputs = group_inputs(spec), outputs = group_outputs(spec);
  std::fill(args.workspace, args.workspace + inputs, 0.0f);
  const Grid grid = conv_grid(args, args.workspace);
  Product base;
  base.m = grid.pixels();
  base.n = outputs;
  base.taps = grid.taps();
  base.k = inputs;
  base.fill = fill_from_grid;
  base.zero = grid.zero;
  base.c_row_stride = args.y_pixel_stride;
  base.epilogue = &args.epilogue;
  const Split split = split_product(args.isa, base.m, base.n, base.taps * base.k);
  const int64_t group_floats = packed_group_floats(args.isa, spec);
  parallel_for(spec.groups * split.count(), kernel_threads(args.max_threads), [&](int64_t i) {
    const int64_t group = i / split.count();
    Grid group_grid = grid;
    group_grid.x += group * inputs;
    Product product = base;
    product.ctx = &group_grid;
    product.b = args.weights + group * group_floats;
    product.c = args.y + group * outputs;
    product.col_base = group * outputs;
    run_product_task(args.isa, product, split, i % split.count());
  });
}

}  // namespace vitrify::cpu
