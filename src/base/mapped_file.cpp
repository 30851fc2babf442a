#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace vitrify {

namespace {
/// An open file: closed at the end, and removed if it still has a path.
struct OpenFile {
  std::string path;
  int descriptor = -1;
  ~OpenFile() {
    if (descriptor >= 0) ::close(descriptor);
    if (!path.empty()) ::unlink(path.c_str());
  }
};
}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  require(descriptor >= 0, "cannot open '", path, "': ", std::strerror(errno));
  return from_descriptor(descriptor, path);
}

std::shared_ptr<const MappedFile> MappedFile::from_descriptor(int descriptor,
                                                              const std::string& path) {
  OpenFile closer{{}, descriptor};
  struct stat status {};
  require(::fstat(descriptor, &status) == 0, "cannot read '", path, "': ", std::strerror(errno));
  require(S_ISREG(status.st_mode), "cannot read '", path, "': it is ",
          S_ISDIR(status.st_mode) ? "a folder" : "not a regular file");
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = path;
  file->size_ = size_t(status.st_size);
  if (file->size_ == 0) return file;
  void* data = ::mmap(nullptr, file->size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
  require(data != MAP_FAILED, "cannot map '", path, "': ", std::strerror(errno));
  file->data_ = static_cast<const std::byte*>(data);
  return file;
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

namespace {
void write_all(int descriptor, std::span<const std::byte> bytes, const std::string& path) {
  while (!bytes.empty()) {
    ssize_t n = ::write(descriptor, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    require(n > 0, "cannot write '", path, "': ", std::strerror(n < 0 ? errno : ENOSPC));
    bytes = bytes.subspan(size_t(n));
  }
}

/// Where to write for `path`: a link's target, so that the link stays. Empty: `path` is something
/// else than a file (a device, a pipe), which is written in place.
std::string target_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return path;
  require(!S_ISDIR(status.st_mode), "cannot write '", path, "': it is a folder");
  if (!S_ISREG(status.st_mode)) return {};
  std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), ::free);
  return real ? real.get() : path;
}

/// A new file beside `target`, with the permissions that any new file has.
void create_beside(const std::string& target, OpenFile& file) {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    std::string name = cat(target, ".", ::getpid(), ".", attempt, ".tmp");
    file.descriptor = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file.descriptor >= 0) file.path = name;
    if (file.descriptor >= 0 || errno != EEXIST) return;
  }
}
}  // namespace

void write_file(const std::string& path, std::span<const std::span<const std::byte>> chunks) {
  OpenFile file;
  std::string target = target_of(path);
  if (target.empty())
    file.descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  else
    create_beside(target, file);
  require(file.descriptor >= 0, "cannot write '", path, "': ", std::strerror(errno));
  for (auto chunk : chunks) write_all(file.descriptor, chunk, path);
  if (target.empty()) return;
  require(::fsync(file.descriptor) == 0, "cannot write '", path, "': ", std::strerror(errno));
  require(::rename(file.path.c_str(), target.c_str()) == 0, "cannot write '", path,
          "': ", std::strerror(errno));
  file.path.clear();
}

}  // namespace vitrify
