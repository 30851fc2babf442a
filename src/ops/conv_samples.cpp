#include "ops/conv.h"
#include "ops/epilogue.h"
#include "ops/samples.h"

namespace vitrify {

namespace {

constexpr auto kUpper = Window::AutoPad::kSameUpper;
constexpr auto kLower = Window::AutoPad::kSameLower;

struct Case {
  Dims x, w;
  Window window;
  int64_t group = 1;
};

/// x is [N, spatial…, C], w is [M, C/group, k…].
std::vector<Case> conv_cases() {
  return {
      {{1, 5, 5, 3}, {4, 3, 3, 3}, {.kernel = {3, 3}}},
      {{2, 7, 6, 3},
       {5, 3, 3, 2},
       {.kernel = {3, 2},
        .strides = {2, 1},
        .dilations = {1, 2},
        .pads_begin = {1, 0},
        .pads_end = {0, 2}}},
      {{1, 9, 9, 16}, {32, 16, 1, 1}, {.kernel = {1, 1}}},
      {{1, 8, 8, 16}, {17, 16, 1, 1}, {.kernel = {1, 1}, .strides = {2, 2}}},
      {{1, 12, 13, 8}, {16, 8, 3, 3}, {.kernel = {3, 3}, .pads_begin = {1, 1}, .pads_end = {1, 1}}},
      {{1, 15, 14, 3},
       {8, 3, 7, 7},
       {.kernel = {7, 7}, .strides = {2, 2}, .pads_begin = {3, 3}, .pads_end = {3, 3}}},
      {{1, 7, 7, 4}, {6, 4, 3, 3}, {.kernel = {3, 3}, .strides = {2, 2}, .auto_pad = kUpper}},
      {{1, 6, 8, 4}, {6, 4, 2, 4}, {.kernel = {2, 4}, .strides = {1, 3}, .auto_pad = kLower}},
      {{2, 6, 6, 6}, {9, 2, 3, 3}, {.kernel = {3, 3}, .pads_begin = {1, 1}, .pads_end = {1, 1}}, 3},
      {{2, 9, 8, 33},
       {33, 1, 3, 3},
       {.kernel = {3, 3}, .pads_begin = {1, 1}, .pads_end = {1, 1}},
       33},
      {{1, 9, 8, 16},
       {16, 1, 5, 5},
       {.kernel = {5, 5}, .strides = {2, 2}, .pads_begin = {2, 2}, .pads_end = {2, 2}},
       16},
      {{1, 6, 6, 5}, {10, 1, 3, 3}, {.kernel = {3, 3}}, 5},
      {{2, 11, 3}, {4, 3, 4}, {.kernel = {4}, .strides = {3}, .pads_begin = {2}, .pads_end = {1}}},
      {{1, 4, 5, 6, 2},
       {3, 2, 2, 3, 2},
       {.kernel = {2, 3, 2}, .strides = {1, 2, 2}, .pads_begin = {0, 1, 0}, .pads_end = {1, 1, 0}}},
      {{0, 5, 5, 3}, {4, 3, 3, 3}, {.kernel = {3, 3}}},
      {{1, 2, 2, 3}, {4, 3, 3, 3}, {.kernel = {3, 3}}},
      {{1, 4, 4, 2},
       {2, 2, 3, 3},
       {.kernel = {3, 3}, .dilations = {3, 3}, .pads_begin = {3, 3}, .pads_end = {3, 3}}},
  };
}

}  // namespace

std::vector<Sample> samples_conv(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  std::vector<Case> cases = conv_cases();
  auto add = [&](const Case& c, DType x, DType w) {
    samples.push_back({Conv{c.window, c.group, {}},
                       {random_tensor(random, x, c.x), random_tensor(random, w, c.w)}});
  };
  for (const Case& c : cases) add(c, DType::kFloat32, DType::kFloat32);
  for (DType d : {DType::kFloat16, DType::kBFloat16, DType::kFloat64, DType::kInt32, DType::kUint8,
                  DType::kInt8})
    for (size_t i : {1u, 2u, 8u, 9u}) add(cases[i], d, d);
  for (size_t i : {1u, 4u, 9u}) add(cases[i], DType::kUint8, DType::kInt8);
  for (DType d : {DType::kFloat32, DType::kFloat16})
    for (size_t i : {1u, 2u, 4u, 8u, 9u, 12u}) {
      const Case& c = cases[i];
      samples.push_back({Conv{c.window, c.group, bias_relu(d)},
                         {random_tensor(random, d, c.x), random_tensor(random, d, c.w),
                          random_tensor(random, d, {c.w[0]})}});
    }
  DType f32 = DType::kFloat32;
  samples.push_back(
      {Conv{cases[4].window, 1, two_results(f32)},
       {random_tensor(random, f32, cases[4].x), random_tensor(random, f32, cases[4].w),
        random_tensor(random, f32, {1, 12, 13, 16})},
       2});
  return samples;
}

std::vector<Sample> samples_conv_transpose(uint64_t seed) {
  struct Transposed {
    Case c;  // w is [C, M/group, k…]
    Ints output_padding, output_shape;
  };
  const Transposed cases[] = {
      {{{1, 3, 3, 2}, {2, 4, 3, 3}, {.kernel = {3, 3}}}, {}, {}},
      {{{2, 4, 5, 3},
        {3, 2, 2, 3},
        {.kernel = {2, 3},
         .strides = {2, 3},
         .dilations = {2, 1},
         .pads_begin = {1, 0},
         .pads_end = {0, 1}}},
       {1, 2},
       {}},
      {{{1, 4, 4, 4}, {4, 3, 2, 2}, {.kernel = {2, 2}, .strides = {2, 2}}, 2}, {}, {}},
      {{{1, 5, 5, 6},
        {6, 1, 3, 3},
        {.kernel = {3, 3}, .strides = {2, 2}, .pads_begin = {1, 1}, .pads_end = {1, 1}},
        6},
       {1, 1},
       {}},
      {{{1, 3, 4, 2}, {2, 3, 3, 3}, {.kernel = {3, 3}, .strides = {3, 2}, .auto_pad = kUpper}},
       {},
       {}},
      {{{1, 3, 3, 2}, {2, 3, 3, 3}, {.kernel = {3, 3}, .strides = {3, 2}}}, {}, {10, 8}},
      {{{2, 5, 3}, {3, 4, 3}, {.kernel = {3}, .strides = {2}, .auto_pad = kLower}}, {}, {}},
      {{{1, 2, 3, 2, 2}, {2, 3, 2, 2, 3}, {.kernel = {2, 2, 3}, .strides = {1, 2, 1}}}, {}, {}},
      {{{0, 3, 3, 2}, {2, 4, 3, 3}, {.kernel = {3, 3}}}, {}, {}},
  };
  SampleRandom random(seed);
  std::vector<Sample> samples;
  for (DType d : {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16})
    for (const Transposed& t : cases) {
      ConvTranspose op{t.c.window, t.c.group, t.output_padding, t.output_shape, {}};
      samples.push_back({op, {random_tensor(random, d, t.c.x), random_tensor(random, d, t.c.w)}});
      op.epilogue = bias_relu(d);
      Sample fused{op, samples.back().inputs};
      fused.inputs.push_back(random_tensor(random, d, {t.c.w[1] * t.c.group}));
      samples.push_back(fused);
    }
  return samples;
}

std::vector<Sample> samples_deform_conv(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  for (DType d : {DType::kFloat32, DType::kFloat64, DType::kFloat16}) {
    auto drawn = [&](const Dims& dims) { return random_tensor(random, d, dims); };
    samples.push_back({DeformConv{{.kernel = {2, 2}}},
                       {drawn({1, 2, 5, 4}), drawn({3, 2, 2, 2}), drawn({1, 8, 4, 3})}});
    Window window{.kernel = {3, 2},
                  .strides = {2, 1},
                  .dilations = {1, 2},
                  .pads_begin = {1, 1},
                  .pads_end = {1, 0}};
    samples.push_back({DeformConv{window, 2, 2},
                       {drawn({2, 4, 6, 5}), drawn({6, 2, 3, 2}), drawn({2, 24, 3, 4}), drawn({6}),
                        drawn({2, 12, 3, 4})}});
  }
  return samples;
}

}  // namespace vitrify
