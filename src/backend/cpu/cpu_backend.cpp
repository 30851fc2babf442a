#include "backend/cpu/cpu_backend.h"

#include <algorithm>
#include <new>

#include "backend/cpu/isa.h"
#include "base/error.h"

namespace vitrify::cpu {
namespace {

class CpuBackend final : public Backend {
 public:
  std::string_view name() const override { return "cpu"; }
  std::string unavailable() const override { return ""; }
  std::vector<std::string> features() const override {
    std::vector<std::string> names;
    for (int i = 1; i <= static_cast<int>(max_isa()); ++i)
      names.push_back(isa_name(static_cast<Isa>(i)));
    std::sort(names.begin(), names.end());
    return names;
  }
  /// Every config is "" or begins with the name of an Isa.
  std::vector<std::string> features_of(const Config& config) const override {
    const std::string word = config.substr(0, config.find(' '));
    if (word.empty() || parse_isa(word) == Isa::kBaseline) return {};
    return {word};
  }
  /// 64 bytes of slack at the end, so that whole vectors may be read past the last element.
  std::shared_ptr<std::byte> allocate(int64_t bytes) override {
    constexpr auto kAlign = std::align_val_t{64};
    void* data =
        bytes > INT64_MAX - 64 ? nullptr : ::operator new(size_t(bytes) + 64, kAlign, std::nothrow);
    require(data != nullptr, "no memory for ", bytes, " bytes");
    return {static_cast<std::byte*>(data), [](std::byte* p) { ::operator delete(p, kAlign); }};
  }
  std::span<const Tactic> tactics() const override { return cpu::tactics(); }
  std::vector<DType> computing_types() const override { return {DType::kFloat32}; }
};

}  // namespace

Backend& backend() {
  static CpuBackend instance;
  return instance;
}

}  // namespace vitrify::cpu
