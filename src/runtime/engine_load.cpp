#include <algorithm>
#include <set>

#include "backend/backend.h"
#include "base/error.h"
#include "base/knobs.h"
#include "runtime/engine_header.h"

namespace vitrify {
namespace {

std::set<std::string> machine_features() {
  std::set<std::string> found;
  for (Backend* backend : backends())
    if (backend->unavailable().empty())
      for (const auto& f : backend->features()) found.insert(f);
  return found;
}

void check_features(const EngineHeader& header) {
  const std::string_view list(header.features, strnlen(header.features, sizeof header.features));
  const std::set<std::string> have = machine_features();
  for (size_t at = 0; at < list.size();) {
    const size_t end = std::min(list.find(',', at), list.size());
    const std::string feature(list.substr(at, end - at));
    if (!have.count(feature))
      fail_unsupported(
          "the engine needs ", feature,
          ", which this machine lacks (or VITRIFY_MAX_ISA rules out): rebuild it here");
    at = end + 1;
  }
}

EngineHeader read_header(std::span<const std::byte> file) {
  require(file.size() >= sizeof kEngineMagic && looks_like_engine(file),
          "this is not a Vitrify engine");
  require(file.size() >= size_t(kPage), "the engine is truncated: its header is cut off");
  EngineHeader header;
  std::memcpy(&header, file.data(), sizeof header);
  if (header.major != kEngineMajor)
    fail_unsupported("the engine has format ", header.major, ".", header.minor,
                     ", this build reads ", kEngineMajor, ".x: rebuild the engine");
  require(header_digest(header) == header.digest, "the engine's header is damaged");
  require(header.file_bytes == int64_t(file.size()),
          "the engine is truncated or has a tail: ", file.size(), " bytes instead of ",
          header.file_bytes);
  require(header.header_bytes == uint32_t(kPage) && header.metadata_offset >= kPage &&
              header.metadata_offset % kPage == 0 && header.metadata_offset < header.file_bytes &&
              header.metadata_bytes > 0 && header.metadata_bytes <= kMaxMetadata &&
              header.metadata_bytes <= header.file_bytes - header.metadata_offset,
          "the engine's header is inconsistent");
  return header;
}

}  // namespace

bool looks_like_engine(std::span<const std::byte> bytes) {
  return bytes.size() >= sizeof kEngineMagic &&
         std::memcmp(bytes.data(), kEngineMagic, sizeof kEngineMagic) == 0;
}

std::shared_ptr<const Engine> load_engine(std::shared_ptr<const MappedFile> file, Verify verify) {
  try {
    const auto bytes = file->bytes();
    const EngineHeader header = read_header(bytes);
    check_features(header);
    const auto metadata = bytes.subspan(size_t(header.metadata_offset));
    require(digest(metadata) == header.metadata_digest, "the engine's metadata is damaged");
    auto engine = Engine::create(decode_metadata(metadata.first(size_t(header.metadata_bytes)),
                                                 file, verify == Verify::kFull));
    log(1, cat("engine '", file->path(), "': ", bytes.size(), " bytes, ", engine->weight_bytes(),
               " of weights, ", engine->plans().size(), " plans, ",
               engine->plans()[0].plan.steps.size(), " steps in the first, ",
               engine->reference_steps(), " on reference kernels"));
    return engine;
  } catch (const Error& e) {
    throw Error(e.kind(), e.origin().empty() ? e.message() : e.what(), "'" + file->path() + "'");
  }
}

std::shared_ptr<const Engine> load_engine(const std::string& path, Verify verify) {
  return load_engine(MappedFile::open(path), verify);
}

}  // namespace vitrify
