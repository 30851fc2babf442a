// Tactics of conv, conv_transpose and matmul on the kernels of kernels/conv.h and kernels/gemm.h.
//
// Packed weights begin with a 64-byte header of what the kernel must agree on with the node.
#include <algorithm>
#include <array>
#include <cstring>

#include "backend/cpu/conv_bound.h"
#include "backend/cpu/epilogue_plan.h"
#include "backend/cpu/families.h"
#include "backend/cpu/kernels/conv_algorithms.h"
#include "backend/cpu/kernels/gemm.h"
#include "backend/cpu/kernels/predict.h"
#include "base/error.h"
#include "base/thread_pool.h"

namespace vitrify::cpu {

namespace {

constexpr size_t kHeaderBytes = 64;

struct Header {
  int64_t in_channels = 0, out_channels = 0;
  int64_t axes = 0;  ///< spatial ones, of a convolution
  int64_t kernel[3] = {1, 1, 1};
  bool operator==(const Header&) const = default;
};
static_assert(sizeof(Header) <= kHeaderBytes);

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
  ParsedConfig parsed{parse_isa(std::string_view(config).substr(0, space))};
  require(parsed.isa <= machine_isa(), "the engine needs ", config.substr(0, space),
          ", which this machine lacks; build it again here");
  if (!has_algorithm) return parsed;
  std::string_view word = std::string_view(config).substr(std::min(space + 1, config.size()));
  for (const auto& [algorithm, name] : kAlgorithms)
    if (name == word) {
      parsed.algorithm = algorithm;
      return parsed;
    }
  fail("unknown convolution algorithm '", word.substr(0, 40), "'");
}

// ---- what conv and conv_transpose share ----

bool all_float(const NodeView& n) {
  return std::all_of(n.inputs.begin(), n.inputs.end(),
                     [](const Type& t) { return t.dtype == DType::kFloat32; }) &&
         n.outputs[0].dtype == DType::kFloat32;
}

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
ConvSpec make_spec(const Op& op, const Header& h) {
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

Header header_of(const Op& op, const Dims& weights) {
  Header h;
  int64_t group = group_of(op);
  bool transposed = op.is<ConvTranspose>();
  h.in_channels = transposed ? weights[0] : weights[1] * group;
  h.out_channels = transposed ? weights[1] * group : weights[0];
  h.axes = int64_t(weights.size()) - 2;
  spread(Ints(weights.begin() + 2, weights.end()), h.kernel, weights.size() - 2, 1);
  return h;
}

Refusal conv_supports(const NodeView& n) {
  if (!all_float(n)) return "not all operands are f32";
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

std::vector<Config> isa_config(const NodeView&) { return {isa_name(max_isa())}; }

int64_t packed_floats(const Op& op, const ParsedConfig& c, const ConvSpec& s) {
  return op.is<Conv>() ? packed_conv_floats(c.isa, c.algorithm, s)
                       : packed_conv_transpose_floats(c.isa, s);
}

std::vector<std::byte> with_header(const Header& h, int64_t floats) {
  std::vector<std::byte> bytes(kHeaderBytes + size_t(floats) * 4);
  std::memcpy(bytes.data(), &h, sizeof h);
  return bytes;
}

/// Kernels ask for packed weights on 64-byte boundaries, which a vector does not promise.
template <class Pack>
void pack_into(std::vector<std::byte>& bytes, int64_t floats, Pack pack) {
  Tensor aligned(DType::kFloat32, {floats});
  pack(aligned.data<float>());
  std::memcpy(bytes.data() + kHeaderBytes, aligned.raw(), size_t(floats) * 4);
}

std::vector<std::byte> conv_prepare(const NodeView& n, const Config& config) {
  ParsedConfig c = parse_config(config, n.op.is<Conv>());
  Header h = header_of(n.op, n.constants[1]->dims());
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
  Header header;
  ConvSpec spec;
  const float* weights = nullptr;
};

Header read_header(std::span<const std::byte> bytes) {
  require(bytes.size() >= kHeaderBytes, "packed weights are cut off");
  Header h;
  std::memcpy(&h, bytes.data(), sizeof h);
  return h;
}

void check_positive(std::initializer_list<int64_t> values) {
  for (int64_t v : values)
    require(v > 0 && v < (int64_t{1} << 31), "packed weights have an absurd size ", v);
}

TacticState conv_load(const Op& op, const Config& config, std::span<const std::byte> bytes) {
  auto state = std::make_shared<ConvState>();
  state->config = parse_config(config, op.is<Conv>());
  Header h = state->header = read_header(bytes);
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
  int64_t floats = packed_floats(op, state->config, state->spec);
  require(int64_t(bytes.size()) == int64_t(kHeaderBytes) + floats * 4, "packed weights have ",
          bytes.size(), " bytes, not ", int64_t(kHeaderBytes) + floats * 4);
  state->weights = reinterpret_cast<const float*>(bytes.data() + kHeaderBytes);
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
  const auto& state = *static_cast<const ConvState*>(loaded.get());
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
  const auto& b = *static_cast<const ConvBound*>(bound.get());
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
  const auto& b = *static_cast<const ConvBound*>(bound.get());
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

/// The residual is read and written element by element.
uint32_t overwrites_residual(const NodeView& n) {
  const int input = residual_input(n, 2);
  return input >= 0 ? 1u << input : 0;
}

/// The banded algorithm copies what it reads, so NCHW is as good as NHWC.
bool conv_takes_permuted(const NodeView&, const Config& config, int32_t input, const Ints&) {
  return input == 0 && config.ends_with(" banded");
}

// ---- matmul ----

bool packed_matmul_takes_permuted(const NodeView&, const Config&, int32_t input, const Ints&) {
  return input == 0;
}
bool matmul_takes_permuted(const NodeView&, const Config&, int32_t input, const Ints&) {
  return input < 2;
}

Refusal matmul_supports(const NodeView& n) {
  if (!all_float(n)) return "not all operands are f32";
  if (!n.inputs[0].has_rank() || !n.inputs[1].has_rank()) return "an operand's rank is unknown";
  if (n.inputs[0].shape->empty() || n.inputs[1].shape->empty()) return "an operand is a scalar";
  bool vector = n.inputs[0].shape->size() == 1 || n.inputs[1].shape->size() == 1;
  if (vector && !n.op.body()->empty()) return "an epilogue on a product with a vector";
  return check_epilogue(n, 2);
}

/// B of rank 2 is packed at build time.
Refusal packed_matmul_supports(const NodeView& n) {
  if (Refusal r = matmul_supports(n); !r.empty()) return r;
  if (!n.constants[1]) return "b is not constant";
  if (n.constants[1]->rank() != 2) return "b is not a matrix";
  return {};
}

std::vector<std::byte> matmul_prepare(const NodeView& n, const Config& config) {
  Isa isa = parse_config(config, false).isa;
  const Tensor& b = *n.constants[1];
  bool transposed = n.op.as<MatMul>()->transpose_b;
  Header h;
  h.in_channels = b.dims()[transposed ? 1 : 0], h.out_channels = b.dims()[transposed ? 0 : 1];
  int64_t floats = packed_b_floats(isa, h.in_channels, h.out_channels);
  std::vector<std::byte> bytes = with_header(h, floats);
  pack_into(bytes, floats, [&](float* out) {
    pack_b(isa, h.in_channels, h.out_channels, b.raw(), transposed ? 1 : b.dims()[1],
           transposed ? b.dims()[1] : 1, out);
  });
  return bytes;
}

struct MatMulState {
  Isa isa;
  int64_t k = -1, n = -1;  ///< of packed weights
  const float* packed = nullptr;
};

TacticState matmul_load(const Op&, const Config& config, std::span<const std::byte> bytes) {
  auto state = std::make_shared<MatMulState>();
  state->isa = parse_config(config, false).isa;
  if (bytes.empty()) return state;
  Header h = read_header(bytes);
  for (int64_t v : {h.in_channels, h.out_channels})
    require(v >= 0 && v < (int64_t{1} << 40), "packed weights have an absurd size ", v);
  state->k = h.in_channels, state->n = h.out_channels;
  int64_t floats = packed_b_floats(state->isa, state->k, state->n);
  require(int64_t(bytes.size()) == int64_t(kHeaderBytes) + floats * 4, "packed weights have ",
          bytes.size(), " bytes, not ", int64_t(kHeaderBytes) + floats * 4);
  state->packed = reinterpret_cast<const float*>(bytes.data() + kHeaderBytes);
  return state;
}

struct MatMulBound {
  GemmArgs args;
  EpiloguePlan epilogue;
  std::vector<int64_t> a_offsets, b_offsets, c_offsets;
};

/// One operand as batch axes over a matrix; a vector becomes a matrix of one row or column.
struct Matrix {
  Dims batch, batch_strides;
  int64_t rows, columns, row_stride, column_stride;
};
Matrix as_matrix(const Extents& e, bool transposed, bool is_left) {
  if (e.dims.size() == 1) {
    if (is_left) return {{}, {}, 1, e.dims[0], 0, e.strides[0]};
    return {{}, {}, e.dims[0], 1, e.strides[0], 1};
  }
  size_t r = e.dims.size();
  Matrix m{Dims(e.dims.begin(), e.dims.end() - 2),
           Dims(e.strides.begin(), e.strides.end() - 2),
           e.dims[r - 2],
           e.dims[r - 1],
           e.strides[r - 2],
           e.strides[r - 1]};
  if (transposed) std::swap(m.rows, m.columns), std::swap(m.row_stride, m.column_stride);
  return m;
}

/// Element offsets of every batch entry, axes of extent 1 broadcast.
std::vector<int64_t> batch_offsets(const Dims& batch, const Matrix& m) {
  int64_t count = element_count(batch);
  std::vector<int64_t> offsets;
  offsets.reserve(size_t(count));
  size_t skip = batch.size() - m.batch.size();
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i, at = 0;
    for (size_t a = batch.size(); a-- > 0;) {
      int64_t index = rest % batch[a];
      rest /= batch[a];
      if (a >= skip && m.batch[a - skip] != 1) at += index * m.batch_strides[a - skip];
    }
    offsets.push_back(at);
  }
  return offsets;
}

bool evenly_spaced(const std::vector<int64_t>& offsets, int64_t step) {
  for (size_t i = 0; i < offsets.size(); ++i)
    if (offsets[i] != int64_t(i) * step) return false;
  return true;
}

TacticState matmul_bind(const TacticState& loaded, const BoundNode& n) {
  const auto& state = *static_cast<const MatMulState*>(loaded.get());
  const auto& op = *n.op.as<MatMul>();
  auto bound = std::make_shared<MatMulBound>();
  Matrix a = as_matrix(n.inputs[0], op.transpose_a, true),
         b = as_matrix(n.inputs[1], op.transpose_b, false);
  require(a.columns == b.rows, "matmul of ", a.columns, " columns with ", b.rows, " rows");
  require(!state.packed || (state.k == b.rows && state.n == b.columns),
          "the weights are for another matrix");
  Dims batch = broadcast_dims(a.batch, b.batch);
  GemmArgs& g = bound->args;
  g.isa = state.isa, g.max_threads = n.max_threads;
  g.m = a.rows, g.n = b.columns, g.k = a.columns;
  g.a_row_stride = a.row_stride, g.a_col_stride = a.column_stride;
  g.packed_b = state.packed != nullptr;
  g.b = state.packed;
  g.b_row_stride = b.row_stride, g.b_col_stride = b.column_stride;
  g.c_row_stride = b.columns;
  if (n.inputs[1].dims.size() > 1 && n.inputs[0].dims.size() > 1)
    g.c_row_stride = n.outputs[0].strides[n.outputs[0].strides.size() - 2];
  g.batch = element_count(batch);
  bound->a_offsets = batch_offsets(batch, a), bound->b_offsets = batch_offsets(batch, b);
  for (int64_t i = 0; i < g.batch; ++i) bound->c_offsets.push_back(i * g.m * g.n);
  bool one_b = evenly_spaced(bound->b_offsets, 0);
  if (one_b && evenly_spaced(bound->a_offsets, g.m * g.a_row_stride) &&
      (g.m > 1 || g.a_row_stride == g.k)) {
    g.m *= g.batch, g.batch = 1;  // one tall product
  } else if (one_b && g.m == 1 && evenly_spaced(bound->a_offsets, g.k)) {
    g.m = g.batch, g.a_row_stride = g.k, g.batch = 1;
  }
  if (g.batch > 1)
    g.a_offsets = bound->a_offsets.data(),
    g.b_offsets = g.packed_b ? nullptr : bound->b_offsets.data(),
    g.c_offsets = bound->c_offsets.data();
  bound->epilogue = bind_epilogue(state.isa, n, 2);
  return bound;
}

double predict_matmul(const BoundNode& n, const Config& config, bool packed_b) {
  const auto& op = *n.op.as<MatMul>();
  const Matrix a = as_matrix(n.inputs[0], op.transpose_a, true),
               b = as_matrix(n.inputs[1], op.transpose_b, false);
  const double batch = double(element_count(broadcast_dims(a.batch, b.batch)));
  const bool one = b.batch.empty();  // one tall product
  return predict_product(parse_config(config, false).isa, one ? 1 : batch,
                         double(a.rows) * (one ? batch : 1), double(b.columns), double(a.columns),
                         packed_b, n.max_threads);
}
double matmul_predict(const BoundNode& n, const Config& config) {
  return predict_matmul(n, config, false);
}
double packed_matmul_predict(const BoundNode& n, const Config& config) {
  return predict_matmul(n, config, true);
}

int64_t matmul_workspace(const TacticState& bound) {
  return gemm_workspace_floats(static_cast<const MatMulBound*>(bound.get())->args) * 4;
}

void matmul_run(const TacticState& bound, const RunCall& call) {
  const auto& b = *static_cast<const MatMulBound*>(bound.get());
  GemmArgs g = b.args;
  if (g.m == 0 || g.n == 0 || g.batch == 0) return;
  g.a = call.inputs[0].as<float>();
  if (!g.packed_b) g.b = call.inputs[1].as<float>();
  g.c = call.outputs[0].as<float>();
  g.workspace = reinterpret_cast<float*>(call.workspace);
  g.max_threads = call.max_threads;
  EpilogueRun epilogue;
  g.epilogue = make_epilogue(b.epilogue, call, 2, g.n, epilogue);
  gemm(g);
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
     .configs = isa_config,
     .prepare = conv_prepare,
     .load = conv_load,
     .bind = conv_bind,
     .workspace = conv_workspace,
     .run = conv_run,
     .packed_inputs = 2,
     .strided_inputs = 1,
     .strided_outputs = 1,
     .overwrites = overwrites_residual},
    {.name = "cpu.matmul.packed",
     .op = MatMul::kName,
     .supports = packed_matmul_supports,
     .configs = isa_config,
     .prepare = matmul_prepare,
     .load = matmul_load,
     .bind = matmul_bind,
     .workspace = matmul_workspace,
     .run = matmul_run,
     .packed_inputs = 2,
     .strided_inputs = 1,
     .takes_permuted = packed_matmul_takes_permuted,
     .overwrites = overwrites_residual,
     .predict = packed_matmul_predict},
    {.name = "cpu.matmul",
     .op = MatMul::kName,
     .supports = matmul_supports,
     .configs = isa_config,
     .load = matmul_load,
     .bind = matmul_bind,
     .workspace = matmul_workspace,
     .run = matmul_run,
     .strided_inputs = 3,
     .takes_permuted = matmul_takes_permuted,
     .overwrites = overwrites_residual,
     .predict = matmul_predict},
};

}  // namespace

std::span<const Tactic> contraction_tactics() { return kRows; }

}  // namespace vitrify::cpu
