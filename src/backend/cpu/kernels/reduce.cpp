#include "backend/cpu/kernels/reduce.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/simd.h"
#include "base/float_mode.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/reduce.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/kernels/math-inl.h"
#include "hwy/highway.h"

#ifndef VITRIFY_KERNELS_REDUCE_ONCE
#define VITRIFY_KERNELS_REDUCE_ONCE
namespace vitrify::cpu {
namespace {

constexpr int64_t kRowBlock = 4096;    // floats summed in float32 before they go to a double
constexpr int64_t kColumnBlock = 256;  // rows summed before they join the result
constexpr int64_t kColumns = 512;
constexpr float kNotANumber = std::numeric_limits<float>::quiet_NaN();

}  // namespace
}  // namespace vitrify::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {
namespace {

HWY_INLINE bool any_nan(Vec v) { return !hn::AllFalse(Floats(), hn::IsNaN(v)); }

struct SumFold {
  static HWY_INLINE Vec map(Vec x) { return x; }
  static HWY_INLINE Vec join(Vec a, Vec b) { return hn::Add(a, b); }
  static HWY_INLINE double join_lanes(Vec v) {
    return double(hn::GetLane(hn::SumOfLanes(Floats(), v)));
  }
};
struct AbsSumFold : SumFold {
  static HWY_INLINE Vec map(Vec x) { return hn::Abs(x); }
};
struct SquareSumFold : SumFold {
  static HWY_INLINE Vec map(Vec x) { return hn::Mul(x, x); }
};
struct ProductFold : SumFold {
  static HWY_INLINE Vec join(Vec a, Vec b) { return hn::Mul(a, b); }
  static HWY_INLINE double join_lanes(Vec v) {
    alignas(64) float lanes[kLanes];
    hn::Store(v, Floats(), lanes);
    double product = 1;
    for (float lane : lanes) product *= double(lane);
    return product;
  }
};
struct MaxFold : SumFold {
  static HWY_INLINE Vec join(Vec a, Vec b) { return max_nan(a, b); }
  static HWY_INLINE double join_lanes(Vec v) {
    return double(any_nan(v) ? kNotANumber : hn::GetLane(hn::MaxOfLanes(Floats(), v)));
  }
};
struct MinFold : SumFold {
  static HWY_INLINE Vec join(Vec a, Vec b) { return min_nan(a, b); }
  static HWY_INLINE double join_lanes(Vec v) {
    return double(any_nan(v) ? kNotANumber : hn::GetLane(hn::MinOfLanes(Floats(), v)));
  }
};

template <class F>
void with_fold(Fold fold, F f) {
  switch (fold) {
    case Fold::kSum:
      return f(SumFold{});
    case Fold::kAbsSum:
      return f(AbsSumFold{});
    case Fold::kSquareSum:
      return f(SquareSumFold{});
    case Fold::kProduct:
      return f(ProductFold{});
    case Fold::kMax:
      return f(MaxFold{});
    case Fold::kMin:
      return f(MinFold{});
  }
}

/// One vector whose lanes are folds of parts of row[0 .. n); missing lanes hold `begin`.
template <class Op, class Map>
HWY_INLINE Vec fold_block(const float* row, int64_t n, Vec begin, Map map) {
  const Floats d;
  Vec a0 = begin, a1 = begin, a2 = begin, a3 = begin;
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    a0 = Op::join(a0, map(hn::LoadU(d, row + i)));
    a1 = Op::join(a1, map(hn::LoadU(d, row + i + kLanes)));
    a2 = Op::join(a2, map(hn::LoadU(d, row + i + 2 * kLanes)));
    a3 = Op::join(a3, map(hn::LoadU(d, row + i + 3 * kLanes)));
  }
  for (; i + kLanes <= n; i += kLanes) a0 = Op::join(a0, map(hn::LoadU(d, row + i)));
  if (i < n) {
    const Vec x = map(load_partial(row + i, n - i));
    a1 = Op::join(a1, hn::IfThenElse(hn::FirstN(d, size_t(n - i)), x, begin));
  }
  return Op::join(Op::join(a0, a1), Op::join(a2, a3));
}

template <class Op, class Map>
HWY_INLINE double fold_blocks(Fold fold, const float* row, int64_t n, Map map) {
  const float identity = fold_identity(fold);
  double total = double(identity);
  for (int64_t i = 0; i < n; i += kRowBlock) {
    const Vec v = fold_block<Op>(row + i, std::min(kRowBlock, n - i), set(identity), map);
    total = join_folds(fold, total, Op::join_lanes(v));
  }
  return total;
}

/// Four rows at a time into sums that stay in L1.
template <class Op, class Map>
HWY_INLINE void fold_rows(const float* x, int64_t rows, int64_t stride, int64_t columns, float* sum,
                          Map map) {
  const Floats d;
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4, x += 4 * stride) {
    int64_t c = 0;
    for (; c + kLanes <= columns; c += kLanes) {
      const float* p = x + c;
      const Vec low = Op::join(map(hn::LoadU(d, p), c), map(hn::LoadU(d, p + stride), c));
      const Vec high =
          Op::join(map(hn::LoadU(d, p + 2 * stride), c), map(hn::LoadU(d, p + 3 * stride), c));
      hn::StoreU(Op::join(hn::LoadU(d, sum + c), Op::join(low, high)), d, sum + c);
    }
    if (c == columns) continue;
    for (int64_t k = 0; k < 4; ++k) {
      const Vec v = map(load_partial(x + k * stride + c, columns - c), c);
      hn::StoreU(Op::join(hn::LoadU(d, sum + c), v), d, sum + c);
    }
  }
  for (; r < rows; ++r, x += stride) {
    int64_t c = 0;
    for (; c + kLanes <= columns; c += kLanes)
      hn::StoreU(Op::join(hn::LoadU(d, sum + c), map(hn::LoadU(d, x + c), c)), d, sum + c);
    if (c < columns)
      hn::StoreU(Op::join(hn::LoadU(d, sum + c), map(load_partial(x + c, columns - c), c)), d,
                 sum + c);
  }
}

template <class Op>
HWY_INLINE void join_into(const float* x, int64_t columns, float* out) {
  const Floats d;
  int64_t c = 0;
  for (; c + kLanes <= columns; c += kLanes)
    hn::StoreU(Op::join(hn::LoadU(d, out + c), hn::LoadU(d, x + c)), d, out + c);
  if (c < columns)
    store_partial(Op::join(load_partial(out + c, columns - c), load_partial(x + c, columns - c)),
                  out + c, columns - c);
}

/// Blocks of rows, each folded on its own and then joined with `out`.
template <class Op, class Map>
HWY_INLINE void fold_column_blocks(float identity, const float* x, int64_t rows, int64_t stride,
                                   int64_t columns, float* out, Map map) {
  alignas(64) float sum[kColumns + kLanes];
  for (int64_t c = 0; c < columns; c += kColumns) {
    const int64_t width = std::min(kColumns, columns - c);
    for (int64_t r = 0; r < rows; r += kColumnBlock) {
      std::fill(sum, sum + width + kLanes, identity);
      fold_rows<Op>(x + r * stride + c, std::min(kColumnBlock, rows - r), stride, width, sum,
                    [&](Vec v, int64_t at) HWY_ATTR { return map(v, c + at, width - at); });
      join_into<Op>(sum, width, out + c);
    }
  }
}

}  // namespace

double fold_row_of(Fold fold, const float* row, int64_t n) {
  double result = 0;
  with_fold(fold, [&](auto op) HWY_ATTR {
    using Op = decltype(op);
    result = fold_blocks<Op>(fold, row, n, [](Vec x) HWY_ATTR { return Op::map(x); });
  });
  return result;
}

void fold_columns_of(Fold fold, const float* x, int64_t rows, int64_t stride, int64_t columns,
                     float* out) {
  with_fold(fold, [&](auto op) HWY_ATTR {
    using Op = decltype(op);
    fold_column_blocks<Op>(fold_identity(fold), x, rows, stride, columns, out,
                           [](Vec v, int64_t, int64_t) HWY_ATTR { return Op::map(v); });
  });
}

void join_rows_of(Fold fold, const float* x, int64_t columns, float* out) {
  with_fold(fold, [&](auto op) HWY_ATTR { join_into<decltype(op)>(x, columns, out); });
}

double exp_sum_row_of(const float* row, int64_t n, float shift) {
  const Vec s = set(shift);
  return fold_blocks<SumFold>(Fold::kSum, row, n,
                              [=](Vec x) HWY_ATTR { return exp(hn::Sub(x, s)); });
}

void exp_sum_columns_of(const float* x, int64_t rows, int64_t stride, int64_t columns,
                        const float* shift, float* out) {
  fold_column_blocks<SumFold>(
      0.0f, x, rows, stride, columns, out, [=](Vec v, int64_t c, int64_t left) HWY_ATTR {
        const Vec s =
            left >= kLanes ? hn::LoadU(Floats(), shift + c) : load_partial(shift + c, left);
        return exp(hn::Sub(v, s));
      });
}

/// The slow way, for rows (rare) that hold NaN: it is passed over, but for one in first place.
int64_t arg_scan(bool max, bool last, const float* row, int64_t n) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; ++i)
    if ((max ? row[i] > row[best] : row[i] < row[best]) || (last && row[i] == row[best])) best = i;
  return best;
}

int64_t arg_row_of(bool max, bool last, const float* row, int64_t n) {
  const float best = unflushed(fold_row_of(max ? Fold::kMax : Fold::kMin, row, n));
  if (best != best) return arg_scan(max, last, row, n);
  if (last) {
    for (int64_t i = n; i-- > 0;)
      if (row[i] == best) return i;
  }
  const Floats d;
  const Vec b = set(best);
  int64_t i = 0;
  while (i + kLanes <= n && hn::AllFalse(d, hn::Eq(hn::LoadU(d, row + i), b))) i += kLanes;
  while (i + 1 < n && row[i] != best) ++i;
  return i;
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrify::cpu {

float fold_identity(Fold fold) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  return fold == Fold::kProduct ? 1.0f
         : fold == Fold::kMax   ? -kInfinity
         : fold == Fold::kMin   ? kInfinity
                                : 0.0f;
}

double join_folds(Fold fold, double a, double b) {
  switch (fold) {
    case Fold::kProduct:
      return a * b;
    case Fold::kMax:
      return a > b || a != a ? a : b;
    case Fold::kMin:
      return a < b || a != a ? a : b;
    default:
      return a + b;
  }
}

double fold_row(Isa isa, Fold fold, const float* row, int64_t n) {
  return VITRIFY_PICK_ISA(isa, fold_row_of)(fold, row, n);
}
void fold_columns(Isa isa, Fold fold, const float* x, int64_t rows, int64_t stride, int64_t columns,
                  float* out) {
  VITRIFY_PICK_ISA(isa, fold_columns_of)(fold, x, rows, stride, columns, out);
}
void join_rows(Isa isa, Fold fold, const float* x, int64_t columns, float* out) {
  VITRIFY_PICK_ISA(isa, join_rows_of)(fold, x, columns, out);
}
double exp_sum_row(Isa isa, const float* row, int64_t n, float shift) {
  return VITRIFY_PICK_ISA(isa, exp_sum_row_of)(row, n, shift);
}
void exp_sum_columns(Isa isa, const float* x, int64_t rows, int64_t stride, int64_t columns,
                     const float* shift, float* out) {
  VITRIFY_PICK_ISA(isa, exp_sum_columns_of)(x, rows, stride, columns, shift, out);
}
int64_t arg_row(Isa isa, bool max, bool last, const float* row, int64_t n) {
  return VITRIFY_PICK_ISA(isa, arg_row_of)(max, last, row, n);
}

}  // namespace vitrify::cpu
#endif
