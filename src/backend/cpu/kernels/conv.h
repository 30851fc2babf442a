// Convolution and transposed convolution in float32, channels last, 1 to 3 spatial dimensions, any
// groups, strides, dilations and (asymmetric) padding, weights packed once.
//
// Spatial dimensions are always three: depth, height, width. A 2-D conv has in[0] = kernel[0] = 1
// and stride, dilation 1, padding 0 there; a 1-D conv also in[1] = kernel[1] = 1. The same rules as
// in gemm.h hold for strides, NaN, threads and errors.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cpu/isa.h"
#include "backend/cpu/kernels/epilogue.h"

namespace vitrify::cpu {

/// What is fixed when a conv is built. y[o] = sum over taps x[o * stride - pad + tap * dilation].
struct ConvSpec {
  int64_t in_channels = 0, out_channels = 0, groups = 1;  ///< groups divides both
  int64_t kernel[3] = {1, 1, 1};
  int64_t stride[3] = {1, 1, 1};
  int64_t dilation[3] = {1, 1, 1};
  int64_t pad_begin[3] = {0, 0, 0};  ///< padding at the end follows from the output size
};

enum class ConvAlgorithm : uint8_t {
  kImplicitGemm,  ///< any conv; good from about 16 input channels a group
  kBanded,     ///< groups = 1 and few input channels (< 16): reads x by any strides (so NCHW too)
               ///< through a padded copy of a band of rows
  kDepthwise,  ///< groups = in_channels = out_channels
  kWinograd2,  ///< F(2x2, 3x3): groups 1, kernel 1x3x3, stride and dilation 1
  kWinograd4,  ///< F(4x4, 3x3): same; error up to about 1e-5 of the largest output
};

/// Null if `algorithm` can run `spec`, otherwise the reason why not.
const char* conv_refusal(ConvAlgorithm algorithm, const ConvSpec& spec);

/// What to take without measuring.
ConvAlgorithm default_conv_algorithm(const ConvSpec& spec);

/// Floats of the packed weights: a multiple of 16. User error on overflow.
int64_t packed_conv_floats(Isa isa, ConvAlgorithm algorithm, const ConvSpec& spec);

/// Packs weights given as OIDHW ([out_channels, in_channels / groups, kd, kh, kw], dense floats
/// from byte address `w`, which may be unaligned). `out` is 64-byte aligned; all of it is written.
/// Serial.
void pack_conv_weights(Isa isa, ConvAlgorithm algorithm, const ConvSpec& spec, const void* w,
                       float* out);

struct ConvArgs {
  Isa isa = Isa::kBaseline;  ///< at most machine_isa()
  ConvAlgorithm algorithm = ConvAlgorithm::kImplicitGemm;
  ConvSpec spec;
  int64_t batch = 1;
  int64_t in[3] = {1, 1, 1}, out[3] = {1, 1, 1};  ///< spatial sizes
  /// x(n, d, h, w, c) = x[n * x_batch_stride + d * x_stride[0] + h * x_stride[1] + w * x_stride[2]
  /// + c * x_channel_stride]. The channel stride is 1 for every algorithm but kBanded.
  const float* x = nullptr;
  int64_t x_batch_stride = 0, x_stride[3] = {0, 0, 0}, x_channel_stride = 1;
  const float* weights = nullptr;  ///< from pack_conv_weights, 64-byte aligned
  /// Output pixel p = ((n * OD + od) * OH + oh) * OW + ow has its channels at y + p *
  /// y_pixel_stride; may not overlap x or the weights.
  float* y = nullptr;
  int64_t y_pixel_stride = 0;
  Epilogue epilogue;
  float* workspace = nullptr;  ///< conv_workspace_floats floats, 64-byte aligned; null when 0
  int max_threads = 1;         ///< at most 64 are used
  /// One of many calls that run side by side: it takes no steps to share its work among threads. May
  /// change the order of sums.
  bool is_part = false;
};

/// Floats of workspace; reads everything but pointers. Monotonic in batch, in and out.
int64_t conv_workspace_floats(const ConvArgs& args);

void conv(const ConvArgs& args);

/// Transposed convolution: x[i] * w[tap] is added to y[i * stride - pad + tap * dilation]. `spec`
/// is that of ConvSpec with in_channels those of x; the output size is the caller's (so
/// output_padding needs nothing special). Runs as one implicit GEMM per output phase, each output
/// written once. Weights: IODHW ([in_channels, out_channels / groups, kd, kh, kw]).
/// Null if it can run, otherwise the reason (more than 65,536 phases, the product of the strides).
const char* conv_transpose_refusal(const ConvSpec& spec);
int64_t packed_conv_transpose_floats(Isa isa, const ConvSpec& spec);
void pack_conv_transpose_weights(Isa isa, const ConvSpec& spec, const void* w, float* out);
/// `algorithm` is ignored.
int64_t conv_transpose_workspace_floats(const ConvArgs& args);
void conv_transpose(const ConvArgs& args);

}  // namespace vitrify::cpu
