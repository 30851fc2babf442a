// Ops under a permutation of their operand's axes: what push_transposes does to an op's fields when
// it feeds the op a value's base instead of the value.
//
// Notation: an old value equals transpose(base, permutation): old axis i is base axis
// permutation[i].
#pragma once

#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include "ir/graph.h"

namespace vitrify {

inline Ints identity_permutation(size_t rank) {
  Ints p(rank);
  std::iota(p.begin(), p.end(), 0);
  return p;
}

inline bool is_identity(const Ints& p) { return p == identity_permutation(p.size()); }

inline Ints inverse(const Ints& p) {
  Ints q(p.size());
  for (size_t i = 0; i < p.size(); ++i) q[size_t(p[i])] = int64_t(i);
  return q;
}

template <class T>
std::vector<T> permute(const std::vector<T>& items, const Ints& p) {
  std::vector<T> out;
  for (int64_t i : p) out.push_back(items[size_t(i)]);
  return out;
}

inline bool is_one(const Dim& d) { return d == Dim(1); }

/// True when transposing moves only axes of extent 1: the data stays where it is.
bool moves_nothing(const Shape& shape, const Ints& p);

/// The base axis of an old axis, which may be negative.
int64_t axis_in_base(int64_t axis, const Ints& p);
/// The permutation that is left when base axes `gone` disappear.
Ints without(const Ints& p, const Ints& gone);

/// An op over the base, and the permutation that its result then has.
struct RenamedOp {
  Op op;
  Ints permutation;
};
/// The node's op with its axis fields renamed, its first input being permuted by p; nothing for
/// ops that must see the user's order.
std::optional<RenamedOp> rename_axes(const Node& node, const Ints& p);

/// A reshape of the base, and the permutation of its result.
struct PushedReshape {
  Shape shape;
  Ints permutation;
};
/// reshape(transpose(x, p), out) as transpose(reshape(x, shape), permutation), where `base` is the
/// shape of x; nothing when the reshape mixes axes that lie apart in x.
std::optional<PushedReshape> push_reshape(const Shape& base, const Ints& p, const Shape& out);

}  // namespace vitrify
