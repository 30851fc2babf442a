// MatMul, Gemm and Einsum.
#include <algorithm>

#include "base/error.h"
#include "onnx/families.h"
#include "onnx/importer.h"
#include "ops/classic.h"
#include "ops/contraction.h"

namespace vitrify::onnx {

namespace {

void import_matmul(NodeContext& c) { c.outputs({c.add(MatMul{}, {c.in(0), c.in(1)})}); }

ValueId scaled(NodeContext& c, ValueId x, double factor) {
  return factor == 1 ? x : c.binary(BinaryKind::kMul, x, c.scalar(factor, c.dtype(x)));
}

/// Gemm's C broadcasts to the product, not the product to C; as far as extents are known.
void check_summand(const Type& product, const Type& c) {
  if (!product.has_rank() || !c.has_rank()) return;
  const Shape &y = *product.shape, &shape = *c.shape;
  require(shape.size() <= 2, "Gemm adds a C of rank ", shape.size(), " to a matrix");
  for (size_t a = 0; a < shape.size(); ++a) {
    const Dim &have = y[y.size() - 1 - a], &add = shape[shape.size() - 1 - a];
    require(!have.is_constant() || !add.is_constant() || add == Dim(1) || add == have,
            "C of shape ", c.str(), " does not broadcast to the product of shape ", product.str());
  }
}

void import_gemm(NodeContext& c) {
  MatMul op{c.int_attribute("transA", 0) != 0, c.int_attribute("transB", 0) != 0, {}};
  for (int i = 0; i < 2; ++i) {
    int rank = c.rank(c.in(i));
    require(rank == 2 || rank == -1, "Gemm multiplies matrices, input ", i, " has rank ", rank);
  }
  double alpha = c.float_attribute("alpha", 1), beta = c.float_attribute("beta", 1);
  ValueId y = scaled(c, c.add(op, {c.in(0), c.in(1)}), alpha);
  if (c.has(2)) check_summand(c.type(y), c.type(c.in(2)));
  if (c.has(2) && beta != 0) y = c.binary(BinaryKind::kAdd, y, scaled(c, c.in(2), beta));
  c.outputs({y});
}

// ---- Einsum ----

/// An operand whose axes are labelled.
struct Labelled {
  ValueId value;
  std::vector<int> labels;
};

bool holds(const std::vector<int>& labels, int label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

bool has_repeats(std::vector<int> labels) {
  std::sort(labels.begin(), labels.end());
  return std::adjacent_find(labels.begin(), labels.end()) != labels.end();
}

/// Sums over the axes that neither the result nor `other` has.
Labelled sum_private(NodeContext& c, Labelled x, const std::vector<int>& output,
                     const std::vector<int>& other) {
  Reduce op{.kind = Reduce::Kind::kSum, .axes = {}, .keepdims = false, .epilogue = {}};
  std::vector<int> kept;
  for (size_t a = 0; a < x.labels.size(); ++a)
    if (holds(output, x.labels[a]) || holds(other, x.labels[a]))
      kept.push_back(x.labels[a]);
    else
      op.axes.push_back(int64_t(a));
  if (op.axes.empty()) return x;
  return {c.add(op, {x.value}), kept};
}

/// Reorders the axes to `order`, a permutation of the labels.
ValueId arranged(NodeContext& c, const Labelled& x, const std::vector<int>& order) {
  Ints permutation;
  for (int label : order)
    permutation.push_back(std::find(x.labels.begin(), x.labels.end(), label) - x.labels.begin());
  return std::is_sorted(permutation.begin(), permutation.end()) ? x.value
                                                                : c.transpose(x.value, permutation);
}

struct Pairing {
  std::vector<int> batch, rows, columns, summed;
};

Pairing pair_up(const Labelled& a, const Labelled& b, const std::vector<int>& output) {
  Pairing p;
  for (int l : output)
    if (holds(a.labels, l) && holds(b.labels, l))
      p.batch.push_back(l);
    else
      (holds(a.labels, l) ? p.rows : p.columns).push_back(l);
  for (int l : a.labels)
    if (!holds(output, l)) p.summed.push_back(l);
  return p;
}

std::vector<int> joined(std::initializer_list<std::vector<int>> lists) {
  std::vector<int> all;
  for (const auto& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

/// The operand as [batch…, left, right], several axes in one.
ValueId as_matrices(NodeContext& c, const Labelled& x, const Pairing& p,
                    const std::vector<int>& left, const std::vector<int>& right,
                    const std::vector<Dim>& extents) {
  ValueId y = arranged(c, x, joined({p.batch, left, right}));
  if (left.size() == 1 && right.size() == 1) return y;
  Shape shape;
  for (int l : p.batch) shape.push_back(extents[size_t(l)]);
  for (const auto* group : {&left, &right}) {
    Dim product = 1;
    for (int l : *group) product = product * extents[size_t(l)];
    shape.push_back(product);
  }
  return c.reshape(y, shape);
}

ValueId product_of_two(NodeContext& c, const Labelled& a, const Labelled& b,
                       const std::vector<int>& output, const std::vector<Dim>& extents) {
  Pairing p = pair_up(a, b, output);
  ValueId y = c.add(MatMul{}, {as_matrices(c, a, p, p.rows, p.summed, extents),
                               as_matrices(c, b, p, p.summed, p.columns, extents)});
  std::vector<int> labels = joined({p.batch, p.rows, p.columns});
  if (p.rows.size() != 1 || p.columns.size() != 1) {
    Shape shape;
    for (int l : labels) shape.push_back(extents[size_t(l)]);
    y = c.reshape(y, shape);
  }
  return arranged(c, {y, labels}, output);
}

/// The extent of every label, or nothing when operands broadcast or repeat a label.
std::optional<std::vector<Dim>> plain_extents(const NodeContext& c, const EinsumLabels& labels) {
  std::vector<std::optional<Dim>> found(size_t(labels.labels));
  for (size_t i = 0; i < labels.inputs.size(); ++i) {
    if (has_repeats(labels.inputs[i])) return {};
    const Shape& shape = *c.type(c.in(int(i))).shape;
    for (size_t a = 0; a < shape.size(); ++a) {
      auto& extent = found[size_t(labels.inputs[i][a])];
      if (extent && *extent != shape[a]) return {};
      extent = shape[a];
    }
  }
  std::vector<Dim> extents;
  for (const auto& e : found) extents.push_back(e.value_or(Dim(1)));
  return extents;
}

/// One or two plain operands become transposes, sums and a MatMul; all else stays an Einsum.
void import_einsum(NodeContext& c) {
  std::string equation = c.string_attribute("equation", "");
  std::vector<int> ranks;
  bool ranked = true;
  for (int i = 0; i < c.input_count(); ++i) {
    ranks.push_back(c.rank(c.in(i)));
    ranked &= ranks.back() >= 0;
  }
  if (ranked && (ranks.size() == 1 || ranks.size() == 2)) {
    EinsumLabels labels = parse_einsum(equation, ranks);
    if (auto extents = plain_extents(c, labels)) {
      const auto& in = labels.inputs;
      Labelled a = sum_private(c, {c.in(0), in[0]}, labels.output, in.size() > 1 ? in[1] : in[0]);
      if (in.size() == 1) a = sum_private(c, a, labels.output, {});
      if (in.size() == 1) return c.outputs({arranged(c, a, labels.output)});
      Labelled b = sum_private(c, {c.in(1), in[1]}, labels.output, in[0]);
      return c.outputs({product_of_two(c, a, b, labels.output, *extents)});
    }
  }
  c.outputs({c.add(Einsum{equation}, c.inputs())});
}

void import_det(NodeContext& c) { c.outputs({c.add(make_classic("det"), {c.in(0)})}); }

const ImportRow kRows[] = {
    {"", "MatMul", 1, import_matmul},
    {"", "Gemm", 1, import_gemm},
    {"", "Einsum", 12, import_einsum},
    {"", "Det", 11, import_det},
};

}  // namespace

std::span<const ImportRow> contraction_imports() { return kRows; }

}  // namespace vitrify::onnx
