#include "passes/rename_axes.h"

#include <string_view>

namespace vitrify {

bool moves_nothing(const Shape& shape, const Ints& p) {
  int64_t last = -1;
  for (int64_t axis : p) {
    if (is_one(shape[size_t(axis)])) continue;
    if (axis < last) return false;
    last = axis;
  }
  return true;
}

int64_t axis_in_base(int64_t axis, const Ints& p) {
  return p[size_t(axis < 0 ? axis + int64_t(p.size()) : axis)];
}

Ints without(const Ints& p, const Ints& gone) {
  Ints kept, out;
  for (int64_t a : p)
    if (std::find(gone.begin(), gone.end(), a) == gone.end()) kept.push_back(a);
  for (int64_t a : kept)
    out.push_back(std::count_if(kept.begin(), kept.end(), [a](int64_t k) { return k < a; }));
  return out;
}

namespace {

Ints axes_in_base(const Ints& axes, const Ints& p) {
  Ints out;
  for (int64_t a : axes) out.push_back(axis_in_base(a, p));
  return out;
}

Ints sorted_axes_in_base(const Ints& axes, const Ints& p) {
  Ints out = axes_in_base(axes, p);
  std::sort(out.begin(), out.end());
  return out;
}

// One function a kind of op: renames the op's fields, and changes the result's permutation where
// it is not the operand's. False: the op must see the user's order.

bool rename_reduce(const Node& node, const Ints& p, RenamedOp& out) {
  Reduce& r = *out.op.as<Reduce>();
  if (node.inputs.size() > 1 || (r.axes.empty() && !r.empty_means_all)) return false;
  r.axes = sorted_axes_in_base(r.axes.empty() ? identity_permutation(p.size()) : r.axes, p);
  if (!r.keepdims) out.permutation = without(p, r.axes);
  return true;
}

bool rename_arg_reduce(const Node&, const Ints& p, RenamedOp& out) {
  ArgReduce& a = *out.op.as<ArgReduce>();
  a.axis = axis_in_base(a.axis, p);
  if (!a.keepdims) out.permutation = without(p, {a.axis});
  return true;
}

/// Ops whose only axis field is `axis`.
template <class T>
bool rename_axis(const Node&, const Ints& p, RenamedOp& out) {
  T& op = *out.op.as<T>();
  op.axis = axis_in_base(op.axis, p);
  return true;
}

bool rename_normalize(const Node&, const Ints& p, RenamedOp& out) {
  Normalize& n = *out.op.as<Normalize>();
  n.axes = sorted_axes_in_base(n.axes, p);
  return true;
}

bool rename_slice(const Node&, const Ints& p, RenamedOp& out) {
  Slice& s = *out.op.as<Slice>();
  s.axes = axes_in_base(s.axes, p);
  return true;
}

bool rename_resize(const Node&, const Ints& p, RenamedOp& out) {
  Resize& r = *out.op.as<Resize>();
  r.axes = axes_in_base(r.axes.empty() ? identity_permutation(p.size()) : r.axes, p);
  return true;
}

bool rename_pad(const Node& node, const Ints& p, RenamedOp& out) {
  if (node.inputs.size() > 2) return false;
  const std::vector<Dim>& old = node.op.as<Pad>()->pads;
  std::vector<Dim>& pads = out.op.as<Pad>()->pads;
  for (size_t i = 0; i < p.size(); ++i)
    for (size_t end : {size_t{0}, p.size()}) pads[size_t(p[i]) + end] = old[i + end];
  return true;
}

bool rename_expand(const Node& node, const Ints& p, RenamedOp& out) {
  Expand& e = *out.op.as<Expand>();
  if (node.inputs.size() > 1 || e.shape.size() != p.size()) return false;
  e.shape = permute(e.shape, inverse(p));
  return true;
}

struct Renamer {
  std::string_view op;
  bool (*rename)(const Node&, const Ints&, RenamedOp&);
};
constexpr Renamer kRenamers[] = {
    {Reduce::kName, rename_reduce},         {ArgReduce::kName, rename_arg_reduce},
    {Softmax::kName, rename_axis<Softmax>}, {Lrn::kName, rename_axis<Lrn>},
    {Normalize::kName, rename_normalize},   {Slice::kName, rename_slice},
    {Resize::kName, rename_resize},         {Pad::kName, rename_pad},
    {Expand::kName, rename_expand},
};

}  // namespace

std::optional<RenamedOp> rename_axes(const Node& node, const Ints& p) {
  for (const Renamer& row : kRenamers) {
    if (row.op != node.op.name()) continue;
    RenamedOp out{node.op, p};
    if (row.rename(node, p, out)) return out;
    return {};
  }
  return {};
}

// ---- Reshapes ----

namespace {

struct Group {
  size_t in_begin, in_end, out_begin, out_end;
};

Dim product(const Shape& s, size_t begin, size_t end) {
  return element_count(Shape(s.begin() + std::ptrdiff_t(begin), s.begin() + std::ptrdiff_t(end)));
}

/// The smallest pieces of both shapes, from axes i and j on, that multiply to the same extent.
std::optional<Group> next_group(const Shape& in, size_t i, const Shape& out, size_t j) {
  for (size_t total = 2; total <= in.size() - i + out.size() - j; ++total)
    for (size_t a = 1; a < total; ++a) {
      const size_t c = total - a;
      if (i + a > in.size() || j + c > out.size()) continue;
      if (product(in, i, i + a) == product(out, j, j + c)) return Group{i, i + a, j, j + c};
    }
  return {};
}

/// All pieces in order, trailing axes of 1 in the last one; or nothing.
std::vector<Group> factor(const Shape& in, const Shape& out) {
  std::vector<Group> groups;
  size_t i = 0, j = 0;
  while (i < in.size() && j < out.size()) {
    std::optional<Group> next = next_group(in, i, out, j);
    if (!next) return {};
    groups.push_back(*next);
    i = next->in_end;
    j = next->out_end;
  }
  if (groups.empty()) return {};
  if (!std::all_of(in.begin() + std::ptrdiff_t(i), in.end(), is_one)) return {};
  if (!std::all_of(out.begin() + std::ptrdiff_t(j), out.end(), is_one)) return {};
  groups.back().in_end = in.size();
  groups.back().out_end = out.size();
  return groups;
}

/// True when the group's axes, those of extent 1 aside, lie side by side and in order in the base.
bool contiguous(const Group& g, const Shape& in, const Ints& p, const Shape& base) {
  int64_t last = -1;
  for (size_t a = g.in_begin; a < g.in_end; ++a) {
    if (is_one(in[a])) continue;
    if (last >= 0) {
      if (p[a] < last) return false;
      for (int64_t between = last + 1; between < p[a]; ++between)
        if (!is_one(base[size_t(between)])) return false;
    }
    last = p[a];
  }
  return true;
}

/// Where the group lies in the base.
int64_t position(const Group& g, const Shape& in, const Ints& p) {
  for (size_t a = g.in_begin; a < g.in_end; ++a)
    if (!is_one(in[a])) return p[a];
  return p[g.in_begin];
}

}  // namespace

std::optional<PushedReshape> push_reshape(const Shape& base, const Ints& p, const Shape& out) {
  if (moves_nothing(base, p)) return PushedReshape{out, identity_permutation(out.size())};
  const Shape in = permute(base, p);
  std::vector<Group> groups = factor(in, out);
  if (groups.empty()) return {};
  for (const Group& g : groups)
    if (!contiguous(g, in, p, base)) return {};
  std::stable_sort(groups.begin(), groups.end(), [&](const Group& a, const Group& b) {
    return position(a, in, p) < position(b, in, p);
  });
  PushedReshape pushed;
  pushed.permutation.resize(out.size());
  for (const Group& g : groups)
    for (size_t o = g.out_begin; o < g.out_end; ++o) {
      pushed.permutation[o] = int64_t(pushed.shape.size());
      pushed.shape.push_back(out[o]);
    }
  return pushed;
}

}  // namespace vitrify
