// XXH3-128 digests: find damage and name content. No protection against an adversary.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace vitrify {

struct Digest {
  uint64_t low = 0, high = 0;
  auto operator<=>(const Digest&) const = default;
  std::string hex() const;  ///< 32 lower-case digits
};

Digest digest(std::span<const std::byte> bytes);
Digest digest(std::string_view text);

/// The digest of bytes that come piece by piece.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  void update(std::span<const std::byte> bytes);
  Digest finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vitrify
