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

constexpr ImportRow kRows[] = {
    {kMlDomain, "ArrayFeatureExtractor", 1, import_array_feature_extractor},
    {kMlDomain, "Binarizer", 1, import_binarizer},
    {kMlDomain, "CategoryMapper", 1, import_category_mapper},
    {kMlDomain, "FeatureVectorizer", 1, import_feature_vectorizer},
    {kMlDomain, "Imputer", 1, import_imputer},
    {kMlDomain, "LabelEncoder", 1, import_label_encoder_1},
    {kMlDomain, "LabelEncoder", 2, import_label_encoder},
    {kMlDomain, "Normalizer", 1, import_normalizer},
    {kMlDomain, "OneHotEncoder", 1, import_one_hot_encoder},
    {kMlDomain, "Scaler", 1, import_scaler},
};

std::vector<ImportRow> make_rows() {
  std::vector<ImportRow> rows(std::begin(kRows), std::end(kRows));
  for (auto more : {linear_rows(), svm_rows(), tree_rows()})
    rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

}  // namespace

std::span<const ImportRow> ml_imports() {
  static const std::vector<ImportRow> rows = make_rows();
  return rows;
}

}  // namespace vitrify::onnx
