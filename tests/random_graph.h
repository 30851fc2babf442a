// Random graphs like those that exporters write: spatial ops between transposes, batch norms,
// residuals, attention heads, reshapes. For fuzzing passes, planner and engine against the
// interpreter.
#pragma once

#include <random>

#include "base/error.h"
#include "ops/interpreter.h"
#include "ops/table.h"

namespace vitrify {

/// Makes outputs y0, y1 … of the values that nobody reads, and of the last: nothing is dead.
inline void output_unread(GraphBuilder& b, const std::vector<ValueId>& values) {
  std::vector<bool> read(b.graph().nodes.size());
  for (const Node& n : b.graph().nodes)
    for (ValueId v : n.inputs)
      if (v.valid()) read[size_t(v.node)] = true;
  int outputs = 0;
  for (ValueId v : values)
    if (!read[size_t(v.node)] || v == values.back()) b.output(cat("y", outputs++), v);
}

class RandomGraph {
 public:
  explicit RandomGraph(uint64_t seed) : r_(seed), b_(make_builder()) {
    for (int i = 0; i < 2; ++i) add_input(i);
    int wanted = 20 + int(r_() % 20);
    for (int tries = 0; int(b_.graph().nodes.size()) < wanted * 2 && tries < 400; ++tries) step();
    output_unread(b_, values_);
    graph = b_.finish();
  }
  Graph graph;
  std::vector<Value> inputs;
  /// Fresh values of the same shapes.
  std::vector<Value> more_inputs() {
    std::vector<Value> out;
    for (const Value& v : inputs) out.emplace_back(random(v.tensor.dims()));
    return out;
  }

 private:
  int64_t pick(int64_t n) { return int64_t(r_() % uint64_t(n)); }
  bool chance(int one_in) { return pick(one_in) == 0; }
  Tensor random(const Dims& d) {
    Tensor t(DType::kFloat32, d);
    for (int64_t i = 0; i < t.size(); ++i) t.data<float>()[i] = float(pick(2001)) / 500 - 2;
    return t;
  }
  void add_input(int i) {
    Dims d{pick(2) + 1, pick(4) + 1, pick(5) + 3, pick(5) + 3};
    if (chance(12)) d[chance(2) ? 0 : size_t(pick(4))] = 0;
    if (chance(4)) d.resize(size_t(pick(3) + 1));
    Tensor t = random(d);
    Shape shape = to_shape(d);
    if (!shape.empty() && chance(2)) shape[0] = Dim::symbol(cat("n", i));
    inputs.push_back(t);
    values_.push_back(b_.input(cat("x", i), Type::tensor(DType::kFloat32, shape)));
    concrete_.push_back(d);
  }
  /// Index of a value, mostly a late one.
  size_t value() {
    size_t n = values_.size();
    return chance(3) ? size_t(pick(int64_t(n)))
                     : n - 1 - size_t(pick(int64_t(std::min<size_t>(n, 4))));
  }
  const Shape& shape(ValueId v) { return *b_.type(v).shape; }
  void keep(ValueId v) {
    if (!b_.type(v).is_tensor() || b_.type(v).dtype != DType::kFloat32) return;
    values_.push_back(v);
  }
  ValueId weights(const Dims& d) {
    Tensor t = random(d);
    int64_t fan = 1;
    for (size_t i = 1; i < d.size(); ++i) fan *= d[i];
    for (int64_t i = 0; i < t.size(); ++i)
      t.data<float>()[i] /= float(std::max<int64_t>(1, fan / 2));
    return b_.constant(std::move(t));
  }
  ValueId add(Op op, std::vector<ValueId> in) {
    return b_.add(std::move(op), std::move(in), {cat("n", counter_++)});
  }

  void step() {
    try {
      keep(make());
    } catch (const Error& e) {
      if (e.kind() == ErrorKind::kInternal) throw;  // shapes that do not fit are skipped
    }
  }

  ValueId make() {
    ValueId x = values_[value()];
    const Shape& s = shape(x);
    if (s.empty()) return activation(x);
    switch (pick(21)) {
      case 0:
      case 1:
      case 2:
        return activation(x);
      case 3:
      case 4:
        return add(Binary{pick_binary()}, {x, values_[value()]});
      case 5:
      case 6:
      case 7:
        return s.size() == 4 ? conv(x) : activation(x);
      case 8:
        return s.size() == 4 ? pool(x) : matmul(x);
      case 9:
        return batch_norm(x);
      case 10:
        return add(Transpose{permutation(s.size())}, {x});
      case 11:
        return reshape(x);
      case 12:
        return add(Reduce{pick(2) ? Reduce::Kind::kMean : Reduce::Kind::kMax,
                          {pick(int64_t(s.size()))},
                          chance(2)},
                   {x});
      case 13:
        return add(Softmax{pick(int64_t(s.size()))}, {x});
      case 14:
        return add(Concat{pick(int64_t(s.size()))}, {x, chance(2) ? x : values_[value()]});
      case 15:
        return slice(x);
      case 16:
        return matmul(x);
      case 17:
        return layer_norm(x);
      case 18:
        return s.size() == 4 ? repvgg(x) : gelu(x);
      case 19:
        return through_other_type();
      default:
        return gelu(x);
    }
  }
  /// An input, whose values are exact, by way of another element type. Rounding and comparing what
  /// was computed would magnify errors that passes may make.
  ValueId through_other_type() {
    static constexpr DType kTypes[] = {DType::kFloat16, DType::kBFloat16, DType::kInt64,
                                       DType::kBool};
    const ValueId x = values_[size_t(pick(2))];
    const DType type = kTypes[pick(std::size(kTypes))];
    ValueId y = add(Cast{type}, {x});
    if (type == DType::kInt64) y = add(Binary{BinaryKind::kAdd}, {y, y});
    if (is_float(type)) y = add(Unary{chance(2) ? UnaryKind::kNeg : UnaryKind::kRelu}, {y});
    if (type == DType::kBool) y = add(Unary{UnaryKind::kNot}, {y});
    if (shape(y).size() > 1 && chance(2)) y = add(Transpose{permutation(shape(y).size())}, {y});
    return add(Cast{DType::kFloat32}, {y});
  }
  BinaryKind pick_binary() {
    static constexpr BinaryKind kKinds[] = {BinaryKind::kAdd, BinaryKind::kAdd, BinaryKind::kMul,
                                            BinaryKind::kSub, BinaryKind::kMax, BinaryKind::kMin};
    return kKinds[pick(std::size(kKinds))];
  }
  ValueId activation(ValueId x) {
    static constexpr Unary kKinds[] = {
        {UnaryKind::kRelu},        {UnaryKind::kSigmoid},
        {UnaryKind::kTanh},        {UnaryKind::kHardSwish},
        {UnaryKind::kClip, -1, 1}, {UnaryKind::kNeg},
        {UnaryKind::kAbs},         {UnaryKind::kLeakyRelu, 0.1},
        {UnaryKind::kGelu},        {UnaryKind::kHardSigmoid, 1.0 / 6, 0.5}};
    ValueId y = add(kKinds[pick(std::size(kKinds))], {x});
    return chance(3) ? add(Binary{BinaryKind::kMul}, {x, add(Unary{UnaryKind::kSigmoid}, {x})}) : y;
  }
  Ints permutation(size_t rank) {
    Ints p(rank);
    for (size_t i = 0; i < rank; ++i) p[i] = int64_t(i);
    if (rank == 4 && chance(2)) return chance(2) ? Ints{0, 2, 3, 1} : Ints{0, 3, 1, 2};
    std::shuffle(p.begin(), p.end(), r_);
    return p;
  }
  ValueId last(ValueId x) { return add(Transpose{{0, 2, 3, 1}}, {x}); }
  ValueId first(ValueId x) { return add(Transpose{{0, 3, 1, 2}}, {x}); }
  int64_t channels(ValueId x) {
    const Dim& c = shape(x)[1];
    require(c.is_constant() && c.value() > 0, "channels are not known");
    return c.value();
  }
  ValueId conv(ValueId x) {
    int64_t c = channels(x), m = pick(4) + 1, k = chance(2) ? 3 : 1, group = 1;
    if (chance(4)) m = group = c;
    Window w{{k, k}, {pick(2) + 1, 1}, {1, 1}, {k / 2, pick(2)}, {k / 2, pick(2)}};
    ValueId y = add(Conv{w, group}, {last(x), weights({m, c / group, k, k})});
    if (chance(2)) y = add(Binary{BinaryKind::kAdd}, {y, weights({m})});
    y = first(y);
    if (chance(2)) y = batch_norm(y);
    return chance(2) ? activation(y) : y;
  }
  ValueId pool(ValueId x) {
    Window w{{2, 3}, {1, pick(2) + 1}, {1, 1}, {0, 1}, {pick(2), 1}};
    return first(
        add(Pool{pick(2) ? Pool::Kind::kMax : Pool::Kind::kAverage, w, chance(2)}, {last(x)}));
  }
  ValueId batch_norm(ValueId x) {
    if (shape(x).size() < 2) return activation(x);
    Dims d(shape(x).size() - 1, 1);
    d[0] = channels(x);
    return add(Binary{BinaryKind::kAdd},
               {add(Binary{BinaryKind::kMul}, {x, weights(d)}), weights(d)});
  }
  ValueId repvgg(ValueId x) {
    int64_t c = channels(x);
    Window w3{{3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}}, w1{{1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
    ValueId a = batch_norm(first(add(Conv{w3, 1}, {last(x), weights({c, c, 3, 3})})));
    ValueId b = batch_norm(first(add(Conv{w1, 1}, {last(x), weights({c, c, 1, 1})})));
    return add(Unary{UnaryKind::kRelu},
               {add(Binary{BinaryKind::kAdd},
                    {add(Binary{BinaryKind::kAdd}, {a, b}), chance(2) ? batch_norm(x) : x})});
  }
  ValueId reshape(ValueId x) {
    Shape s = shape(x);
    if (s.size() < 2) return activation(x);
    if (chance(3)) {
      s.insert(s.begin() + pick(int64_t(s.size())), Dim(1));
    } else if (chance(2) && s.back().is_constant() && s.back().value() % 2 == 0) {
      s.back() = s.back().value() / 2;
      s.push_back(2);
    } else {
      size_t at = size_t(pick(int64_t(s.size()) - 1));
      s[at] = s[at] * s[at + 1];
      s.erase(s.begin() + std::ptrdiff_t(at) + 1);
    }
    return add(Reshape{s}, {x});
  }
  ValueId slice(ValueId x) {
    int64_t axis = pick(int64_t(shape(x).size()));
    const Dim& d = shape(x)[size_t(axis)];
    require(d.is_constant() && d.value() > 1, "nothing to slice");
    int64_t begin = pick(d.value()), size = pick(d.value() - begin) + 1;
    return add(Slice{{axis}, {begin}, {size}, {1}}, {x});
  }
  ValueId matmul(ValueId x) {
    const Shape& s = shape(x);
    require(s.size() >= 2 && s.back().is_constant(), "no matrix");
    int64_t n = pick(6) + 1;
    bool transposed = chance(2);
    ValueId y =
        add(MatMul{false, transposed},
            {x, weights(transposed ? Dims{n, s.back().value()} : Dims{s.back().value(), n})});
    return chance(2) ? add(Binary{BinaryKind::kAdd}, {y, weights({n})}) : y;
  }
  ValueId layer_norm(ValueId x) {
    int64_t axis = int64_t(shape(x).size()) - 1;
    ValueId d = add(Binary{BinaryKind::kSub}, {x, add(Reduce{Reduce::Kind::kMean, {axis}}, {x})});
    ValueId variance = add(Reduce{Reduce::Kind::kMean, {axis}},
                           {add(Binary{BinaryKind::kPow}, {d, b_.constant(Tensor::scalar(2.0f))})});
    ValueId root =
        add(Unary{UnaryKind::kSqrt},
            {add(Binary{BinaryKind::kAdd}, {variance, b_.constant(Tensor::scalar(1e-2f))})});
    return add(Binary{BinaryKind::kDiv}, {d, root});
  }
  ValueId gelu(ValueId x) {
    ValueId e = add(Unary{UnaryKind::kErf},
                    {add(Binary{BinaryKind::kDiv}, {x, b_.constant(Tensor::scalar(1.41421356f))})});
    ValueId y = add(Binary{BinaryKind::kMul},
                    {x, add(Binary{BinaryKind::kAdd}, {e, b_.constant(Tensor::scalar(1.0f))})});
    return add(Binary{BinaryKind::kMul}, {y, b_.constant(Tensor::scalar(0.5f))});
  }

  std::mt19937_64 r_;
  GraphBuilder b_;
  std::vector<ValueId> values_;
  std::vector<Dims> concrete_;
  int counter_ = 0;
};

}  // namespace vitrify
