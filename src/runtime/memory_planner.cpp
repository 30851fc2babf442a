#include "runtime/memory_planner.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "base/error.h"

namespace vitrify {

int64_t align_block(int64_t bytes) {
  return checked_add(bytes, kBlockAlignment - 1) / kBlockAlignment * kBlockAlignment;
}

int64_t arena_lower_bound(std::span<const Block> blocks) {
  int32_t end = 0;
  for (const Block& b : blocks) end = std::max(end, b.last + 1);
  std::vector<int64_t> change(size_t(end) + 1);
  for (const Block& b : blocks) {
    const int64_t bytes = align_block(b.bytes);
    change[size_t(b.first)] += bytes;
    change[size_t(b.last) + 1] -= bytes;
  }
  int64_t live = 0, most = 0;
  for (int64_t c : change) most = std::max(most, live += c);
  return most;
}

namespace {

using Order = std::vector<int32_t>;

bool overlap(const Block& a, const Block& b) { return a.first <= b.last && b.first <= a.last; }

/// Places blocks in the given order, each in the smallest gap that takes it. Returns the size.
int64_t place(std::span<Block> blocks, const Order& order) {
  std::vector<int32_t> by_offset;  // placed so far
  int64_t size = 0;
  for (int32_t index : order) {
    Block& block = blocks[size_t(index)];
    const int64_t bytes = align_block(block.bytes);
    int64_t free_from = 0, best = -1, best_gap = INT64_MAX;
    for (int32_t other_index : by_offset) {
      const Block& other = blocks[size_t(other_index)];
      if (!overlap(block, other)) continue;
      const int64_t gap = other.offset - free_from;
      if (gap >= bytes && gap < best_gap) best = free_from, best_gap = gap;
      free_from = std::max(free_from, checked_add(other.offset, align_block(other.bytes)));
    }
    block.offset = best >= 0 ? best : free_from;
    size = std::max(size, checked_add(block.offset, bytes));
    auto at = std::upper_bound(
        by_offset.begin(), by_offset.end(), block.offset,
        [&](int64_t offset, int32_t i) { return offset < blocks[size_t(i)].offset; });
    by_offset.insert(at, index);
  }
  return size;
}

Order by_size(std::span<const Block> blocks) {
  Order order(blocks.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return blocks[size_t(a)].bytes > blocks[size_t(b)].bytes;
  });
  return order;
}

/// Blocks that reach the top of the arena are what made it too big.
std::vector<size_t> top_blocks(std::span<const Block> blocks, const Order& order, int64_t size) {
  std::vector<size_t> found;
  for (size_t i = 0; i < order.size(); ++i) {
    const Block& b = blocks[size_t(order[i])];
    if (b.offset + align_block(b.bytes) == size) found.push_back(i);
  }
  return found;
}

void move_earlier(Order& order, size_t from, size_t to) {
  std::rotate(order.begin() + ptrdiff_t(to), order.begin() + ptrdiff_t(from),
              order.begin() + ptrdiff_t(from) + 1);
}

}  // namespace

int64_t plan_arena(std::span<Block> blocks) {
  Order order = by_size(blocks);
  int64_t size = place(blocks, order);
  const int64_t bound = arena_lower_bound(blocks);
  std::vector<Block> best(blocks.begin(), blocks.end());
  std::mt19937_64 random(1);
  const int64_t n = std::max<int64_t>(1, int64_t(blocks.size()));
  const int64_t rounds = std::clamp<int64_t>(40'000'000 / (n * n), 20, 2000);
  for (int64_t round = 0; round < rounds && size > bound; ++round) {
    Order next = order;
    std::vector<size_t> tops = top_blocks(best, order, size);
    const size_t from = round % 4 == 3 ? random() % next.size() : tops[random() % tops.size()];
    move_earlier(next, from, from == 0 ? 0 : random() % from);
    const int64_t next_size = place(blocks, next);
    if (next_size > size) continue;
    if (next_size < size) round = std::max<int64_t>(0, round - rounds / 2);
    size = next_size, order = std::move(next);
    best.assign(blocks.begin(), blocks.end());
  }
  std::copy(best.begin(), best.end(), blocks.begin());
  return size;
}

}  // namespace vitrify
