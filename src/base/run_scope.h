// What the work on a thread belongs to: the memory that it may hold and the flag that ends it.
//
// A run opens a scope on its thread. Under it, every Tensor is charged to the run's account before
// it is allocated, `parallel_for` hands out no more work once the run is cancelled, and loops and
// interpreters look at `check_cancelled`.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace vitrify {

/// Bytes held against a limit. Any thread may release.
class MemoryAccount {
 public:
  explicit MemoryAccount(int64_t limit) : limit_(limit) {}
  /// Throws a user error, and charges nothing, when the limit would be passed.
  void charge(int64_t bytes);
  void release(int64_t bytes) noexcept { held_.fetch_sub(bytes, std::memory_order_relaxed); }
  /// Throws as `charge` would; charges nothing.
  void expect_room(int64_t bytes);
  /// How often the limit has been met.
  int64_t refusals() const { return refusals_.load(std::memory_order_relaxed); }
  int64_t held() const { return held_.load(std::memory_order_relaxed); }

 private:
  const int64_t limit_;
  std::atomic<int64_t> held_{0}, refusals_{0};
};

/// What ends a cancelled run; no std::exception, so that nobody takes it for an error.
struct Cancelled {};

class RunScope {
 public:
  /// `cancelled` may be null. A scope ends, too, when the one around it is to end.
  RunScope(std::shared_ptr<MemoryAccount> account, const std::atomic<bool>* cancelled);
  ~RunScope();
  RunScope(const RunScope&) = delete;
  RunScope& operator=(const RunScope&) = delete;

  /// The innermost scope of this thread; null outside of runs.
  static RunScope* current();
  /// True from the first time that the flag was seen set: what was skipped stays known even when
  /// the flag is taken back.
  bool stopped() {
    if (stopped_.load(std::memory_order_relaxed)) return true;
    const bool cancelled = cancelled_ && cancelled_->load(std::memory_order_relaxed);
    if (!cancelled && !(outer_ && outer_->stopped())) return false;
    stopped_.store(true, std::memory_order_relaxed);
    return true;
  }
  const std::shared_ptr<MemoryAccount>& account() const { return account_; }

 private:
  std::shared_ptr<MemoryAccount> account_;
  const std::atomic<bool>* cancelled_;
  std::atomic<bool> stopped_ = false;
  RunScope* outer_;
};

/// Throws Cancelled when this thread's run is to end.
void check_cancelled();

/// Charges the account of this thread's run and returns it; null outside of runs.
std::shared_ptr<MemoryAccount> charge_run(int64_t bytes);

/// Bytes that this process may use: the machine's memory, or its control group's when less.
int64_t usable_memory();

}  // namespace vitrify
