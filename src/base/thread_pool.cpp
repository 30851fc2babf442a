#include "base/thread_pool.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/float_mode.h"
#include "base/knobs.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace vitrify {

namespace {
void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

int default_threads() {
  int64_t wanted = 0;
  try {
    wanted = knob_int(Knob::kThreads);
  } catch (...) {  // a bad knob must not take down a run; the CLI checks knobs first
  }
  cpu_set_t mask;
  int available = sched_getaffinity(0, sizeof mask, &mask) == 0
                      ? CPU_COUNT(&mask)
                      : int(std::thread::hardware_concurrency());
  return int(std::clamp<int64_t>(wanted > 0 ? wanted : available, 1, 256));
}

// Spinning covers the gaps between the steps of one run; beyond that a worker parks, and the caller
// gives its CPU away in case the worker that it waits for has none.
constexpr int kSpins = 4000;

thread_local bool inside = false;  // a nested call runs in the caller alone
}  // namespace

/// One job at a time. `epoch` counts jobs; workers wait for it to change. A worker announces itself
/// in `guests` and then looks whether a job is `open`; the caller closes the job and then waits for
/// the guests to leave. Both are sequentially consistent, so that one of the two sees the other:
/// nobody is inside while the next job is written.
struct ThreadPool::State {
  void start(int wanted) {
    workers.reserve(size_t(wanted));
    try {
      while (threads < wanted) {
        workers.emplace_back([this] { work(); });
        ++threads;
      }
    } catch (const std::system_error&) {  // the process may have no more threads: go on with these
    }
  }

  void run_indices() {
    inside = true;
    for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) {
      if (scope && scope->stopped()) break;
      (*job)(i);
    }
    inside = false;
  }

  void work() {
    uint32_t seen = 0;
    for (;;) {
      for (int spin = 0; spin < kSpins && epoch.load(std::memory_order_acquire) == seen; ++spin)
        relax();
      epoch.wait(seen, std::memory_order_acquire);
      seen = epoch.load(std::memory_order_acquire);
      if (stopping.load(std::memory_order_relaxed)) return;
      if (!enter()) continue;
      set_float_mode(mode);
      run_indices();
      guests.fetch_sub(1, std::memory_order_release);
    }
  }

  bool enter() {
    guests.fetch_add(1, std::memory_order_seq_cst);
    if (open.load(std::memory_order_seq_cst) && places.fetch_sub(1, std::memory_order_acq_rel) > 0)
      return true;
    guests.fetch_sub(1, std::memory_order_release);
    return false;
  }

  void run(int64_t n, int max_threads, RangeFn f) {
    job = &f;
    count = n;
    scope = RunScope::current();
    mode = float_mode();
    next.store(0, std::memory_order_relaxed);
    places.store(int(std::min<int64_t>(max_threads, n)) - 1, std::memory_order_relaxed);
    open.store(true, std::memory_order_seq_cst);
    epoch.fetch_add(1, std::memory_order_seq_cst);
    epoch.notify_all();
    run_indices();
    open.store(false, std::memory_order_seq_cst);
    for (int spin = 0; guests.load(std::memory_order_seq_cst) != 0; ++spin)
      spin < kSpins ? relax() : std::this_thread::yield();
  }

  void stop() {
    stopping = true;
    epoch.fetch_add(1, std::memory_order_seq_cst);
    epoch.notify_all();
    for (auto& w : workers) w.join();
  }

  int threads = 1;  // the caller's and the workers
  std::vector<std::thread> workers;
  std::mutex busy;  // held by the one caller that has the workers
  const RangeFn* job = nullptr;
  RunScope* scope = nullptr;  // the caller's
  uint32_t mode = 0;          // the caller's, too
  int64_t count = 0;
  alignas(64) std::atomic<int64_t> next{0};
  alignas(64) std::atomic<uint32_t> epoch{0};
  alignas(64) std::atomic<int> guests{0};
  std::atomic<int> places{0};
  std::atomic<bool> open{false}, stopping{false};
};

ThreadPool::ThreadPool() : state_(std::make_unique<State>()) { state_->start(default_threads()); }

ThreadPool::~ThreadPool() {
  if (state_) state_->stop();
}

namespace {
std::atomic<ThreadPool*> instance{nullptr};
std::mutex making;
}  // namespace

ThreadPool& ThreadPool::process() {
  if (ThreadPool* pool = instance.load(std::memory_order_acquire)) return *pool;
  std::lock_guard lock(making);
  if (!instance.load()) {
    static bool registered = false;
    if (!registered) {
      // After fork the child has no workers: it forgets the pool (whose memory stays) and makes its
      // own.
      pthread_atfork([] { making.lock(); }, [] { making.unlock(); },
                     [] {
                       instance.store(nullptr);
                       inside = false;
                       making.unlock();
                     });
      registered = true;
    }
    instance.store(new ThreadPool, std::memory_order_release);  // lives as long as the process
  }
  return *instance.load();
}

int ThreadPool::size() const { return state_->threads; }

void ThreadPool::parallel_for(int64_t n, int max_threads, RangeFn f) {
  std::unique_lock lock(state_->busy, std::defer_lock);
  bool alone = n <= 1 || max_threads <= 1 || state_->threads <= 1 || inside || !lock.try_lock();
  if (alone) {
    RunScope* scope = RunScope::current();
    for (int64_t i = 0; i < n && !(scope && scope->stopped()); ++i) f(i);
    return;
  }
  state_->run(n, max_threads, f);
}

}  // namespace vitrify
