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

/// The blocks in use together with each block.
std::vector<Order> find_conflicts(std::span<const Block> blocks) {
  std::vector<Order> conflicts(blocks.size());
  Order by_first(blocks.size());
  std::iota(by_first.begin(), by_first.end(), 0);
  std::stable_sort(by_first.begin(), by_first.end(), [&](int32_t a, int32_t b) {
    return blocks[size_t(a)].first < blocks[size_t(b)].first;
  });
  for (size_t i = 0; i < by_first.size(); ++i)
    for (size_t j = i + 1; j < by_first.size(); ++j) {
      const int32_t a = by_first[i], b = by_first[j];
      if (blocks[size_t(b)].first > blocks[size_t(a)].last) break;
      conflicts[size_t(a)].push_back(b);
      conflicts[size_t(b)].push_back(a);
    }
  return conflicts;
}

class Search {
 public:
  explicit Search(std::span<const Block> blocks)
      : blocks_(blocks), conflicts_(find_conflicts(blocks)), offsets_(blocks.size()) {
    for (const Block& b : blocks) bytes_.push_back(align_block(b.bytes));
  }

  int64_t run(std::vector<int64_t>& best_offsets) {
    const int64_t bound = arena_lower_bound(blocks_);
    Order order;
    int64_t size = INT64_MAX;
    for (const Order& start : starts()) {
      const int64_t found = place(start);
      if (found < size) size = found, order = start, best_offsets = offsets_;
    }
    std::mt19937_64 random(1);
    const int64_t n = std::max<int64_t>(1, int64_t(blocks_.size()));
    const int64_t rounds = std::clamp<int64_t>(400'000 / n, 100, 4000);
    for (int64_t round = 0, idle = 0; idle < rounds && round < 8 * rounds && size > bound;
         ++round, ++idle) {
      Order next = order;
      perturb(next, best_offsets, size, random);
      const int64_t found = place(next);
      if (found > size) continue;
      if (found < size) idle = 0;
      size = found, order = std::move(next), best_offsets = offsets_;
    }
    return size;
  }

 private:
  /// Places blocks in the given order, each in the smallest gap that takes it. Returns the size.
  int64_t place(const Order& order) {
    std::fill(offsets_.begin(), offsets_.end(), -1);
    int64_t size = 0;
    for (int32_t index : order) {
      taken_.clear();
      for (int32_t other : conflicts_[size_t(index)])
        if (offsets_[size_t(other)] >= 0)
          taken_.emplace_back(offsets_[size_t(other)], bytes_[size_t(other)]);
      std::sort(taken_.begin(), taken_.end());
      const int64_t bytes = bytes_[size_t(index)];
      int64_t free_from = 0, best = -1, best_gap = INT64_MAX;
      for (const auto& [offset, length] : taken_) {
        const int64_t gap = offset - free_from;
        if (gap >= bytes && gap < best_gap) best = free_from, best_gap = gap;
        free_from = std::max(free_from, checked_add(offset, length));
      }
      offsets_[size_t(index)] = best >= 0 ? best : free_from;
      size = std::max(size, checked_add(offsets_[size_t(index)], bytes));
    }
    return size;
  }

  /// Orders to begin with: biggest first; busiest step first, biggest first within it;
  /// longest-lived area first; as they come.
  std::vector<Order> starts() const {
    std::vector<double> load(blocks_.size());
    for (size_t i = 0; i < load.size(); ++i) load[i] = double(peak_load(i));
    auto sorted = [&](auto key) {
      Order order(blocks_.size());
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(),
                       [&](int32_t a, int32_t b) { return key(size_t(a)) > key(size_t(b)); });
      return order;
    };
    using Key = std::pair<double, double>;
    return {sorted([&](size_t i) { return Key(double(bytes_[i]), 0); }),
            sorted([&](size_t i) { return Key(load[i], double(bytes_[i])); }),
            sorted([&](size_t i) {
              return Key(double(bytes_[i]) * (blocks_[i].last - blocks_[i].first + 1), 0);
            }),
            sorted([&](size_t i) { return Key(-blocks_[i].first, double(bytes_[i])); })};
  }

  /// The most bytes in use in a step of block i.
  int64_t peak_load(size_t i) const {
    std::vector<std::pair<int32_t, int64_t>> changes;
    for (int32_t other : conflicts_[i]) {
      changes.emplace_back(std::max(blocks_[size_t(other)].first, blocks_[i].first),
                           bytes_[size_t(other)]);
      changes.emplace_back(blocks_[size_t(other)].last + 1, -bytes_[size_t(other)]);
    }
    std::sort(changes.begin(), changes.end());
    int64_t live = bytes_[i], most = live;
    for (const auto& [step, change] : changes)
      if (step <= blocks_[i].last) most = std::max(most, live += change);
    return most;
  }

  /// Moves a block that reaches the top of the arena before one of its conflicts (now and then: any
  /// block anywhere).
  void perturb(Order& order, const std::vector<int64_t>& offsets, int64_t size,
               std::mt19937_64& random) const {
    std::vector<int32_t> tops;
    for (size_t i = 0; i < offsets.size(); ++i)
      if (offsets[i] + bytes_[i] == size) tops.push_back(int32_t(i));
    int32_t block = tops[random() % tops.size()];
    const Order& conflicts = conflicts_[size_t(block)];
    if (random() % 3 == 0 && !conflicts.empty()) block = conflicts[random() % conflicts.size()];
    const Order& rivals = conflicts_[size_t(block)];
    const auto from = std::find(order.begin(), order.end(), block);
    auto to = order.begin() + ptrdiff_t(random() % order.size());
    if (!rivals.empty() && random() % 4 != 0)
      to = std::find(order.begin(), order.end(), rivals[random() % rivals.size()]);
    if (to <= from)
      std::rotate(to, from, from + 1);
    else
      std::rotate(from, from + 1, to + 1);
  }

  std::span<const Block> blocks_;
  std::vector<Order> conflicts_;
  std::vector<int64_t> bytes_, offsets_;
  std::vector<std::pair<int64_t, int64_t>> taken_;
};

}  // namespace

int64_t plan_arena(std::span<Block> blocks) {
  if (blocks.empty()) return 0;
  std::vector<int64_t> offsets;
  const int64_t size = Search(blocks).run(offsets);
  for (size_t i = 0; i < blocks.size(); ++i) blocks[i].offset = offsets[i];
  return size;
}

}  // namespace vitrify
