#include "backend/null/null_backend.h"

#include <new>

#include "base/error.h"

namespace vitrify::null {
namespace {

class NullBackend final : public Backend {
 public:
  std::string_view name() const override { return "null"; }
  std::string unavailable() const override { return ""; }
  std::vector<std::string> features() const override { return {}; }
  std::vector<std::string> features_of(const Config&) const override { return {}; }
  std::shared_ptr<std::byte> allocate(int64_t bytes) override {
    constexpr auto kAlign = std::align_val_t{64};
    void* data =
        bytes > INT64_MAX - 64 ? nullptr : ::operator new(size_t(bytes) + 64, kAlign, std::nothrow);
    require(data != nullptr, "no memory for ", bytes, " bytes");
    return {static_cast<std::byte*>(data), [](std::byte* p) { ::operator delete(p, kAlign); }};
  }
  std::span<const Tactic> tactics() const override { return {}; }
  std::vector<DType> computing_types() const override { return {}; }
};

}  // namespace

Backend& backend() {
  static NullBackend instance;
  return instance;
}

}  // namespace vitrify::null
