// The algorithms behind conv.h; each packs its weights and runs on its own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cpu/kernels/conv.h"
#include "base/error.h"

namespace vitrify::cpu {

/// User error on overflow: an engine file may say any kernel.
inline int64_t kernel_taps(const ConvSpec& s) {
  return checked_mul(checked_mul(s.kernel[0], s.kernel[1]), s.kernel[2]);
}
inline int64_t out_pixels(const ConvArgs& a) { return a.batch * a.out[0] * a.out[1] * a.out[2]; }
inline int64_t group_inputs(const ConvSpec& s) { return s.in_channels / s.groups; }
inline int64_t group_outputs(const ConvSpec& s) { return s.out_channels / s.groups; }

// kImplicitGemm and kBanded share the packed form: per group, panels of [taps * inputs, outputs].
int64_t packed_gemm_conv_floats(Isa isa, const ConvSpec& spec);
void pack_gemm_conv(Isa isa, const ConvSpec& spec, const void* w, float* out);

int64_t implicit_conv_workspace_floats(const ConvArgs& args);
void implicit_conv(const ConvArgs& args);

int64_t banded_conv_workspace_floats(const ConvArgs& args);
void banded_conv(const ConvArgs& args);

int64_t packed_depthwise_floats(Isa isa, const ConvSpec& spec);
void pack_depthwise(Isa isa, const ConvSpec& spec, const void* w, float* out);
int64_t depthwise_workspace_floats(const ConvArgs& args);
void depthwise_conv(const ConvArgs& args);

/// tile: 2 or 4 outputs along each side.
int64_t packed_winograd_floats(Isa isa, int tile, const ConvSpec& spec);
void pack_winograd(Isa isa, int tile, const ConvSpec& spec, const void* w, float* out);
int64_t winograd_workspace_floats(int tile, const ConvArgs& args);
void winograd_conv(int tile, const ConvArgs& args);

/// Transposed convolutions that run as one product for all taps.
bool merges_transposed_taps(Isa isa, const ConvSpec& spec);
int64_t packed_merged_floats(Isa isa, const ConvSpec& spec);
void pack_merged(Isa isa, const ConvSpec& spec, const std::byte* w, float* out);
int64_t merged_workspace_floats(const ConvArgs& args);
void merged_conv_transpose(const ConvArgs& args);

}  // namespace vitrify::cpu
