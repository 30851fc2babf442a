#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "runtime/engine_header.h"

namespace vitrify {

namespace {
/// Where a path leads through symbolic links; a user error when something other than a file is
/// there.
std::string target_of(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  require(!path.empty(), "the engine file has no name");
  const fs::path target =
      fs::is_symlink(path, ignored) ? fs::weakly_canonical(path, ignored) : fs::path(path);
  require(!fs::exists(target, ignored) || fs::is_regular_file(target, ignored), "cannot write '",
          path, "': it is there and is no file");
  return target.string();
}
}  // namespace

EngineWriter::EngineWriter(std::string path)
    : path_(target_of(path)), temporary_(path_ + ".XXXXXX") {
  descriptor_ = mkostemp(temporary_.data(), O_CLOEXEC);
  require(descriptor_ >= 0, "cannot write '", path_, "': ", std::strerror(errno));
  const mode_t mask = umask(0);
  umask(mask);
  (void)!fchmod(descriptor_, 0666 & ~mask);
  const std::vector<std::byte> blank(static_cast<size_t>(kPage));
  write(blank);
}

EngineWriter::EngineWriter() : path_("engine in memory") {
  descriptor_ = memfd_create("vitrify", MFD_CLOEXEC);
  require(descriptor_ >= 0, "cannot make an engine in memory: ", std::strerror(errno));
  const std::vector<std::byte> blank(static_cast<size_t>(kPage));
  write(blank);
}

EngineWriter::~EngineWriter() {
  if (descriptor_ < 0) return;
  close(descriptor_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void EngineWriter::write(std::span<const std::byte> bytes) {
  hasher_.update(bytes);
  position_ += int64_t(bytes.size());
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor_, bytes.data(), std::min<size_t>(bytes.size(), 1 << 30));
    require(n > 0 || errno == EINTR, "cannot write '", path_, "': ", std::strerror(errno));
    if (n > 0) bytes = bytes.subspan(size_t(n));
  }
}

void EngineWriter::pad_to(int64_t alignment) {
  static constexpr std::byte kZeros[kPage] = {};
  const int64_t missing = (alignment - position_ % alignment) % alignment;
  write(std::span(kZeros).first(size_t(missing)));
}

int32_t EngineWriter::begin_section(std::string kind) {
  CHECK(position_ % kPage == 0);
  sections_.push_back({std::move(kind), position_, 0, {}});
  hasher_ = Hasher();
  return int32_t(sections_.size()) - 1;
}

Blob EngineWriter::append(std::span<const std::byte> bytes) {
  pad_to(kWeightAlignment);
  const Blob blob{int32_t(sections_.size()) - 1, position_ - sections_.back().offset,
                  int64_t(bytes.size())};
  write(bytes);
  return blob;
}

void EngineWriter::end_section() {
  pad_to(kPage);
  SectionInfo& section = sections_.back();
  section.bytes = position_ - section.offset;
  section.digest = hasher_.finish();
}

namespace {
std::string join(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& w : words) out += (out.empty() ? "" : ",") + w;
  return out;
}
}  // namespace

std::shared_ptr<const MappedFile> EngineWriter::finish(const Graph& graph,
                                                       const std::vector<Plan>& plans,
                                                       const std::vector<BodyPlan>& bodies,
                                                       const std::vector<StoredConstant>& constants,
                                                       const std::vector<std::string>& features) {
  EngineHeader header{};
  const std::vector<std::byte> metadata =
      encode_metadata(graph, plans, bodies, constants, sections_);
  header.metadata_offset = position_;
  header.metadata_bytes = int64_t(metadata.size());
  hasher_ = Hasher();
  write(metadata);
  pad_to(kPage);
  header.metadata_digest = hasher_.finish();
  std::memcpy(header.magic, kEngineMagic, sizeof header.magic);
  header.major = kEngineMajor, header.minor = kEngineMinor;
  header.header_bytes = uint32_t(kPage);
  header.file_bytes = position_;
  const std::string needed = join(features);
  CHECK(needed.size() < sizeof header.features);
  std::memcpy(header.features, needed.data(), needed.size());
  header.digest = header_digest(header);
  require(pwrite(descriptor_, &header, sizeof header, 0) == ssize_t(sizeof header),
          "cannot write '", path_, "': ", std::strerror(errno));
  if (!temporary_.empty()) {
    require(fsync(descriptor_) == 0 && rename(temporary_.c_str(), path_.c_str()) == 0,
            "cannot write '", path_, "': ", std::strerror(errno));
    temporary_.clear();
  }
  return MappedFile::from_descriptor(std::exchange(descriptor_, -1), path_);
}

}  // namespace vitrify
