#include "ops/contraction.h"
#include "ops/epilogue.h"
#include "ops/samples.h"

namespace vitrify {

namespace {

struct Product {
  Dims a, b;
  bool transpose_a = false, transpose_b = false;
};

const Product kProducts[] = {
    {{3, 5}, {5, 7}},
    {{17, 33}, {33, 65}},
    {{1, 64}, {64, 1}},
    {{5, 3}, {5, 7}, true, false},
    {{3, 5}, {7, 5}, false, true},
    {{2, 5, 3}, {2, 7, 5}, true, true},
    {{4}, {4}},
    {{4}, {4, 3}},
    {{3, 4}, {4}},
    {{2, 3, 4}, {4}},
    {{4}, {2, 4, 3}},
    {{2, 3, 4, 5}, {5, 6}},
    {{4, 5}, {3, 2, 5, 6}},
    {{2, 1, 4, 5}, {3, 5, 6}},
    {{0, 4}, {4, 3}},
    {{3, 0}, {0, 2}},
    {{0, 2, 3}, {1, 3, 2}},
};

}  // namespace

std::vector<Sample> samples_matmul(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  auto add = [&](const Product& p, DType a, DType b) {
    samples.push_back({MatMul{p.transpose_a, p.transpose_b, {}},
                       {random_tensor(random, a, p.a), random_tensor(random, b, p.b)}});
  };
  for (const Product& p : kProducts) add(p, DType::kFloat32, DType::kFloat32);
  for (DType d : {DType::kFloat16, DType::kBFloat16, DType::kFloat64, DType::kInt32, DType::kInt64,
                  DType::kUint32, DType::kUint8, DType::kInt8})
    for (int i : {0, 3, 4, 11}) add(kProducts[i], d, d);
  for (int i : {1, 4}) add(kProducts[i], DType::kUint8, DType::kInt8);
  for (DType d : {DType::kFloat32, DType::kFloat16})
    for (const Dims& operand : {Dims{7}, Dims{3, 1}, Dims{1}, Dims{3, 7}})
      samples.push_back({MatMul{false, false, bias_relu(d)},
                         {random_tensor(random, d, {3, 5}), random_tensor(random, d, {5, 7}),
                          random_tensor(random, d, operand)}});
  DType f32 = DType::kFloat32;
  samples.push_back({MatMul{false, true, two_results(f32)},
                     {random_tensor(random, f32, {2, 9, 5}), random_tensor(random, f32, {19, 5}),
                      random_tensor(random, f32, {2, 1, 19})},
                     2});
  return samples;
}

std::vector<Sample> samples_einsum(uint64_t seed) {
  struct Case {
    const char* equation;
    std::vector<Dims> operands;
  };
  const Case cases[] = {
      {"ij,jk->ik", {{3, 4}, {4, 5}}},
      {"ij->ji", {{3, 4}}},
      {"ij->", {{3, 4}}},
      {"ii->i", {{4, 4}}},
      {"ii", {{4, 4}}},
      {"bhqd,bhkd->bhqk", {{2, 3, 4, 5}, {2, 3, 6, 5}}},
      {"...ij,...jk->...ik", {{2, 3, 4}, {4, 5}}},
      {"...ii->...i", {{2, 3, 3}}},
      {"i,j,k->kji", {{2}, {3}, {4}}},
      {"abc, cd , d -> ba", {{2, 3, 4}, {4, 5}, {5}}},
      {"ij,ij->ij", {{3, 4}, {1, 4}}},
      {",->", {{}, {}}},
      {"ij,jk", {{0, 4}, {4, 5}}},
      {"ij,jk->ik", {{3, 0}, {0, 5}}},
  };
  SampleRandom random(seed);
  std::vector<Sample> samples;
  for (DType d : {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kInt64})
    for (const Case& c : cases) {
      Sample s{Einsum{c.equation}, {}};
      for (const Dims& dims : c.operands) s.inputs.push_back(random_tensor(random, d, dims));
      samples.push_back(s);
    }
  return samples;
}

}  // namespace vitrify
