// .npy files, versions 1 to 3, little endian, both orders; strings as fixed-width unicode.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vitrify::cli {

/// An array as stored. `kind` and `item_size` are numpy's: 'f' 4, 'i' 8, 'u' 1, 'b' 1, 'c' 8, 'U'
/// (code points).
struct Npy {
  char kind = 'f';
  int64_t item_size = 4;  ///< bytes; of 'U': code points of the widest string
  std::vector<int64_t> shape;
  std::vector<char> bytes;           ///< row-major; empty for 'U'
  std::vector<std::string> strings;  ///< UTF-8, of 'U'
};

/// Throws std::runtime_error naming the file and what is wrong with it.
Npy read_npy(const std::string& path);
/// Writes to a temporary file first. Throws std::runtime_error.
void write_npy(const std::string& path, const Npy& array);

}  // namespace vitrify::cli
