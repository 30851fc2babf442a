// Errors: what is thrown while importing and building, and the message helpers everything uses.
//
// A message names the place in the user's own model (`origin`), the reason and the way out.
#pragma once

#include <concepts>
#include <cstdint>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>

namespace vitrify {

enum class ErrorKind : uint8_t {
  kUser,         ///< the caller's model, file or argument is wrong; the message says what to change
  kUnsupported,  ///< valid, but Vitrify does not do it; the message says what and where
  kInternal,     ///< our mistake
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message, std::string origin = {});
  ErrorKind kind() const { return kind_; }
  /// The ONNX node, file or argument that the error is about; may be empty.
  const std::string& origin() const { return origin_; }
  /// The message without the origin in front; `what()` has both.
  const std::string& message() const { return message_; }

 private:
  ErrorKind kind_;
  std::string message_, origin_;
};

namespace internal {
inline void append(std::string& out, std::string_view s) { out += s; }
inline void append(std::string& out, char c) { out += c; }
template <std::same_as<bool> B>  // a template, so that a string literal does not convert to it
void append(std::string& out, B b) {
  out += b ? "true" : "false";
}
void append(std::string& out, double v);
inline void append(std::string& out, float v) { append(out, double{v}); }
template <class T>
requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) void append(std::string& out, T v) {
  out += std::to_string(v);
}
}  // namespace internal

/// Concatenates strings and numbers.
template <class... Parts>
std::string cat(const Parts&... parts) {
  std::string out;
  (internal::append(out, parts), ...);
  return out;
}

/// Throws a user error: `fail("Conv expects 4 dims, got ", n)`.
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(ErrorKind::kUser, cat(parts...));
}
template <class... Parts>
[[noreturn]] void fail_unsupported(const Parts&... parts) {
  throw Error(ErrorKind::kUnsupported, cat(parts...));
}
template <class... Parts>
[[noreturn]] void fail_internal(const Parts&... parts) {
  throw Error(ErrorKind::kInternal, cat(parts...));
}

/// Throws a user error unless `ok`.
template <class... Parts>
void require(bool ok, const Parts&... parts) {
  if (!ok) fail(parts...);
}

[[noreturn]] void check_failed(const char* condition, std::source_location where);

/// An invariant of ours: throws an internal error that names the condition and the place.
#define CHECK(condition) \
  ((condition) ? void(0) : ::vitrify::check_failed(#condition, std::source_location::current()))

/// a + b and a * b that throw a user error on overflow.
int64_t checked_add(int64_t a, int64_t b);
int64_t checked_mul(int64_t a, int64_t b);

}  // namespace vitrify
