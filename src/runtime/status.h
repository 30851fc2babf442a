// Status: how a running context reports errors, without throwing.
#pragma once

#include <string>

#include "base/error.h"
#include "base/run_scope.h"

namespace vitrify {

struct [[nodiscard]] Status {
  bool ok = true, cancelled = false;
  ErrorKind kind = ErrorKind::kUser;
  std::string message, origin;

  static Status of(const Error& e) { return {false, false, e.kind(), e.message(), e.origin()}; }
  static Status internal(const std::string& message) {
    return {false, false, ErrorKind::kInternal, message, {}};
  }
  /// Throws what it holds unless ok.
  void check() const {
    if (!ok) throw Error(kind, message, origin);
  }
};

/// Runs f, which may throw, and says how it went.
template <class F>
Status guarded(F&& f) {
  try {
    f();
    return {};
  } catch (const Error& e) {
    return Status::of(e);
  } catch (const Cancelled&) {
    return {false, true, ErrorKind::kUser, "cancelled", {}};
  } catch (const std::bad_alloc&) {
    return {false, false, ErrorKind::kUser, "no memory left", {}};
  } catch (const std::exception& e) {
    return Status::internal(e.what());
  }
}

}  // namespace vitrify
