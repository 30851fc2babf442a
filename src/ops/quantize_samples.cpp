#include "ops/quantize.h"
#include "ops/samples.h"

namespace vitrify {

namespace {

constexpr DType kQuantised[] = {
    DType::kUint8,        DType::kInt8,           DType::kUint16,     DType::kInt16,
    DType::kUint4,        DType::kInt4,           DType::kUint2,      DType::kInt2,
    DType::kFloat8E4M3FN, DType::kFloat8E4M3FNUZ, DType::kFloat8E5M2, DType::kFloat8E5M2FNUZ,
    DType::kFloat4E2M1,
};

struct Case {
  Dims x, scale;
  int64_t axis = 1, block_size = 0;
};

const Case kCases[] = {
    {{2, 5, 3}, {}},
    {{4, 3}, {1}},
    {{2, 5, 3}, {5}, 1},
    {{2, 5, 3}, {3}, -1},
    {{2, 6, 3}, {2, 3, 3}, 1, 2},
    {{2, 7, 3}, {2, 3, 3}, 1, 3},
    {{5, 9}, {5, 3}, 1, 4},
    {{0, 3}, {}},
    {{33}, {33}, 0},
};

/// Zero points of floating types are zero, as ONNX wants.
Tensor zeros(SampleRandom& random, DType d, const Dims& dims) {
  return is_float(d) ? Tensor(d, dims) : random_tensor(random, d, dims, -2, 2);
}

}  // namespace

std::vector<Sample> samples_quantize(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  for (DType from : {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kInt32})
    for (DType to : kQuantised)
      for (const Case& c : kCases) {
        if (from != DType::kFloat32 && &c != kCases && &c != kCases + 4) continue;
        DType scale = from == DType::kInt32 ? DType::kFloat32 : from;
        samples.push_back(
            {Quantize{.axis = c.axis, .block_size = c.block_size, .to = to},
             {random_tensor(random, from, c.x, -300, 300),
              random_tensor(random, scale, c.scale, 0.5, 2), zeros(random, to, c.scale)}});
      }
  Tensor special = special_tensor(random, DType::kFloat32, {2, 16});
  for (DType to : kQuantised)
    samples.push_back({Quantize{.to = to}, {special, Tensor::scalar(0.25f)}});
  samples.push_back(
      {Quantize{.saturate = false, .to = DType::kFloat8E5M2}, {special, Tensor::scalar(0.25f)}});
  return samples;
}

std::vector<Sample> samples_dequantize(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  for (DType to : {DType::kFloat32, DType::kFloat16, DType::kBFloat16})
    for (DType from : kQuantised)
      for (const Case& c : kCases) {
        if (to != DType::kFloat32 && &c != kCases && &c != kCases + 4) continue;
        samples.push_back(
            {Dequantize{.axis = c.axis, .block_size = c.block_size},
             {random_tensor(random, from, c.x, -120, 120),
              random_tensor(random, to, c.scale, 0.5, 2), zeros(random, from, c.scale)}});
      }
  samples.push_back(
      {Dequantize{.to = DType::kFloat16},
       {random_tensor(random, DType::kInt32, {3, 4}, -9000, 9000), Tensor::scalar(0.125f)}});
  return samples;
}

}  // namespace vitrify
