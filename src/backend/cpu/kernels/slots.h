// Scratch memory for tasks of a parallel_for: as many slots as threads, claimed while a task runs.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>

namespace vitrify::cpu {

inline constexpr int kMaxKernelThreads = 64;

inline int kernel_threads(int max_threads) { return std::clamp(max_threads, 1, kMaxKernelThreads); }

/// At most kMaxKernelThreads slots. A claim always succeeds as long as no more tasks run at once
/// than there are slots.
class Slots {
 public:
  Slots(float* memory, int64_t floats_each) : memory_(memory), floats_each_(floats_each) {}
  int claim() {
    uint64_t used = used_.load(std::memory_order_relaxed);
    int slot = std::countr_one(used);
    while (!used_.compare_exchange_weak(used, used | uint64_t{1} << slot, std::memory_order_acquire,
                                        std::memory_order_relaxed)) {
      slot = std::countr_one(used);
    }
    return slot;
  }
  void release(int slot) { used_.fetch_and(~(uint64_t{1} << slot), std::memory_order_release); }
  float* memory(int slot) const { return memory_ + slot * floats_each_; }

 private:
  float* memory_;
  int64_t floats_each_;
  std::atomic<uint64_t> used_{0};
};

}  // namespace vitrify::cpu
