// Sample cases of shape.h's ops.
#include "ops/samples.h"
#include "ops/shape.h"

namespace vitrify {

std::vector<Sample> samples_dims_value(uint64_t) {
  return {{DimsValue{{3, 5, 0}, false}, {}}, {DimsValue{{7}, true}, {}}, {DimsValue{}, {}}};
}

std::vector<Sample> samples_shape_of(uint64_t seed) {
  SampleRandom random(seed);
  return {{ShapeOf{}, {random_tensor(random, DType::kFloat32, {2, 0, 5})}},
          {ShapeOf{1, -1}, {random_tensor(random, DType::kString, {2, 3, 5, 7})}},
          {ShapeOf{-2, INT64_MAX}, {random_tensor(random, DType::kInt4, {2, 3, 5})}},
          {ShapeOf{2, 1}, {random_tensor(random, DType::kBool, {2, 3})}},
          {ShapeOf{}, {random_tensor(random, DType::kFloat32, {})}}};
}

std::vector<Sample> samples_size_of(uint64_t seed) {
  SampleRandom random(seed);
  return {{SizeOf{}, {random_tensor(random, DType::kFloat32, {2, 3, 5})}},
          {SizeOf{}, {random_tensor(random, DType::kFloat32, {})}},
          {SizeOf{}, {random_tensor(random, DType::kFloat32, {4, 0})}}};
}

std::vector<Sample> samples_range(uint64_t) {
  auto scalars = [](DType dtype, double a, double b, double c) {
    std::vector<Tensor> inputs(3);
    double values[] = {a, b, c};
    for (size_t i = 0; i < 3; ++i) {
      inputs[i] = Tensor(dtype, {});
      set_double(inputs[i], 0, values[i]);
    }
    return inputs;
  };
  return {{Range{}, scalars(DType::kInt64, 3, 20, 4)},
          {Range{}, scalars(DType::kInt32, 10, -3, -3)},
          {Range{}, scalars(DType::kFloat32, 0.5, 3, 0.25)},
          {Range{}, scalars(DType::kFloat64, 1, 0, 0.5)},
          {Range{}, scalars(DType::kFloat16, 2, -1, -0.5)},
          {Range{}, scalars(DType::kInt16, 5, 5, 1)}};
}

std::vector<Sample> samples_eye_like(uint64_t seed) {
  SampleRandom random(seed);
  return {{EyeLike{DType::kFloat32, 0}, {random_tensor(random, DType::kInt32, {3, 5})}},
          {EyeLike{DType::kInt64, 2}, {random_tensor(random, DType::kFloat32, {4, 4})}},
          {EyeLike{DType::kBool, -1}, {random_tensor(random, DType::kFloat32, {4, 3})}},
          {EyeLike{DType::kFloat16, 9}, {random_tensor(random, DType::kFloat32, {2, 0})}}};
}

std::vector<Sample> samples_one_hot(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  const std::pair<Dims, int64_t> cases[] = {{{}, 0}, {{4}, 0}, {{4}, 1}, {{2, 3}, 1}, {{0, 3}, 2}};
  for (const auto& [dims, axis] : cases)
    for (DType dtype : {DType::kFloat32, DType::kString, DType::kInt4})
      samples.push_back({OneHot{axis},
                         {random_tensor(random, DType::kInt64, dims, -8, 8),
                          Tensor::scalar(int64_t{5}), random_tensor(random, dtype, {2})}});
  return samples;
}

std::vector<Sample> samples_trilu(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  for (bool upper : {false, true}) {
    samples.push_back({Trilu{upper}, {random_tensor(random, DType::kFloat32, {4, 5})}});
    for (int64_t k : {-2, 0, 1, 7, -9})
      samples.push_back({Trilu{upper},
                         {random_tensor(random, k ? DType::kFloat32 : DType::kInt4, {2, 3, 5}),
                          Tensor::scalar(k)}});
    samples.push_back({Trilu{upper}, {random_tensor(random, DType::kBool, {2, 0, 3})}});
  }
  return samples;
}

std::vector<Sample> samples_nonzero(uint64_t seed) {
  SampleRandom random(seed);
  return {{NonZero{}, {random_tensor(random, DType::kBool, {3, 5})}},
          {NonZero{}, {random_tensor(random, DType::kInt32, {2, 3, 4}, -1, 1)}},
          {NonZero{}, {random_tensor(random, DType::kFloat32, {0, 3})}},
          {NonZero{}, {random_tensor(random, DType::kBool, {7})}}};
}

std::vector<Sample> samples_compress(uint64_t seed) {
  SampleRandom random(seed);
  auto mask = [&](int64_t n) { return random_tensor(random, DType::kBool, {n}); };
  return {{Compress{}, {random_tensor(random, DType::kFloat32, {3, 4}), mask(9)}},
          {Compress{true, 0}, {random_tensor(random, DType::kString, {3, 2}), mask(3)}},
          {Compress{true, 1}, {random_tensor(random, DType::kInt4, {3, 5, 2}), mask(4)}},
          {Compress{true, 2}, {random_tensor(random, DType::kFloat32, {1, 0, 2}), mask(2)}}};
}

std::vector<Sample> samples_unique(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  for (bool sorted : {true, false}) {
    for (DType dtype : {DType::kInt64, DType::kString, DType::kFloat32, DType::kUint8})
      samples.push_back(
          {Unique{false, sorted, 0}, {random_tensor(random, dtype, {3, 4}, 0, 3)}, 4});
    samples.push_back(
        {Unique{true, sorted, 0}, {random_tensor(random, DType::kInt32, {5, 1}, 0, 2)}, 4});
    samples.push_back(
        {Unique{true, sorted, 1}, {random_tensor(random, DType::kBool, {2, 6, 1})}, 4});
    samples.push_back({Unique{false, sorted, 0}, {Tensor(DType::kFloat32, {0, 3})}, 4});
  }
  return samples;
}

std::vector<Sample> samples_reverse_sequence(uint64_t seed) {
  SampleRandom random(seed);
  return {{ReverseSequence{0, 1},
           {random_tensor(random, DType::kFloat32, {4, 3}), Tensor::ints({4, 2, 1})}},
          {ReverseSequence{1, 0},
           {random_tensor(random, DType::kString, {2, 5, 3}), Tensor::ints({3, 0})}},
          {ReverseSequence{0, 1},
           {random_tensor(random, DType::kInt4, {3, 2, 2}), Tensor::ints({2, 3})}},
          {ReverseSequence{1, 0}, {Tensor(DType::kFloat32, {0, 3}), Tensor::ints({})}}};
}

}  // namespace vitrify
