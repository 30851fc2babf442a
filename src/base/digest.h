// XXH3-128 digests: find damage and name content. No protection against an adversary.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
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

}  // namespace vitrify
