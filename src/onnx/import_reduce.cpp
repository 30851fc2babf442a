// Reductions, softmax, cumulative ops, TopK and global pooling.
#include "base/error.h"
#include "onnx/families.h"
#include "onnx/import_norm.h"
#include "onnx/importer.h"

namespace vitrify::onnx {

namespace {

struct ReduceRow {
  std::string_view op;
  Reduce::Kind kind;
  int axes_input_since;
};

constexpr ReduceRow kReduceRows[] = {
    {"ReduceL1", Reduce::Kind::kL1, 18},         {"ReduceL2", Reduce::Kind::kL2, 18},
    {"ReduceLogSum", Reduce::Kind::kLogSum, 18}, {"ReduceLogSumExp", Reduce::Kind::kLogSumExp, 18},
    {"ReduceMax", Reduce::Kind::kMax, 18},       {"ReduceMean", Reduce::Kind::kMean, 18},
    {"ReduceMin", Reduce::Kind::kMin, 18},       {"ReduceProd", Reduce::Kind::kProd, 18},
    {"ReduceSum", Reduce::Kind::kSum, 13},       {"ReduceSumSquare", Reduce::Kind::kSumSquare, 18},
};

Reduce reduce_op(NodeContext& c) {
  Reduce op{.axes = {}, .keepdims = c.int_attribute("keepdims", 1) != 0, .epilogue = {}};
  for (const ReduceRow& row : kReduceRows)
    if (row.op == c.node().op_type) op.kind = row.kind;
  return op;
}

/// Axes in [0, rank) where the rank is known, so that equal reductions look equal.
Ints normal_axes(NodeContext& c, Ints axes, ValueId x) {
  if (int rank = c.rank(x); rank >= 0)
    for (int64_t& a : axes) a = c.axis(a, rank);
  return axes;
}

void import_reduce_attributes(NodeContext& c) {
  Reduce op = reduce_op(c);
  op.axes = normal_axes(c, c.ints_attribute("axes"), c.in(0));
  c.outputs({c.add(op, {c.in(0)})});
}

void import_reduce(NodeContext& c) {
  Reduce op = reduce_op(c);
  op.empty_means_all = c.int_attribute("noop_with_empty_axes", 0) == 0;
  if (!c.has(1)) return c.outputs({c.add(op, {c.in(0)})});
  auto axes = c.known_ints(c.in(1));
  if (!axes) return c.outputs({c.add(op, {c.in(0), c.in(1)})});
  op.axes = normal_axes(c, *axes, c.in(0));
  c.outputs({c.add(op, {c.in(0)})});
}

void import_arg_reduce(NodeContext& c) {
  ArgReduce op{.max = c.node().op_type == "ArgMax",
               .axis = c.int_attribute("axis", 0),
               .keepdims = c.int_attribute("keepdims", 1) != 0,
               .select_last = c.int_attribute("select_last_index", 0) != 0};
  c.outputs({c.add(op, {c.in(0)})});
}

// ---- Softmax, LogSoftmax, Hardmax ----

/// One where x is largest along `axis` (the first such place), else 0.
ValueId hardmax(NodeContext& c, ValueId x, int64_t axis) {
  axis = c.axis(axis, c.known_rank(x));
  ValueId largest = c.add(ArgReduce{.max = true, .axis = axis, .keepdims = false}, {x});
  ValueId depth = c.add(DimsValue{{(*c.type(x).shape)[size_t(axis)]}, true}, {});
  Tensor values(c.dtype(x), {2});
  set_double(values, 1, 1);
  return c.add(OneHot{axis}, {largest, depth, c.constant(std::move(values))});
}

ValueId softmax(NodeContext& c, ValueId x, int64_t axis) {
  if (c.node().op_type == "Hardmax") return hardmax(c, x, axis);
  return c.add(Softmax{axis, c.node().op_type == "LogSoftmax"}, {x});
}

void import_softmax(NodeContext& c) {
  int64_t axis = c.int_attribute("axis", -1);
  if (int rank = c.rank(c.in(0)); rank >= 0) axis = c.axis(axis, rank);
  c.outputs({softmax(c, c.in(0), axis)});
}

/// Before opset 13, `axis` and all behind it were taken as one.
void import_softmax_flattened(NodeContext& c) {
  ValueId x = c.in(0);
  int rank = c.known_rank(x);
  int64_t axis = c.int_attribute("axis", 1);
  if (axis == rank) return c.outputs({softmax(c, c.add(Unsqueeze{{rank}}, {x}), rank)});
  axis = c.axis(axis, rank);
  if (axis == rank - 1) return c.outputs({softmax(c, x, axis)});
  Shape whole = *c.type(x).shape, flat(whole.begin(), whole.begin() + axis);
  flat.push_back(element_count(Shape(whole.begin() + axis, whole.end())));
  c.outputs({c.reshape(softmax(c, c.reshape(x, flat), axis), whole)});
}

// ---- Cumulative, TopK ----

void import_cumulative(NodeContext& c) {
  Cumulative op{.product = c.node().op_type == "CumProd",
                .exclusive = c.int_attribute("exclusive", 0) != 0,
                .reverse = c.int_attribute("reverse", 0) != 0};
  c.outputs({c.add(op, {c.in(0), c.in(1)})});
}

void top_k(NodeContext& c, ValueId k) {
  TopK op{.axis = c.int_attribute("axis", -1),
          .largest = c.int_attribute("largest", 1) != 0,
          .sorted = c.int_attribute("sorted", 1) != 0};
  ValueId y = c.add(op, {c.in(0), k}, 2);
  c.outputs({y, {y.node, 1}});
}
void import_topk(NodeContext& c) { top_k(c, c.in(1)); }
void import_topk_attribute(NodeContext& c) {
  require(c.has_attribute("k"), "attribute 'k' is missing");
  top_k(c, c.constant(Tensor::ints({c.int_attribute("k", 0)})));
}

// ---- Global pooling ----

ValueId reduce_spatial(NodeContext& c, Reduce::Kind kind, ValueId x) {
  int rank = c.known_rank(x);
  require(rank >= 2, "expects at least 2 dims, got ", c.type(x).str());
  Reduce op{.kind = kind, .axes = {}, .empty_means_all = false, .epilogue = {}};
  for (int a = 2; a < rank; ++a) op.axes.push_back(a);
  return c.add(op, {x});
}

void import_global_average_pool(NodeContext& c) {
  c.outputs({reduce_spatial(c, Reduce::Kind::kMean, c.in(0))});
}
void import_global_max_pool(NodeContext& c) {
  c.outputs({reduce_spatial(c, Reduce::Kind::kMax, c.in(0))});
}

void global_lp_pool(NodeContext& c, double p) {
  ValueId x = c.in(0);
  require(p > 0, "p must be positive");
  if (p == 1) return c.outputs({reduce_spatial(c, Reduce::Kind::kL1, x)});
  if (p == 2) return c.outputs({reduce_spatial(c, Reduce::Kind::kL2, x)});
  ValueId power = c.binary(BinaryKind::kPow, c.unary(UnaryKind::kAbs, x), c.scalar(p, c.dtype(x)));
  ValueId sum = reduce_spatial(c, Reduce::Kind::kSum, power);
  c.outputs({c.binary(BinaryKind::kPow, sum, c.scalar(1 / p, c.dtype(x)))});
}
void import_global_lp_pool(NodeContext& c) { global_lp_pool(c, double(c.int_attribute("p", 2))); }
void import_global_lp_pool_float(NodeContext& c) { global_lp_pool(c, c.float_attribute("p", 2)); }

std::vector<ImportRow> make_rows() {
  std::vector<ImportRow> rows;
  for (const ReduceRow& row : kReduceRows) {
    rows.push_back({"", row.op, 1, import_reduce_attributes});
    rows.push_back({"", row.op, row.axes_input_since, import_reduce});
  }
  for (std::string_view op : {"Softmax", "LogSoftmax", "Hardmax"}) {
    rows.push_back({"", op, 1, import_softmax_flattened});
    rows.push_back({"", op, 13, import_softmax});
  }
  const ImportRow others[] = {
      {"", "ArgMax", 1, import_arg_reduce},
      {"", "ArgMin", 1, import_arg_reduce},
      {"", "CumSum", 11, import_cumulative},
      {"", "CumProd", 26, import_cumulative},
      {"", "TopK", 1, import_topk_attribute},
      {"", "TopK", 10, import_topk},
      {"", "GlobalAveragePool", 1, import_global_average_pool},
      {"", "GlobalMaxPool", 1, import_global_max_pool},
      {"", "GlobalLpPool", 1, import_global_lp_pool_float},
      {"", "GlobalLpPool", 2, import_global_lp_pool},
  };
  rows.insert(rows.end(), std::begin(others), std::end(others));
  auto norms = norm_rows();
  rows.insert(rows.end(), norms.begin(), norms.end());
  return rows;
}

}  // namespace

std::span<const ImportRow> reduce_imports() {
  static const std::vector<ImportRow> rows = make_rows();
  return rows;
}

}  // namespace vitrify::onnx
