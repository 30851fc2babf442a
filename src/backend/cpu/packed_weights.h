// Packed weights as they lie in an engine file: a 64-byte header of what the kernel must agree on
// with the node, then floats.
#pragma once

#include <cstring>
#include <span>
#include <vector>

#include "base/error.h"
#include "ir/tensor.h"

namespace vitrify::cpu {

inline constexpr size_t kHeaderBytes = 64;

struct PackedHeader {
  int64_t in_channels = 0, out_channels = 0;
  int64_t axes = 0;  ///< spatial ones, of a convolution
  int64_t kernel[3] = {1, 1, 1};
  bool operator==(const PackedHeader&) const = default;
};
static_assert(sizeof(PackedHeader) <= kHeaderBytes);

inline std::vector<std::byte> with_header(const PackedHeader& h, int64_t floats) {
  std::vector<std::byte> bytes(kHeaderBytes + size_t(floats) * 4);
  std::memcpy(bytes.data(), &h, sizeof h);
  return bytes;
}

/// Kernels ask for packed weights on 64-byte boundaries, which a vector does not promise.
template <class Pack>
void pack_into(std::vector<std::byte>& bytes, int64_t floats, Pack pack) {
  Tensor aligned(DType::kFloat32, {floats});
  pack(aligned.data<float>());
  std::memcpy(bytes.data() + kHeaderBytes, aligned.raw(), size_t(floats) * 4);
}

/// User error when the bytes end within it.
inline PackedHeader read_header(std::span<const std::byte> bytes) {
  require(bytes.size() >= kHeaderBytes, "packed weights are cut off");
  PackedHeader h;
  std::memcpy(&h, bytes.data(), sizeof h);
  return h;
}

/// The floats after the header; user error unless there are `floats` of them.
inline const float* floats_of(std::span<const std::byte> bytes, int64_t floats) {
  const int64_t size = checked_add(checked_mul(floats, 4), int64_t(kHeaderBytes));
  require(int64_t(bytes.size()) == size, "packed weights have ", bytes.size(), " bytes, not ",
          size);
  return reinterpret_cast<const float*>(bytes.data() + kHeaderBytes);
}

}  // namespace vitrify::cpu
