// merge_siblings: convolutions of one input whose results are added become one convolution: equal
// windows add up, a smaller kernel is padded with zeros, and the identity is a kernel, too
// (RepVGG).
#include "base/error.h"
#include "passes/pipeline.h"

namespace vitrify {
namespace {

Window window(int64_t kernel, int64_t pad) {
  return {{kernel, kernel}, {1, 1}, {1, 1}, {pad, pad}, {pad, pad}};
}
Pattern conv(Pattern x, Pattern w, std::string_view name, int64_t kernel, int64_t pad) {
  return op<Conv>(
             {std::move(x), std::move(w)},
             [=](Rng&) {
               return Conv{window(kernel, pad), 1};
             },
             [](const Conv& c) {
               return c.epilogue.empty() && !c.window.kernel.empty() &&
                      c.window.auto_pad == Window::AutoPad::kExplicit;
             })
      .as(name);
}
Pattern biased(Pattern x, std::string_view bias) { return add(std::move(x), constant(bias)); }

/// True when `small` placed in the middle of `large`'s kernel reads the same inputs.
bool nests(const Window& large, const Window& small) {
  if (large.strides != small.strides || large.kernel.size() != small.kernel.size()) return false;
  for (size_t i = 0; i < large.kernel.size(); ++i) {
    int64_t grow = large.kernel[i] - small.kernel[i];
    if (grow < 0 || grow % 2 || large.dilations[i] != 1 || small.dilations[i] != 1) return false;
    if (large.pads_begin[i] - grow / 2 != small.pads_begin[i] ||
        large.pads_end[i] - grow / 2 != small.pads_end[i])
      return false;
  }
  return true;
}

ValueId padded(Match& m, ValueId w, const Window& small, const Window& large) {
  if (small.kernel == large.kernel) return w;
  std::vector<Dim> begin{0, 0}, end{0, 0};
  for (size_t i = 0; i < small.kernel.size(); ++i)
    for (auto* side : {&begin, &end}) side->push_back((large.kernel[i] - small.kernel[i]) / 2);
  begin.insert(begin.end(), end.begin(), end.end());
  return m.add(Pad{Pad::Mode::kConstant, begin}, {w});
}

/// conv(x, w1) + conv(x, w2), in whichever order the kernels nest.
ValueId merged(Match& m, std::string_view c1, std::string_view c2) {
  const Conv a = m.op<Conv>(c1), b = m.op<Conv>(c2);
  if (a.group != b.group || m.type(c1).dtype != DType::kFloat32 || !(m.type(c1) == m.type(c2)))
    return {};
  bool first = nests(a.window, b.window);
  if (!first && !nests(b.window, a.window)) return {};
  const Conv& large = first ? a : b;
  ValueId w1 = padded(m, m["w1"], a.window, large.window),
          w2 = padded(m, m["w2"], b.window, large.window);
  return m.add(large, {m["x"], m.binary(BinaryKind::kAdd, w1, w2)});
}

/// The kernel that copies its input: 1 in the middle of [M, C/group, k…].
Tensor identity_kernel(const Tensor& w) {
  Tensor t(DType::kFloat32, w.dims());
  int64_t taps = 1;
  for (int a = 2; a < w.rank(); ++a) taps *= w.dims()[size_t(a)];
  for (int64_t f = 0; f < w.dims()[0]; ++f)
    set_double(t, (f * w.dims()[1] + f % w.dims()[1]) * taps + taps / 2, 1);
  return t;
}

bool keeps_place(const Conv& c, const Tensor& w) {
  if (w.dims()[0] != w.dims()[1] * c.group) return false;
  for (size_t i = 0; i < c.window.kernel.size(); ++i) {
    int64_t half = c.window.kernel[i] / 2;
    if (c.window.kernel[i] % 2 == 0 || c.window.strides[i] != 1 || c.window.dilations[i] != 1)
      return false;
    if (c.window.pads_begin[i] != half || c.window.pads_end[i] != half) return false;
  }
  return true;
}

ValueId with_identity(Match& m) {
  const Conv c = m.op<Conv>("c1");
  const Tensor& w = m.constant("w1");
  if (m.type("x").dtype != DType::kFloat32 || !(m.type("x") == m.type("c1")) || !keeps_place(c, w))
    return {};
  ValueId one = m.builder().constant(identity_kernel(w));
  return m.add(c, {m["x"], m.binary(BinaryKind::kAdd, m["w1"], one)});
}

/// True when y may merge with a convolution of x: x itself, scaled or not, another convolution of
/// it, or one with its bias. (Graph inputs count: moving a bias past one does no harm, and tests
/// use them.)
bool is_sibling(Match& m, ValueId y) {
  const GraphBuilder& b = m.builder();
  const Node& n = b.node(y);
  if (y == m["x"] || n.op.is<Input>()) return true;
  if (n.op.is<Conv>()) return n.inputs[0] == m["x"] && b.constant_of(n.inputs[1]);
  auto* o = n.op.as<Binary>();
  bool affine = o && (o->kind == BinaryKind::kAdd || o->kind == BinaryKind::kMul) &&
                b.constant_of(n.inputs[1]);
  return affine && (n.inputs[0] == m["x"] || b.node(n.inputs[0]).op.is<Conv>());
}

std::map<std::string_view, Tensor> sample(Rng& r, int64_t k1, int64_t k2, bool square) {
  int64_t c = int64_t(r() % 3 + 1), f = square ? c : int64_t(r() % 3 + 1);
  return {{"x", random_floats(r, {int64_t(r() % 3), 4, 5, c})},
          {"w1", random_floats(r, {f, c, k1, k1})},
          {"w2", random_floats(r, {f, c, k2, k2})},
          {"b", random_floats(r, {f})},
          {"b1", random_floats(r, {f})},
          {"b2", random_floats(r, {f})}};
}

Pattern three() { return conv(any("x"), constant("w1"), "c1", 3, 1); }
Pattern one() { return conv(any("x"), constant("w2"), "c2", 1, 0); }
Pattern three_again() { return conv(any("x"), constant("w2"), "c2", 3, 1); }

/// A scale on the shortcut of a RepVGG block (its batch norm): x * s is a diagonal kernel.
ValueId scaled_identity(Match& m) {
  const Conv c = m.op<Conv>("c1");
  const Tensor &w = m.constant("w1"), &s = m.constant("s");
  bool fits = m.type("x").dtype == DType::kFloat32 && m.type("x") == m.type("c1") &&
              keeps_place(c, w) && s.dtype() == DType::kFloat32;
  if (!fits || (s.size() != 1 && (s.size() != w.dims()[0] || s.dims().back() != s.size())))
    return {};
  ValueId kernel = m.builder().constant(identity_kernel(w));
  Shape lined(size_t(w.rank()), Dim(1));
  if (s.size() != 1) lined[0] = s.size();
  ValueId diagonal = m.binary(BinaryKind::kMul, kernel, m.add(Reshape{lined}, {m["s"]}));
  return m.add(c, {m["x"], m.binary(BinaryKind::kAdd, m["w1"], diagonal)});
}

const Rule kRules[] = {
    {"(conv(x, w1) + b) + y -> (conv(x, w1) + y) + b", add(biased(three(), "b"), any("y")),
     [](Match& m) {
       // Biases move outward, so that the convolutions meet; a residual of another kind stays put.
       bool same_types = m.is_of_root_type(m["c1"]) && m.is_of_root_type(m["y"]);
       if (!same_types || !is_sibling(m, m["y"])) return ValueId{};
       return m.binary(BinaryKind::kAdd, m.binary(BinaryKind::kAdd, m["c1"], m["y"]), m["b"]);
     },
     [](Rng& r) {
       auto s = sample(r, 3, 1, true);
       s["y"] = s["x"];
       return s;
     }},
    {"(x + b1) + (y + b2) -> (x + y) + (b1 + b2)",
     add(add(any("x"), constant("b1")), add(any("y"), constant("b2"))),
     [](Match& m) {
       auto contraction = [&](std::string_view v) {
         const Op& o = m.builder().node(m[v]).op;
         return o.is<Conv>() || o.is<Input>() || o.is<Binary>();
       };
       bool fits = contraction("x") && contraction("y") && m.type("x") == m.type("y") &&
                   m.is_of_root_type(m["x"]) && m.type("x").dtype == DType::kFloat32;
       if (!fits) return ValueId{};
       ValueId biases = m.binary(BinaryKind::kAdd, m["b1"], m["b2"]);
       return m.binary(BinaryKind::kAdd, m.binary(BinaryKind::kAdd, m["x"], m["y"]), biases);
     },
     [](Rng& r) {
       Dims d{int64_t(r() % 3), 4};
       return std::map<std::string_view, Tensor>{{"x", random_floats(r, d)},
                                                 {"y", random_floats(r, d)},
                                                 {"b1", random_floats(r, {4})},
                                                 {"b2", random_floats(r, {})}};
     }},
    {"conv(x, w1) + conv(x, w2) -> conv(x, w1 + w2)", add(three(), three_again()),
     [](Match& m) { return merged(m, "c1", "c2"); }, [](Rng& r) { return sample(r, 3, 3, false); }},
    {"conv3x3(x, w1) + conv1x1(x, w2) -> conv3x3(x, w1 + w2)", add(three(), one()),
     [](Match& m) { return merged(m, "c1", "c2"); }, [](Rng& r) { return sample(r, 3, 1, false); }},
    {"conv(x, w) + x -> conv(x, w + 1)", add(three(), any("x")), with_identity,
     [](Rng& r) { return sample(r, 3, 1, true); }},
    {"conv(x, w) + x * s -> conv(x, w + diag(s))", add(three(), mul(any("x"), constant("s"))),
     scaled_identity,
     [](Rng& r) {
       auto s = sample(r, 3, 1, true);
       s["s"] = random_floats(r, {s["w1"].dims()[0]});
       return s;
     }},
};

}  // namespace

std::span<const Rule> sibling_rules() { return kRules; }

Graph merge_siblings(const Graph& graph, const PassContext& context) {
  Graph merged = apply_rules(graph, kRules, context);
  PassContext quiet = context;
  quiet.trace = nullptr;
  return simplify(fold_constants(merged, quiet), quiet);
}

}  // namespace vitrify
