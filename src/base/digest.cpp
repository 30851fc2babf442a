#include "base/digest.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace vitrify {

std::string Digest::hex() const {
  std::string out(32, '0');
  for (int i = 0; i < 32; ++i) {
    uint64_t word = i < 16 ? high : low;
    out[size_t(i)] = "0123456789abcdef"[(word >> (60 - 4 * (i % 16))) & 15];
  }
  return out;
}

Digest digest(std::span<const std::byte> bytes) {
  XXH128_hash_t h = XXH3_128bits(bytes.data(), bytes.size());
  return {h.low64, h.high64};
}

Digest digest(std::string_view text) {
  return digest(std::as_bytes(std::span(text.data(), text.size())));
}

struct Hasher::State {
  XXH3_state_t xxh;
};

Hasher::Hasher() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh); }
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(&state_->xxh, bytes.data(), bytes.size());
}

Digest Hasher::finish() const {
  XXH128_hash_t h = XXH3_128bits_digest(&state_->xxh);
  return {h.low64, h.high64};
}

}  // namespace vitrify
