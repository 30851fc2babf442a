// The memory planner: offsets for blocks with lifetimes in one arena.
#pragma once

#include <cstdint>
#include <span>

namespace vitrify {

inline constexpr int64_t kBlockAlignment = 64;

struct Block {
  int64_t bytes = 0;
  int32_t first = 0, last = 0;  ///< steps, inclusive, in which the block is in use
  int64_t offset = 0;           ///< the result
};

/// Rounds up to kBlockAlignment; user error on overflow.
int64_t align_block(int64_t bytes);

/// The most bytes in use in any one step: no plan can be smaller.
int64_t arena_lower_bound(std::span<const Block> blocks);

/// Gives every block an offset so that blocks in use at once do not overlap; returns the arena's
/// size. Greedy by size, then a local search of fixed length where that misses the lower bound.
/// Deterministic.
int64_t plan_arena(std::span<Block> blocks);

}  // namespace vitrify
