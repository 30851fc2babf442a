#include "ops/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/dispatch.h"
#include "ops/moved_facts.h"
#include "ops/row_product.h"
#include "ops/samples.h"

namespace vitrify {

void infer_attention(InferContext& c) {
  for (int i = 0; i < 3; ++i) {
    c.expect_tensor(i);
    require(is_float(c.dtype(i)) && c.dtype(i) == c.dtype(0), "q, k and v have types ",
            name(c.dtype(0)), " and ", name(c.dtype(i)));
    if (c.shape(i))
      require(c.shape(i)->size() == 4, "q, k and v must have rank 4, not ", c.shape(i)->size());
  }
  const Shape *q = c.shape(0), *k = c.shape(1), *v = c.shape(2);
  if (!q || !k || !v) return c.output(Type::tensor(c.dtype(0), c.fresh_shape(0, 4)));
  Dim batch = unify(unify((*q)[0], (*k)[0], "batch"), (*v)[0], "batch");
  Dim groups = unify((*k)[1], (*v)[1], "heads of k and v");
  Dim length = unify((*k)[2], (*v)[2], "length of k and v");
  unify((*q)[3], (*k)[3], "head size");
  if ((*q)[1].is_constant() && groups.is_constant())
    require(groups.value() > 0 && (*q)[1].value() % groups.value() == 0, (*q)[1].str(),
            " query heads are no multiple of ", groups.str());
  Shape result{batch, (*q)[1], (*q)[2], (*v)[3]};
  if (c.has(3)) {
    c.expect_tensor(3);
    require(c.dtype(3) == DType::kBool || c.dtype(3) == c.dtype(0), "the mask has type ",
            name(c.dtype(3)));
    const bool widens = c.op().as<Attention>()->mask_widens;
    if (const Shape* mask = c.shape(3)) {
      require(mask->size() <= 4, "the mask has rank ", mask->size());
      const Shape scores = broadcast_shapes(*mask, {batch, (*q)[1], (*q)[2], length});
      if (widens) std::copy_n(scores.begin(), 3, result.begin());
    } else if (widens) {
      result = c.fresh_shape(0, 4);
    }
  }
  c.output(Type::tensor(c.dtype(0), std::move(result)));
}

namespace {
/// Of the result, but for what q, k and v have fewer of when the mask widens.
struct Extents {
  int64_t batch, heads, groups, queries, keys, size, value_size;
  int64_t own_batch, own_heads, own_queries;
};

Extents read_extents(const Dims& q, const Dims& k, const Dims& v) {
  require(q.size() == 4 && k.size() == 4 && v.size() == 4,
          "attention: q, k and v must have rank 4");
  Extents e{q[0], q[1], k[1], q[2], k[2], q[3], v[3], q[0], q[1], q[2]};
  require(k[0] == e.batch && v[0] == e.batch && v[1] == e.groups && v[2] == e.keys &&
              k[3] == e.size && e.groups > 0 && e.heads % e.groups == 0,
          "attention: shapes ", str(q), ", ", str(k), " and ", str(v), " do not fit");
  return e;
}

/// A mask's numbers for one row of scores: what is added to each.
template <class T>
struct Mask {
  Tensor data;  // in its own type when bool, else in the computing type
  Dims strides = Dims(4);

  void add(int64_t b, int64_t h, int64_t i, int64_t keys, T* scores) const {
    if (!data.defined()) return;
    int64_t at = b * strides[0] + h * strides[1] + i * strides[2], step = strides[3];
    if (data.dtype() == DType::kBool) {
      for (int64_t j = 0; j < keys; ++j)
        if (!data.data<uint8_t>()[at + j * step]) scores[j] = -std::numeric_limits<T>::infinity();
    } else {
      for (int64_t j = 0; j < keys; ++j) scores[j] += data.data<T>()[at + j * step];
    }
  }
};

void widen_extents(Extents& e, const Dims& mask) {
  Dims whole(4 - std::min<size_t>(4, mask.size()), 1);
  whole.insert(whole.end(), mask.begin(), mask.end());
  if (e.batch == 1) e.batch = whole[0];
  if (e.heads == 1) e.heads = whole[1];
  if (e.queries == 1) e.queries = whole[2];
}

template <class T>
Mask<T> read_mask(ReferenceCall& call, const Extents& e) {
  Mask<T> mask;
  if (!call.has(3)) return mask;
  const Tensor& m = call.in(3);
  require(m.dtype() == DType::kBool || m.dtype() == call.in(0).dtype(),
          "attention: the mask has type ", name(m.dtype()));
  Dims whole{e.batch, e.heads, e.queries, e.keys}, strides = dense_strides(m.dims());
  require(m.rank() <= 4, "attention: the mask has rank ", m.rank());
  size_t lead = 4 - m.dims().size();
  for (size_t a = 0; a < m.dims().size(); ++a) {
    require(m.dims()[a] == 1 || m.dims()[a] == whole[lead + a], "attention: the mask ",
            str(m.dims()), " does not broadcast to ", str(whole));
    mask.strides[lead + a] = m.dims()[a] == 1 ? 0 : strides[a];
  }
  mask.data = m.dtype() == DType::kBool ? m : widen(m);
  return mask;
}

template <class T>
void softmax_row(T* row, int64_t n) {
  T most = -std::numeric_limits<T>::infinity(), sum = 0;
  for (int64_t j = 0; j < n; ++j) most = row[j] > most || row[j] != row[j] ? row[j] : most;
  for (int64_t j = 0; j < n; ++j) sum += row[j] = std::exp(row[j] - most);
  for (int64_t j = 0; j < n; ++j) row[j] /= sum;
}

template <class T>
void attend(const Attention& op, const Extents& e, const T* q, const T* k, const T* v,
            const Mask<T>& mask, T* y) {
  std::vector<T> scores(static_cast<size_t>(e.keys));
  const auto own = [](int64_t i, int64_t n) { return n == 1 ? 0 : i; };
  int64_t shared = e.own_heads / e.groups;
  for (int64_t b = 0; b < e.batch; ++b)
    for (int64_t h = 0; h < e.heads; ++h) {
      const int64_t from = own(b, e.own_batch), head = own(h, e.own_heads);
      const int64_t group = from * e.groups + head / shared;
      std::vector<T> keys = transposed(k + group * e.keys * e.size, e.keys, e.size);
      for (int64_t i = 0; i < e.queries; ++i) {
        std::fill(scores.begin(), scores.end(), T(0));
        const int64_t row_of_q =
            (from * e.own_heads + head) * e.own_queries + own(i, e.own_queries);
        add_row_product(q + row_of_q * e.size, e.size, keys.data(), e.keys, e.keys, scores.data());
        for (T& s : scores) {
          s = T(s * T(op.scale));
          if (op.softcap > 0) s = T(op.softcap) * std::tanh(s / T(op.softcap));
        }
        mask.add(b, h, i, e.keys, scores.data());
        if (op.causal)
          for (int64_t j = i + 1; j < e.keys; ++j)
            scores[size_t(j)] = -std::numeric_limits<T>::infinity();
        softmax_row(scores.data(), e.keys);
        T* row = y + ((b * e.heads + h) * e.queries + i) * e.value_size;
        std::fill_n(row, e.value_size, T(0));
        add_row_product(scores.data(), e.keys, v + group * e.keys * e.value_size, e.value_size,
                        e.value_size, row);
      }
    }
}
}  // namespace

void reference_attention(ReferenceCall& call) {
  const auto& op = *call.op().as<Attention>();
  DType dtype = call.in(0).dtype();
  require(call.in(1).dtype() == dtype && call.in(2).dtype() == dtype,
          "attention: q, k and v differ in type");
  Extents e = read_extents(call.in(0).dims(), call.in(1).dims(), call.in(2).dims());
  if (op.mask_widens && call.has(3)) widen_extents(e, call.in(3).dims());
  Tensor q = widen(call.in(0)), k = widen(call.in(1)), v = widen(call.in(2));
  Tensor y = begin_wide_output(call, 0, dtype, {e.batch, e.heads, e.queries, e.value_size});
  dispatch_float(dtype, [&]<class T>() {
    attend(op, e, q.data<T>(), k.data<T>(), v.data<T>(), read_mask<T>(call, e), y.data<T>());
  });
  finish_output(call, 0, y);
}

Cost cost_attention(const Op&, std::span<const Dims> inputs, std::span<const Dims> outputs) {
  const Dims &q = inputs[0], &k = inputs[1], &v = inputs[2], &y = outputs[0];
  double pairs = double(y[0]) * double(y[1]) * double(y[2]) * double(k[2]);
  double moved = double(element_count(q)) + double(element_count(k)) + double(element_count(v)) +
                 double(element_count(y));
  return {pairs * (2 * double(q[3]) + 2 * double(v[3]) + 8), 4 * moved};
}

std::vector<Sample> samples_attention(uint64_t seed) {
  SampleRandom random(seed);
  struct Case {
    Dims q, k;
    int64_t value_size;
    Attention op;
    Dims mask;
    DType dtype = DType::kFloat32, mask_dtype = DType::kUndefined;
  };
  const Case cases[] = {
      {{1, 1, 1, 1}, {1, 1, 1, 1}, 1, {1, 0, false}, {}},
      {{2, 3, 5, 7}, {2, 3, 9, 7}, 4, {0.3, 0, false}, {}},
      {{1, 4, 3, 8}, {1, 2, 5, 8}, 8, {0.35, 0, true}, {}},
      {{2, 2, 6, 16}, {2, 1, 6, 16}, 3, {0.25, 2, true}, {6, 6}, DType::kFloat32, DType::kFloat32},
      {{2, 2, 3, 4},
       {2, 2, 5, 4},
       4,
       {0.5, 0, false},
       {2, 1, 1, 5},
       DType::kFloat32,
       DType::kFloat32},
      {{2, 2, 3, 4}, {2, 2, 5, 4}, 4, {0.5, 0, false}, {2, 1, 3, 5}, DType::kFloat32, DType::kBool},
      {{1, 2, 17, 33},
       {1, 2, 33, 33},
       17,
       {0.17, 0, false},
       {1, 33},
       DType::kFloat32,
       DType::kBool},
      {{1, 1, 1, 4},
       {1, 1, 5, 4},
       3,
       {0.5, 0, false, true},
       {2, 3, 4, 5},
       DType::kFloat32,
       DType::kFloat32},
      {{1, 2, 3, 4},
       {1, 2, 5, 4},
       4,
       {0.5, 0, false, true},
       {3, 1, 1, 5},
       DType::kFloat32,
       DType::kBool},
      {{1, 2, 4, 8}, {1, 2, 4, 8}, 8, {0.35, 0, true}, {}, DType::kFloat16},
      {{1, 2, 4, 8}, {1, 1, 6, 8}, 5, {0.35, 0, false}, {4, 6}, DType::kFloat64, DType::kFloat64},
      {{1, 2, 3, 8}, {1, 2, 5, 8}, 8, {0.35, 30, false}, {}, DType::kBFloat16},
      {{0, 2, 3, 4}, {0, 2, 3, 4}, 4, {1, 0, false}, {}},
      {{1, 2, 0, 4}, {1, 2, 3, 4}, 4, {1, 0, true}, {}},
  };
  std::vector<Sample> samples;
  for (const Case& c : cases) {
    Dims v = c.k;
    v[3] = c.value_size;
    std::vector<Tensor> inputs{random_tensor(random, c.dtype, c.q),
                               random_tensor(random, c.dtype, c.k),
                               random_tensor(random, c.dtype, v)};
    if (c.mask_dtype != DType::kUndefined) {
      Tensor mask = random_tensor(random, c.mask_dtype, c.mask);
      int64_t row = c.mask.back();  // every query sees its first key: no row is all masked
      for (int64_t i = 0; c.mask_dtype == DType::kBool && i < mask.size(); i += row)
        set_int(mask, i, 1);
      inputs.push_back(mask);
    }
    samples.push_back({c.op, std::move(inputs)});
  }
  return samples;
}

}  // namespace vitrify
