// A backend: device memory, streams and tactics. The only virtual interface of the project.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "backend/tactic.h"

namespace vitrify {

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;
  /// "" when usable on this machine, else the reason.
  virtual std::string unavailable() const = 0;
  /// ISA features of this machine that tactics may need, sorted: {"avx2", "avx512"}.
  virtual std::vector<std::string> features() const = 0;
  /// Those of them that a config of this backend's tactics needs.
  virtual std::vector<std::string> features_of(const Config& config) const = 0;
  /// Device memory, 64-byte aligned; throws a user error when there is none left.
  virtual std::shared_ptr<std::byte> allocate(int64_t bytes) = 0;
  virtual std::span<const Tactic> tactics() const = 0;
  /// Floats that its fast tactics compute in.
  virtual std::vector<DType> computing_types() const = 0;
};

/// All backends, in order of preference; rows in registry.cpp.
std::span<Backend* const> backends();
/// The tactic of that name, or null.
const Tactic* find_tactic(std::string_view name);
/// The backend that the row belongs to.
Backend& backend_of(const Tactic& tactic);
/// Every tactic of every usable backend that serves the op, in table order.
std::vector<const Tactic*> tactics_for(std::string_view op);

}  // namespace vitrify
