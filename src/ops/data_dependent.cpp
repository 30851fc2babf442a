// NonZero, Compress, Unique and ReverseSequence: where elements go depends on what they are.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/elements.h"
#include "ops/moved_facts.h"
#include "ops/shape.h"

namespace vitrify {

// ---- NonZero ----

void infer_nonzero(InferContext& c) {
  c.expect_tensor(0);
  const Shape* x = c.shape(0);
  Dim rank = x ? Dim(int64_t(x->size())) : c.fresh(0, 0);
  c.output(Type::tensor(DType::kInt64, {rank, c.fresh(0, 1)}));
}

void reference_nonzero(ReferenceCall& call) {
  const Tensor& x = call.in(0);
  auto is_set = [&](int64_t i) {
    return x.dtype() == DType::kString ? !x.data<std::string>()[i].empty() : double_at(x, i) != 0;
  };
  std::vector<int64_t> found;
  for (int64_t i = 0; i < x.size(); ++i)
    if (is_set(i)) found.push_back(i);
  auto count = int64_t(found.size());
  Tensor& y = call.out(0, DType::kInt64, {x.rank(), count});
  Dims strides = dense_strides(x.dims());
  for (size_t a = 0; a < strides.size(); ++a)
    for (int64_t i = 0; i < count; ++i)
      y.data<int64_t>()[int64_t(a) * count + i] = found[size_t(i)] / strides[a] % x.dims()[a];
}

// ---- Compress ----

void infer_compress(InferContext& c) {
  const auto& op = *c.op().as<Compress>();
  c.expect_tensor(0), c.expect_tensor(1);
  require(c.dtype(1) == DType::kBool, "the condition must be bool, not ", name(c.dtype(1)));
  if (!op.has_axis) return c.output(Type::tensor(c.dtype(0), {c.fresh(0, 0)}));
  const Shape* x = c.shape(0);
  if (!x) return c.output(Type::unranked(c.dtype(0)));
  Shape shape = *x;
  int64_t axis = normal_axis(op.axis, int64_t(x->size()));
  shape[size_t(axis)] = c.fresh(0, int(axis));
  c.output(Type::tensor(c.dtype(0), std::move(shape)));
}

void reference_compress(ReferenceCall& call) {
  const auto& op = *call.op().as<Compress>();
  Tensor x = movable(call.in(0));
  const Tensor& condition = call.in(1);
  require(condition.dtype() == DType::kBool, "compress: the condition must be bool");
  if (!op.has_axis) x = x.reshaped({x.size()});
  Dims dims = x.dims();
  auto axis = size_t(normal_axis(op.has_axis ? op.axis : 0, x.rank()));
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < condition.size(); ++i) {
    if (!condition.data<uint8_t>()[i]) continue;
    require(i < dims[axis], "compress: the condition selects element ", i, " of ", dims[axis]);
    kept.push_back(i);
  }
  dims[axis] = int64_t(kept.size());
  Tensor y = begin_moved_output(call, 0, call.in(0).dtype(), dims);
  int64_t outer = count_range(x.dims(), 0, axis), inner = count_range(dims, axis + 1, dims.size()),
          to = 0;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i : kept) {
      copy_elements(x, (o * x.dims()[axis] + i) * inner, y, to, inner);
      to += inner;
    }
  finish_output(call, 0, y);
}

// ---- Unique ----

void infer_unique(InferContext& c) {
  const auto& op = *c.op().as<Unique>();
  c.expect_tensor(0);
  const Shape* x = c.shape(0);
  int64_t axis = op.has_axis && x ? normal_axis(op.axis, int64_t(x->size())) : 0;
  Dim count = c.fresh(0, int(axis));
  Dim items = !x ? c.fresh(2, 0) : op.has_axis ? (*x)[size_t(axis)] : element_count(*x);
  if (op.has_axis && !x) {
    c.output(Type::unranked(c.dtype(0)));
  } else {
    Shape shape = op.has_axis ? *x : Shape(1);
    shape[size_t(axis)] = count;
    c.output(Type::tensor(c.dtype(0), std::move(shape)));
  }
  c.output(Type::tensor(DType::kInt64, {count}));
  c.output(Type::tensor(DType::kInt64, {items}));
  c.output(Type::tensor(DType::kInt64, {count}));
}

namespace {
/// Orders elements of any type, NaN last and equal to itself.
std::function<int(int64_t, int64_t)> element_order(const Tensor& x) {
  if (x.dtype() == DType::kString)
    return [&x](int64_t a, int64_t b) {
      return x.data<std::string>()[a].compare(x.data<std::string>()[b]);
    };
  if (x.dtype() == DType::kUint64)
    return [&x](int64_t a, int64_t b) {
      uint64_t p = x.data<uint64_t>()[a], q = x.data<uint64_t>()[b];
      return int(p > q) - int(p < q);
    };
  if (!is_float(x.dtype()))
    return [&x](int64_t a, int64_t b) {
      int64_t p = int_at(x, a), q = int_at(x, b);
      return int(p > q) - int(p < q);
    };
  return [&x](int64_t a, int64_t b) {
    double p = double_at(x, a), q = double_at(x, b);
    if (std::isnan(p) || std::isnan(q)) return int(std::isnan(p)) - int(std::isnan(q));
    return int(p > q) - int(p < q);
  };
}

struct UniqueItems {
  std::vector<int64_t> first, inverse, counts;  // first: which item each unique one first was
};

UniqueItems find_unique(int64_t items, bool sorted,
                        const std::function<int(int64_t, int64_t)>& order) {
  std::vector<int64_t> by_value(static_cast<size_t>(items));
  std::iota(by_value.begin(), by_value.end(), 0);
  std::stable_sort(by_value.begin(), by_value.end(),
                   [&](int64_t a, int64_t b) { return order(a, b) < 0; });
  UniqueItems u;
  u.inverse.resize(size_t(items));
  for (size_t i = 0; i < by_value.size(); ++i) {
    if (i == 0 || order(by_value[i - 1], by_value[i]) != 0)
      u.first.push_back(by_value[i]), u.counts.push_back(0);
    ++u.counts.back();
    u.inverse[size_t(by_value[i])] = int64_t(u.first.size()) - 1;
  }
  if (sorted) return u;
  std::vector<size_t> appearance(u.first.size());  // unsorted: in order of first appearance
  std::iota(appearance.begin(), appearance.end(), size_t{0});
  std::sort(appearance.begin(), appearance.end(),
            [&](size_t a, size_t b) { return u.first[a] < u.first[b]; });
  UniqueItems v{{}, u.inverse, {}};
  std::vector<int64_t> rank(appearance.size());
  for (size_t i = 0; i < appearance.size(); ++i) {
    rank[appearance[i]] = int64_t(i);
    v.first.push_back(u.first[appearance[i]]), v.counts.push_back(u.counts[appearance[i]]);
  }
  for (int64_t& i : v.inverse) i = rank[size_t(i)];
  return v;
}

void give_ints(ReferenceCall& call, int output, const std::vector<int64_t>& values) {
  if (!call.wants(output)) return;
  Tensor& y = call.out(output, DType::kInt64, {int64_t(values.size())});
  std::copy(values.begin(), values.end(), y.data<int64_t>());
}
}  // namespace

void reference_unique(ReferenceCall& call) {
  const auto& op = *call.op().as<Unique>();
  Tensor x = call.in(0);
  if (!op.has_axis) x = x.reshaped({x.size()});
  auto axis = size_t(normal_axis(op.has_axis ? op.axis : 0, x.rank()));
  int64_t items = x.dims()[axis], outer = count_range(x.dims(), 0, axis),
          inner = count_range(x.dims(), axis + 1, x.dims().size());
  auto order = element_order(x);
  auto item_order = [&](int64_t a, int64_t b) {
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i = 0; i < inner; ++i)
        if (int c = order((o * items + a) * inner + i, (o * items + b) * inner + i)) return c;
    return 0;
  };
  UniqueItems u = find_unique(items, op.sorted, item_order);
  Dims dims = x.dims();
  dims[axis] = int64_t(u.first.size());
  Tensor from = movable(x);
  Tensor y = begin_moved_output(call, 0, call.in(0).dtype(), dims);
  int64_t to = 0;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i : u.first) {
      copy_elements(from, (o * items + i) * inner, y, to, inner);
      to += inner;
    }
  finish_output(call, 0, y);
  give_ints(call, 1, u.first);
  give_ints(call, 2, u.inverse);
  give_ints(call, 3, u.counts);
}

// ---- ReverseSequence ----

namespace {
void require_axes(const ReverseSequence& op, int64_t rank) {
  require(rank >= 2, "the input must have rank 2 or more, not ", rank);
  require(op.time_axis >= 0 && op.time_axis < rank && op.batch_axis >= 0 && op.batch_axis < rank &&
              op.time_axis != op.batch_axis,
          "axes ", op.time_axis, " and ", op.batch_axis, " do not suit rank ", rank);
}
}  // namespace

void infer_reverse_sequence(InferContext& c) {
  c.expect_tensor(0), c.expect_tensor(1);
  if (const Shape* x = c.shape(0)) require_axes(*c.op().as<ReverseSequence>(), int64_t(x->size()));
  c.output(c.type(0));
}

void reference_reverse_sequence(ReferenceCall& call) {
  const auto& op = *call.op().as<ReverseSequence>();
  Tensor x = movable(call.in(0));
  require_axes(op, x.rank());
  auto time = size_t(op.time_axis), batch = size_t(op.batch_axis);
  std::vector<int64_t> lengths = read_indices(call.in(1), "reverse_sequence: lengths");
  require(int64_t(lengths.size()) == x.dims()[batch], "reverse_sequence: ", lengths.size(),
          " lengths for ", x.dims()[batch], " sequences");
  Tensor y = begin_moved_output(call, 0, call.in(0).dtype(), x.dims());
  copy_elements(x, 0, y, 0, x.size());
  Dims strides = dense_strides(x.dims()), nest = x.dims();
  nest[batch] = 1;
  for (size_t b = 0; b < lengths.size(); ++b) {
    require(lengths[b] >= 0 && lengths[b] <= x.dims()[time], "reverse_sequence: length ",
            lengths[b], " exceeds extent ", x.dims()[time]);
    if (lengths[b] == 0) continue;
    nest[time] = lengths[b];
    Walk write{int64_t(b) * strides[batch], strides}, read = write;
    read.offset += (lengths[b] - 1) * strides[time];
    read.strides[time] = -strides[time];
    copy_strided(nest, x, read, y, write);
  }
  finish_output(call, 0, y);
}

}  // namespace vitrify
