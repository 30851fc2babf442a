// The engine file.
//
//   0     header, 4 KiB: magic, format version, sizes, the ISA features needed, digests
//   4096  sections, one after the other, each padded with zeros to 4 KiB: packed and source weights
//   …     metadata: a FlatBuffer (engine.fbs), padded likewise, up to the end of the file
//
// Every byte is covered by a digest (XXH3-128), which finds damage. Safety does not rest on
// digests: the reader takes every number for hostile. Nothing in a file tells when, where or by
// whom it was built.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/mapped_file.h"
#include "runtime/engine.h"

namespace vitrify {

inline constexpr uint16_t kEngineMajor = 1;  ///< raised when old builds cannot read new files
inline constexpr uint16_t kEngineMinor = 0;
inline constexpr int64_t kPage = 4096;
inline constexpr int64_t kMaxMetadata = int64_t{64} << 20;

struct SectionInfo {
  std::string kind;  ///< "packed": what `prepare` made; "source": constants as in the model
  int64_t offset = 0, bytes = 0;
  Digest digest;
};

/// Where each constant's data is; by the place of its first use, see `list_constants`.
struct StoredConstant {
  ConstantRef data;
  Blob blob;
  bool stripped = false;
};

/// The bodies that the graph's ops hold, innermost first, and the graph itself last.
std::vector<const Graph*> list_graphs(const Graph& graph);
/// Every constant of these graphs, in order of first use.
std::vector<ConstantRef> list_constants(const std::vector<const Graph*>& graphs);

/// Writes an engine, weights first, so that none need be held in memory.
class EngineWriter {
 public:
  /// The file takes the place of an old one only in `finish`. Throws a user error when it cannot be
  /// written.
  explicit EngineWriter(std::string path);
  /// Into memory.
  EngineWriter();
  ~EngineWriter();
  EngineWriter(const EngineWriter&) = delete;
  EngineWriter& operator=(const EngineWriter&) = delete;

  /// Sections are written one after the other; returns the number.
  int32_t begin_section(std::string kind);
  /// Appends 64-byte aligned bytes to the section begun last.
  Blob append(std::span<const std::byte> bytes);
  void end_section();
  /// Metadata and header; the mapped result.
  std::shared_ptr<const MappedFile> finish(const Graph& graph, const std::vector<Plan>& plans,
                                           const std::vector<BodyPlan>& bodies,
                                           const std::vector<StoredConstant>& constants,
                                           const std::vector<std::string>& features);
  const std::vector<SectionInfo>& sections() const { return sections_; }

 private:
  void write(std::span<const std::byte> bytes);
  void pad_to(int64_t alignment);
  std::string path_, temporary_;
  int descriptor_ = -1;
  int64_t position_ = 0;
  std::vector<SectionInfo> sections_;
  Hasher hasher_;
};

/// The metadata's bytes. Throws a user error when they exceed kMaxMetadata.
std::vector<std::byte> encode_metadata(const Graph& graph, const std::vector<Plan>& plans,
                                       const std::vector<BodyPlan>& bodies,
                                       const std::vector<StoredConstant>& constants,
                                       const std::vector<SectionInfo>& sections);
/// Reads metadata back, with nothing trusted. `file` holds the sections.
EngineParts decode_metadata(std::span<const std::byte> metadata,
                            const std::shared_ptr<const MappedFile>& file, bool check_digests);

enum class Verify : uint8_t {
  kFull,  ///< all digests
  kLazy,  ///< header and metadata only
};

/// True when the bytes start as an engine does.
bool looks_like_engine(std::span<const std::byte> bytes);

/// Reads, checks and loads. Throws a user error when the file is damaged or not an engine, an
/// unsupported error when it is of another version or needs what this machine lacks.
std::shared_ptr<const Engine> load_engine(std::shared_ptr<const MappedFile> file,
                                          Verify verify = Verify::kFull);
std::shared_ptr<const Engine> load_engine(const std::string& path, Verify verify = Verify::kFull);

}  // namespace vitrify
