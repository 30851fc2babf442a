#include <algorithm>

#include "ops/elements.h"
#include "ops/moved_facts.h"
#include "ops/movement.h"

namespace vitrify {

void infer_pad(InferContext& c) {
  const auto& op = *c.op().as<Pad>();
  c.expect_tensor(0);
  if (c.has(1))
    require(c.dtype(1) == c.dtype(0), "the padding value has type ", name(c.dtype(1)), ", not ",
            name(c.dtype(0)));
  const Shape* x = c.shape(0);
  if (!x) return c.output(Type::unranked(c.dtype(0)));
  size_t rank = x->size();
  Shape shape;
  if (c.has(2) && !c.fact(2)) {
    shape = c.fresh_shape(0, int(rank));
  } else {
    const std::vector<Dim>& pads = c.has(2) ? *c.fact(2) : op.pads;
    require(pads.size() == 2 * rank, pads.size(), " pads for an input of rank ", rank);
    for (size_t a = 0; a < rank; ++a) {
      shape.push_back((*x)[a] + pads[a] + pads[rank + a]);
      require(!shape[a].is_constant() || shape[a].value() >= 0, "axis ", a, " of extent ",
              (*x)[a].str(), " is cropped to ", shape[a].str());
    }
  }
  Type type = Type::tensor(c.dtype(0), std::move(shape));
  c.output(type, c.has(1) || op.mode != Pad::Mode::kConstant
                     ? moved_fact(c, type, reference_pad, {0, 1})
                     : Fact());
}

namespace {
/// Which element of a cropped axis of extent n > 0 stands at position i, which may lie outside.
int64_t source_position(Pad::Mode mode, int64_t i, int64_t n) {
  if (i >= 0 && i < n) return i;
  auto modulo = [](int64_t a, int64_t m) { return (a % m + m) % m; };
  switch (mode) {
    case Pad::Mode::kEdge:
      return std::clamp<int64_t>(i, 0, n - 1);
    case Pad::Mode::kWrap:
      return modulo(i, n);
    case Pad::Mode::kReflect: {
      if (n == 1) return 0;
      int64_t at = modulo(i, 2 * (n - 1));
      return at < n ? at : 2 * (n - 1) - at;
    }
    default:
      return -1;
  }
}

struct AxisPad {
  int64_t crop, kept;    // the elements crop … crop + kept - 1 of the input remain,
  int64_t begin, total;  // at begin … in a result of extent total
};

AxisPad axis_pad(int64_t extent, int64_t before, int64_t after) {
  int64_t total = checked_add(checked_add(extent, before), after);
  require(total >= 0, "pad: an axis of extent ", extent, " is cropped to ", total);
  int64_t crop = std::min(std::max<int64_t>(-before, 0), extent);
  int64_t end = std::max(crop, checked_add(extent, std::min<int64_t>(after, 0)));
  return {crop, end - crop, std::max<int64_t>(before, 0), total};
}

std::vector<AxisPad> read_pads(ReferenceCall& call) {
  Ints pads;
  if (call.has(2))
    pads = read_indices(call.in(2), "pad: pads");
  else
    for (const Dim& d : call.op().as<Pad>()->pads) pads.push_back(call.dim(d));
  const Dims& x = call.in(0).dims();
  require(pads.size() == 2 * x.size(), "pad: ", pads.size(), " pads for an input of rank ",
          x.size());
  std::vector<AxisPad> axes;
  for (size_t a = 0; a < x.size(); ++a) axes.push_back(axis_pad(x[a], pads[a], pads[x.size() + a]));
  return axes;
}

void fill_constant(ReferenceCall& call, Tensor& y) {
  if (y.size() == 0) return;
  Tensor value(call.in(0).dtype(), {});
  if (call.has(1)) {
    require(call.in(1).size() == 1 && call.in(1).dtype() == call.in(0).dtype(),
            "pad: the padding value must be one element of type ", name(call.in(0).dtype()));
    value = call.in(1);
  }
  fill_elements(y, movable(value), 0);
}

/// Fills axis after axis: what is outside `kept` comes from positions inside, which are complete in
/// all earlier axes' extents and not yet in later ones'.
void fill_from_inside(Pad::Mode mode, const std::vector<AxisPad>& axes, const Dims& dims,
                      Tensor& y) {
  Dims strides = dense_strides(dims), nest = dims;
  int64_t offset = 0;
  for (size_t a = 0; a < axes.size(); ++a)
    nest[a] = axes[a].kept, offset += axes[a].begin * strides[a];
  for (size_t a = 0; a < axes.size(); ++a) {
    const AxisPad& p = axes[a];
    offset -= p.begin * strides[a];
    nest[a] = 1;
    for (int64_t i = 0; i < p.total; ++i) {
      if (i >= p.begin && i < p.begin + p.kept) continue;
      require(p.kept > 0, "pad: axis ", a, " has nothing to repeat");
      int64_t from = p.begin + source_position(mode, i - p.begin, p.kept);
      copy_strided(nest, y, {offset + from * strides[a], strides}, y,
                   {offset + i * strides[a], strides});
    }
    nest[a] = p.total;
  }
}
}  // namespace

void reference_pad(ReferenceCall& call) {
  const auto& op = *call.op().as<Pad>();
  std::vector<AxisPad> axes = read_pads(call);
  Tensor x = movable(call.in(0));
  Dims dims, kept, in = dense_strides(x.dims());
  for (const AxisPad& p : axes) dims.push_back(p.total), kept.push_back(p.kept);
  Tensor y = begin_moved_output(call, 0, call.in(0).dtype(), dims);
  Walk read{0, in}, write = dense_walk(dims);
  for (size_t a = 0; a < axes.size(); ++a) {
    read.offset += axes[a].crop * in[a];
    write.offset += axes[a].begin * write.strides[a];
  }
  if (op.mode == Pad::Mode::kConstant) fill_constant(call, y);
  copy_strided(kept, x, read, y, write);
  if (op.mode != Pad::Mode::kConstant && y.size() > 0) fill_from_inside(op.mode, axes, dims, y);
  finish_output(call, 0, y);
}

}  // namespace vitrify
