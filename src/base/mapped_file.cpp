#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace vitrify {

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  require(descriptor >= 0, "cannot open '", path, "': ", std::strerror(errno));
  return from_descriptor(descriptor, path);
}

std::shared_ptr<const MappedFile> MappedFile::from_descriptor(int descriptor,
                                                              const std::string& path) {
  std::shared_ptr<const int> closer(new int(descriptor),
                                    [](const int* d) { ::close(*d), delete d; });
  struct stat status {};
  require(::fstat(descriptor, &status) == 0, "cannot read '", path, "': ", std::strerror(errno));
  require(S_ISREG(status.st_mode), "cannot read '", path, "': it is not a regular file");
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
/// Removes the temporary file unless it was renamed.
struct Temporary {
  std::string path;
  int descriptor = -1;
  ~Temporary() {
    if (descriptor >= 0) ::close(descriptor);
    if (!path.empty()) ::unlink(path.c_str());
  }
};

void write_all(int descriptor, std::span<const std::byte> bytes, const std::string& path) {
  while (!bytes.empty()) {
    ssize_t n = ::write(descriptor, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    require(n > 0, "cannot write '", path, "': ", std::strerror(n < 0 ? errno : ENOSPC));
    bytes = bytes.subspan(size_t(n));
  }
}
}  // namespace

void write_file(const std::string& path, std::span<const std::span<const std::byte>> chunks) {
  Temporary file;
  std::string pattern = path + ".XXXXXX";
  file.descriptor = ::mkostemp(pattern.data(), O_CLOEXEC);
  require(file.descriptor >= 0, "cannot write '", path, "': ", std::strerror(errno));
  file.path = pattern;
  for (auto chunk : chunks) write_all(file.descriptor, chunk, path);
  mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(file.descriptor, 0666 & ~mask);
  require(::fsync(file.descriptor) == 0, "cannot write '", path, "': ", std::strerror(errno));
  require(::rename(pattern.c_str(), path.c_str()) == 0, "cannot write '", path,
          "': ", std::strerror(errno));
  file.path.clear();
}

}  // namespace vitrify
