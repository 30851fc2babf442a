// Sample cases of movement.h's ops.
#include "ops/movement.h"
#include "ops/samples.h"

namespace vitrify {

namespace {
constexpr DType kMovedTypes[] = {DType::kFloat32, DType::kFloat16, DType::kInt64, DType::kUint8,
                                 DType::kBool,    DType::kString,  DType::kInt4,  DType::kFloat64};

/// The type of the i-th case, so that the types take turns.
DType type_at(size_t i) { return kMovedTypes[i % std::size(kMovedTypes)]; }

std::vector<Dim> dims_of(const Dims& values) { return to_shape(values); }
}  // namespace

std::vector<Sample> samples_transpose(uint64_t seed) {
  SampleRandom random(seed);
  const std::pair<Dims, Ints> cases[] = {
      {{}, {}},
      {{7}, {0}},
      {{3, 5}, {1, 0}},
      {{17, 33}, {1, 0}},
      {{2, 3, 5}, {2, 0, 1}},
      {{1, 3, 7, 5}, {0, 2, 3, 1}},
      {{2, 7, 5, 3}, {0, 3, 1, 2}},
      {{2, 3, 0, 5}, {3, 1, 0, 2}},
      {{2, 3, 4, 5}, {0, 2, 1, 3}},
      {{2, 1, 3, 1, 5}, {4, 1, 0, 3, 2}},
      {{2, 3, 2, 3, 2}, {0, 1, 4, 2, 3}},
  };
  std::vector<Sample> samples;
  size_t i = 0;
  for (const auto& [dims, permutation] : cases)
    for (DType dtype : {DType::kFloat32, type_at(i++)})
      samples.push_back({Transpose{permutation}, {random_tensor(random, dtype, dims)}});
  return samples;
}

std::vector<Sample> samples_reshape(uint64_t seed) {
  SampleRandom random(seed);
  const std::pair<Dims, Dims> cases[] = {
      {{}, {1, 1}},        {{6}, {2, 3}}, {{2, 3, 5}, {6, 5}}, {{2, 15}, {2, 3, 5, 1}},
      {{0, 3}, {3, 0, 2}},
  };
  std::vector<Sample> samples;
  size_t i = 0;
  for (const auto& [from, to] : cases)
    samples.push_back({Reshape{dims_of(to), false}, {random_tensor(random, type_at(i++), from)}});
  samples.push_back(
      {Reshape{}, {random_tensor(random, DType::kFloat32, {2, 3, 4}), Tensor::ints({0, -1})}});
  samples.push_back(
      {Reshape{{}, true}, {random_tensor(random, DType::kInt4, {3, 0, 5}), Tensor::ints({5, 0})}});
  return samples;
}

std::vector<Sample> samples_expand(uint64_t seed) {
  SampleRandom random(seed);
  const std::pair<Dims, Dims> cases[] = {
      {{}, {3}},
      {{1}, {2, 5}},
      {{3, 1}, {3, 7}},
      {{5}, {2, 1}},
      {{1, 3, 1}, {}},
      {{2, 1, 3}, {0, 1}},
      {{1, 2, 1, 3}, {4, 1, 5, 1}},
  };
  std::vector<Sample> samples;
  size_t i = 0;
  for (const auto& [from, to] : cases) {
    if (from == Dims{2, 1, 3}) {
      samples.push_back(
          {Expand{dims_of({0, 2, 1, 1})}, {random_tensor(random, DType::kFloat32, from)}});
      continue;
    }
    Tensor x = random_tensor(random, type_at(i++), from);
    samples.push_back({Expand{dims_of(to)}, {x}});
    samples.push_back({Expand{}, {x, Tensor::ints(to)}});
  }
  return samples;
}

std::vector<Sample> samples_squeeze(uint64_t seed) {
  SampleRandom random(seed);
  Tensor x = random_tensor(random, DType::kFloat32, {1, 3, 1, 2});
  return {{Squeeze{{0, 2}}, {x}},
          {Squeeze{}, {x}},
          {Squeeze{}, {x, Tensor::ints({-2})}},
          {Squeeze{{0}}, {random_tensor(random, DType::kString, {1, 0})}}};
}

std::vector<Sample> samples_unsqueeze(uint64_t seed) {
  SampleRandom random(seed);
  Tensor x = random_tensor(random, DType::kFloat32, {3, 2});
  return {{Unsqueeze{{0, 3}}, {x}},
          {Unsqueeze{}, {x, Tensor::ints({-1, 1})}},
          {Unsqueeze{{0}}, {random_tensor(random, DType::kInt4, {})}}};
}

std::vector<Sample> samples_concat(uint64_t seed) {
  SampleRandom random(seed);
  struct Case {
    int64_t axis;
    std::vector<Dims> inputs;
  };
  const Case cases[] = {
      {0, {{3}, {0}, {5}}},
      {0, {{2, 3}, {1, 3}}},
      {1, {{2, 3, 5}, {2, 4, 5}, {2, 1, 5}}},
      {2, {{1, 2, 3}, {1, 2, 4}}},
      {3, {{2, 3, 5, 7}, {2, 3, 5, 1}}},
      {1, {{0, 2}, {0, 3}}},
      {0, {{4, 1}}},
      {4, {{1, 2, 1, 2, 3}, {1, 2, 1, 2, 2}}},
  };
  std::vector<Sample> samples;
  size_t i = 0;
  for (const Case& c : cases)
    for (DType dtype : {DType::kFloat32, type_at(i++)}) {
      std::vector<Tensor> inputs;
      for (const Dims& dims : c.inputs) inputs.push_back(random_tensor(random, dtype, dims));
      samples.push_back({Concat{c.axis}, std::move(inputs)});
    }
  return samples;
}

std::vector<Sample> samples_slice(uint64_t seed) {
  SampleRandom random(seed);
  struct Case {
    Dims dims;
    Ints axes, begins, sizes, steps;
  };
  const Case cases[] = {
      {{7}, {0}, {2}, {3}, {1}},
      {{7}, {0}, {6}, {4}, {-2}},
      {{5, 9}, {0, 1}, {1, 0}, {3, 5}, {1, 2}},
      {{2, 3, 5}, {2}, {4}, {5}, {-1}},
      {{2, 3, 5}, {1}, {0}, {0}, {1}},
      {{1, 8, 6, 3}, {1, 2}, {1, 1}, {4, 3}, {2, 2}},
      {{2, 3, 4, 5}, {3}, {1}, {3}, {1}},
      {{2, 3, 2, 3, 2}, {0, 4}, {1, 0}, {1, 1}, {1, 1}},
  };
  std::vector<Sample> samples;
  size_t i = 0;
  for (const Case& c : cases)
    for (DType dtype : {DType::kFloat32, type_at(i++)})
      samples.push_back({Slice{c.axes, dims_of(c.begins), dims_of(c.sizes), c.steps},
                         {random_tensor(random, dtype, c.dims)}});
  return samples;
}

std::vector<Sample> samples_slice_dynamic(uint64_t seed) {
  SampleRandom random(seed);
  Tensor x = random_tensor(random, DType::kFloat32, {5, 7});
  auto ints = [](Ints v) { return Tensor::ints(v); };
  return {
      {SliceDynamic{}, {x, ints({1, 2}), ints({4, 6})}},
      {SliceDynamic{}, {x, ints({-3}), ints({INT64_MAX}), ints({-1})}},
      {SliceDynamic{}, {x, ints({-1}), ints({INT64_MIN}), ints({0}), ints({-2})}},
      {SliceDynamic{}, {x, ints({20, -20}), ints({1, 3}), ints({1, 0}), ints({-3, 1})}},
      {SliceDynamic{}, {x, ints({3}), ints({3}), ints({1}), ints({1})}},
      {SliceDynamic{},
       {random_tensor(random, DType::kString, {4}), ints({1}), ints({3}), ints({0}), ints({1})}},
  };
}

std::vector<Sample> samples_pad(uint64_t seed) {
  SampleRandom random(seed);
  struct Case {
    Dims dims;
    Ints pads;
    bool all_modes;
  };
  const Case cases[] = {
      {{5}, {2, 1}, true},
      {{3, 4}, {1, 2, 0, 3}, true},
      {{3, 4}, {-1, 2, 1, -2}, true},
      {{2, 3}, {5, 0, 7, 8}, true},
      {{1, 3, 5, 2}, {0, 1, 2, 0, 0, 1, 2, 0}, true},
      {{2, 0}, {1, 1, 0, 2}, false},
      {{}, {}, true},
      {{4}, {-3, -1}, false},
      {{2, 1, 3, 1, 2}, {0, 1, 0, 0, 1, 1, 0, 0, 2, 0}, true},
  };
  std::vector<Sample> samples;
  size_t i = 0;
  for (const Case& c : cases)
    for (auto mode :
         {Pad::Mode::kConstant, Pad::Mode::kReflect, Pad::Mode::kEdge, Pad::Mode::kWrap}) {
      if (mode != Pad::Mode::kConstant && !c.all_modes) continue;
      DType dtype = i % 2 ? type_at(i / 2) : DType::kFloat32;
      Tensor x = random_tensor(random, dtype, c.dims), value = random_tensor(random, dtype, {});
      if (i % 3 == 0)
        samples.push_back({Pad{mode, dims_of(c.pads)}, {x}});
      else if (i % 3 == 1)
        samples.push_back({Pad{mode, dims_of(c.pads)}, {x, value}});
      else
        samples.push_back({Pad{mode, {}}, {x, value, Tensor::ints(c.pads)}});
      ++i;
    }
  return samples;
}

std::vector<Sample> samples_tile(uint64_t seed) {
  SampleRandom random(seed);
  const std::pair<Dims, Ints> cases[] = {
      {{}, {}},
      {{3}, {4}},
      {{2, 3}, {2, 1}},
      {{2, 3}, {1, 3}},
      {{2, 3, 5}, {3, 0, 2}},
      {{1, 3, 1, 2}, {2, 2, 3, 1}},
  };
  std::vector<Sample> samples;
  size_t i = 0;
  for (const auto& [dims, repeats] : cases)
    for (DType dtype : {DType::kFloat32, type_at(i++)})
      samples.push_back({Tile{}, {random_tensor(random, dtype, dims), Tensor::ints(repeats)}});
  return samples;
}

}  // namespace vitrify
