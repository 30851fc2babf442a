#include "ops/moved_facts.h"

#include <algorithm>

#include "base/error.h"

namespace vitrify {

namespace {
bool small_integers(const Type& t) {
  if (!t.is_static() || (t.dtype != DType::kInt64 && t.dtype != DType::kInt32)) return false;
  return element_count(t.dims()) <= kMaxFactElements;
}

bool has_symbolic_dims(const Op& op) {
  bool symbolic = false;
  Op copy = op;
  copy.substitute_dims([&](const Dim& d) {
    symbolic |= !d.is_constant();
    return d;
  });
  return symbolic;
}

/// Input i as numbers: a constant, or made from its fact.
std::optional<Tensor> known_input(const InferContext& c, int i) {
  if (const Tensor* t = c.constant(i)) return t->aligned();
  return known_tensor(c.type(i), c.fact(i));
}

/// Input i with its elements replaced by numbers that index `pool`.
std::optional<Tensor> numbered(const InferContext& c, int i, DType dtype, std::vector<Dim>& pool) {
  const Fact& fact = c.fact(i);
  if (!fact || !c.type(i).is_static()) return {};
  Tensor t(dtype, c.type(i).dims());
  if (t.size() != int64_t(fact->size())) return {};
  for (size_t e = 0; e < fact->size(); ++e)
    set_int(t, int64_t(e), int64_t(pool.size())), pool.push_back((*fact)[e]);
  return t;
}

Fact moved_fact_if(const InferContext& c, const Type& type, void (*reference)(ReferenceCall&),
                   const std::function<bool(int)>& moves) {
  if (!small_integers(type) || has_symbolic_dims(c.op())) return {};
  std::vector<Dim> pool;
  std::vector<Value> inputs(size_t(c.input_count()));
  for (int i = 0; i < c.input_count(); ++i) {
    if (!c.has(i)) continue;
    auto t = moves(i) ? numbered(c, i, type.dtype, pool) : known_input(c, i);
    if (!t) return {};
    inputs[size_t(i)] = *t;
  }
  std::vector<Value> outputs(1);
  ReferenceCall call(c.op(), inputs, outputs);
  reference(call);
  std::vector<Dim> values;
  for (int64_t at : to_ints(outputs[0].tensor)) values.push_back(pool.at(size_t(at)));
  return values;
}
}  // namespace

Fact moved_fact(const InferContext& c, const Type& type, void (*reference)(ReferenceCall&),
                std::initializer_list<int> moved) {
  return moved_fact_if(c, type, reference, [&](int i) {
    return std::find(moved.begin(), moved.end(), i) != moved.end();
  });
}

Fact moved_fact_of_all(const InferContext& c, const Type& type, void (*reference)(ReferenceCall&)) {
  return moved_fact_if(c, type, reference, [](int) { return true; });
}

Interval any_bounds(const Dim& d) {
  return d.bounds([](const std::string&) { return Interval{}; });
}

Dim lesser(const Dim& a, const Dim& b) {
  if (any_bounds(b - a).low >= 0) return a;
  if (any_bounds(a - b).low >= 0) return b;
  return min(a, b);
}

Dim greater(const Dim& a, const Dim& b) {
  if (any_bounds(a - b).low >= 0) return a;
  if (any_bounds(b - a).low >= 0) return b;
  return max(a, b);
}

Dim unify(const Dim& a, const Dim& b, std::string_view what) {
  if (a.is_constant() && b.is_constant())
    require(a == b, what, ": extents ", a.str(), " and ", b.str(), " differ");
  return b.is_constant() ? b : a;
}

std::optional<Shape> reshape_target(const Shape* x, const std::vector<Dim>& target,
                                    bool allow_zero) {
  Shape out;
  int inferred = -1;
  Dim product = 1;
  for (size_t a = 0; a < target.size(); ++a) {
    Dim d = target[a];
    if (d == Dim(-1)) {
      require(inferred < 0, "a reshape target has two extents of -1: ", str(target));
      inferred = int(a), d = 1;
    } else if (d == Dim(0) && !allow_zero) {
      if (!x) return {};
      require(a < x->size(), "a reshape target copies axis ", a, ", but the input has rank ",
              x->size());
      d = (*x)[a];
    }
    // What is computed from extents is taken for an extent: should a run make it -1, that is an
    // error there and not a wildcard.
    require(any_bounds(d).high >= 0, "a reshape target has the extent ", d.str());
    out.push_back(d);
    product = product * d;
  }
  if (!x) return inferred < 0 ? std::optional(out) : std::nullopt;
  Dim count = element_count(*x);
  if (inferred >= 0) {
    require(product != Dim(0), "the extent -1 of a reshape to ", str(target),
            " is ambiguous: another one is 0");
    if (count.is_constant() && product.is_constant())
      require(count.value() % product.value() == 0, "cannot reshape ", str(*x), " to ",
              str(target));
    out[size_t(inferred)] = floor_div(count, product);
  } else if (Dim difference = count - product; difference.is_constant()) {
    require(difference == Dim(0), "cannot reshape ", str(*x), " to ", str(target));
  }
  return out;
}

namespace {
/// A negative position counts from the end. When the sign is not known, min(max(-p, 0), 1) is it.
Dim from_end(const Dim& position, const Dim& extent) {
  Interval bounds = any_bounds(position);
  if (bounds.low >= 0) return position;
  if (bounds.high < 0) return position + extent;
  return position + extent * min(max(Dim(0) - position, 0), 1);
}

Dim limit(Dim d) {
  constexpr int64_t kFar = int64_t{1} << 40;  // past every extent, and safe to add to
  return d.is_constant() ? Dim(std::clamp(d.value(), -kFar, kFar)) : d;
}
}  // namespace

SliceRange slice_range(const Dim& extent, Dim start, Dim end, int64_t step) {
  require(step != 0, "a slice has step 0");
  // The standard recommends INT_MAX for "to the end" and its negative for "past the beginning".
  auto far_up = [](const Dim& d) { return d.is_constant() && d.value() >= INT32_MAX; };
  auto far_down = [](const Dim& d) { return d.is_constant() && d.value() <= -INT32_MAX; };
  Dim low = step > 0 ? Dim(0) : Dim(-1), high = step > 0 ? extent : extent - 1;
  auto place = [&](const Dim& d, const Dim& least) {
    if (far_up(d)) return high;
    if (far_down(d)) return least;
    Dim at = from_end(limit(d), extent);
    return at == high ? high : greater(lesser(at, high), least);
  };
  Dim begin = place(start, step > 0 ? Dim(0) : lesser(Dim(0), high)), finish = place(end, low);
  Dim span = step > 0 ? finish - begin : begin - finish;
  int64_t stride = step > 0 ? step : step < -INT64_MAX ? INT64_MAX : -step;
  if (stride >= int64_t{1} << 40) stride = int64_t{1} << 40;
  return {begin, greater(ceil_div(span, stride), 0)};
}

}  // namespace vitrify
