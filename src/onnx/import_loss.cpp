// Losses: NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss, composed from gathers and sums.
#include "base/error.h"
#include "onnx/families.h"
#include "onnx/importer.h"

namespace vitrify::onnx {

namespace {

ValueId sum_all(NodeContext& c, Reduce::Kind kind, ValueId x) {
  return c.add(Reduce{.kind = kind, .axes = {}, .keepdims = false, .epilogue = {}}, {x});
}

/// -weight[target] * log_probabilities[n, target, …], reduced as the attribute says. Targets equal
/// to ignore_index count for nothing.
ValueId negative_log_likelihood(NodeContext& c, ValueId log_probabilities, ValueId target,
                                ValueId weight) {
  DType dtype = c.dtype(log_probabilities);
  ValueId zero = c.scalar(0, dtype), ignored;
  if (c.has_attribute("ignore_index")) {
    DType index = c.dtype(target);
    Tensor ignore(index, {});
    set_int(ignore, 0, c.int_attribute("ignore_index", 0));
    ignored = c.binary(BinaryKind::kEqual, target, c.constant(std::move(ignore)));
    target = c.add(Select{}, {ignored, c.scalar(0, index), target});
  }
  ValueId picked = c.add(GatherElements{1}, {log_probabilities, c.add(Unsqueeze{{1}}, {target})});
  ValueId loss = c.unary(UnaryKind::kNeg, c.add(Squeeze{{1}}, {picked}));
  ValueId share;  // what each element counts for
  if (weight.valid()) share = c.add(Gather{0}, {weight, target});
  if (ignored.valid())
    share = c.add(Select{}, {ignored, zero, share.valid() ? share : c.scalar(1, dtype)});
  if (share.valid()) loss = c.binary(BinaryKind::kMul, loss, share);
  if (ignored.valid()) loss = c.add(Select{}, {ignored, zero, loss});
  std::string reduction = c.string_attribute("reduction", "mean");
  require(reduction == "mean" || reduction == "sum" || reduction == "none", "unknown reduction '",
          reduction, "'");
  if (reduction == "none") return loss;
  if (reduction == "sum") return sum_all(c, Reduce::Kind::kSum, loss);
  if (!share.valid()) return sum_all(c, Reduce::Kind::kMean, loss);
  return c.binary(BinaryKind::kDiv, sum_all(c, Reduce::Kind::kSum, loss),
                  sum_all(c, Reduce::Kind::kSum, share));
}

void import_negative_log_likelihood(NodeContext& c) {
  c.outputs({negative_log_likelihood(c, c.in(0), c.in(1), c.optional_in(2))});
}

void import_softmax_cross_entropy(NodeContext& c) {
  ValueId log_probabilities = c.add(Softmax{1, true}, {c.in(0)});
  c.outputs({negative_log_likelihood(c, log_probabilities, c.in(1), c.optional_in(2)),
             log_probabilities});
}

constexpr ImportRow kRows[] = {
    {"", "NegativeLogLikelihoodLoss", 12, import_negative_log_likelihood},
    {"", "SoftmaxCrossEntropyLoss", 12, import_softmax_cross_entropy},
};

}  // namespace

std::span<const ImportRow> loss_imports() { return kRows; }

}  // namespace vitrify::onnx
