#include "backend/cpu/kernels/strided_copy.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/thread_pool.h"

namespace vitrify::cpu {

CopyPlan plan_copy(int64_t element, const std::vector<int64_t>& dims,
                   const std::vector<int64_t>& to, const std::vector<int64_t>& from) {
  CopyPlan plan{element, {}, {}, {}, 1};
  for (int64_t d : dims) plan.count *= d;
  std::vector<size_t> order;
  for (size_t a = 0; a < dims.size(); ++a)
    if (dims[a] != 1) order.push_back(a);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return to[a] > to[b]; });
  for (size_t a : order) {
    bool joins = !plan.dims.empty() && plan.to.back() == to[a] * dims[a] &&
                 plan.from.back() == from[a] * dims[a];
    if (joins) {
      plan.dims.back() *= dims[a], plan.to.back() = to[a], plan.from.back() = from[a];
    } else {
      plan.dims.push_back(dims[a]), plan.to.push_back(to[a]), plan.from.push_back(from[a]);
    }
  }
  if (plan.dims.empty()) plan.dims = {1}, plan.to = {1}, plan.from = {1};
  return plan;
}

namespace {

constexpr int64_t kTile = 16, kGrain = 16384;  // elements a side of a transposed tile; a task

template <class T>
void copy_row(T* to, const T* from, int64_t n, int64_t to_stride, int64_t from_stride) {
  if (to_stride == 1 && from_stride == 1)
    std::memcpy(to, from, size_t(n) * sizeof(T));
  else if (to_stride == 1 && from_stride == 0)
    std::fill_n(to, n, *from);
  else
    for (int64_t i = 0; i < n; ++i) to[i * to_stride] = from[i * from_stride];
}

/// rows × columns by tiles, so that both sides are read and written by whole lines.
template <class T>
void copy_tiled(T* to, const T* from, int64_t rows, int64_t columns, int64_t to_row,
                int64_t from_row, int64_t from_column) {
  for (int64_t r0 = 0; r0 < rows; r0 += kTile)
    for (int64_t c0 = 0; c0 < columns; c0 += kTile)
      for (int64_t r = r0; r < std::min(rows, r0 + kTile); ++r)
        for (int64_t c = c0; c < std::min(columns, c0 + kTile); ++c)
          to[r * to_row + c] = from[r * from_row + c * from_column];
}

/// The axis that is innermost in the source, when it is not the target's: the pair makes a
/// transpose.
size_t source_axis(const CopyPlan& p) {
  size_t last = p.dims.size() - 1;
  if (p.to[last] != 1 || p.from[last] == 1 || p.from[last] == 0) return last;
  for (size_t a = 0; a < last; ++a)
    if (p.from[a] == 1) return a;
  return last;
}

template <class T>
void run(const CopyPlan& p, T* to, const T* from, int max_threads) {
  size_t last = p.dims.size() - 1, other = source_axis(p);
  int64_t inner = p.dims[last] * (other == last ? 1 : p.dims[other]);
  int64_t outer = inner ? p.count / inner : 0,
          rows = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, inner));
  // A single large block is cut along its rows.
  int64_t cuts = outer == 1 && other != last
                     ? std::clamp<int64_t>(inner / kGrain, 1, p.dims[other] / kTile + 1)
                     : 1;
  parallel_for((outer + rows - 1) / rows * cuts, max_threads, [&](int64_t task) {
    int64_t begin = task / cuts * rows, cut = task % cuts;
    for (int64_t o = begin; o < std::min(outer, begin + rows); ++o) {
      int64_t rest = o, t = 0, f = 0;
      for (size_t a = last; a-- > 0;) {
        if (a == other) continue;
        int64_t i = rest % p.dims[a];
        rest /= p.dims[a];
        t += i * p.to[a], f += i * p.from[a];
      }
      if (other == last) {
        copy_row(to + t, from + f, p.dims[last], p.to[last], p.from[last]);
      } else {
        int64_t r0 = p.dims[other] * cut / cuts, r1 = p.dims[other] * (cut + 1) / cuts;
        copy_tiled(to + t + r0 * p.to[other], from + f + r0, r1 - r0, p.dims[last], p.to[other], 1,
                   p.from[last]);
      }
    }
  });
}

struct alignas(8) Sixteen {
  uint64_t a, b;
};

}  // namespace

void strided_copy(const CopyPlan& p, std::byte* to, const std::byte* from, int max_threads) {
  if (p.count == 0) return;
  auto go = [&]<class T>(T*) {
    run(p, reinterpret_cast<T*>(to), reinterpret_cast<const T*>(from), max_threads);
  };
  switch (p.element) {
    case 1:
      return go(static_cast<uint8_t*>(nullptr));
    case 2:
      return go(static_cast<uint16_t*>(nullptr));
    case 4:
      return go(static_cast<uint32_t*>(nullptr));
    case 8:
      return go(static_cast<uint64_t*>(nullptr));
    default:
      return go(static_cast<Sixteen*>(nullptr));
  }
}

}  // namespace vitrify::cpu
