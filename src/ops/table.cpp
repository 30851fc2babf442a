#include "ops/table.h"

#include <array>

#include "base/error.h"
#include "ops/attention.h"
#include "ops/classic.h"
#include "ops/contraction.h"
#include "ops/control.h"
#include "ops/conv.h"
#include "ops/custom.h"
#include "ops/detection.h"
#include "ops/gather.h"
#include "ops/movement.h"
#include "ops/norm.h"
#include "ops/pointwise.h"
#include "ops/pool.h"
#include "ops/quantize.h"
#include "ops/random.h"
#include "ops/recurrent.h"
#include "ops/reduce.h"
#include "ops/resize.h"
#include "ops/sequence.h"
#include "ops/shape.h"

namespace vitrify {

namespace {

void infer_given(InferContext&) { fail_internal("graph inputs and constants are not inferred"); }

/// Every op, in any order: `rows_by_index` puts them in OpVariant's. Sections by family.
const OpInfo kRows[] = {
    // ---- leaves ----
    {.name = Input::kName, .infer = infer_given, .reference = nullptr},
    {.name = Constant::kName, .infer = infer_given, .reference = nullptr},
    // ---- contraction ----
    {.name = MatMul::kName,
     .infer = infer_matmul,
     .reference = reference_matmul,
     .samples = samples_matmul,
     .cost = cost_matmul},
    {.name = Einsum::kName,
     .infer = infer_einsum,
     .reference = reference_einsum,
     .samples = samples_einsum,
     .cost = cost_einsum},
    // ---- convolution ----
    {.name = Conv::kName,
     .infer = infer_conv,
     .reference = reference_conv,
     .samples = samples_conv,
     .cost = cost_conv},
    {.name = ConvTranspose::kName,
     .infer = infer_conv_transpose,
     .reference = reference_conv_transpose,
     .samples = samples_conv_transpose,
     .cost = cost_conv_transpose},
    {.name = DeformConv::kName,
     .infer = infer_deform_conv,
     .reference = reference_deform_conv,
     .samples = samples_deform_conv,
     .cost = cost_deform_conv},
    // ---- pooling ----
    {.name = Pool::kName,
     .infer = infer_pool,
     .reference = reference_pool,
     .samples = samples_pool,
     .cost = cost_pool},
    {.name = MaxPoolIndices::kName,
     .infer = infer_max_pool_indices,
     .reference = reference_max_pool_indices,
     .samples = samples_max_pool_indices},
    {.name = MaxUnpool::kName,
     .infer = infer_max_unpool,
     .reference = reference_max_unpool,
     .samples = samples_max_unpool},
    // ---- resampling ----
    {.name = Resize::kName,
     .infer = infer_resize,
     .reference = reference_resize,
     .samples = samples_resize,
     .cost = cost_resize},
    {.name = GridSample::kName,
     .infer = infer_grid_sample,
     .reference = reference_grid_sample,
     .samples = samples_grid_sample,
     .cost = cost_grid_sample},
    // ---- quantisation ----
    {.name = Quantize::kName,
     .infer = infer_quantize,
     .reference = reference_quantize,
     .samples = samples_quantize,
     .cost = cost_quantize},
    {.name = Dequantize::kName,
     .infer = infer_dequantize,
     .reference = reference_dequantize,
     .samples = samples_dequantize,
     .cost = cost_quantize},
    // ---- detection ----
    {.name = NonMaxSuppression::kName,
     .infer = infer_nms,
     .reference = reference_nms,
     .samples = samples_nms},
    // ---- the long tail ----
    {.name = Classic::kName,
     .infer = infer_classic,
     .reference = reference_classic,
     .samples = samples_classic},
    // ---- pointwise ----
    {.name = Unary::kName,
     .infer = infer_unary,
     .reference = reference_unary,
     .samples = samples_unary,
     .cost = cost_pointwise},
    {.name = Binary::kName,
     .infer = infer_binary,
     .reference = reference_binary,
     .samples = samples_binary,
     .cost = cost_pointwise},
    {.name = Select::kName,
     .infer = infer_select,
     .reference = reference_select,
     .samples = samples_select,
     .cost = cost_pointwise},
    {.name = Cast::kName,
     .infer = infer_cast,
     .reference = reference_cast,
     .samples = samples_cast,
     .cost = cost_pointwise},
    {.name = BitCast::kName,
     .infer = infer_bitcast,
     .reference = reference_bitcast,
     .samples = samples_bitcast,
     .cost = cost_pointwise},
    {.name = Pointwise::kName,
     .infer = infer_pointwise,
     .reference = reference_pointwise,
     .samples = samples_pointwise,
     .cost = cost_pointwise},
    // ---- reductions and normalisation ----
    {.name = Reduce::kName,
     .infer = infer_reduce,
     .reference = reference_reduce,
     .samples = samples_reduce,
     .cost = cost_reduction},
    {.name = ArgReduce::kName,
     .infer = infer_arg_reduce,
     .reference = reference_arg_reduce,
     .samples = samples_arg_reduce,
     .cost = cost_reduction},
    {.name = Softmax::kName,
     .infer = infer_softmax,
     .reference = reference_softmax,
     .samples = samples_softmax,
     .cost = cost_reduction},
    {.name = Cumulative::kName,
     .infer = infer_cumulative,
     .reference = reference_cumulative,
     .samples = samples_cumulative,
     .cost = cost_reduction},
    {.name = TopK::kName,
     .infer = infer_topk,
     .reference = reference_topk,
     .samples = samples_topk,
     .cost = cost_reduction},
    {.name = Normalize::kName,
     .infer = infer_normalize,
     .reference = reference_normalize,
     .samples = samples_normalize,
     .cost = cost_normalize},
    {.name = Lrn::kName,
     .infer = infer_lrn,
     .reference = reference_lrn,
     .samples = samples_lrn,
     .cost = cost_lrn},
    // ---- movement ----
    {.name = Transpose::kName,
     .infer = infer_transpose,
     .reference = reference_transpose,
     .tolerance = 0,
     .samples = samples_transpose,
     .cost = cost_movement},
    {.name = Reshape::kName,
     .infer = infer_reshape,
     .reference = reference_reshape,
     .tolerance = 0,
     .samples = samples_reshape,
     .cost = cost_movement},
    {.name = Expand::kName,
     .infer = infer_expand,
     .reference = reference_expand,
     .tolerance = 0,
     .samples = samples_expand,
     .cost = cost_movement},
    {.name = Squeeze::kName,
     .infer = infer_squeeze,
     .reference = reference_squeeze,
     .tolerance = 0,
     .samples = samples_squeeze,
     .cost = cost_movement},
    {.name = Unsqueeze::kName,
     .infer = infer_unsqueeze,
     .reference = reference_unsqueeze,
     .tolerance = 0,
     .samples = samples_unsqueeze,
     .cost = cost_movement},
    {.name = Concat::kName,
     .infer = infer_concat,
     .reference = reference_concat,
     .tolerance = 0,
     .samples = samples_concat,
     .cost = cost_movement},
    {.name = Slice::kName,
     .infer = infer_slice,
     .reference = reference_slice,
     .tolerance = 0,
     .samples = samples_slice,
     .cost = cost_movement},
    {.name = SliceDynamic::kName,
     .infer = infer_slice_dynamic,
     .reference = reference_slice_dynamic,
     .tolerance = 0,
     .samples = samples_slice_dynamic,
     .cost = cost_movement},
    {.name = Pad::kName,
     .infer = infer_pad,
     .reference = reference_pad,
     .tolerance = 0,
     .samples = samples_pad,
     .cost = cost_movement},
    {.name = Tile::kName,
     .infer = infer_tile,
     .reference = reference_tile,
     .tolerance = 0,
     .samples = samples_tile,
     .cost = cost_movement},
    {.name = Gather::kName,
     .infer = infer_gather,
     .reference = reference_gather,
     .tolerance = 0,
     .samples = samples_gather,
     .cost = cost_movement},
    {.name = GatherElements::kName,
     .infer = infer_gather_elements,
     .reference = reference_gather_elements,
     .tolerance = 0,
     .samples = samples_gather_elements,
     .cost = cost_movement},
    {.name = GatherND::kName,
     .infer = infer_gather_nd,
     .reference = reference_gather_nd,
     .tolerance = 0,
     .samples = samples_gather_nd,
     .cost = cost_movement},
    {.name = ScatterElements::kName,
     .infer = infer_scatter_elements,
     .reference = reference_scatter_elements,
     .tolerance = 1e-5,
     .samples = samples_scatter_elements,
     .cost = cost_movement},
    {.name = ScatterND::kName,
     .infer = infer_scatter_nd,
     .reference = reference_scatter_nd,
     .tolerance = 1e-5,
     .samples = samples_scatter_nd,
     .cost = cost_movement},
    {.name = DimsValue::kName,
     .infer = infer_dims_value,
     .reference = reference_dims_value,
     .tolerance = 0,
     .samples = samples_dims_value,
     .cost = cost_movement},
    {.name = ShapeOf::kName,
     .infer = infer_shape_of,
     .reference = reference_shape_of,
     .tolerance = 0,
     .samples = samples_shape_of,
     .cost = cost_movement},
    {.name = SizeOf::kName,
     .infer = infer_size_of,
     .reference = reference_size_of,
     .tolerance = 0,
     .samples = samples_size_of,
     .cost = cost_movement},
    {.name = Range::kName,
     .infer = infer_range,
     .reference = reference_range,
     .tolerance = 1e-5,
     .samples = samples_range,
     .cost = cost_movement},
    {.name = EyeLike::kName,
     .infer = infer_eye_like,
     .reference = reference_eye_like,
     .tolerance = 0,
     .samples = samples_eye_like,
     .cost = cost_movement},
    {.name = OneHot::kName,
     .infer = infer_one_hot,
     .reference = reference_one_hot,
     .tolerance = 0,
     .samples = samples_one_hot,
     .cost = cost_movement},
    {.name = Trilu::kName,
     .infer = infer_trilu,
     .reference = reference_trilu,
     .tolerance = 0,
     .samples = samples_trilu,
     .cost = cost_movement},
    {.name = NonZero::kName,
     .infer = infer_nonzero,
     .reference = reference_nonzero,
     .tolerance = 0,
     .samples = samples_nonzero,
     .cost = cost_movement},
    {.name = Compress::kName,
     .infer = infer_compress,
     .reference = reference_compress,
     .tolerance = 0,
     .samples = samples_compress,
     .cost = cost_movement},
    {.name = Unique::kName,
     .infer = infer_unique,
     .reference = reference_unique,
     .tolerance = 0,
     .samples = samples_unique,
     .cost = cost_movement},
    {.name = ReverseSequence::kName,
     .infer = infer_reverse_sequence,
     .reference = reference_reverse_sequence,
     .tolerance = 0,
     .samples = samples_reverse_sequence,
     .cost = cost_movement},
    // ---- attention ----
    {.name = Attention::kName,
     .infer = infer_attention,
     .reference = reference_attention,
     .samples = samples_attention,
     .cost = cost_attention},
    // ---- random ----
    {.name = Random::kName,
     .infer = infer_random,
     .reference = reference_random,
     .samples = samples_random,
     .cost = cost_movement,
     .pure = false},
    // ---- control ----
    {.name = If::kName, .infer = infer_if, .reference = reference_if},
    {.name = Loop::kName, .infer = infer_loop, .reference = reference_loop},
    {.name = Scan::kName, .infer = infer_scan, .reference = reference_scan},
    {.name = Region::kName,
     .infer = infer_region,
     .reference = reference_region,
     .samples = samples_region,
     .cost = cost_region},
    // ---- sequences and optionals ----
    {.name = SequenceConstruct::kName,
     .infer = infer_sequence_construct,
     .reference = reference_sequence_construct},
    {.name = SequenceEmpty::kName,
     .infer = infer_sequence_empty,
     .reference = reference_sequence_empty},
    {.name = SequenceAt::kName, .infer = infer_sequence_at, .reference = reference_sequence_at},
    {.name = SequenceInsert::kName,
     .infer = infer_sequence_insert,
     .reference = reference_sequence_insert},
    {.name = SequenceErase::kName,
     .infer = infer_sequence_erase,
     .reference = reference_sequence_erase},
    {.name = SequenceLength::kName,
     .infer = infer_sequence_length,
     .reference = reference_sequence_length},
    {.name = ConcatFromSequence::kName,
     .infer = infer_concat_from_sequence,
     .reference = reference_concat_from_sequence},
    {.name = SplitToSequence::kName,
     .infer = infer_split_to_sequence,
     .reference = reference_split_to_sequence},
    {.name = MakeOptional::kName, .infer = infer_optional, .reference = reference_optional},
    {.name = OptionalGetElement::kName,
     .infer = infer_optional_get,
     .reference = reference_optional_get},
    {.name = OptionalHasElement::kName,
     .infer = infer_optional_has,
     .reference = reference_optional_has},
    // ---- recurrent ----
    {.name = Recurrent::kName,
     .infer = infer_recurrent,
     .reference = reference_recurrent,
     .samples = samples_recurrent,
     .cost = cost_recurrent},
    // ---- the host program's own ----
    {.name = Custom::kName, .infer = infer_custom, .reference = reference_custom, .pure = false},
};

template <size_t... I>
constexpr auto names(std::index_sequence<I...>) {
  return std::array{std::string_view(std::variant_alternative_t<I, OpVariant>::kName)...};
}
constexpr auto kNames = names(std::make_index_sequence<std::variant_size_v<OpVariant>>());

std::array<const OpInfo*, kNames.size()> rows_by_index() {
  std::array<const OpInfo*, kNames.size()> rows{};
  for (size_t i = 0; i < kNames.size(); ++i)
    for (const OpInfo& row : kRows)
      if (row.name == kNames[i]) rows[i] = &row;
  return rows;
}

Inferred infer_added(const GraphBuilder& builder, const Op& op, const std::vector<ValueId>& inputs,
                     int outputs, const Node* like, int64_t* next_symbol) {
  std::vector<KnownInput> known;
  for (ValueId v : inputs)
    known.push_back(v.valid()
                        ? KnownInput{&builder.type(v), &builder.fact(v), builder.constant_of(v)}
                        : KnownInput{});
  return infer(op, std::move(known), outputs, like, next_symbol);
}

bool pure(const Op& op) { return op_info(op).pure; }

}  // namespace

const OpInfo& op_info(size_t index) {
  static const auto rows = rows_by_index();
  CHECK(index < rows.size());
  if (!rows[index]) fail_internal("op '", kNames[index], "' has no row in the op table");
  return *rows[index];
}
const OpInfo& op_info(const Op& op) { return op_info(op.index()); }
size_t op_count() { return kNames.size(); }

Inferred infer(const Op& op, std::vector<KnownInput> inputs, int outputs, const Node* like,
               int64_t* next_symbol) {
  InferContext context(op, inputs, outputs, like, next_symbol);
  try {
    op_info(op).infer(context);
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::kInternal) throw;
    std::string types;
    for (const KnownInput& i : inputs)
      types += (types.empty() ? "" : ", ") + (i.type ? i.type->str() : "none");
    throw Error(e.kind(), cat(op.label(), "(", types, "): ", e.message()), e.origin());
  }
  return context.take();
}

GraphBuilder make_builder(const Graph* old) {
  GraphBuilder builder(infer_added, pure);
  if (old) builder.continue_from(*old);
  return builder;
}

Graph rebuild(const Graph& graph) {
  return rewrite_graph(graph, make_builder(&graph),
                       [&](GraphBuilder& b, int32_t n, auto& map) { copy_node(b, graph, n, map); });
}

}  // namespace vitrify
