// ai.onnx.ml: linear models.
#include "base/error.h"
#include "onnx/import_ml.h"

namespace vitrify::onnx {

namespace {

ValueId add(NodeContext& c, ValueId a, ValueId b) { return c.binary(BinaryKind::kAdd, a, b); }
ValueId float_input(NodeContext& c) { return c.cast(c.in(0), DType::kFloat32); }

/// x · coefficientsᵀ + intercepts, [N, targets].
ValueId linear_scores(NodeContext& c, int64_t targets) {
  ValueId x = float_input(c);
  std::vector<double> coefficients = c.floats_attribute("coefficients");
  require(targets > 0 && !coefficients.empty() && int64_t(coefficients.size()) % targets == 0,
          "the number of coefficients does not fit ", targets, " targets");
  if (c.known_rank(x) == 1) x = c.add(Unsqueeze{{0}}, {x});
  Tensor weights =
      floats_tensor(coefficients).reshaped({targets, int64_t(coefficients.size()) / targets});
  ValueId y = c.add(MatMul{false, true, {}}, {x, c.constant(std::move(weights))});
  std::vector<double> intercepts = c.floats_attribute("intercepts");
  return intercepts.empty() ? y : add(c, y, c.constant(floats_tensor(intercepts)));
}

void import_linear_regressor(NodeContext& c) {
  c.outputs({post_transform(c, linear_scores(c, c.int_attribute("targets", 1)))});
}

/// One score for two classes: its sign decides, and the scores are those of both.
void binary_linear_classifier(NodeContext& c, Tensor labels, ValueId score) {
  ValueId positive = c.binary(BinaryKind::kGreater, score, c.scalar(0, DType::kFloat32));
  ValueId index = c.add(Squeeze{{1}}, {c.cast(positive, DType::kInt64)});
  if (c.string_attribute("post_transform", "NONE") == "LOGISTIC")
    score = c.unary(UnaryKind::kSigmoid, score);
  ValueId other = c.binary(BinaryKind::kSub, c.scalar(1, DType::kFloat32), score);
  c.outputs({pick_labels(c, std::move(labels), index), c.add(Concat{1}, {other, score})});
}

void import_linear_classifier(NodeContext& c) {
  Tensor labels = class_labels(c, "classlabels_ints");
  auto targets = int64_t(c.floats_attribute("intercepts").size());
  if (targets == 0) targets = labels.size();
  ValueId scores = linear_scores(c, targets);
  if (targets == 1 && labels.size() == 2)
    return binary_linear_classifier(c, std::move(labels), scores);
  require(targets == labels.size(), "expects one set of coefficients a class");
  ValueId best = c.add(ArgReduce{.max = true, .axis = 1, .keepdims = false}, {scores});
  c.outputs({pick_labels(c, std::move(labels), best), post_transform(c, scores)});
}

constexpr ImportRow kRows[] = {
    {kMlDomain, "LinearClassifier", 1, import_linear_classifier},
    {kMlDomain, "LinearRegressor", 1, import_linear_regressor},
};

}  // namespace

std::span<const ImportRow> linear_rows() { return kRows; }

}  // namespace vitrify::onnx
