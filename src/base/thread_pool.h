// The one process-wide thread pool: respects the affinity mask, a cap per run, the caller works
// along.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "base/run_scope.h"

namespace vitrify {

/// A non-owning callable `void(int64_t)`; no allocation.
class RangeFn {
 public:
  template <class F>
  RangeFn(F& f)  // NOLINT: implicit by design, binds to lambdas held by the caller
      : object_(const_cast<void*>(static_cast<const void*>(&f))),
        call_([](void* o, int64_t i) { (*static_cast<F*>(o))(i); }) {}
  void operator()(int64_t i) const { call_(object_, i); }

 private:
  void* object_;
  void (*call_)(void*, int64_t);
};

class ThreadPool {
 public:
  /// The process's pool, made on first use with one thread per CPU in the affinity mask (the caller
  /// counts as one). After fork() the child makes its own.
  static ThreadPool& process();

  /// Threads that may work at once, the caller included.
  int size() const;

  /// Calls f(0) … f(n-1), each once, on at most `max_threads` threads, the caller among them;
  /// returns when all are done. f must not throw. Never allocates. Nested calls run in the caller
  /// alone. Which thread runs which index is not fixed, so results may not depend on it.
  /// All compute in the caller's float mode (base/float_mode.h).
  /// Once the caller's run is cancelled, no more calls start: what they would have written is then
  /// undefined, and the run ends at the next `check_cancelled`.
  void parallel_for(int64_t n, int max_threads, RangeFn f);

  ~ThreadPool();

 private:
  ThreadPool();
  struct State;
  std::unique_ptr<State> state_;
};

/// As `ThreadPool::process().parallel_for`, and serial when n or max_threads is 1.
template <class F>
void parallel_for(int64_t n, int max_threads, F&& f) {
  if (n <= 1 || max_threads <= 1) {
    RunScope* scope = n > 1 ? RunScope::current() : nullptr;
    for (int64_t i = 0; i < n && !(scope && scope->stopped()); ++i) f(i);
  } else {
    ThreadPool::process().parallel_for(n, max_threads, RangeFn(f));
  }
}

}  // namespace vitrify
