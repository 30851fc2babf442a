// What tests of hostile engine files share: making digests fit, and running whatever loads.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "base/error.h"
#include "runtime/context.h"
#include "runtime/engine_header.h"

namespace vitrify::hostile {

using Bytes = std::vector<std::byte>;

inline std::shared_ptr<const MappedFile> as_file(const Bytes& bytes) {
  const int fd = memfd_create("engine", MFD_CLOEXEC);
  CHECK(fd >= 0 && write(fd, bytes.data(), bytes.size()) == ssize_t(bytes.size()));
  return MappedFile::from_descriptor(fd, "test.engine");
}

inline EngineHeader header_of(const Bytes& bytes) {
  EngineHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  return header;
}

/// Makes the digests of header and metadata fit again.
inline void reseal(Bytes& bytes) {
  EngineHeader header = header_of(bytes);
  if (header.metadata_offset >= kPage && header.metadata_offset < int64_t(bytes.size()))
    header.metadata_digest =
        digest(std::span(std::as_const(bytes)).subspan(size_t(header.metadata_offset)));
  header.digest = header_digest(header);
  std::memcpy(bytes.data(), &header, sizeof header);
}

/// Sets what inputs an engine has, unknown extents at `unknown()`, and runs it.
template <class Unknown>
void run(std::shared_ptr<const Engine> engine, Unknown unknown) {
  Context context(engine, {.max_threads = 1, .memory_limit = 64 << 20});
  for (size_t i = 0; i < engine->graph().inputs.size(); ++i) {
    const Type& type = engine->graph().type(engine->graph().inputs[i].value);
    if (!type.is_tensor() || type.dtype == DType::kString) continue;
    Dims dims;
    if (type.has_rank())
      for (const Dim& d : *type.shape) dims.push_back(d.is_constant() ? d.value() % 64 : unknown());
    (void)context.set_input(i, Tensor(type.dtype, dims)).ok;
  }
  (void)context.run().ok;
}

/// Loads without section digests and runs what is accepted. Only errors that are thrown or returned
/// may come of it; true when the file was accepted.
template <class Unknown>
bool load_and_run(const Bytes& bytes, Unknown unknown) {
  bool accepted = false;
  try {
    auto engine = load_engine(as_file(bytes), Verify::kLazy);
    accepted = true;
    run(engine, unknown);
  } catch (const Error&) {
  } catch (const std::bad_alloc&) {
  }
  return accepted;
}

}  // namespace vitrify::hostile
