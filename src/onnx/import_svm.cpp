// ai.onnx.ml: support vector machines. The kernel is a composition of tensor ops; what the contests
// of the classes make of it is a Classic op (ops/svm.cpp).
#include "base/error.h"
#include "onnx/import_ml.h"
#include "ops/classic.h"

namespace vitrify::onnx {

namespace {

ValueId add(NodeContext& c, ValueId a, ValueId b) { return c.binary(BinaryKind::kAdd, a, b); }
ValueId mul(NodeContext& c, ValueId a, ValueId b) { return c.binary(BinaryKind::kMul, a, b); }

/// The input as f32[N, F].
ValueId matrix_input(NodeContext& c) {
  ValueId x = c.cast(c.in(0), DType::kFloat32);
  return c.known_rank(x) == 1 ? c.add(Unsqueeze{{0}}, {x}) : x;
}

/// The kernel of x [N, F] with each support vector [S, F]: [N, S].
ValueId support_kernel(NodeContext& c, ValueId x, Tensor vectors) {
  std::vector<double> p = c.floats_attribute("kernel_params");
  p.resize(3);
  auto scalar = [&](double v) { return c.scalar(v, DType::kFloat32); };
  std::string kind = c.string_attribute("kernel_type", "LINEAR");
  ValueId sv = c.constant(std::move(vectors));
  ValueId dot = c.add(MatMul{false, true, {}}, {x, sv});
  if (kind == "LINEAR") return dot;
  if (kind == "RBF") {  // exp(-gamma |x - v|²)
    ValueId gap = c.binary(BinaryKind::kSub, c.add(Unsqueeze{{1}}, {x}), sv);
    ValueId distance = c.add(
        Reduce{.kind = Reduce::Kind::kSumSquare, .axes = {2}, .keepdims = false, .epilogue = {}},
        {gap});
    return c.unary(UnaryKind::kExp, mul(c, distance, scalar(-p[0])));
  }
  ValueId affine = add(c, mul(c, dot, scalar(p[0])), scalar(p[1]));
  if (kind == "POLY") return c.binary(BinaryKind::kPow, affine, scalar(p[2]));
  require(kind == "SIGMOID", "unknown kernel_type '", kind, "'");
  return c.unary(UnaryKind::kTanh, affine);
}

void import_svm_regressor(NodeContext& c) {
  std::vector<double> coefficients = c.floats_attribute("coefficients"),
                      vectors = c.floats_attribute("support_vectors"),
                      rho = c.floats_attribute("rho");
  int64_t count = c.int_attribute("n_supports", 0);
  ValueId x = matrix_input(c);
  require(!coefficients.empty() && rho.size() <= 1, "the coefficients are missing");
  ValueId kernel = x;
  if (count > 0) {
    require(int64_t(coefficients.size()) == count && int64_t(vectors.size()) % count == 0,
            "support_vectors and coefficients do not fit n_supports");
    kernel = support_kernel(
        c, x, floats_tensor(vectors).reshaped({count, int64_t(vectors.size()) / count}));
  }
  Tensor column = floats_tensor(coefficients).reshaped({int64_t(coefficients.size()), 1});
  ValueId y = c.add(MatMul{}, {kernel, c.constant(std::move(column))});
  if (!rho.empty()) y = add(c, y, c.scalar(rho[0], DType::kFloat32));
  if (c.int_attribute("one_class", 0) == 0) return c.outputs({post_transform(c, y)});
  ValueId inside = c.binary(BinaryKind::kGreater, y, c.scalar(0, DType::kFloat32));
  c.outputs(
      {c.add(Select{}, {inside, c.scalar(1, DType::kFloat32), c.scalar(-1, DType::kFloat32)})});
}

/// Without support vectors: a linear score a class.
void linear_classifier(NodeContext& c, Tensor labels) {
  std::vector<double> coefficients = c.floats_attribute("coefficients"),
                      rho = c.floats_attribute("rho");
  int64_t classes = labels.size();
  require(!coefficients.empty() && int64_t(coefficients.size()) % classes == 0 && !rho.empty(),
          "the coefficients do not fit ", classes, " classes");
  Tensor weights =
      floats_tensor(coefficients).reshaped({classes, int64_t(coefficients.size()) / classes});
  ValueId scores = support_kernel(c, matrix_input(c), std::move(weights));
  scores = add(c, scores, c.scalar(rho[0], DType::kFloat32));
  ValueId best = c.add(ArgReduce{.max = true, .axis = 1, .keepdims = false}, {scores});
  c.outputs({pick_labels(c, std::move(labels), best), post_transform(c, scores)});
}

/// The one score of two classes becomes one for each.
ValueId both_scores(NodeContext& c, ValueId score) {
  ValueId both = c.add(Concat{1}, {c.unary(UnaryKind::kNeg, score), score});
  std::string transform = c.string_attribute("post_transform", "NONE");
  if (transform == "NONE") return both;
  if (transform == "LOGISTIC") return c.unary(UnaryKind::kSigmoid, both);
  ValueId rest = c.binary(BinaryKind::kSub, c.scalar(1, DType::kFloat32), score);
  return c.add(Concat{1}, {rest, score});
}

void import_svm_classifier(NodeContext& c) {
  Tensor labels = class_labels(c, "classlabels_ints");
  std::vector<int64_t> counts = c.ints_attribute("vectors_per_class");
  if (counts.empty()) return linear_classifier(c, std::move(labels));
  std::vector<double> vectors = c.floats_attribute("support_vectors"),
                      coefficients = c.floats_attribute("coefficients");
  auto classes = int64_t(counts.size());
  int64_t total = 0;
  for (int64_t n : counts) {
    require(n >= 0, "vectors_per_class has a negative number");
    total = checked_add(total, n);
  }
  require(classes >= 2 && labels.size() == classes && total > 0 &&
              int64_t(vectors.size()) % total == 0 &&
              int64_t(coefficients.size()) == checked_mul(classes - 1, total),
          "support_vectors, coefficients and classes do not fit vectors_per_class");
  Tensor matrix = floats_tensor(vectors).reshaped({total, int64_t(vectors.size()) / total});
  ValueId kernel = support_kernel(c, matrix_input(c), std::move(matrix));
  std::vector<double> prob_a = c.floats_attribute("prob_a");
  ValueId scores = c.add(
      make_classic("svm_classifier"),
      {kernel, c.constant(floats_tensor(coefficients).reshaped({classes - 1, total})),
       c.constant(floats_tensor(c.floats_attribute("rho"))), c.constant(Tensor::ints(counts)),
       c.constant(floats_tensor(prob_a)), c.constant(floats_tensor(c.floats_attribute("prob_b")))},
      2);
  ValueId label = pick_labels(c, std::move(labels), {scores.node, 1});
  bool one_score = classes == 2 && prob_a.empty();
  c.outputs({label, one_score ? both_scores(c, scores) : post_transform(c, scores)});
}

constexpr ImportRow kRows[] = {
    {kMlDomain, "SVMClassifier", 1, import_svm_classifier},
    {kMlDomain, "SVMRegressor", 1, import_svm_regressor},
};

}  // namespace

std::span<const ImportRow> svm_rows() { return kRows; }

}  // namespace vitrify::onnx
