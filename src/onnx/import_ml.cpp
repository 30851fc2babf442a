// ai.onnx.ml: what is a composition of tensor ops: linear models, scaling, encoding.
#include "onnx/import_ml.h"

#include <cmath>

#include "base/error.h"
#include "onnx/families.h"
#include "ops/classic.h"

namespace vitrify::onnx {

Tensor doubles_tensor(const std::vector<double>& values) {
  return Tensor::of(DType::kFloat64, {int64_t(values.size())}, values);
}
Tensor floats_tensor(const std::vector<double>& values) {
  return Tensor::of(DType::kFloat32, {int64_t(values.size())},
                    std::vector<float>(values.begin(), values.end()));
}

namespace {
Tensor strings_tensor(std::vector<std::string> values) {
  auto count = int64_t(values.size());
  return Tensor::strings({count}, std::move(values));
}
ValueId add(NodeContext& c, ValueId a, ValueId b) { return c.binary(BinaryKind::kAdd, a, b); }
ValueId mul(NodeContext& c, ValueId a, ValueId b) { return c.binary(BinaryKind::kMul, a, b); }
ValueId float_input(NodeContext& c, int i = 0) { return c.cast(c.in(i), DType::kFloat32); }
}  // namespace

ValueId post_transform(NodeContext& c, ValueId scores) {
  std::string kind = c.string_attribute("post_transform", "NONE");
  if (kind == "NONE") return scores;
  if (kind == "LOGISTIC") return c.unary(UnaryKind::kSigmoid, scores);
  if (kind == "SOFTMAX") return c.add(Softmax{-1, false}, {scores});
  if (kind == "SOFTMAX_ZERO") return c.add(make_classic("softmax_zero"), {scores});
  if (kind == "PROBIT") return c.add(make_classic("probit"), {scores});
  fail("unknown post_transform '", kind, "'");
}

Tensor class_labels(NodeContext& c, std::string_view ints_name) {
  std::vector<std::string> strings = c.strings_attribute("classlabels_strings");
  std::vector<int64_t> ints = c.ints_attribute(ints_name);
  require(strings.empty() != ints.empty(), "expects either integer or string class labels");
  return ints.empty() ? strings_tensor(std::move(strings)) : Tensor::ints(ints);
}

ValueId pick_labels(NodeContext& c, Tensor labels, ValueId index) {
  return c.add(Gather{0}, {c.constant(std::move(labels)), index});
}

namespace {

// ---- Features ----

/// Elements at the given places of the last axis.
void import_array_feature_extractor(NodeContext& c) {
  ValueId x = c.in(0), places = c.in(1);
  int rank = c.known_rank(x);
  require(rank >= 1, "expects at least one dim");
  c.known_rank(places);
  places = c.reshape(places, {element_count(*c.type(places).shape)});
  ValueId y = c.add(Gather{rank - 1}, {x, places});
  c.outputs({rank == 1 ? c.add(Unsqueeze{{0}}, {y}) : y});
}

void import_binarizer(NodeContext& c) {
  ValueId x = c.in(0);
  ValueId threshold = c.scalar(c.float_attribute("threshold", 0), DType::kFloat64);
  ValueId above = c.binary(BinaryKind::kGreater, c.cast(x, DType::kFloat64), threshold);
  c.outputs({c.cast(above, c.dtype(x))});
}

void import_scaler(NodeContext& c) {
  ValueId y = float_input(c);
  if (c.has_attribute("offset"))
    y = c.binary(BinaryKind::kSub, y, c.constant(floats_tensor(c.floats_attribute("offset"))));
  if (c.has_attribute("scale"))
    y = mul(c, y, c.constant(floats_tensor(c.floats_attribute("scale"))));
  c.outputs({y});
}

void import_normalizer(NodeContext& c) {
  std::string kind = c.string_attribute("norm", "MAX");
  ValueId x = float_input(c);
  Reduce op{.axes = {-1}, .epilogue = {}};
  op.kind = kind == "MAX"  ? Reduce::Kind::kMax
            : kind == "L1" ? Reduce::Kind::kL1
                           : Reduce::Kind::kL2;
  require(kind == "MAX" || kind == "L1" || kind == "L2", "unknown norm '", kind, "'");
  ValueId norm = c.add(op, {x});
  ValueId none = c.binary(BinaryKind::kEqual, norm, c.scalar(0, DType::kFloat32));
  ValueId divisor = c.add(Select{}, {none, c.scalar(1, DType::kFloat32), norm});
  c.outputs({c.binary(BinaryKind::kDiv, x, divisor)});
}

void import_imputer(NodeContext& c) {
  ValueId x = c.in(0);
  DType dtype = c.dtype(x);
  bool floats = is_float(dtype);
  Tensor fill = floats ? floats_tensor(c.floats_attribute("imputed_value_floats"))
                       : Tensor::ints(c.ints_attribute("imputed_value_int64s"));
  require(fill.size() > 0, "the values to fill in are missing");
  double replaced = c.float_attribute("replaced_value_float", 0);
  ValueId missing;
  if (floats && std::isnan(replaced)) {
    missing = c.unary(UnaryKind::kIsNan, x);
  } else {
    Tensor value(dtype, {});
    if (floats)
      set_double(value, 0, replaced);
    else
      set_int(value, 0, c.int_attribute("replaced_value_int64", 0));
    missing = c.binary(BinaryKind::kEqual, x, c.constant(std::move(value)));
  }
  c.outputs({c.add(Select{}, {missing, c.cast(c.constant(std::move(fill)), dtype), x})});
}

void import_one_hot_encoder(NodeContext& c) {
  ValueId x = c.in(0);
  bool strings = c.dtype(x) == DType::kString;
  if (!strings) x = c.cast(x, DType::kInt64);
  Tensor categories = strings ? strings_tensor(c.strings_attribute("cats_strings"))
                              : Tensor::ints(c.ints_attribute("cats_int64s"));
  ValueId spread = c.add(Unsqueeze{{c.known_rank(x)}}, {x});
  ValueId hit = c.binary(BinaryKind::kEqual, spread, c.constant(std::move(categories)));
  c.outputs({c.cast(hit, DType::kFloat32)});
}

void import_feature_vectorizer(NodeContext& c) {
  std::vector<ValueId> columns;
  for (int i = 0; i < c.input_count(); ++i) {
    ValueId x = float_input(c, i);
    columns.push_back(c.known_rank(x) == 1 ? c.add(Unsqueeze{{1}}, {x}) : x);
  }
  c.outputs({c.add(Concat{1}, columns)});
}

// ---- Labels ----

ValueId map_labels(NodeContext& c, Tensor keys, Tensor values, Tensor otherwise) {
  require(keys.size() == values.size(), "keys and values differ in number");
  return c.add(make_classic("map_labels"),
               {c.in(0), c.constant(std::move(keys)), c.constant(std::move(values)),
                c.constant(std::move(otherwise))});
}

void import_category_mapper(NodeContext& c) {
  Tensor strings = strings_tensor(c.strings_attribute("cats_strings"));
  Tensor ints = Tensor::ints(c.ints_attribute("cats_int64s"));
  if (c.dtype(c.in(0)) == DType::kString)
    c.outputs({map_labels(c, strings, ints, Tensor::ints({c.int_attribute("default_int64", -1)}))});
  else
    c.outputs({map_labels(c, ints, strings,
                          strings_tensor({c.string_attribute("default_string", "_Unused")}))});
}

/// Version 1 knew strings and their places only.
void import_label_encoder_1(NodeContext& c) {
  Tensor strings = strings_tensor(c.strings_attribute("classes_strings"));
  std::vector<int64_t> places;
  for (int64_t i = 0; i < strings.size(); ++i) places.push_back(i);
  Tensor ints = Tensor::ints(places);
  if (c.dtype(c.in(0)) == DType::kString)
    c.outputs({map_labels(c, strings, ints, Tensor::ints({c.int_attribute("default_int64", -1)}))});
  else
    c.outputs({map_labels(c, ints, strings,
                          strings_tensor({c.string_attribute("default_string", "_Unused")}))});
}

/// keys_* or values_*, whichever type is there.
Tensor table(NodeContext& c, const std::string& prefix) {
  if (Tensor t = c.tensor_attribute(prefix + "_tensor"); t.defined()) return t;
  if (c.has_attribute(prefix + "_strings"))
    return strings_tensor(c.strings_attribute(prefix + "_strings"));
  if (c.has_attribute(prefix + "_int64s"))
    return Tensor::ints(c.ints_attribute(prefix + "_int64s"));
  require(c.has_attribute(prefix + "_floats"), "attribute '", prefix, "_*' is missing");
  return floats_tensor(c.floats_attribute(prefix + "_floats"));
}

void import_label_encoder(NodeContext& c) {
  Tensor keys = table(c, "keys"), values = table(c, "values");
  Tensor otherwise = c.tensor_attribute("default_tensor");
  if (!otherwise.defined()) {
    if (values.dtype() == DType::kString) {
      otherwise = strings_tensor({c.string_attribute("default_string", "_Unused")});
    } else {
      otherwise = Tensor(values.dtype(), {1});
      if (is_float(values.dtype()))
        set_double(otherwise, 0, c.float_attribute("default_float", -0.0));
      else
        set_int(otherwise, 0, c.int_attribute("default_int64", -1));
    }
  }
  c.outputs({map_labels(c, std::move(keys), std::move(values), std::move(otherwise))});
}

// ---- Linear models ----

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

// ---- Support vectors ----

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
  ValueId x = float_input(c);
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

constexpr ImportRow kRows[] = {
    {kMlDomain, "ArrayFeatureExtractor", 1, import_array_feature_extractor},
    {kMlDomain, "Binarizer", 1, import_binarizer},
    {kMlDomain, "CategoryMapper", 1, import_category_mapper},
    {kMlDomain, "FeatureVectorizer", 1, import_feature_vectorizer},
    {kMlDomain, "Imputer", 1, import_imputer},
    {kMlDomain, "LabelEncoder", 1, import_label_encoder_1},
    {kMlDomain, "LabelEncoder", 2, import_label_encoder},
    {kMlDomain, "LinearClassifier", 1, import_linear_classifier},
    {kMlDomain, "LinearRegressor", 1, import_linear_regressor},
    {kMlDomain, "Normalizer", 1, import_normalizer},
    {kMlDomain, "OneHotEncoder", 1, import_one_hot_encoder},
    {kMlDomain, "SVMRegressor", 1, import_svm_regressor},
    {kMlDomain, "Scaler", 1, import_scaler},
};

std::vector<ImportRow> make_rows() {
  std::vector<ImportRow> rows(std::begin(kRows), std::end(kRows));
  auto trees = tree_rows();
  rows.insert(rows.end(), trees.begin(), trees.end());
  return rows;
}

}  // namespace

std::span<const ImportRow> ml_imports() {
  static const std::vector<ImportRow> rows = make_rows();
  return rows;
}

}  // namespace vitrify::onnx
