#include "ops/epilogue.h"
#include "ops/pool.h"
#include "ops/samples.h"

namespace vitrify {

namespace {

struct Case {
  Dims x;  ///< [N, spatial…, C]
  Window window;
};

std::vector<Case> pool_cases() {
  return {
      {{1, 6, 6, 3}, {.kernel = {2, 2}, .strides = {2, 2}}},
      {{2, 7, 8, 17},
       {.kernel = {3, 3}, .strides = {2, 2}, .pads_begin = {1, 1}, .pads_end = {1, 1}}},
      {{2, 7, 8, 5},
       {.kernel = {3, 2},
        .strides = {2, 3},
        .pads_begin = {1, 0},
        .pads_end = {0, 1},
        .ceil_mode = true}},
      {{1, 9, 9, 2}, {.kernel = {2, 3}, .dilations = {3, 2}}},
      {{1, 7, 7, 4},
       {.kernel = {3, 3}, .strides = {2, 2}, .auto_pad = Window::AutoPad::kSameUpper}},
      {{1, 6, 5, 4},
       {.kernel = {2, 4}, .strides = {1, 3}, .auto_pad = Window::AutoPad::kSameLower}},
      {{1, 7, 7, 19}, {.kernel = {7, 7}}},
      {{2, 11, 3}, {.kernel = {4}, .strides = {3}, .pads_begin = {2}, .pads_end = {1}}},
      {{1, 4, 5, 6, 2},
       {.kernel = {2, 3, 2},
        .strides = {1, 2, 2},
        .pads_begin = {0, 1, 0},
        .pads_end = {1, 1, 0},
        .ceil_mode = true}},
      {{0, 5, 5, 3}, {.kernel = {3, 3}}},
  };
}

/// The same case channels first.
Dims channels_first(const Dims& x) {
  Dims dims{x.front(), x.back()};
  dims.insert(dims.end(), x.begin() + 1, x.end() - 1);
  return dims;
}

}  // namespace

std::vector<Sample> samples_pool(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  auto add = [&](Pool op, const Case& c, DType d) {
    op.window = c.window;
    samples.push_back({op, {random_tensor(random, d, c.x)}});
    op.epilogue = bias_relu(d);
    samples.push_back({op, {samples.back().inputs[0], random_tensor(random, d, {c.x.back()})}});
  };
  const Pool kinds[] = {{.kind = Pool::Kind::kMax},
                        {.kind = Pool::Kind::kAverage},
                        {.kind = Pool::Kind::kAverage, .count_include_pad = true},
                        {.kind = Pool::Kind::kLp, .p = 1},
                        {.kind = Pool::Kind::kLp, .p = 3}};
  auto cases = pool_cases();
  for (const Pool& kind : kinds)
    for (const Case& c : cases) add(kind, c, DType::kFloat32);
  for (DType d : {DType::kFloat16, DType::kFloat64, DType::kBFloat16})
    for (const Pool& kind : kinds) add(kind, cases[2], d);
  for (DType d : {DType::kInt8, DType::kUint8}) add(kinds[0], cases[1], d);
  samples.push_back({kinds[0], {special_tensor(random, DType::kFloat32, cases[1].x)}});
  samples.back().op.as<Pool>()->window = cases[1].window;
  return samples;
}

std::vector<Sample> samples_max_pool_indices(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  for (const Case& c : pool_cases())
    for (bool columns : {false, true})
      for (DType d : {DType::kFloat32, DType::kFloat16, DType::kFloat64, DType::kInt8})
        samples.push_back({MaxPoolIndices{c.window, columns},
                           {random_tensor(random, d, channels_first(c.x))},
                           2});
  return samples;
}

std::vector<Sample> samples_max_unpool(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  auto indices = [&](const Dims& dims, int64_t step) {
    Tensor t(DType::kInt64, dims);
    for (int64_t i = 0; i < t.size(); ++i) set_int(t, i, i * step + random.integer(0, step - 1));
    return t;
  };
  for (DType d : {DType::kFloat32, DType::kFloat64, DType::kFloat16}) {
    Window window{.kernel = {2, 2}, .strides = {2, 2}};
    Tensor x = random_tensor(random, d, {1, 2, 3, 2});
    samples.push_back({MaxUnpool{window}, {x, indices(x.dims(), 4)}});
    samples.push_back({MaxUnpool{window}, {x, indices(x.dims(), 4), Tensor::ints({1, 2, 7, 5})}});
  }
  return samples;
}

}  // namespace vitrify
