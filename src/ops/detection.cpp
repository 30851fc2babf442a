#include "ops/detection.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "ops/samples.h"
#include "ops/working.h"

namespace vitrify {

namespace {

struct Box {
  double top, left, bottom, right;
  double area() const { return (bottom - top) * (right - left); }
};

Box make_box(const float* v, bool center) {
  if (center)  // x, y, width, height
    return {v[1] - v[3] / 2.0, v[0] - v[2] / 2.0, v[1] + v[3] / 2.0, v[0] + v[2] / 2.0};
  return {std::min(v[0], v[2]), std::min(v[1], v[3]), std::max(v[0], v[2]), std::max(v[1], v[3])};
}

double overlap(const Box& a, const Box& b) {
  double height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  double width = std::min(a.right, b.right) - std::max(a.left, b.left);
  if (!(height > 0 && width > 0)) return 0;
  double shared = height * width, all = a.area() + b.area() - shared;
  return all > 0 ? shared / all : 0;
}

struct Limits {
  int64_t count = 0;
  double overlap = 0, score = 0;
  bool has_score = false;
};

Limits limits(ReferenceCall& call) {
  Limits l;
  auto given = [&](int i) { return call.has(i) && call.in(i).size() > 0; };
  if (given(2)) l.count = std::max<int64_t>(int_at(call.in(2), 0), 0);
  if (given(3)) l.overlap = double_at(call.in(3), 0);
  l.has_score = given(4);
  if (l.has_score) l.score = double_at(call.in(4), 0);
  return l;
}

/// The boxes of one class that stay, best first.
std::vector<int64_t> select(const std::vector<Box>& boxes, const float* scores, const Limits& l) {
  std::vector<int64_t> order(boxes.size()), kept;
  std::iota(order.begin(), order.end(), 0);
  std::erase_if(order, [&](int64_t i) {
    return scores[i] != scores[i] || (l.has_score && !(double(scores[i]) > l.score));
  });
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return scores[a] > scores[b]; });
  for (int64_t i : order) {
    if (int64_t(kept.size()) >= l.count) break;
    bool clear = std::none_of(kept.begin(), kept.end(), [&](int64_t k) {
      return overlap(boxes[size_t(i)], boxes[size_t(k)]) > l.overlap;
    });
    if (clear) kept.push_back(i);
  }
  return kept;
}

}  // namespace

void infer_nms(InferContext& context) {
  for (int i = 0; i < 2; ++i) {
    context.expect_tensor(i);
    require(is_float(context.dtype(i)), "boxes and scores must be floating");
    const Shape* s = context.shape(i);
    require(!s || s->size() == 3, "boxes and scores need rank 3");
  }
  context.output(Type::tensor(DType::kInt64, {context.fresh(0, 0), 3}));
}

void reference_nms(ReferenceCall& call) {
  const auto& op = *call.op().as<NonMaxSuppression>();
  const Dims &b = call.in(0).dims(), &s = call.in(1).dims();
  require(b.size() == 3 && s.size() == 3 && b[2] == 4 && b[0] == s[0] && b[1] == s[2],
          "boxes must be [B, N, 4] and scores [B, C, N], not ", str(b), " and ", str(s));
  Working<float> boxes(call.in(0)), scores(call.in(1));
  Limits l = limits(call);
  std::vector<int64_t> found;
  for (int64_t n = 0; n < b[0]; ++n) {
    std::vector<Box> of_image;
    for (int64_t i = 0; i < b[1]; ++i)
      of_image.push_back(make_box(boxes.data() + (n * b[1] + i) * 4, op.center_point_box));
    for (int64_t c = 0; c < s[1]; ++c)
      for (int64_t i : select(of_image, scores.data() + (n * s[1] + c) * s[2], l))
        found.insert(found.end(), {n, c, i});
  }
  Tensor& y = call.out(0, DType::kInt64, {int64_t(found.size() / 3), 3});
  std::copy(found.begin(), found.end(), y.data<int64_t>());
}

std::vector<Sample> samples_nms(uint64_t seed) {
  SampleRandom random(seed);
  auto drawn = [&](const Dims& dims, double low, double high) {
    return random_tensor(random, DType::kFloat32, dims, low, high);
  };
  auto count = Tensor::ints({3});
  auto overlap = Tensor::scalar(0.3f), score = Tensor::scalar(0.2f);
  std::vector<Sample> samples;
  samples.push_back({NonMaxSuppression{},
                     {drawn({2, 9, 4}, 0, 4), drawn({2, 3, 9}, 0, 1), count, overlap, score}});
  samples.push_back({NonMaxSuppression{true},
                     {drawn({1, 7, 4}, 1, 3), drawn({1, 2, 7}, 0, 1), count, overlap, score}});
  samples.push_back({NonMaxSuppression{},
                     {drawn({1, 0, 4}, 0, 1), drawn({1, 2, 0}, 0, 1), count, overlap, score}});
  return samples;
}

}  // namespace vitrify
