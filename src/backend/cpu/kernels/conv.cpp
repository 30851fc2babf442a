#include "backend/cpu/kernels/conv.h"

#include "backend/cpu/kernels/conv_algorithms.h"
#include "base/error.h"

namespace vitrify::cpu {
namespace {

constexpr int64_t kFewChannels = 16;

bool is_winograd(ConvAlgorithm a) {
  return a == ConvAlgorithm::kWinograd2 || a == ConvAlgorithm::kWinograd4;
}

int tile_of(ConvAlgorithm a) { return a == ConvAlgorithm::kWinograd2 ? 2 : 4; }

const char* winograd_refusal(const ConvSpec& s) {
  if (s.groups != 1) return "Winograd runs ungrouped convolutions only";
  if (s.kernel[0] != 1 || s.kernel[1] != 3 || s.kernel[2] != 3) return "the kernel is not 3x3";
  for (int i = 0; i < 3; ++i) {
    if (s.stride[i] != 1 || s.dilation[i] != 1) return "stride or dilation is not 1";
  }
  return s.pad_begin[0] == 0 ? nullptr : "the depth is padded";
}

}  // namespace

const char* conv_refusal(ConvAlgorithm algorithm, const ConvSpec& s) {
  switch (algorithm) {
    case ConvAlgorithm::kImplicitGemm:
      return nullptr;
    case ConvAlgorithm::kBanded:
      if (s.groups != 1) return "the banded algorithm runs ungrouped convolutions only";
      return s.in_channels <= kFewChannels ? nullptr : "more than 16 input channels";
    case ConvAlgorithm::kDepthwise:
      return s.groups == s.in_channels && s.groups == s.out_channels
                 ? nullptr
                 : "not a depthwise convolution";
    case ConvAlgorithm::kWinograd2:
    case ConvAlgorithm::kWinograd4:
      return winograd_refusal(s);
  }
  return "unknown algorithm";
}

ConvAlgorithm default_conv_algorithm(const ConvSpec& s) {
  if (s.groups > 1 && !conv_refusal(ConvAlgorithm::kDepthwise, s)) return ConvAlgorithm::kDepthwise;
  const bool few = s.in_channels < kFewChannels && kernel_taps(s) > 1;
  return few && s.groups == 1 ? ConvAlgorithm::kBanded : ConvAlgorithm::kImplicitGemm;
}

int64_t packed_conv_floats(Isa isa, ConvAlgorithm algorithm, const ConvSpec& spec) {
  if (algorithm == ConvAlgorithm::kDepthwise) return packed_depthwise_floats(isa, spec);
  if (is_winograd(algorithm)) return packed_winograd_floats(isa, tile_of(algorithm), spec);
  return packed_gemm_conv_floats(isa, spec);
}

void pack_conv_weights(Isa isa, ConvAlgorithm algorithm, const ConvSpec& spec, const void* w,
                       float* out) {
  if (algorithm == ConvAlgorithm::kDepthwise) return pack_depthwise(isa, spec, w, out);
  if (is_winograd(algorithm)) return pack_winograd(isa, tile_of(algorithm), spec, w, out);
  pack_gemm_conv(isa, spec, w, out);
}

int64_t conv_workspace_floats(const ConvArgs& args) {
  if (args.algorithm == ConvAlgorithm::kDepthwise) return depthwise_workspace_floats(args);
  if (args.algorithm == ConvAlgorithm::kBanded) return banded_conv_workspace_floats(args);
  if (is_winograd(args.algorithm)) return winograd_workspace_floats(tile_of(args.algorithm), args);
  return implicit_conv_workspace_floats(args);
}

void conv(const ConvArgs& args) {
  if (args.algorithm == ConvAlgorithm::kDepthwise) return depthwise_conv(args);
  if (args.algorithm == ConvAlgorithm::kBanded) return banded_conv(args);
  if (is_winograd(args.algorithm)) return winograd_conv(tile_of(args.algorithm), args);
  implicit_conv(args);
}

}  // namespace vitrify::cpu
