// Samples and cost of regions. The samples are convolutions with a pool on them, the form that
// passes make.
#include <algorithm>

#include "base/error.h"
#include "ops/control.h"
#include "ops/epilogue.h"
#include "ops/interpreter.h"
#include "ops/samples.h"
#include "ops/table.h"

namespace vitrify {

namespace {

constexpr DType kF32 = DType::kFloat32;

struct ConvCase {
  Dims x, w;
  Window window;
  int64_t group = 1;
};

std::vector<ConvCase> conv_cases() {
  return {
      {{2, 21, 9, 3},
       {18, 3, 7, 5},
       {.kernel = {7, 5}, .strides = {2, 1}, .pads_begin = {3, 2}, .pads_end = {3, 2}}},
      {{1, 13, 14, 17},
       {20, 17, 3, 3},
       {.kernel = {3, 3}, .pads_begin = {1, 1}, .pads_end = {1, 1}}},
      {{1, 11, 6, 16}, {33, 16, 1, 1}, {.kernel = {1, 1}}},
      {{2, 12, 7, 6},
       {8, 3, 3, 2},
       {.kernel = {3, 2}, .dilations = {2, 3}, .pads_begin = {2, 1}, .pads_end = {0, 2}},
       2},
      {{1, 10, 9, 19},
       {19, 1, 3, 3},
       {.kernel = {3, 3}, .pads_begin = {1, 0}, .pads_end = {1, 2}},
       19},
      {{1, 11, 12, 5},
       {7, 5, 3, 3},
       {.kernel = {3, 3}, .strides = {2, 2}, .auto_pad = Window::AutoPad::kSameLower}},
      {{0, 9, 9, 3}, {4, 3, 3, 3}, {.kernel = {3, 3}}},
  };
}

std::vector<Window> pool_windows() {
  return {
      {.kernel = {2, 2}, .strides = {2, 2}},
      {.kernel = {3, 3}, .strides = {2, 2}, .pads_begin = {1, 1}, .pads_end = {1, 1}},
      {.kernel = {3, 2}, .strides = {1, 2}, .ceil_mode = true},
      {.kernel = {2, 2},
       .strides = {3, 2},
       .dilations = {2, 3},
       .pads_begin = {1, 1},
       .pads_end = {1, 1},
       .ceil_mode = true},
      {.kernel = {3, 3}, .strides = {2, 1}, .auto_pad = Window::AutoPad::kSameUpper},
      {.kernel = {2, 1}, .strides = {4, 1}},
  };
}

/// relu(main + a) times b: no form that kernels run in registers.
Body odd_body() {
  Body body = bias_relu(kF32);
  body.inputs = 3;
  for (BodyStep& s : body.steps)
    for (int32_t& arg : s.args)
      if (arg >= 2) ++arg;
  body.steps.push_back({.code = BodyStep::Code::kBinary,
                        .binary = BinaryKind::kMul,
                        .args = {4, 2, -1},
                        .dtype = kF32});
  return body;
}

/// conv, then pool, on constants of the sample's own; operands of the epilogues as given.
class RegionSample {
 public:
  RegionSample(SampleRandom& random, const ConvCase& c) : random_(random), b_(make_builder()) {
    conv_ = {take(random_tensor(random, kF32, c.x)), take(random_tensor(random, kF32, c.w))};
    op_ = {c.window, c.group, {}};
    dims_ = dims_of(b_.add(op_, conv_));
  }
  /// Extents of the convolution's result.
  const Dims& dims() const { return dims_; }
  std::vector<Tensor>& inputs() { return inputs_; }
  void conv_epilogue(Body body, const std::vector<Dims>& operands) {
    op_.epilogue = std::move(body);
    for (const Dims& d : operands) conv_.push_back(take(random_tensor(random_, kF32, d)));
  }
  Sample finish(Pool pool, bool pool_bias) {
    std::vector<ValueId> pool_inputs{{}};
    if (pool_bias) {
      pool.epilogue = bias_relu(kF32);
      pool_inputs.push_back(take(random_tensor(random_, kF32, {dims_.back()})));
    }
    pool_inputs[0] = b_.add(op_, conv_);
    b_.output("y", b_.add(pool, pool_inputs));
    return {Region{std::make_shared<const Graph>(b_.finish())}, inputs_};
  }

 private:
  ValueId take(Tensor t) {
    inputs_.push_back(t);
    return b_.input(cat("x", inputs_.size()), t.type());
  }
  Dims dims_of(ValueId v) const {
    Dims dims;
    for (const Dim& d : *b_.type(v).shape) dims.push_back(d.value());
    return dims;
  }
  SampleRandom& random_;
  GraphBuilder b_;
  std::vector<Tensor> inputs_;
  std::vector<ValueId> conv_;
  Conv op_;
  Dims dims_;
};

}  // namespace

std::vector<Sample> samples_region(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  int turn = 0;
  for (const ConvCase& c : conv_cases())
    for (const Window& w : pool_windows()) {
      RegionSample s(random, c);
      const Dims full = s.dims();
      if (++turn % 4 == 1) s.conv_epilogue(bias_relu(kF32), {{full.back()}});
      if (turn % 4 == 2) s.conv_epilogue(bias_relu(kF32), {full});
      if (turn % 4 == 3) s.conv_epilogue(odd_body(), {{full[1], 1, 1}, full});
      // (What is infinite spreads over the tiles of a fast 3x3 convolution.)
      const bool fast = c.group == 1 && c.window.kernel == Ints{3, 3};
      if (turn % 5 == 0 && !fast) s.inputs()[0] = special_tensor(random, kF32, c.x);
      Pool pool{turn % 3 ? Pool::Kind::kMax : Pool::Kind::kAverage, w, turn % 2 == 0};
      samples.push_back(s.finish(std::move(pool), turn % 3 == 1));
    }
  return samples;
}

Cost cost_region(const Op& op, std::span<const Dims> inputs, std::span<const Dims> outputs) {
  const Graph& g = *op.as<Region>()->graph;
  Bindings known;
  for (size_t i = 0; i < g.inputs.size(); ++i)
    if (const Type& t = g.type(g.inputs[i].value); t.has_rank())
      for (size_t a = 0; a < std::min(t.shape->size(), inputs[i].size()); ++a)
        if (const Dim& d = (*t.shape)[a]; d.is_symbol())
          known.emplace(d.symbol_name(), inputs[i][a]);
  auto dims_of = [&](ValueId v) {
    Dims dims;
    if (!v.valid() || !g.type(v).has_rank()) return dims;
    for (const Dim& d : *g.type(v).shape)
      dims.push_back(d.eval([&](const std::string& s) {
        auto at = known.find(s);
        return at == known.end() ? int64_t{1} : at->second;  // known to a run alone
      }));
    return dims;
  };
  Cost cost;
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    const OpInfo& info = op_info(g.nodes[n].op);
    if (!info.cost) continue;
    std::vector<Dims> in, out;
    for (ValueId v : g.nodes[n].inputs) in.push_back(dims_of(v));
    for (size_t o = 0; o < g.nodes[n].types.size(); ++o)
      out.push_back(dims_of({int32_t(n), int32_t(o)}));
    cost.flops += info.cost(g.nodes[n].op, in, out).flops;
  }
  for (const auto& list : {inputs, outputs})
    for (const Dims& d : list) cost.bytes += 4 * double(element_count(d));
  return cost;
}

}  // namespace vitrify
