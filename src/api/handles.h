// What the C interface's handles hold, and how exceptions become statuses.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/context.h"
#include "vitrify/vitrify.h"

struct vitrify_value {
  vitrify::Value value;
  std::vector<std::unique_ptr<vitrify_value>> items;  ///< of a sequence

  vitrify_value() = default;
  explicit vitrify_value(vitrify::Value v);
};

struct vitrify_engine {
  std::shared_ptr<const vitrify::Engine> engine;
  std::vector<std::string> input_types, output_types;

  explicit vitrify_engine(std::shared_ptr<const vitrify::Engine> e);
};

struct vitrify_context {
  vitrify::Context context;
  std::vector<std::unique_ptr<vitrify_value>> outputs;
  std::atomic<bool> cancelled = false;

  vitrify_context(std::shared_ptr<const vitrify::Engine> engine, vitrify::ContextOptions options)
      : context(std::move(engine), options) {}
};

namespace vitrify::api {

/// Keeps the message for vitrify_last_error.
vitrify_status failed(vitrify_status status, const std::string& message);
vitrify_status to_status(ErrorKind kind);
vitrify_status report(const Status& status);

/// Runs f; a vitrify::Error or other exception becomes a status.
template <class F>
vitrify_status guard(F&& f) {
  return report(guarded(std::forward<F>(f)));
}

/// Throws a user error when a pointer that the caller must give is null.
inline void need(const void* pointer, const char* what) {
  require(pointer != nullptr, what, " must not be NULL");
}

/// The struct of a caller whose header may be older or newer than ours: what it lacks is zero.
/// Throws a user error when `struct_size` is not set.
template <class T>
T read_struct(const T& given) {
  require(given.struct_size >= sizeof given.struct_size, "struct_size is not set");
  T all = {};
  std::memcpy(&all, &given, std::min(given.struct_size, sizeof all));
  return all;
}

/// A copy that vitrify_string_free frees.
char* give_string(const std::string& text);

}  // namespace vitrify::api
