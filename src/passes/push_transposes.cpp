// push_transposes: carries transposes forward as a pending permutation of each value instead of
// executing them. Ops that do not care about the order of axes pass it on (their axis attributes
// renamed); it vanishes where the next transpose undoes it, and is executed only where an op needs
// the user's own order. Since the importer wraps every spatial op in a pair of transposes, what is
// left is channels-last inside.
//
// Notation: an old value equals transpose(base, permutation): old axis i is base axis
// permutation[i].
#include <algorithm>
#include <set>

#include "base/error.h"
#include "ops/table.h"
#include "passes/pipeline.h"
#include "passes/rename_axes.h"

namespace vitrify {

namespace {

struct Pending {
  ValueId base;
  Ints permutation;  // empty: identity
};

class Pusher {
 public:
  Pusher(const Graph& graph, const PassContext& context) : graph_(graph), context_(context) {
    for (const auto& o : graph.outputs) outputs_.insert(o.value);
  }

  void visit(GraphBuilder& b, int32_t index, std::map<ValueId, ValueId>& map) {
    b_ = &b;
    map_ = &map;
    index_ = index;
    node_ = &graph_.nodes[size_t(index)];
    if (node_->op.is<Constant>() || node_->inputs.empty() || !node_->types[0].has_rank() ||
        !pass_through())
      plain();
    for (size_t o = 0; o < node_->types.size(); ++o) {
      ValueId old{index, int32_t(o)};
      if (outputs_.count(old)) map[old] = materialize(old);
      name(old);
    }
  }

 private:
  // ---- state of values ----
  Pending get(ValueId old) const {
    if (auto at = pending_.find(old); at != pending_.end()) return at->second;
    return {map_->at(old), {}};
  }
  bool is_pending(ValueId old) const {
    auto at = pending_.find(old);
    return at != pending_.end() && !at->second.permutation.empty();
  }
  const Shape& shape(ValueId v) const { return *b_->type(v).shape; }

  /// transpose(v, p), as a Reshape when the data need not move.
  ValueId transposed(ValueId v, const Ints& p) {
    if (p.empty() || is_identity(p)) return v;
    if (moves_nothing(shape(v), p))
      return b_->add(Reshape{permute(shape(v), p)}, {v}, node_->origins);
    return b_->add(Transpose{p}, {v}, node_->origins);
  }
  ValueId materialize(ValueId old) {
    Pending v = get(old);
    return transposed(v.base, v.permutation);
  }
  void set(ValueId base, Ints permutation, int32_t output = 0) {
    if (is_identity(permutation)) permutation.clear();
    ValueId old{index_, output};
    if (permutation.empty()) (*map_)[old] = base;
    pending_[old] = {base, std::move(permutation)};
  }
  void plain() {
    if (node_->op.is<Constant>()) return copy_node(*b_, graph_, index_, *map_);
    std::vector<ValueId> inputs;
    for (ValueId v : node_->inputs) inputs.push_back(v.valid() ? materialize(v) : ValueId{});
    ValueId v =
        b_->add(node_->op, std::move(inputs), node_->origins, int(node_->types.size()), node_);
    for (size_t o = 0; o < node_->types.size(); ++o)
      (*map_)[{index_, int32_t(o)}] = {v.node, int32_t(o)};
  }
  /// The user's name and layout for a value that exists only in permuted form.
  void name(ValueId old) {
    auto at = graph_.value_names.find(old);
    if (at == graph_.value_names.end() || !is_pending(old)) return;
    const Pending& p = pending_.at(old);
    b_->graph().value_names.emplace(p.base, at->second);
    b_->graph().onnx_permutations.emplace(p.base, p.permutation);
  }
  /// The node on the bases, its result being permuted by p; fresh symbols go along with their axes.
  void emit(Op op, std::vector<ValueId> inputs, const Ints& p) {
    Node like = *node_;
    for (Type& t : like.types)
      if (t.has_rank() && t.shape->size() == p.size()) t.shape = permute(*t.shape, inverse(p));
    set(b_->add(std::move(op), std::move(inputs), node_->origins, int(like.types.size()), &like),
        p);
  }

  // ---- ops ----
  /// Tries to emit the node on the bases; false when it must see the user's order.
  bool pass_through() {
    const Op& op = node_->op;
    if (op.is<Transpose>()) return transpose(*op.as<Transpose>());
    bool any = std::any_of(node_->inputs.begin(), node_->inputs.end(),
                           [&](ValueId v) { return v.valid() && is_pending(v); });
    if (!any) return false;
    if (op.is<Unary>() || op.is<Binary>() || op.is<Select>() || op.is<Cast>() || op.is<Pointwise>())
      return pointwise();
    if (auto* q = op.as<Quantize>()) return per_tensor(q->block_size) && pointwise();
    if (auto* q = op.as<Dequantize>()) return per_tensor(q->block_size) && pointwise();
    if (op.is<Concat>()) return concat();
    if (op.is<Reshape>()) return reshape();
    if (op.is<MatMul>()) return matmul();
    return is_pending(node_->inputs[0]) && single();
  }

  bool transpose(const Transpose& t) {
    Pending x = get(node_->inputs[0]);
    if (!b_->type(x.base).has_rank()) return false;
    Ints p = x.permutation.empty() ? identity_permutation(t.permutation.size()) : x.permutation;
    Ints composed = permute(p, t.permutation);
    if (is_identity(composed))
      context_.decide("transpose(transpose(x)) -> x", node_->origins, "cancelled");
    set(x.base, composed);
    return true;
  }

  bool per_tensor(int64_t block_size) const {
    if (block_size) return false;
    for (size_t i = 1; i < node_->inputs.size(); ++i)
      if (ValueId v = node_->inputs[i];
          v.valid() && !(graph_.type(v).is_static() && element_count(graph_.type(v).dims()) == 1))
        return false;
    return true;
  }

  /// Operand `old` so that it lines up with bases permuted by p in a result of `rank` axes.
  ValueId align(ValueId old, const Ints& p, size_t rank) {
    Pending v = get(old);
    if (v.permutation == p) return v.base;
    ValueId w = transposed(v.base, v.permutation);
    Shape s = shape(w);
    if (std::all_of(s.begin(), s.end(), is_one)) return w;
    if (s.size() < rank) {
      s.insert(s.begin(), rank - s.size(), Dim(1));
      w = b_->add(Reshape{s}, {w}, node_->origins);
    }
    w = transposed(w, inverse(p));
    if (!graph_.constant(old)) return w;
    s = shape(w);  // a constant sheds leading axes of 1: a bias is [C] again
    size_t ones = 0;
    while (ones + 1 < s.size() && is_one(s[ones])) ++ones;
    return ones ? b_->add(Reshape{Shape(s.begin() + std::ptrdiff_t(ones), s.end())}, {w},
                          node_->origins)
                : w;
  }

  /// The pending permutation that most full-rank operands have.
  Ints common_permutation(size_t rank) const {
    std::map<Ints, int> votes;
    for (ValueId v : node_->inputs)
      if (v.valid() && is_pending(v) && graph_.type(v).shape->size() == rank)
        ++votes[pending_.at(v).permutation];
    Ints best;
    int most = 0;
    for (const auto& [p, n] : votes)
      if (n > most) {
        best = p;
        most = n;
      }
    return best;
  }

  bool all_ranked() const {
    return std::all_of(node_->inputs.begin(), node_->inputs.end(),
                       [&](ValueId v) { return !v.valid() || graph_.type(v).has_rank(); });
  }

  bool pointwise() {
    size_t rank = node_->types[0].shape->size();
    if (!all_ranked()) return false;
    Ints p = common_permutation(rank);
    if (p.empty()) return false;
    std::vector<ValueId> inputs;
    for (ValueId v : node_->inputs) inputs.push_back(v.valid() ? align(v, p, rank) : ValueId{});
    emit(node_->op, std::move(inputs), p);
    return true;
  }

  bool concat() {
    size_t rank = node_->types[0].shape->size();
    if (!all_ranked()) return false;
    Ints p = common_permutation(rank);
    if (p.empty()) return false;
    std::vector<ValueId> inputs;
    for (ValueId v : node_->inputs) {
      Pending x = get(v);
      inputs.push_back(
          x.permutation == p ? x.base : transposed(transposed(x.base, x.permutation), inverse(p)));
    }
    emit(Concat{axis_in_base(node_->op.as<Concat>()->axis, p)}, std::move(inputs), p);
    return true;
  }

  /// Ops of one tensor operand (others: parameters) whose axis attributes can be renamed.
  bool single() {
    if (auto* g = node_->op.as<Gather>()) return gather(*g, get(node_->inputs[0]));
    const Pending x = get(node_->inputs[0]);
    std::optional<RenamedOp> renamed = rename_axes(*node_, x.permutation);
    if (!renamed) return false;
    std::vector<ValueId> inputs{x.base};
    for (size_t i = 1; i < node_->inputs.size(); ++i)
      inputs.push_back(node_->inputs[i].valid() ? materialize(node_->inputs[i]) : ValueId{});
    emit(std::move(renamed->op), std::move(inputs), renamed->permutation);
    return true;
  }

  bool gather(const Gather& g, const Pending& x) {
    const Type& indices = graph_.type(node_->inputs[1]);
    if (!indices.has_rank() || indices.shape->size() > 1) return false;
    int64_t axis = axis_in_base(g.axis, x.permutation);
    Ints result = indices.shape->empty() ? without(x.permutation, {axis}) : x.permutation;
    emit(Gather{axis}, {x.base, materialize(node_->inputs[1])}, result);
    return true;
  }

  bool matmul() {
    MatMul op = *node_->op.as<MatMul>();
    std::vector<ValueId> inputs;
    bool changed = false;
    for (size_t i = 0; i < node_->inputs.size(); ++i) {
      Pending x = get(node_->inputs[i]);
      Ints rest = x.permutation;  // what is left when the op itself swaps the last two axes
      if (rest.size() >= 2) std::swap(rest[rest.size() - 1], rest[rest.size() - 2]);
      const bool flip = i < 2 && rest.size() >= 2 && rest.back() + 1 == int64_t(rest.size());
      if (flip) {
        (i == 0 ? op.transpose_a : op.transpose_b) ^= true;
        inputs.push_back(transposed(x.base, rest));
        changed = true;
      } else {
        inputs.push_back(materialize(node_->inputs[i]));
      }
    }
    if (!changed) return false;
    emit(std::move(op), std::move(inputs), {});
    return true;
  }

  bool reshape() {
    if (node_->inputs.size() > 1) return false;
    const Pending x = get(node_->inputs[0]);
    std::optional<PushedReshape> pushed =
        push_reshape(shape(x.base), x.permutation, *node_->types[0].shape);
    if (!pushed) return false;
    emit(Reshape{pushed->shape}, {x.base}, pushed->permutation);
    return true;
  }

  const Graph& graph_;
  const PassContext& context_;
  std::set<ValueId> outputs_;
  std::map<ValueId, Pending> pending_;
  GraphBuilder* b_ = nullptr;
  std::map<ValueId, ValueId>* map_ = nullptr;
  int32_t index_ = 0;
  const Node* node_ = nullptr;
};

}  // namespace

Graph push_transposes(const Graph& graph, const PassContext& context) {
  Pusher pusher(graph, context);
  return rewrite_graph(graph, make_builder(&graph),
                       [&](GraphBuilder& b, int32_t n, auto& map) { pusher.visit(b, n, map); });
}

}  // namespace vitrify
