#include "onnx/external_data.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <mutex>

#include "base/error.h"
#include "base/mapped_file.h"

namespace vitrify::onnx {

namespace {

struct Entry {
  std::string location;
  int64_t offset = 0, length = -1;
};

int64_t parse_number(const std::string& who, std::string_view key, std::string_view text) {
  int64_t v = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  require(error == std::errc() && end == text.data() + text.size() && v >= 0, who,
          ": external data has ", key, " '", text.substr(0, 40), "', not a number of bytes");
  return v;
}

Entry parse_entry(const std::string& who, const TensorProto& t) {
  Entry e;
  for (const auto& [key, value] : t.external_data) {
    if (key == "location")
      e.location = value;
    else if (key == "offset")
      e.offset = parse_number(who, key, value);
    else if (key == "length")
      e.length = parse_number(who, key, value);
    else
      require(key == "checksum" || key == "basepath", who, ": external data has an unknown key '",
              key.substr(0, 40), "'");
  }
  require(!e.location.empty(), who, ": external data without a location");
  require(e.location.find('\0') == std::string::npos, who,
          ": external data whose location holds a zero byte");
  return e;
}

/// "a/b.bin" within a folder: not absolute, no ".." part. Links are refused when it is opened.
bool is_confined(const std::string& location) {
  if (location.empty() || location[0] == '/' || location.size() > 4096) return false;
  for (size_t begin = 0; begin <= location.size();) {
    size_t end = std::min(location.find('/', begin), location.size());
    std::string_view part(location.data() + begin, end - begin);
    if (part == "..") return false;
    begin = end + 1;
  }
  return true;
}

/// Opens part by part without following links: for kernels without openat2.
int open_by_parts(int folder, const std::string& location) {
  int at = ::dup(folder);
  for (size_t begin = 0; at >= 0;) {
    size_t end = std::min(location.find('/', begin), location.size());
    bool last = end == location.size();
    int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (last ? 0 : O_DIRECTORY);
    std::string part = location.substr(begin, end - begin);
    int next = ::openat(at, part.c_str(), flags);
    int error = next < 0 ? errno : 0;
    struct stat status {};
    if (error == ENOTDIR && ::fstatat(at, part.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISLNK(status.st_mode))
      error = ELOOP;  // as openat2 says it
    ::close(at);
    errno = error;
    if (last || next < 0) return next;
    at = next;
    begin = end + 1;
  }
  return at;
}

int open_beneath(int folder, const std::string& location) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  int descriptor = int(::syscall(SYS_openat2, folder, location.c_str(), &how, sizeof how));
  if (descriptor >= 0 || (errno != ENOSYS && errno != EPERM)) return descriptor;
  return open_by_parts(folder, location);
}

/// A model's tensors mostly share one file: a mapping is found again while it lives. Files go by
/// what they are, not by name, so that one written anew is mapped anew.
std::shared_ptr<const MappedFile> map_shared(int descriptor, const std::string& location,
                                             const struct stat& status) {
  using Identity = std::array<int64_t, 5>;
  static std::mutex mutex;
  static std::map<Identity, std::weak_ptr<const MappedFile>> cache;
  Identity identity{int64_t(status.st_dev), int64_t(status.st_ino), int64_t(status.st_size),
                    int64_t(status.st_mtim.tv_sec), int64_t(status.st_mtim.tv_nsec)};
  std::lock_guard lock(mutex);
  if (auto found = cache.find(identity); found != cache.end())
    if (auto file = found->second.lock()) return ::close(descriptor), file;
  std::erase_if(cache, [](const auto& item) { return item.second.expired(); });
  auto file = MappedFile::from_descriptor(descriptor, location);
  cache[identity] = file;
  return file;
}

std::shared_ptr<const MappedFile> open_confined(const std::string& who,
                                                const std::string& model_path,
                                                const std::string& location) {
  require(!model_path.empty(), who, " is stored in the file '", location,
          "', but the model comes from memory: load it from its folder");
  require(
      is_confined(location), who, ": external data at '", location,
      "' lies outside the model's folder, which is not allowed; move the file beside the model");
  size_t slash = model_path.rfind('/');
  std::string folder = slash == std::string::npos ? "."
                       : slash == 0               ? "/"
                                                  : model_path.substr(0, slash);
  int at = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  require(at >= 0, who, ": cannot open the folder '", folder, "': ", std::strerror(errno));
  int descriptor = open_beneath(at, location);
  int error = errno;
  ::close(at);
  bool link = error == ELOOP || error == EXDEV;
  require(descriptor >= 0, who, ": cannot open its data file '", location, "' in '", folder,
          "': ", link ? "links are not followed" : std::strerror(error),
          link ? "; put the file itself there" : "; it belongs beside the model");
  struct stat status {};
  bool regular = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  if (!regular || status.st_nlink > 1) ::close(descriptor);
  require(regular, who, ": its data file '", location, "' is not a regular file");
  require(status.st_nlink == 1, who, ": its data file '", location,
          "' is a hard link to another file, which is not allowed; copy it");
  return map_shared(descriptor, location, status);
}

}  // namespace

ExternalBytes find_external(const TensorProto& tensor, const std::string& model_path) {
  std::string who =
      tensor.name.empty() ? std::string("a tensor") : cat("tensor '", tensor.name, "'");
  Entry e = parse_entry(who, tensor);
  auto file = open_confined(who, model_path, e.location);
  int64_t size = int64_t(file->bytes().size());
  require(e.offset <= size && (e.length < 0 || e.length <= size - e.offset), who,
          ": its data file '", e.location, "' has ", size, " bytes, too few for ",
          e.length < 0 ? int64_t{0} : e.length, " at offset ", e.offset, "; is it complete?");
  ExternalBytes out;
  out.whole_file = e.length < 0;
  out.bytes =
      file->bytes().subspan(size_t(e.offset), size_t(out.whole_file ? size - e.offset : e.length));
  out.location = e.location;
  out.owner = file;
  return out;
}

}  // namespace vitrify::onnx
