// Files: read-only mappings, and writes that never leave half a file.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace vitrify {

class MappedFile {
 public:
  /// Throws a user error naming the file when it cannot be read. Only regular files are taken.
  static std::shared_ptr<const MappedFile> open(const std::string& path);
  /// Takes over an open descriptor and closes it; `path` is for messages.
  static std::shared_ptr<const MappedFile> from_descriptor(int descriptor, const std::string& path);
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }
  MappedFile(const MappedFile&) = delete;
  ~MappedFile();

 private:
  MappedFile() = default;
  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// Writes the chunks one after another to a temporary file in the same folder, syncs, and renames
/// it to `path`: an existing file stays as it was until then. A link keeps pointing to its target;
/// a device or pipe is written in place. Throws a user error naming the file.
void write_file(const std::string& path, std::span<const std::span<const std::byte>> chunks);

}  // namespace vitrify
