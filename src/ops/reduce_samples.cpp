#include "ops/reduce.h"
#include "ops/samples.h"

namespace vitrify {

namespace {
struct ReduceCase {
  Dims dims;
  Ints axes;
  bool keepdims;
};
}  // namespace

std::vector<Sample> samples_reduce(uint64_t seed) {
  SampleRandom random(seed);
  const ReduceCase cases[] = {
      {{2, 3, 5}, {2}, false},
      {{3, 7, 5}, {1}, true},
      {{2, 3, 4, 5}, {1, 2}, true},
      {{4, 9}, {}, false},
      {{}, {}, true},
      {{3, 0, 2}, {1}, false},
      {{0, 3}, {1}, true},
      {{2, 1, 3, 1, 5}, {-1, 0}, false},
      {{1, 65}, {0}, true},
      {{2, 7, 7, 33}, {1, 2}, true},
      {{5, 300}, {1}, true},
  };
  std::vector<Sample> samples;
  for (int k = 0; k <= int(Reduce::Kind::kSumSquare); ++k) {
    auto kind = Reduce::Kind(k);
    bool log = kind == Reduce::Kind::kLogSum;
    auto add = [&](const ReduceCase& c, DType d) {
      double low = log ? 0.25 : is_integer(d) ? -6 : -2, high = is_integer(d) ? 7 : 2;
      samples.push_back({Reduce{kind, c.axes, c.keepdims, true, {}},
                         {random_tensor(random, d, c.dims, low, high)}});
    };
    for (const ReduceCase& c : cases) add(c, DType::kFloat32);
    for (DType d : {DType::kFloat64, DType::kFloat16, DType::kBFloat16}) add(cases[k % 3], d);
    if (log || kind == Reduce::Kind::kLogSumExp) continue;
    for (DType d : {DType::kInt32, DType::kInt64, DType::kUint8}) add(cases[1], d);
  }
  Tensor x = special_tensor(random, DType::kFloat32, {5, 3});
  samples.push_back({Reduce{Reduce::Kind::kMax, {1}, false, true, {}}, {x}});
  samples.push_back({Reduce{Reduce::Kind::kSumSquare, {}, false, false, {}}, {x}});
  BodyStep relu{.unary = UnaryKind::kSqrt, .args = {0, -1, -1}, .dtype = DType::kFloat32};
  samples.push_back({Reduce{Reduce::Kind::kSumSquare, {1}, true, true, Body{1, {relu}, {}}},
                     {random_tensor(random, DType::kFloat32, {3, 19})}});
  return samples;
}

std::vector<Sample> samples_arg_reduce(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  for (bool max : {true, false})
    for (bool last : {true, false})
      for (int64_t axis : {0, 1, -1}) {
        ArgReduce op{max, axis, axis != 1, last};
        samples.push_back({op, {random_tensor(random, DType::kFloat32, {3, 5, 7})}});
        samples.push_back({op, {random_tensor(random, DType::kInt32, {4, 6, 3}, -2, 3)}});
        for (DType d : {DType::kFloat16, DType::kFloat32})
          samples.push_back({op, {special_tensor(random, d, {2, 9})}});
      }
  samples.push_back({ArgReduce{}, {random_tensor(random, DType::kFloat64, {1, 1})}});
  samples.push_back({ArgReduce{true, 1}, {random_tensor(random, DType::kFloat32, {0, 4})}});
  return samples;
}

std::vector<Sample> samples_softmax(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  for (bool log : {false, true}) {
    for (const Dims& dims : {Dims{7}, Dims{3, 65}, Dims{2, 5, 33}, Dims{1, 1}, Dims{0, 4},
                             Dims{2, 3, 4, 5}, Dims{6, 129}})
      samples.push_back({Softmax{-1, log}, {random_tensor(random, DType::kFloat32, dims, -8, 8)}});
    for (DType d : {DType::kFloat16, DType::kBFloat16, DType::kFloat64})
      samples.push_back({Softmax{-1, log}, {random_tensor(random, d, {3, 17})}});
    samples.push_back({Softmax{0, log}, {random_tensor(random, DType::kFloat32, {5, 3})}});
    samples.push_back({Softmax{1, log}, {random_tensor(random, DType::kFloat32, {2, 7, 3})}});
    samples.push_back(
        {Softmax{-1, log}, {random_tensor(random, DType::kFloat32, {3, 9}, -900, 900)}});
  }
  return samples;
}

std::vector<Sample> samples_cumulative(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  for (bool product : {false, true})
    for (bool exclusive : {false, true})
      for (bool reverse : {false, true}) {
        Cumulative op{product, exclusive, reverse};
        samples.push_back(
            {op, {random_tensor(random, DType::kFloat32, {3, 5, 2}), Tensor::scalar(int64_t{1})}});
        samples.push_back(
            {op, {random_tensor(random, DType::kInt32, {7}, -3, 4), Tensor::scalar(int64_t{-1})}});
        samples.push_back(
            {op, {random_tensor(random, DType::kFloat64, {4, 3}), Tensor::scalar(int64_t{0})}});
      }
  samples.push_back(
      {Cumulative{}, {random_tensor(random, DType::kFloat16, {0, 3}), Tensor::ints({1})}});
  return samples;
}

std::vector<Sample> samples_topk(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  for (bool largest : {true, false})
    for (int64_t k : {0, 1, 3, 5}) {
      TopK op{-1, largest, true};
      Tensor count = Tensor::ints({k});
      samples.push_back({op, {random_tensor(random, DType::kFloat32, {3, 9}), count}, 2});
      samples.push_back({op, {random_tensor(random, DType::kInt64, {2, 3, 5}, -3, 4), count}, 2});
      samples.push_back({op, {special_tensor(random, DType::kFloat16, {7}), count}, 2});
      samples.push_back(
          {TopK{1, largest, true}, {random_tensor(random, DType::kFloat32, {2, 6, 3}), count}, 2});
    }
  return samples;
}

}  // namespace vitrify
