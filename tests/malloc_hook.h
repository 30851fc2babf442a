// Counts what goes to the heap while a test looks. One source file of a program includes it: it
// replaces the program's malloc.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define VITRIFY_COUNTS_ALLOCATIONS 0

namespace malloc_hook {
/// Sanitizers have a malloc of their own: nothing is counted.
template <class F>
int64_t count_during(F&& f) {
  f();
  return 0;
}
}  // namespace malloc_hook

#else
#define VITRIFY_COUNTS_ALLOCATIONS 1

namespace malloc_hook {

inline std::atomic<bool> counting = false;
inline std::atomic<int64_t> allocations = 0;

/// On its own, so that a debugger can stop where something is allocated.
[[gnu::noinline]] inline void found() { ++allocations; }

inline void count() {
  if (counting.load(std::memory_order_relaxed)) found();
}

/// Allocations of all threads while f runs.
template <class F>
int64_t count_during(F&& f) {
  allocations = 0, counting = true;
  f();
  counting = false;
  return allocations;
}

}  // namespace malloc_hook

// Every way to the heap goes through these.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void* malloc(size_t n) { return malloc_hook::count(), __libc_malloc(n); }
void* calloc(size_t n, size_t m) { return malloc_hook::count(), __libc_calloc(n, m); }
void* realloc(void* p, size_t n) { return malloc_hook::count(), __libc_realloc(p, n); }
void* memalign(size_t a, size_t n) { return malloc_hook::count(), __libc_memalign(a, n); }
void* aligned_alloc(size_t a, size_t n) { return malloc_hook::count(), __libc_memalign(a, n); }
int posix_memalign(void** p, size_t a, size_t n) {
  malloc_hook::count();
  *p = __libc_memalign(a, n);
  return *p ? 0 : 12;
}
}
#endif
