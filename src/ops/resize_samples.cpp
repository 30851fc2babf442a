#include "ops/resize.h"
#include "ops/samples.h"

namespace vitrify {

namespace {

Tensor floats(const std::vector<float>& values) {
  return Tensor::of(DType::kFloat32, {int64_t(values.size())}, values);
}

struct Target {
  std::vector<float> scales;
  Ints sizes;
};

Sample make_sample(const Resize& op, const Tensor& x, const Target& target) {
  Tensor none = Tensor::of(DType::kFloat32, {0}, std::vector<float>{});
  bool crop = op.coordinates == Resize::Coordinates::kTfCropAndResize;
  Tensor roi = crop ? floats({0.1f, -0.2f, 0.8f, 1.3f}) : none;
  if (target.sizes.empty()) return {op, {x, roi, floats(target.scales)}};
  return {op, {x, roi, none, Tensor::ints(target.sizes)}};
}

}  // namespace

std::vector<Sample> samples_resize(uint64_t seed) {
  using Mode = Resize::Mode;
  SampleRandom random(seed);
  std::vector<Sample> samples;
  Tensor nhwc = random_tensor(random, DType::kFloat32, {2, 5, 6, 3});
  Tensor nchw = random_tensor(random, DType::kFloat32, {1, 3, 5, 6});
  const Target targets[] = {{{2, 2}, {}}, {{0.6f, 1.7f}, {}}, {{}, {3, 11}}, {{}, {1, 1}}};
  for (Mode mode : {Mode::kNearest, Mode::kLinear, Mode::kCubic})
    for (int c = 0; c <= int(Resize::Coordinates::kTfHalfPixelNN); ++c)
      for (const Target& target : targets) {
        Resize op{.mode = mode, .coordinates = Resize::Coordinates(c), .axes = {1, 2}};
        op.nearest = Resize::Nearest(c % 4), op.extrapolation = 7;
        samples.push_back(make_sample(op, nhwc, target));
        op.axes = {2, 3};
        samples.push_back(make_sample(op, nchw, target));
      }
  for (Mode mode : {Mode::kLinear, Mode::kCubic})
    for (const Target& target : targets) {
      Resize op{.mode = mode, .axes = {2, 3}, .exclude_outside = true};
      samples.push_back(make_sample(op, nchw, target));
      op.antialias = true;
      samples.push_back(make_sample(op, nchw, target));
    }
  for (auto aspect : {Resize::Aspect::kNotLarger, Resize::Aspect::kNotSmaller})
    samples.push_back(
        make_sample({.mode = Mode::kLinear, .aspect = aspect, .axes = {2, 3}}, nchw, targets[2]));
  for (DType d : {DType::kFloat16, DType::kFloat64, DType::kInt8, DType::kUint8, DType::kInt32})
    for (Mode mode : {Mode::kNearest, Mode::kLinear}) {
      Tensor x = random_tensor(random, d, {4, 3}, -100, 100);
      samples.push_back(make_sample({.mode = mode, .axes = {0, 1}}, x, targets[0]));
    }
  return samples;
}

std::vector<Sample> samples_grid_sample(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  auto add = [&](const GridSample& op, DType d, const Dims& x, const Dims& grid) {
    samples.push_back(
        {op, {random_tensor(random, d, x), random_tensor(random, d, grid, -1.5, 1.5)}});
  };
  for (int mode = 0; mode < 3; ++mode)
    for (int padding = 0; padding < 3; ++padding)
      for (bool align : {false, true}) {
        GridSample op{GridSample::Mode(mode), GridSample::Padding(padding), align};
        add(op, DType::kFloat32, {2, 3, 4, 5}, {2, 3, 6, 2});
        add(op, DType::kFloat64, {1, 2, 3, 4, 2}, {1, 2, 3, 2, 3});
        add(op, DType::kFloat16, {1, 2, 4, 4}, {1, 3, 3, 2});
      }
  add({}, DType::kFloat32, {1, 2, 4, 4}, {1, 0, 3, 2});
  return samples;
}

}  // namespace vitrify
