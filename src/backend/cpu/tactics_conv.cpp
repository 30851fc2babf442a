// Tactics of conv and conv_transpose on the kernels of kernels/conv.h.
#include <algorithm>
#include <array>
#include <cstring>

#include "backend/cpu/conv_bound.h"
#include "backend/cpu/epilogue_plan.h"
#include "backend/cpu/families.h"
#include "backend/cpu/kernels/conv_algorithms.h"
#include "backend/cpu/kernels/predict.h"
#include "backend/cpu/packed_weights.h"
#include "backend/cpu/tactic_parts.h"
#include "base/error.h"
#include "base/thread_pool.h"

namespace vitrify::cpu {

namespace {

// ---- configs: "avx512", "avx512 winograd4" ----

constexpr std::pair<ConvAlgorithm, std::string_view> kAlgorithms[] = {
    {ConvAlgorithm::kImplicitGemm, "implicit_gemm"}, {ConvAlgorithm::kBanded, "banded"},
    {ConvAlgorithm::kDepthwise, "depthwise"},        {ConvAlgorithm::kWinograd2, "winograd2"},
    {ConvAlgorithm::kWinograd4, "winograd4"},
};

struct ParsedConfig {
  Isa isa;
  ConvAlgorithm algorithm = ConvAlgorithm::kImplicitGemm;
};

ParsedConfig parse_config(const Config& config, bool has_algorithm) {
  size_t space = std::min(config.find(' '), config.size());
  ParsedConfig parsed{runnable_isa(std::string_view(config).substr(0, space))};
  if (!has_algorithm) return parsed;
  std::string_view word = std::string_view(config).substr(std::min(space + 1, config.size()));
  for (const auto& [algorithm, name] : kAlgorithms)
    if (name == word) {
      parsed.algorithm = algorithm;
      return parsed;
    }
  fail("unknown convolution algorithm '", word.substr(0, 40), "'");
}

// ---- the node ----

const Window& window_of(const Op& op) {
  return op.is<Conv>() ? op.as<Conv>()->window : op.as<ConvTranspose>()->window;
}
int64_t group_of(const Op& op) {
  return op.is<Conv>() ? op.as<Conv>()->group : op.as<ConvTranspose>()->group;
}

/// Fills the trailing spatial axes of a kernel's three.
void spread(const Ints& from, int64_t (&to)[3], size_t axes, int64_t otherwise) {
  for (size_t i = 0; i < axes; ++i) to[3 - axes + i] = i < from.size() ? from[i] : otherwise;
}

/// All but padding.
ConvSpec make_spec(const Op& op, const PackedHeader& h) {
  const Window& w = window_of(op);
  size_t axes = size_t(h.axes);
  ConvSpec s;
  s.in_channels = h.in_channels, s.out_channels = h.out_channels, s.groups = group_of(op);
  std::copy(h.kernel, h.kernel + 3, s.kernel);
  spread(w.strides, s.stride, axes, 1);
  spread(w.dilations, s.dilation, axes, 1);
  spread(w.pads_begin, s.pad_begin, axes, 0);
  return s;
}

PackedHeader header_of(const Op& op, const Dims& weights) {
  PackedHeader h;
  int64_t group = group_of(op);
  bool transposed = op.is<ConvTranspose>();
  h.in_channels = transposed ? weights[0] : weights[1] * group;
  h.out_channels = transposed ? weights[1] * group : weights[0];
  h.axes = int64_t(weights.size()) - 2;
  spread(Ints(weights.begin() + 2, weights.end()), h.kernel, weights.size() - 2, 1);
  return h;
}

Refusal conv_supports(const NodeView& n) {
  if (!all_floats(n)) return "not all operands are f32";
  if (!n.inputs[0].has_rank()) return "the rank of x is unknown";
  if (!n.constants[1]) return "the weights are not constant";
  const Window& w = window_of(n.op);
  size_t axes = n.inputs[0].shape->size() - 2;
  if (axes < 1 || axes > 3) return cat(axes, " spatial axes; 1 to 3 are supported");
  for (const Ints* list : {&w.strides, &w.dilations, &w.pads_begin})
    if (!list->empty() && list->size() != axes) return "the window does not name every axis";
  if (size_t(n.constants[1]->rank()) != axes + 2 || n.constants[1]->size() == 0)
    return "the weights are empty or of another rank";
  if (std::any_of(w.pads_begin.begin(), w.pads_begin.end(), [](int64_t p) { return p < 0; }))
    return "padding is negative";
  if (n.op.is<ConvTranspose>()) {
    if (w.auto_pad != Window::AutoPad::kExplicit || !n.op.as<ConvTranspose>()->output_shape.empty())
      return "padding follows from the output shape";
    if (const char* reason =
            conv_transpose_refusal(make_spec(n.op, header_of(n.op, n.constants[1]->dims()))))
      return reason;
  }
  return check_epilogue(n, 2);
}

std::vector<Config> conv_configs(const NodeView& n) {
  ConvSpec spec = make_spec(n.op, header_of(n.op, n.constants[1]->dims()));
  std::string isa = isa_name(max_isa());
  ConvAlgorithm best = default_conv_algorithm(spec);
  std::vector<Config> configs;
  for (const auto& [algorithm, name] : kAlgorithms)
    if (!conv_refusal(algorithm, spec))
      configs.insert(algorithm == best ? configs.begin() : configs.end(), cat(isa, " ", name));
  return configs;
}

int64_t packed_floats(const Op& op, const ParsedConfig& c, const ConvSpec& s) {
  return op.is<Conv>() ? packed_conv_floats(c.isa, c.algorithm, s)
                       : packed_conv_transpose_floats(c.isa, s);
}

std::vector<std::byte> conv_prepare(const NodeView& n, const Config& config) {
  ParsedConfig c = parse_config(config, n.op.is<Conv>());
  PackedHeader h = header_of(n.op, n.constants[1]->dims());
  ConvSpec s = make_spec(n.op, h);
  int64_t floats = packed_floats(n.op, c, s);
  std::vector<std::byte> bytes = with_header(h, floats);
  pack_into(bytes, floats, [&](float* out) {
    if (n.op.is<Conv>())
      pack_conv_weights(c.isa, c.algorithm, s, n.constants[1]->raw(), out);
    else
      pack_conv_transpose_weights(c.isa, s, n.constants[1]->raw(), out);
  });
  return bytes;
}

struct ConvState {
  ParsedConfig config;
  PackedHeader header;
  ConvSpec spec;
  const float* weights = nullptr;
};

void check_positive(std::initializer_list<int64_t> values) {
  for (int64_t v : values)
    require(v > 0 && v < (int64_t{1} << 31), "packed weights have an absurd size ", v);
}

TacticState conv_load(const Op& op, const Config& config, std::span<const std::byte> bytes) {
  auto state = std::make_shared<ConvState>();
  state->config = parse_config(config, op.is<Conv>());
  PackedHeader h = state->header = read_header(bytes);
  check_positive(
      {h.in_channels, h.out_channels, h.kernel[0], h.kernel[1], h.kernel[2], group_of(op)});
  require(h.in_channels % group_of(op) == 0 && h.out_channels % group_of(op) == 0,
          "the groups do not divide the channels");
  const Window& w = window_of(op);
  require(h.axes >= 1 && h.axes <= 3, "packed weights have ", h.axes, " spatial axes");
  for (int64_t v : w.strides) check_positive({v});
  for (int64_t v : w.dilations) check_positive({v});
  state->spec = make_spec(op, h);
  for (int64_t p : state->spec.pad_begin)
    require(p >= 0 && p < (int64_t{1} << 31), "padding is absurd");
  kernel_taps(state->spec);  // throws on overflow
  const char* reason = op.is<Conv>() ? conv_refusal(state->config.algorithm, state->spec)
                                     : conv_transpose_refusal(state->spec);
  require(!reason, "the plan's algorithm cannot run this convolution: ", reason ? reason : "");
  state->weights = floats_of(bytes, packed_floats(op, state->config, state->spec));
  return state;
}

/// Padding before each axis, from the sizes when it is "same".
void set_padding(const Window& w, size_t axes, ConvArgs& a) {
  if (w.auto_pad == Window::AutoPad::kExplicit) return;
  for (size_t i = 3 - axes; i < 3; ++i) {
    const ConvSpec& s = a.spec;
    int64_t total = std::max<int64_t>(
        0, (a.out[i] - 1) * s.stride[i] + (s.kernel[i] - 1) * s.dilation[i] + 1 - a.in[i]);
    a.spec.pad_begin[i] = w.auto_pad == Window::AutoPad::kSameUpper ? total / 2 : total - total / 2;
  }
}

/// The distance between neighbouring pixels when all are evenly spaced, else 0.
int64_t pixel_stride(const Extents& e) {
  size_t last = e.dims.size() - 2;
  int64_t stride = 0, expected = 0;
  for (size_t i = last + 1; i-- > 0;) {
    if (e.dims[i] == 1) continue;
    if (!stride) stride = expected = e.strides[i];
    if (e.strides[i] != expected) return 0;
    expected = e.strides[i] * e.dims[i];
  }
  return stride ? stride : e.dims.back();
}

/// The extents alone.
ConvArgs shape_args(const BoundNode& n, const ParsedConfig& config, const ConvSpec& spec) {
  const Dims &x = n.inputs[0].dims, &y = n.outputs[0].dims;
  ConvArgs a;
  a.isa = config.isa, a.algorithm = config.algorithm, a.spec = spec;
  a.batch = x[0], a.max_threads = n.max_threads;
  for (size_t i = 1; i + 1 < x.size(); ++i)
    a.in[4 - x.size() + i] = x[i], a.out[4 - x.size() + i] = y[i];
  return a;
}

double conv_predict(const BoundNode& n, const Config& config) {
  const ConvSpec spec = make_spec(n.op, header_of(n.op, n.inputs[1].dims));
  return predict_conv(shape_args(n, parse_config(config, true), spec));
}

TacticState conv_bind(const TacticState& loaded, const BoundNode& n) {
  const auto& state = bound_as<ConvState>(loaded);
  auto bound = std::make_shared<ConvBound>();
  const Extents &x = n.inputs[0], &y = n.outputs[0];
  const Window& w = window_of(n.op);
  size_t axes = size_t(state.header.axes);
  const Dims& w_dims = n.inputs[1].dims;
  require(x.dims.size() == axes + 2 && y.dims.size() == axes + 2 && w_dims.size() == axes + 2,
          "x and the window have different ranks");
  require(header_of(n.op, w_dims) == state.header, "the packed weights are not those of shape ",
          str(w_dims));
  require(x.dims.back() == state.header.in_channels && y.dims.back() == state.header.out_channels,
          "the weights are for ", state.header.in_channels, " channels, x has ", x.dims.back());
  ConvArgs& a = bound->args = shape_args(n, state.config, state.spec);
  a.weights = state.weights;
  for (size_t i = 0; i < axes; ++i) a.x_stride[3 - axes + i] = x.strides[1 + i];
  a.x_batch_stride = x.strides[0], a.x_channel_stride = x.strides.back();
  set_padding(w, axes, a);
  bound->epilogue = bind_epilogue(state.config.isa, n, 2);
  bound->transposed = n.op.is<ConvTranspose>();
  a.y_pixel_stride = pixel_stride(y);
  if (a.y_pixel_stride == 0 && element_count(y.dims) > 0) {
    bound->staged = true;
    a.y_pixel_stride = y.dims.back();
    bound->stage_floats = (element_count(y.dims) + 15) / 16 * 16;
  }
  bound->out_dims = y.dims, bound->out_strides = y.strides;
  return bound;
}

int64_t kernel_workspace(const ConvBound& b) {
  return b.transposed ? conv_transpose_workspace_floats(b.args) : conv_workspace_floats(b.args);
}

int64_t conv_workspace(const TacticState& bound) {
  const auto& b = bound_as<ConvBound>(bound);
  return (b.stage_floats + kernel_workspace(b)) * 4;
}

/// Dense rows of channels to their places.
void unstage(const float* from, float* to, const Dims& dims, const Dims& strides) {
  int64_t channels = dims.back(), pixels = 1;
  for (size_t i = 0; i + 1 < dims.size(); ++i) pixels *= dims[i];
  for (int64_t p = 0; p < pixels; ++p) {
    int64_t rest = p, at = 0;
    for (size_t i = dims.size() - 1; i-- > 0;) at += rest % dims[i] * strides[i], rest /= dims[i];
    std::memcpy(to + at, from + p * channels, size_t(channels) * 4);
  }
}

void conv_run(const TacticState& bound, const RunCall& call) {
  const auto& b = bound_as<ConvBound>(bound);
  ConvArgs a = b.args;
  if (std::find(b.out_dims.begin(), b.out_dims.end(), 0) != b.out_dims.end()) return;
  auto* workspace = reinterpret_cast<float*>(call.workspace);
  a.x = call.inputs[0].as<float>();
  a.y = b.staged ? workspace : call.outputs[0].as<float>();
  a.workspace = workspace ? workspace + b.stage_floats : nullptr;
  a.max_threads = call.max_threads;
  EpilogueRun epilogue;
  a.epilogue = make_epilogue(b.epilogue, call, 2, b.out_dims.back(), epilogue);
  if (b.transposed)
    conv_transpose(a);
  else
    conv(a);
  if (b.staged) unstage(workspace, call.outputs[0].as<float>(), b.out_dims, b.out_strides);
}

/// The banded algorithm copies what it reads, so NCHW is as good as NHWC.
bool conv_takes_permuted(const NodeView&, const Config& config, int32_t input, const Ints&) {
  return input == 0 && config.ends_with(" banded");
}

const Tactic kRows[] = {
    {.name = "cpu.conv",
     .op = Conv::kName,
     .supports = conv_supports,
     .configs = conv_configs,
     .prepare = conv_prepare,
     .load = conv_load,
     .bind = conv_bind,
     .workspace = conv_workspace,
     .run = conv_run,
     .packed_inputs = 2,
     .strided_inputs = 1,
     .strided_outputs = 1,
     .takes_permuted = conv_takes_permuted,
     .overwrites = overwrites_residual,
     .predict = conv_predict},
    {.name = "cpu.conv_transpose",
     .op = ConvTranspose::kName,
     .supports = conv_supports,
     .configs = isa_configs,
     .prepare = conv_prepare,
     .load = conv_load,
     .bind = conv_bind,
     .workspace = conv_workspace,
     .run = conv_run,
     .packed_inputs = 2,
     .strided_inputs = 1,
     .strided_outputs = 1,
     .overwrites = overwrites_residual},
};

}  // namespace

std::span<const Tactic> conv_tactics() { return kRows; }

}  // namespace vitrify::cpu
