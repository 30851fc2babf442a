// The first 4 KiB of an engine file. All numbers are little-endian.
#pragma once

#include <bit>
#include <cstring>

#include "runtime/engine_file.h"

namespace vitrify {

static_assert(std::endian::native == std::endian::little);

struct EngineHeader {
  char magic[8];
  uint16_t major, minor;
  uint32_t header_bytes;
  int64_t file_bytes;
  int64_t metadata_offset, metadata_bytes;  ///< without padding
  Digest metadata_digest;                   ///< with padding
  char features[1024];                      ///< separated by commas, filled up with zeros
  char reserved[4080 - 56 - 1024];          ///< zeros
  Digest digest;                            ///< of everything before
};
static_assert(sizeof(EngineHeader) == kPage && std::is_trivially_copyable_v<EngineHeader>);

inline constexpr char kEngineMagic[8] = {'\x89', 'V', 'I', 'T', 'R', 'E', 'N', 'G'};

inline Digest header_digest(const EngineHeader& header) {
  return digest(std::as_bytes(std::span(&header, 1)).first(offsetof(EngineHeader, digest)));
}

}  // namespace vitrify
