#include "base/run_scope.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "base/error.h"

namespace vitrify {

void MemoryAccount::expect_room(int64_t bytes) {
  const int64_t held = this->held();
  if (bytes <= limit_ && held <= limit_ - bytes) return;
  refusals_.fetch_add(1, std::memory_order_relaxed);
  fail("no room for ", bytes, " bytes: ", held, " bytes of the memory limit of ", limit_,
       " bytes are taken; make the shapes smaller, or raise the limit (of itself it is what the "
       "machine has)");
}

void MemoryAccount::charge(int64_t bytes) {
  expect_room(bytes);
  held_.fetch_add(bytes, std::memory_order_relaxed);
}

namespace {
thread_local RunScope* innermost = nullptr;
}  // namespace

RunScope::RunScope(std::shared_ptr<MemoryAccount> account, const std::atomic<bool>* cancelled)
    : account_(std::move(account)), cancelled_(cancelled), outer_(innermost) {
  innermost = this;
}
RunScope::~RunScope() { innermost = outer_; }
RunScope* RunScope::current() { return innermost; }

void check_cancelled() {
  if (innermost && innermost->stopped()) throw Cancelled{};
}

std::shared_ptr<MemoryAccount> charge_run(int64_t bytes) {
  if (!innermost || !innermost->account()) return nullptr;
  innermost->account()->charge(bytes);
  return innermost->account();
}

int64_t usable_memory() {
  int64_t bytes = int64_t(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
  for (const char* path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::ifstream file(path);
    int64_t limit = 0;
    if (file >> limit && limit > 0) bytes = std::min(bytes, limit);  // "max" is no number
  }
  return bytes;
}

}  // namespace vitrify
