// Sample cases of gather.h's ops.
#include "ops/gather.h"
#include "ops/samples.h"

namespace vitrify {

namespace {
constexpr DType kTypes[] = {DType::kFloat32, DType::kInt64, DType::kFloat16, DType::kString,
                            DType::kInt4,    DType::kBool,  DType::kFloat64, DType::kUint8};
DType type_at(size_t i) { return kTypes[i % std::size(kTypes)]; }

/// Indices into an axis, negative ones among them.
Tensor random_indices(SampleRandom& random, const Dims& dims, int64_t extent,
                      DType dtype = DType::kInt64) {
  Tensor t(dtype, dims);
  for (int64_t i = 0; i < t.size(); ++i) set_int(t, i, random.integer(-extent, extent - 1));
  return t;
}

/// Distinct indices 0 … count - 1 in a random order.
std::vector<int64_t> shuffled(SampleRandom& random, int64_t count) {
  std::vector<int64_t> v(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) v[size_t(i)] = i;
  for (int64_t i = count - 1; i > 0; --i) std::swap(v[size_t(i)], v[size_t(random.integer(0, i))]);
  return v;
}
}  // namespace

std::vector<Sample> samples_gather(uint64_t seed) {
  SampleRandom random(seed);
  struct Case {
    Dims data;
    int64_t axis;
    Dims indices;
  };
  const Case cases[] = {
      {{7}, 0, {}},           {{7}, 0, {3}},          {{11, 5}, 0, {2, 3}}, {{3, 7, 2}, 1, {4}},
      {{2, 3, 5}, 2, {1, 2}}, {{3, 0}, 0, {2}},       {{4, 3}, 1, {0}},     {{2, 3, 2, 3}, 3, {}},
      {{2, 3, 4}, 1, {}},     {{1, 9}, 1, {2, 2, 2}},
  };
  std::vector<Sample> samples;
  size_t i = 0;
  for (const Case& c : cases)
    for (DType dtype : {DType::kFloat32, type_at(i++)})
      samples.push_back({Gather{c.axis},
                         {random_tensor(random, dtype, c.data),
                          random_indices(random, c.indices, c.data[size_t(c.axis)],
                                         i % 2 ? DType::kInt64 : DType::kInt32)}});
  return samples;
}

std::vector<Sample> samples_gather_elements(uint64_t seed) {
  SampleRandom random(seed);
  struct Case {
    Dims data;
    int64_t axis;
    Dims indices;
  };
  const Case cases[] = {
      {{5}, 0, {7}},       {{3, 4}, 1, {3, 2}}, {{3, 4}, 0, {5, 3}}, {{2, 3, 5}, 2, {2, 3, 1}},
      {{2, 3}, 1, {0, 3}},
  };
  std::vector<Sample> samples;
  size_t i = 0;
  for (const Case& c : cases)
    for (DType dtype : {DType::kFloat32, type_at(i++)})
      samples.push_back({GatherElements{c.axis},
                         {random_tensor(random, dtype, c.data),
                          random_indices(random, c.indices, c.data[size_t(c.axis)])}});
  return samples;
}

std::vector<Sample> samples_gather_nd(uint64_t seed) {
  SampleRandom random(seed);
  struct Case {
    Dims data;
    int64_t batch;
    Dims indices;
  };
  const Case cases[] = {
      {{3, 3}, 0, {4, 2}},       {{3, 3, 2}, 0, {2, 1}}, {{2, 3, 3}, 1, {2, 1}},
      {{2, 3, 3}, 1, {2, 4, 2}}, {{3, 3}, 0, {0, 2}},    {{3, 3, 5}, 0, {2}},
  };
  std::vector<Sample> samples;
  size_t i = 0;
  for (const Case& c : cases)
    for (DType dtype : {DType::kFloat32, type_at(i++)})
      samples.push_back(
          {GatherND{c.batch},
           {random_tensor(random, dtype, c.data), random_indices(random, c.indices, 3)}});
  return samples;
}

std::vector<Sample> samples_scatter_elements(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  for (int k = 0; k < 5; ++k) {
    auto reduction = ScatterReduction(k);
    for (DType dtype : {DType::kFloat32, DType::kInt32, DType::kFloat16, DType::kUint64}) {
      // Without a reduction indices must be distinct: the last writer is not defined otherwise.
      Tensor at = k ? random_indices(random, {2, 6}, 5) : Tensor::ints(shuffled(random, 5));
      Tensor data = random_tensor(random, dtype, k ? Dims{3, 5} : Dims{5});
      samples.push_back({ScatterElements{k ? 1 : 0, reduction},
                         {data, at, random_tensor(random, dtype, at.dims())}});
    }
  }
  samples.push_back({ScatterElements{0, ScatterReduction::kNone},
                     {random_tensor(random, DType::kString, {3}), Tensor::ints({-1}),
                      random_tensor(random, DType::kString, {1})}});
  samples.push_back({ScatterElements{0, ScatterReduction::kAdd},
                     {random_tensor(random, DType::kInt64, {3}), Tensor::ints({1, 1}),
                      random_tensor(random, DType::kInt64, {2})}});
  samples.push_back({ScatterElements{0, ScatterReduction::kAdd},
                     {random_tensor(random, DType::kFloat32, {3, 2}), Tensor(DType::kInt64, {0, 2}),
                      Tensor(DType::kFloat32, {0, 2})}});
  return samples;
}

std::vector<Sample> samples_scatter_nd(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  for (int k = 0; k < 5; ++k)
    for (DType dtype : {DType::kFloat32, DType::kInt64, DType::kBFloat16}) {
      Tensor at = Tensor::ints(shuffled(random, 4)).reshaped({4, 1});
      if (k) at = random_indices(random, {4, 1}, 4);
      samples.push_back(
          {ScatterND{ScatterReduction(k)},
           {random_tensor(random, dtype, {4, 3}), at, random_tensor(random, dtype, {4, 3})}});
    }
  samples.push_back({ScatterND{ScatterReduction::kMul},
                     {random_tensor(random, DType::kInt64, {3}), Tensor::ints({1}).reshaped({1, 1}),
                      random_tensor(random, DType::kInt64, {1})}});
  samples.push_back({ScatterND{},
                     {random_tensor(random, DType::kInt4, {3, 3}),
                      Tensor::of<int64_t>(DType::kInt64, {2, 2}, {0, 1, -1, -3}),
                      random_tensor(random, DType::kInt4, {2})}});
  samples.push_back({ScatterND{},
                     {random_tensor(random, DType::kFloat32, {3, 3}), Tensor(DType::kInt64, {0, 2}),
                      Tensor(DType::kFloat32, {0})}});
  return samples;
}

}  // namespace vitrify
