// widen_halves: what is f16 or bf16 in the model computes in f32 where the backend has no fast
// kernels for the type itself. A value keeps f32 storage from op to op and is rounded to its own
// type wherever the model has a value of that type: by a Pointwise of two casts, which the fusing
// passes put on the tile of the op before. Ops whose results need no rounding (data movement, relu,
// max …) get none, and neither does what an ONNX node computes on its way to its own result (a
// convolution before its bias), or what a scale follows that folds into weights (batch norm).
#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/small_float.h"
#include "ops/table.h"
#include "passes/pipeline.h"

namespace vitrify {

namespace {

bool is_half(DType t) { return t == DType::kFloat16 || t == DType::kBFloat16; }
bool is_half(const Type& t) { return t.is_tensor() && is_half(t.dtype); }

/// What happens to the values that an op passes on.
enum class Effect {
  kNone,    ///< not known: the op stays as it is
  kRounds,  ///< results are new numbers
  kKeeps,   ///< results are numbers of the type when the operands are
  kMoves    ///< the same, and nothing is computed: worth it only beside what is
};

template <class... T>
bool is_any(const Op& op) {
  return (op.is<T>() || ...);
}

bool fits(double v, DType half) {
  const SmallFloat& format = half == DType::kFloat16 ? kFloat16 : kBFloat16;
  return decode(format, encode(format, v, false)) == v;
}

Effect effect_of(const Unary& u, DType half) {
  switch (u.kind) {
    case UnaryKind::kAbs:
    case UnaryKind::kNeg:
    case UnaryKind::kSign:
    case UnaryKind::kFloor:
    case UnaryKind::kCeil:
    case UnaryKind::kRound:
    case UnaryKind::kRelu:
      return Effect::kKeeps;
    case UnaryKind::kClip:
      return fits(u.alpha, half) && fits(u.beta, half) ? Effect::kKeeps : Effect::kRounds;
    case UnaryKind::kNot:
    case UnaryKind::kBitwiseNot:
      return Effect::kNone;
    default:
      return Effect::kRounds;
  }
}

Effect effect_of(const Op& op, DType half) {
  if (auto* u = op.as<Unary>()) return effect_of(*u, half);
  if (auto* o = op.as<Binary>())
    return o->kind == BinaryKind::kMin || o->kind == BinaryKind::kMax ? Effect::kKeeps
                                                                      : Effect::kRounds;
  if (auto* p = op.as<Pool>())
    return p->kind == Pool::Kind::kMax ? Effect::kKeeps : Effect::kRounds;
  if (auto* r = op.as<Reduce>())
    return r->kind == Reduce::Kind::kMax || r->kind == Reduce::Kind::kMin ? Effect::kKeeps
                                                                          : Effect::kRounds;
  if (is_any<Select, ArgReduce>(op)) return Effect::kKeeps;
  if (is_any<MatMul, Conv, ConvTranspose, Softmax, Normalize, Attention, Recurrent, Resize>(op))
    return Effect::kRounds;
  if (is_any<Transpose, Reshape, Expand, Squeeze, Unsqueeze, Concat, Slice, SliceDynamic, Pad, Tile,
             Gather, GatherElements, GatherND, Trilu>(op))
    return Effect::kMoves;
  return Effect::kNone;
}

/// f32 → f32, by way of `half`.
Body rounding(DType half) {
  BodyStep down{.code = BodyStep::Code::kCast, .args = {0, -1, -1}, .dtype = half};
  BodyStep up{.code = BodyStep::Code::kCast, .args = {1, -1, -1}, .dtype = DType::kFloat32};
  return {1, {down, up}, {}};
}

class Widener {
 public:
  Widener(const Graph& graph, const PassContext& context)
      : graph_(graph), context_(context), uses_(collect_uses(graph)) {
    for (const auto& o : graph.outputs) outputs_.insert(o.value);
  }

  void visit(GraphBuilder& b, int32_t index, std::map<ValueId, ValueId>& map) {
    b_ = &b, map_ = &map;
    const Node& n = graph_.nodes[size_t(index)];
    if (is_wanted(n)) return widen(index, n);
    if (is_any<Cast, ShapeOf, SizeOf>(n.op) && wide_.count(n.inputs[0]))
      map[{index, 0}] = b.add(n.op, {wide_.at(n.inputs[0])}, n.origins, 1, &n);
    else
      copy_node(b, graph_, index, map);
    if (n.op.is<Cast>() && is_foreign(n.types[0])) keep_rounded(index, n);
  }

 private:
  /// A half type that nothing computes in.
  bool is_foreign(const Type& t) const {
    return is_half(t) && std::ranges::count(context_.computing_types, t.dtype) == 0;
  }
  bool reads_wide(const Node& n) const {
    return std::ranges::any_of(n.inputs, [&](ValueId v) { return wide_.count(v) > 0; });
  }
  /// The half type that the node is about; kUndefined when none.
  DType half_of(const Node& n) const {
    DType half = DType::kUndefined;
    auto look = [&](const Type& t) {
      if (is_foreign(t)) half = t.dtype;
    };
    for (ValueId v : n.inputs)
      if (v.valid()) look(graph_.type(v));
    for (const Type& t : n.types) look(t);
    return half;
  }

  bool is_wanted(const Node& n) const {
    if (n.inputs.empty() || (n.op.body() && !n.op.body()->empty())) return false;
    const DType half = half_of(n);
    if (half == DType::kUndefined) return false;
    const Effect effect = effect_of(n.op, half);
    return effect == Effect::kMoves ? is_wanted_move(n) : effect != Effect::kNone;
  }
  /// Between ops that compute, or on the way to one: its order of axes then may vanish in it.
  bool is_wanted_move(const Node& n) const {
    if (reads_wide(n)) return true;
    if (!is_any<Transpose, Reshape>(n.op)) return false;
    const auto& users = uses_[size_t(&n - graph_.nodes.data())][0];
    return std::ranges::any_of(users, [&](const Use& u) {
      const Effect e = effect_of(graph_.nodes[size_t(u.node)].op, n.types[0].dtype);
      return e == Effect::kRounds || e == Effect::kKeeps;
    });
  }

  /// The value in f32.
  ValueId wide(ValueId old) {
    ValueId& v = wide_[old];
    if (v.valid()) return v;
    const ValueId narrow = map_->at(old);
    v = b_->add(Cast{DType::kFloat32}, {narrow}, b_->node(narrow).origins);
    if (const Tensor* t = b_->constant_of(narrow)) {
      v = b_->constant(folded(*b_, b_->node(v)));
      grown_ += t->bytes();
    }
    return v;
  }

  void widen(int32_t index, const Node& n) {
    grown_ = 0;
    const DType half = half_of(n);
    bool rounded = effect_of(n.op, half) != Effect::kRounds;
    std::vector<ValueId> inputs;
    for (ValueId v : n.inputs) {
      const bool widens = v.valid() && is_foreign(graph_.type(v));
      inputs.push_back(widens ? wide(v) : v.valid() ? map_->at(v) : ValueId{});
      rounded &= !unrounded_.count(v);
    }
    const ValueId first = b_->add(n.op, inputs, n.origins, int(n.types.size()), &n);
    for (int32_t o = 0; o < int32_t(n.types.size()); ++o) {
      const ValueId old{index, o};
      if (is_foreign(n.types[size_t(o)]))
        hand_on(old, {first.node, o}, n, rounded);
      else
        (*map_)[old] = {first.node, o};
    }
    const std::string label = n.op.label();
    std::string effect = cat(label, " computes in f32, ", name(half), " has no fast kernel");
    if (grown_) effect += cat("; its constants take ", grown_, " bytes more");
    context_.decide(cat(label, " in ", name(half), " -> ", label, " in f32"), n.origins, effect);
  }

  /// `v` is the f32 form of `old`.
  void hand_on(ValueId old, ValueId v, const Node& n, bool rounded) {
    const DType half = graph_.type(old).dtype;
    if (!rounded && is_on_the_way(old, n)) {
      unrounded_.insert(old);
    } else if (!rounded) {
      v = b_->add(Pointwise{rounding(half)}, {v}, n.origins);
    }
    wide_[old] = v;
    (*map_)[old] = b_->add(Cast{half}, {v}, n.origins);
    if (auto at = graph_.value_names.find(old); at != graph_.value_names.end())
      b_->graph().value_names.emplace(v, at->second);
    if (auto at = graph_.onnx_permutations.find(old); at != graph_.onnx_permutations.end())
      b_->graph().onnx_permutations.emplace(v, at->second);
  }

  /// True for a value that is none of the model's, as one ONNX node makes and reads it, and for one
  /// that will not be there, as its reader is a scale that folds into the weights.
  bool is_on_the_way(ValueId old, const Node& n) const {
    const auto& users = uses_[size_t(old.node)][size_t(old.output)];
    if (users.size() != 1 || outputs_.count(old)) return false;
    const Node& user = graph_.nodes[size_t(users[0].node)];
    const Effect e = effect_of(user.op, graph_.type(old).dtype);
    if (!is_wanted(user) || e == Effect::kMoves) return false;
    return (user.origins == n.origins && !n.origins.empty()) || is_folded_scale(n, user);
  }
  bool is_folded_scale(const Node& n, const Node& user) const {
    auto with_constant = [&](const Node& node, BinaryKind kind) {
      auto* op = node.op.as<Binary>();
      return op && op->kind == kind &&
             (graph_.constant(node.inputs[0]) || graph_.constant(node.inputs[1]));
    };
    if (!with_constant(user, BinaryKind::kMul)) return false;
    if (is_any<Conv, ConvTranspose, MatMul>(n.op)) return graph_.constant(n.inputs[1]) != nullptr;
    return with_constant(n, BinaryKind::kAdd) &&
           (unrounded_.count(n.inputs[0]) || unrounded_.count(n.inputs[1]));
  }

  /// A cast of the model's to a half type: what it makes may be wanted in f32.
  void keep_rounded(int32_t index, const Node& n) {
    const ValueId x = n.inputs[0];
    const bool from_f32 = graph_.type(x).dtype == DType::kFloat32;
    if (!from_f32 && !wide_.count(x)) return;
    const ValueId v = from_f32 ? map_->at(x) : wide_.at(x);
    wide_[{index, 0}] = b_->add(Pointwise{rounding(n.types[0].dtype)}, {v}, n.origins);
  }

  const Graph& graph_;
  const PassContext& context_;
  std::vector<std::vector<std::vector<Use>>> uses_;
  std::set<ValueId> outputs_;
  std::map<ValueId, ValueId> wide_;  ///< old value → its f32 form
  std::set<ValueId> unrounded_;      ///< those of them that no rounding has seen
  size_t grown_ = 0;                 ///< bytes, of the node at hand
  GraphBuilder* b_ = nullptr;
  std::map<ValueId, ValueId>* map_ = nullptr;
};

}  // namespace

Graph widen_halves(const Graph& graph, const PassContext& context) {
  Widener widener(graph, context);
  return rewrite_graph(graph, make_builder(&graph),
                       [&](GraphBuilder& b, int32_t n, std::map<ValueId, ValueId>& map) {
                         widener.visit(b, n, map);
                       });
}

}  // namespace vitrify
