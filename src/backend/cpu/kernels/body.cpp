// Runs register programs: an instruction at a time over tiles of a few hundred floats.
#include "backend/cpu/kernels/body.h"

#include <algorithm>

#include "backend/cpu/kernels/body_steps.h"
#include "backend/cpu/kernels/convert.h"
#include "backend/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/body.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/kernels/body_steps-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {
void run_body_tile(const BodyProgram& program, const BodySource* sources, float* const* temporaries,
                   float* direct, int64_t n) {
  for (const BodyInstruction& i : program.code)
    run_instruction(i, sources, i.to < 0 ? direct : temporaries[i.to], n);
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrify::cpu {
namespace {

constexpr int64_t kScratchFloats = 5120;
constexpr int64_t kMinTile = 64, kMaxTile = 512;

/// The tiles of one row.
class Runner {
 public:
  Runner(Isa isa, const BodyProgram& p, const BodyOperand* operands, std::byte* const* results)
      : isa_(isa),
        p_(p),
        operands_(operands),
        results_(results),
        run_tile_(VITRIFY_PICK_ISA(isa, run_body_tile)) {}

  void run(int64_t n) {
    set_up(n);
    for (int64_t at = 0; at < n; at += tile_) run_tile(at, std::min(tile_, n - at));
  }

 private:
  bool is_float(int o) const { return p_.operand_types[size_t(o)] == DType::kFloat32; }

  /// Scratch: temporaries, then tiles of converted operands.
  void set_up(int64_t n) {
    int tiles = p_.temporaries;
    for (int o = 0; o < p_.operands; ++o)
      converted_[o] = is_float(o) || operands_[o].step == 0 ? -1 : tiles++;
    tile_ =
        std::clamp(kScratchFloats / std::max(1, tiles) / kMinTile * kMinTile, kMinTile, kMaxTile);
    tile_ = std::min(tile_, (n + kMinTile - 1) / kMinTile * kMinTile);
    for (int t = 0; t < p_.temporaries; ++t) {
      temporaries_[t] = scratch_ + t * tile_;
      sources_[p_.operands + t] = {temporaries_[t], 1};
    }
    for (int o = 0; o < p_.operands; ++o)
      if (operands_[o].step == 0) {
        float v;
        load_floats(isa_, p_.operand_types[size_t(o)], operands_[o].data, 1, &v);
        std::fill_n(splats_[o], kBodyLanes, v);
        sources_[o] = {splats_[o], 0};
      }
    for (size_t c = 0; c < p_.constants.size() / kBodyLanes; ++c)
      sources_[size_t(p_.operands + p_.temporaries) + c] = {p_.constants.data() + c * kBodyLanes,
                                                            0};
  }

  void run_tile(int64_t at, int64_t n) {
    for (int o = 0; o < p_.operands; ++o) {
      if (operands_[o].step == 0) continue;
      const DType type = p_.operand_types[size_t(o)];
      const std::byte* from = operands_[o].data + at * (bit_width(type) / 8);
      if (is_float(o)) {
        sources_[o] = {reinterpret_cast<const float*>(from), 1};
      } else {
        float* to = scratch_ + converted_[o] * tile_;
        load_floats(isa_, type, from, n, to);
        sources_[o] = {to, 1};
      }
    }
    run_tile_(p_, sources_, temporaries_, reinterpret_cast<float*>(results_[0]) + at, n);
    for (size_t r = 0; r < p_.results.size(); ++r)
      if (p_.results[r] >= 0) store_result(r, at, n);
  }

  void store_result(size_t r, int64_t at, int64_t n) {
    if (!results_[r]) return;
    const DType type = p_.result_types[r];
    const BodySource& s = sources_[p_.results[r]];
    std::byte* to = results_[r] + at * (bit_width(type) / 8);
    if (reinterpret_cast<const std::byte*>(s.p) == to) return;  // an operand, in place
    if (s.step) return store_floats(isa_, type, s.p, n, to);
    for (int64_t i = 0; i < n; i += kBodyLanes)
      store_floats(isa_, type, s.p, std::min<int64_t>(kBodyLanes, n - i),
                   to + i * (bit_width(type) / 8));
  }

  Isa isa_;
  const BodyProgram& p_;
  const BodyOperand* operands_;
  std::byte* const* results_;
  void (*run_tile_)(const BodyProgram&, const BodySource*, float* const*, float*, int64_t);
  int64_t tile_ = 0;
  int converted_[kMaxBodyOperands];
  float* temporaries_[kMaxBodyTemporaries];
  BodySource sources_[kMaxBodyOperands + kMaxBodyTemporaries + kMaxBodyConstants];
  alignas(64) float splats_[kMaxBodyOperands][kBodyLanes];
  alignas(64) float scratch_[kScratchFloats];
};

}  // namespace

void run_body_row(Isa isa, const BodyProgram& program, const BodyOperand* operands,
                  std::byte* const* results, int64_t n) {
  if (n > 0) Runner(isa, program, operands, results).run(n);
}

}  // namespace vitrify::cpu
#endif
