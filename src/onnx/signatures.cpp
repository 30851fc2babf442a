// How many inputs and which attributes each operator has, by version: from the operator schemas of
// ONNX.
#include "onnx/signatures.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "base/error.h"
#include "onnx/scope.h"

namespace vitrify::onnx {

namespace {

/// `versions`: "1:2 a b; 7:* a!": since version 1 at most 2 inputs and attributes a and b, since 7 any
/// number of inputs and a, which must be given.
struct SignatureRow {
  std::string_view domain, op, versions;
};
// clang-format off
constexpr SignatureRow kRows[] = {
    {"", "Abs", "1:1 consumed_inputs; 6:1"},
    {"", "Acos", "7:1"},
    {"", "Acosh", "9:1"},
    {"", "Add", "1:2 axis broadcast consumed_inputs; 6:2 axis broadcast; 7:2"},
    {"", "AffineGrid", "20:2 align_corners"},
    {"", "And", "1:2 axis broadcast; 7:2"},
    {"", "ArgMax", "1:1 axis keepdims; 12:1 axis keepdims select_last_index"},
    {"", "ArgMin", "1:1 axis keepdims; 12:1 axis keepdims select_last_index"},
    {"", "Asin", "7:1"},
    {"", "Asinh", "9:1"},
    {"", "Atan", "7:1"},
    {"", "Atanh", "9:1"},
    {"", "Attention", "23:6 is_causal kv_num_heads q_num_heads qk_matmul_output_mode scale softcap softmax_precision; 24:7 is_causal kv_num_heads q_num_heads qk_matmul_output_mode scale softcap softmax_precision"},
    {"", "AveragePool", "1:1 auto_pad kernel_shape! pads strides; 7:1 auto_pad count_include_pad kernel_shape! pads strides; 10:1 auto_pad ceil_mode count_include_pad kernel_shape! pads strides; 19:1 auto_pad ceil_mode count_include_pad dilations kernel_shape! pads strides"},
    {"", "BatchNormalization", "1:5 consumed_inputs! epsilon is_test momentum spatial; 6:5 epsilon is_test momentum spatial; 7:5 epsilon momentum spatial; 9:5 epsilon momentum; 14:5 epsilon momentum training_mode"},
    {"", "Bernoulli", "15:1 dtype seed"},
    {"", "BitCast", "26:1 to!"},
    {"", "BitShift", "11:2 direction!"},
    {"", "BitwiseAnd", "18:2"},
    {"", "BitwiseNot", "18:1"},
    {"", "BitwiseOr", "18:2"},
    {"", "BitwiseXor", "18:2"},
    {"", "BlackmanWindow", "17:1 output_datatype periodic"},
    {"", "Cast", "1:1 to!; 19:1 saturate to!; 24:1 round_mode saturate to!"},
    {"", "CastLike", "15:2; 19:2 saturate; 24:2 round_mode saturate"},
    {"", "CausalConvWithState", "27:4 activation"},
    {"", "Ceil", "1:1 consumed_inputs; 6:1"},
    {"", "Celu", "12:1 alpha"},
    {"", "CenterCropPad", "18:2 axes"},
    {"", "Clip", "1:1 consumed_inputs max min; 6:1 max min; 11:3"},
    {"", "Col2Im", "18:3 dilations pads strides"},
    {"", "Compress", "9:2 axis"},
    {"", "Concat", "1:* axis; 4:* axis!"},
    {"", "ConcatFromSequence", "11:1 axis! new_axis"},
    {"", "Constant", "1:0 value!; 11:0 sparse_value value; 12:0 sparse_value value value_float value_floats value_int value_ints value_string value_strings"},
    {"", "ConstantOfShape", "9:1 value"},
    {"", "Conv", "1:3 auto_pad dilations group kernel_shape pads strides"},
    {"", "ConvInteger", "10:4 auto_pad dilations group kernel_shape pads strides"},
    {"", "ConvTranspose", "1:3 auto_pad dilations group kernel_shape output_padding output_shape pads strides"},
    {"", "Cos", "7:1"},
    {"", "Cosh", "9:1"},
    {"", "CumProd", "26:2 exclusive reverse"},
    {"", "CumSum", "11:2 exclusive reverse"},
    {"", "DFT", "17:2 axis inverse onesided; 20:3 inverse onesided"},
    {"", "DeformConv", "19:5 dilations group kernel_shape offset_group pads strides"},
    {"", "DepthToSpace", "1:1 blocksize!; 11:1 blocksize! mode"},
    {"", "DequantizeLinear", "10:3; 13:3 axis; 21:3 axis block_size; 23:3 axis block_size output_dtype"},
    {"", "Det", "11:1"},
    {"", "Div", "1:2 axis broadcast consumed_inputs; 6:2 axis broadcast; 7:2"},
    {"", "Dropout", "1:1 consumed_inputs is_test ratio; 6:1 is_test ratio; 7:1 ratio; 12:3 seed"},
    {"", "DynamicQuantizeLinear", "11:1"},
    {"", "Einsum", "12:* equation!"},
    {"", "Elu", "1:1 alpha consumed_inputs; 6:1 alpha"},
    {"", "Equal", "1:2 axis broadcast; 7:2"},
    {"", "Erf", "9:1"},
    {"", "Exp", "1:1 consumed_inputs; 6:1"},
    {"", "Expand", "8:2"},
    {"", "EyeLike", "9:1 dtype k"},
    {"", "Flatten", "1:1 axis"},
    {"", "Floor", "1:1 consumed_inputs; 6:1"},
    {"", "GRU", "1:6 activation_alpha activation_beta activations clip direction hidden_size output_sequence; 3:6 activation_alpha activation_beta activations clip direction hidden_size linear_before_reset output_sequence; 7:6 activation_alpha activation_beta activations clip direction hidden_size linear_before_reset; 14:6 activation_alpha activation_beta activations clip direction hidden_size layout linear_before_reset"},
    {"", "Gather", "1:2 axis"},
    {"", "GatherElements", "11:2 axis"},
    {"", "GatherND", "11:2; 12:2 batch_dims"},
    {"", "Gelu", "20:1 approximate"},
    {"", "Gemm", "1:3 alpha beta broadcast transA transB; 7:3 alpha beta transA transB"},
    {"", "GlobalAveragePool", "1:1"},
    {"", "GlobalLpPool", "1:1 p"},
    {"", "GlobalMaxPool", "1:1"},
    {"", "Greater", "1:2 axis broadcast; 7:2"},
    {"", "GreaterOrEqual", "12:2"},
    {"", "GridSample", "16:2 align_corners mode padding_mode"},
    {"", "GroupNormalization", "18:3 epsilon num_groups!; 21:3 epsilon num_groups! stash_type"},
    {"", "HammingWindow", "17:1 output_datatype periodic"},
    {"", "HannWindow", "17:1 output_datatype periodic"},
    {"", "HardSigmoid", "1:1 alpha beta consumed_inputs; 6:1 alpha beta"},
    {"", "HardSwish", "14:1"},
    {"", "Hardmax", "1:1 axis"},
    {"", "Identity", "1:1"},
    {"", "If", "1:1 else_branch! then_branch!"},
    {"", "ImageDecoder", "20:1 pixel_format"},
    {"", "InstanceNormalization", "1:3 consumed_inputs epsilon; 6:3 epsilon"},
    {"", "IsInf", "10:1 detect_negative detect_positive"},
    {"", "IsNaN", "9:1"},
    {"", "LRN", "1:1 alpha beta bias size!"},
    {"", "LSTM", "1:8 activation_alpha activation_beta activations clip direction hidden_size input_forget output_sequence; 7:8 activation_alpha activation_beta activations clip direction hidden_size input_forget; 14:8 activation_alpha activation_beta activations clip direction hidden_size input_forget layout"},
    {"", "LayerNormalization", "17:3 axis epsilon stash_type"},
    {"", "LeakyRelu", "1:1 alpha consumed_inputs; 6:1 alpha"},
    {"", "Less", "1:2 axis broadcast; 7:2"},
    {"", "LessOrEqual", "12:2"},
    {"", "LinearAttention", "27:6 chunk_size kv_num_heads! q_num_heads! scale update_rule"},
    {"", "Log", "1:1 consumed_inputs; 6:1"},
    {"", "LogSoftmax", "1:1 axis"},
    {"", "Loop", "1:* body!"},
    {"", "LpNormalization", "1:1 axis p"},
    {"", "LpPool", "1:1 auto_pad kernel_shape p pads strides; 2:1 auto_pad kernel_shape! p pads strides; 18:1 auto_pad ceil_mode dilations kernel_shape! p pads strides"},
    {"", "MatMul", "1:2"},
    {"", "MatMulInteger", "10:4"},
    {"", "Max", "1:* consumed_inputs; 6:*"},
    {"", "MaxPool", "1:1 auto_pad kernel_shape! pads strides; 8:1 auto_pad kernel_shape! pads storage_order strides; 10:1 auto_pad ceil_mode dilations kernel_shape! pads storage_order strides"},
    {"", "MaxRoiPool", "1:2 pooled_shape! spatial_scale"},
    {"", "MaxUnpool", "9:3 kernel_shape! pads strides"},
    {"", "Mean", "1:* consumed_inputs; 6:*"},
    {"", "MeanVarianceNormalization", "9:1 axes"},
    {"", "MelWeightMatrix", "17:5 output_datatype"},
    {"", "Min", "1:* consumed_inputs; 6:*"},
    {"", "Mish", "18:1"},
    {"", "Mod", "10:2 fmod"},
    {"", "Mul", "1:2 axis broadcast consumed_inputs; 6:2 axis broadcast; 7:2"},
    {"", "Multinomial", "7:1 dtype sample_size seed"},
    {"", "Neg", "1:1 consumed_inputs; 6:1"},
    {"", "NegativeLogLikelihoodLoss", "12:3 ignore_index reduction"},
    {"", "NonMaxSuppression", "10:5 center_point_box"},
    {"", "NonZero", "9:1"},
    {"", "Not", "1:1"},
    {"", "OneHot", "9:3 axis"},
    {"", "Optional", "15:1 type"},
    {"", "OptionalGetElement", "15:1"},
    {"", "OptionalHasElement", "15:1"},
    {"", "Or", "1:2 axis broadcast; 7:2"},
    {"", "PRelu", "1:2 consumed_inputs; 6:2"},
    {"", "Pad", "1:1 mode paddings! value; 2:1 mode pads! value; 11:3 mode; 18:4 mode"},
    {"", "Pow", "1:2 axis broadcast; 7:2"},
    {"", "QLinearConv", "10:9 auto_pad dilations group kernel_shape pads strides"},
    {"", "QLinearMatMul", "10:8"},
    {"", "QuantizeLinear", "10:3; 13:3 axis; 19:3 axis saturate; 21:3 axis block_size output_dtype saturate; 23:3 axis block_size output_dtype precision saturate"},
    {"", "RMSNormalization", "23:2 axis epsilon stash_type"},
    {"", "RNN", "1:6 activation_alpha activation_beta activations clip direction hidden_size output_sequence; 7:6 activation_alpha activation_beta activations clip direction hidden_size; 14:6 activation_alpha activation_beta activations clip direction hidden_size layout"},
    {"", "RandomNormal", "1:0 dtype mean scale seed shape!"},
    {"", "RandomNormalLike", "1:1 dtype mean scale seed"},
    {"", "RandomUniform", "1:0 dtype high low seed shape!"},
    {"", "RandomUniformLike", "1:1 dtype high low seed"},
    {"", "Range", "11:3; 27:3 stash_type"},
    {"", "Reciprocal", "1:1 consumed_inputs; 6:1"},
    {"", "ReduceL1", "1:1 axes keepdims; 18:2 keepdims noop_with_empty_axes"},
    {"", "ReduceL2", "1:1 axes keepdims; 18:2 keepdims noop_with_empty_axes"},
    {"", "ReduceLogSum", "1:1 axes keepdims; 18:2 keepdims noop_with_empty_axes"},
    {"", "ReduceLogSumExp", "1:1 axes keepdims; 18:2 keepdims noop_with_empty_axes"},
    {"", "ReduceMax", "1:1 axes keepdims; 18:2 keepdims noop_with_empty_axes"},
    {"", "ReduceMean", "1:1 axes keepdims; 18:2 keepdims noop_with_empty_axes"},
    {"", "ReduceMin", "1:1 axes keepdims; 18:2 keepdims noop_with_empty_axes"},
    {"", "ReduceProd", "1:1 axes keepdims; 18:2 keepdims noop_with_empty_axes"},
    {"", "ReduceSum", "1:1 axes keepdims; 13:2 keepdims noop_with_empty_axes"},
    {"", "ReduceSumSquare", "1:1 axes keepdims; 18:2 keepdims noop_with_empty_axes"},
    {"", "RegexFullMatch", "20:1 pattern"},
    {"", "Relu", "1:1 consumed_inputs; 6:1"},
    {"", "Reshape", "1:1 consumed_inputs shape; 5:2; 14:2 allowzero"},
    {"", "Resize", "10:2 mode; 11:4 coordinate_transformation_mode cubic_coeff_a exclude_outside extrapolation_value mode nearest_mode; 18:4 antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside extrapolation_value keep_aspect_ratio_policy mode nearest_mode"},
    {"", "ReverseSequence", "10:2 batch_axis time_axis"},
    {"", "RoiAlign", "10:3 mode output_height output_width sampling_ratio spatial_scale; 16:3 coordinate_transformation_mode mode output_height output_width sampling_ratio spatial_scale"},
    {"", "RotaryEmbedding", "23:4 interleaved num_heads rotary_embedding_dim"},
    {"", "Round", "11:1"},
    {"", "STFT", "17:4 onesided"},
    {"", "Scan", "8:* body! directions num_scan_inputs!; 9:* body! num_scan_inputs! scan_input_axes scan_input_directions scan_output_axes scan_output_directions"},
    {"", "Scatter", "9:3 axis"},
    {"", "ScatterElements", "11:3 axis; 16:3 axis reduction"},
    {"", "ScatterND", "11:3; 16:3 reduction"},
    {"", "Selu", "1:1 alpha consumed_inputs gamma; 6:1 alpha gamma"},
    {"", "SequenceAt", "11:2"},
    {"", "SequenceConstruct", "11:*"},
    {"", "SequenceEmpty", "11:0 dtype"},
    {"", "SequenceErase", "11:2"},
    {"", "SequenceInsert", "11:3"},
    {"", "SequenceLength", "11:1"},
    {"", "SequenceMap", "17:* body!"},
    {"", "Shape", "1:1; 15:1 end start"},
    {"", "Shrink", "9:1 bias lambd"},
    {"", "Sigmoid", "1:1 consumed_inputs; 6:1"},
    {"", "Sign", "9:1"},
    {"", "Sin", "7:1"},
    {"", "Sinh", "9:1"},
    {"", "Size", "1:1"},
    {"", "Slice", "1:1 axes ends! starts!; 10:5"},
    {"", "Softmax", "1:1 axis"},
    {"", "SoftmaxCrossEntropyLoss", "12:3 ignore_index reduction"},
    {"", "Softplus", "1:1"},
    {"", "Softsign", "1:1"},
    {"", "SpaceToDepth", "1:1 blocksize!"},
    {"", "Split", "1:2 axis split; 2:1 axis split; 13:2 axis; 18:2 axis num_outputs"},
    {"", "SplitToSequence", "11:2 axis keepdims"},
    {"", "Sqrt", "1:1 consumed_inputs; 6:1"},
    {"", "Squeeze", "1:1 axes; 13:2"},
    {"", "StringConcat", "20:2"},
    {"", "StringNormalizer", "10:1 case_change_action is_case_sensitive locale stopwords"},
    {"", "StringSplit", "20:1 delimiter maxsplit"},
    {"", "Sub", "1:2 axis broadcast consumed_inputs; 6:2 axis broadcast; 7:2"},
    {"", "Sum", "1:* consumed_inputs; 6:*"},
    {"", "Swish", "24:1 alpha"},
    {"", "Tan", "7:1"},
    {"", "Tanh", "1:1 consumed_inputs; 6:1"},
    {"", "TensorScatter", "24:3 axis mode"},
    {"", "TfIdfVectorizer", "9:1 max_gram_length! max_skip_count! min_gram_length! mode! ngram_counts! ngram_indexes! pool_int64s pool_strings weights"},
    {"", "ThresholdedRelu", "10:1 alpha"},
    {"", "Tile", "1:3; 6:2"},
    {"", "TopK", "1:1 axis k!; 10:2 axis; 11:2 axis largest sorted"},
    {"", "Transpose", "1:1 perm"},
    {"", "Trilu", "14:2 upper"},
    {"", "Unique", "11:1 axis sorted"},
    {"", "Unsqueeze", "1:1 axes!; 13:2"},
    {"", "Upsample", "1:1 height_scale! mode width_scale!; 7:1 mode scales!; 9:2 mode"},
    {"", "Where", "9:3"},
    {"", "Xor", "1:2 axis broadcast; 7:2"},
    {"ai.onnx.ml", "ArrayFeatureExtractor", "1:2"},
    {"ai.onnx.ml", "Binarizer", "1:1 threshold"},
    {"ai.onnx.ml", "CastMap", "1:1 cast_to map_form max_map"},
    {"ai.onnx.ml", "CategoryMapper", "1:1 cats_int64s cats_strings default_int64 default_string"},
    {"ai.onnx.ml", "DictVectorizer", "1:1 int64_vocabulary string_vocabulary"},
    {"ai.onnx.ml", "FeatureVectorizer", "1:* inputdimensions"},
    {"ai.onnx.ml", "Imputer", "1:1 imputed_value_floats imputed_value_int64s replaced_value_float replaced_value_int64"},
    {"ai.onnx.ml", "LabelEncoder", "1:1 classes_strings default_int64 default_string; 2:1 default_float default_int64 default_string keys_floats keys_int64s keys_strings values_floats values_int64s values_strings; 4:1 default_float default_int64 default_string default_tensor keys_floats keys_int64s keys_strings keys_tensor values_floats values_int64s values_strings values_tensor"},
    {"ai.onnx.ml", "LinearClassifier", "1:1 classlabels_ints classlabels_strings coefficients! intercepts multi_class post_transform"},
    {"ai.onnx.ml", "LinearRegressor", "1:1 coefficients intercepts post_transform targets"},
    {"ai.onnx.ml", "Normalizer", "1:1 norm"},
    {"ai.onnx.ml", "OneHotEncoder", "1:1 cats_int64s cats_strings zeros"},
    {"ai.onnx.ml", "SVMClassifier", "1:1 classlabels_ints classlabels_strings coefficients kernel_params kernel_type post_transform prob_a prob_b rho support_vectors vectors_per_class"},
    {"ai.onnx.ml", "SVMRegressor", "1:1 coefficients kernel_params kernel_type n_supports one_class post_transform rho support_vectors"},
    {"ai.onnx.ml", "Scaler", "1:1 offset scale"},
    {"ai.onnx.ml", "TreeEnsemble", "5:1 aggregate_function leaf_targetids! leaf_weights! membership_values n_targets nodes_falseleafs! nodes_falsenodeids! nodes_featureids! nodes_hitrates nodes_missing_value_tracks_true nodes_modes! nodes_splits! nodes_trueleafs! nodes_truenodeids! post_transform tree_roots!"},
    {"ai.onnx.ml", "TreeEnsembleClassifier", "1:1 base_values class_ids class_nodeids class_treeids class_weights classlabels_int64s classlabels_strings nodes_falsenodeids nodes_featureids nodes_hitrates nodes_missing_value_tracks_true nodes_modes nodes_nodeids nodes_treeids nodes_truenodeids nodes_values post_transform; 3:1 base_values base_values_as_tensor class_ids class_nodeids class_treeids class_weights class_weights_as_tensor classlabels_int64s classlabels_strings nodes_falsenodeids nodes_featureids nodes_hitrates nodes_hitrates_as_tensor nodes_missing_value_tracks_true nodes_modes nodes_nodeids nodes_treeids nodes_truenodeids nodes_values nodes_values_as_tensor post_transform"},
    {"ai.onnx.ml", "TreeEnsembleRegressor", "1:1 aggregate_function base_values n_targets nodes_falsenodeids nodes_featureids nodes_hitrates nodes_missing_value_tracks_true nodes_modes nodes_nodeids nodes_treeids nodes_truenodeids nodes_values post_transform target_ids target_nodeids target_treeids target_weights; 3:1 aggregate_function base_values base_values_as_tensor n_targets nodes_falsenodeids nodes_featureids nodes_hitrates nodes_hitrates_as_tensor nodes_missing_value_tracks_true nodes_modes nodes_nodeids nodes_treeids nodes_truenodeids nodes_values nodes_values_as_tensor post_transform target_ids target_nodeids target_treeids target_weights target_weights_as_tensor"},
    {"ai.onnx.ml", "ZipMap", "1:1 classlabels_int64s classlabels_strings"},
    {"ai.onnx.preview", "FlexAttention", "1:3 prob_mod scale score_mod softmax_precision"},
};
// clang-format on

/// What stands in front of the first `separator`; `text` keeps what follows it.
std::string_view cut(std::string_view& text, char separator) {
  const size_t at = std::min(text.find(separator), text.size());
  std::string_view head = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  return head;
}

int64_t number(std::string_view text) {
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

using Key = std::pair<std::string_view, std::string_view>;

std::map<Key, std::string_view> make_index() {
  std::map<Key, std::string_view> index;
  for (const SignatureRow& row : kRows) index.emplace(Key{row.domain, row.op}, row.versions);
  return index;
}

}  // namespace

std::optional<Signature> find_signature(std::string_view domain, std::string_view op,
                                        int64_t opset) {
  static const std::map<Key, std::string_view> index = make_index();
  auto at = index.find({plain_domain(domain), op});
  if (at == index.end()) return {};
  std::optional<Signature> found;
  for (std::string_view versions = at->second; !versions.empty();) {
    std::string_view names = cut(versions, ';');
    std::string_view inputs = cut(names, ' ');
    if (number(cut(inputs, ':')) <= opset) found = {inputs == "*" ? -1 : number(inputs), names};
  }
  return found;
}

namespace {
/// "a b!" → "a b".
std::string listed(std::string_view names) {
  std::string text;
  while (!names.empty()) {
    const std::string_view name = cut(names, ' ');
    text += cat(text.empty() ? "" : " ", name.substr(0, name.find('!')));
  }
  return text.empty() ? "none" : text;
}

bool has(const Node& node, std::string_view name) {
  return std::ranges::any_of(node.attributes, [&](const Attribute& a) { return a.name == name; });
}
}  // namespace

void check_signature(const Node& node, int64_t opset) {
  const auto known = find_signature(node.domain, node.op_type, opset);
  if (!known) return;
  size_t given = node.inputs.size();
  while (given > 0 && node.inputs[given - 1].empty()) --given;
  require(known->max_inputs < 0 || int64_t(given) <= known->max_inputs, "has ", given,
          " inputs: at opset ", opset, " the operator takes at most ", known->max_inputs);
  std::set<std::string_view> names;
  for (std::string_view rest = known->attributes; !rest.empty();) {
    const std::string_view word = cut(rest, ' '), name = word.substr(0, word.find('!'));
    names.insert(name);
    require(name == word || has(node, name), "attribute '", name, "' is missing: at opset ", opset,
            " it must be given");
  }
  for (const Attribute& a : node.attributes)  // those with "__" ONNX leaves to tools
    require(a.name.starts_with("__") || names.count(a.name), "attribute '", a.name,
            "' is unknown: at opset ", opset, " the operator has ", listed(known->attributes));
}

}  // namespace vitrify::onnx
