#include "base/error.h"

#include <charconv>

namespace vitrify {

Error::Error(ErrorKind kind, const std::string& message, std::string origin)
    : std::runtime_error(origin.empty() ? message : origin + ": " + message),
      kind_(kind),
      message_(message),
      origin_(std::move(origin)) {}

namespace internal {
void append(std::string& out, double v) {
  char buffer[32];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, v);
  out.append(buffer, error == std::errc() ? end : buffer);
}
}  // namespace internal

void check_failed(const char* condition, std::source_location where) {
  fail_internal("check failed: ", condition, " at ", where.file_name(), ":", where.line());
}

int64_t checked_add(int64_t a, int64_t b) {
  int64_t r;
  require(!__builtin_add_overflow(a, b, &r), "size overflows: ", a, " + ", b,
          " is more than can be counted: make it smaller");
  return r;
}

int64_t checked_mul(int64_t a, int64_t b) {
  int64_t r;
  require(!__builtin_mul_overflow(a, b, &r), "size overflows: ", a, " * ", b,
          " is more than can be counted: make it smaller");
  return r;
}

}  // namespace vitrify
