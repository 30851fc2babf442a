// Speed of the CPU kernels on layer shapes of well-known networks, as a share of the multiply-add peak
// that is measured in the same run: kernel_bench [isa] [threads] [filter].
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/cpu/kernels/conv.h"
#include "backend/cpu/kernels/gemm.h"
#include "backend/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernel_bench.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrify::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Runs `rounds` times 12 independent multiply-adds over vectors; returns something to keep.
float multiply_adds(int64_t rounds, float x) {
  const hn::ScalableTag<float> d;
  hn::Vec<decltype(d)> sum[12];
#pragma GCC unroll 12
  for (int i = 0; i < 12; ++i) sum[i] = hn::Set(d, static_cast<float>(i));
  const auto a = hn::Set(d, x), b = hn::Set(d, 1 - x);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) sum[i] = hn::MulAdd(sum[i], a, b);
  }
#pragma GCC unroll 12
  for (int i = 1; i < 12; ++i) sum[0] = hn::Add(sum[0], sum[i]);
  return hn::GetLane(sum[0]);
}

}  // namespace vitrify::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrify::cpu {
namespace {

using Clock = std::chrono::steady_clock;

struct Settings {
  Isa isa = machine_isa();
  int threads = 1;
  std::string filter;
  double peak = 0;  // GFLOP/s of one thread
};

double seconds_of(const std::function<void()>& run) {
  const auto start = Clock::now();
  run();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The best of several runs within about 0.3 s.
double best_seconds(const std::function<void()>& run) {
  run();
  double best = 1e9, total = 0;
  for (int i = 0; i < 1000 && (total < 0.3 || i < 5); ++i) {
    const double s = seconds_of(run);
    best = std::min(best, s);
    total += s;
  }
  return best;
}

double measure_peak(Isa isa) {
  constexpr int64_t kRounds = 1000000;
  const auto kernel = VITRIFY_PICK_ISA(isa, multiply_adds);
  volatile float keep = 0;
  const double s = best_seconds([&] { keep = kernel(kRounds, 0.5f); });
  return static_cast<double>(kRounds) * 12 * 2 * isa_lanes(isa) / s * 1e-9;
}

class Buffer {
 public:
  explicit Buffer(int64_t floats)
      : data_(static_cast<float*>(
            std::aligned_alloc(64, static_cast<size_t>((floats * 4 + 64) / 64 * 64 + 64)))) {
    for (int64_t i = 0; i < floats; ++i) data_[i] = static_cast<float>(i % 251) / 251 - 0.5f;
  }
  ~Buffer() { std::free(data_); }
  Buffer(const Buffer&) = delete;
  float* get() const { return data_; }

 private:
  float* data_;
};

void report(const Settings& s, const std::string& name, double flops, double seconds) {
  const double speed = flops / seconds * 1e-9;
  std::printf("%-44s %9.1f us %8.1f GFLOP/s %6.1f %%\n", name.c_str(), seconds * 1e6, speed,
              100 * speed / (s.peak * s.threads));
  std::fflush(stdout);
}

bool wanted(const Settings& s, const std::string& name) {
  return s.filter.empty() || name.find(s.filter) != std::string::npos;
}

struct GemmCase {
  const char* name;
  int64_t m, n, k, batch;
  bool packed, transposed_b;
};

void bench_gemm(const Settings& s, const GemmCase& c) {
  const std::string name = std::string("gemm ") + c.name + " " + std::to_string(c.m) + "x" +
                           std::to_string(c.n) + "x" + std::to_string(c.k);
  if (!wanted(s, name)) return;
  const Buffer a(c.batch * c.m * c.k), b(c.batch * c.k * c.n), out(c.batch * c.m * c.n);
  const Buffer packed(packed_b_floats(s.isa, c.k, c.n));
  pack_b(s.isa, c.k, c.n, b.get(), c.n, 1, packed.get());
  std::vector<int64_t> a_offsets, b_offsets, c_offsets;
  for (int64_t i = 0; i < c.batch; ++i) {
    a_offsets.push_back(i * c.m * c.k);
    b_offsets.push_back(c.packed ? 0 : i * c.k * c.n);
    c_offsets.push_back(i * c.m * c.n);
  }
  GemmArgs g;
  g.isa = s.isa;
  g.m = c.m, g.n = c.n, g.k = c.k, g.batch = c.batch;
  g.a = a.get(), g.a_row_stride = c.k, g.b = c.packed ? packed.get() : b.get();
  g.packed_b = c.packed, g.b_row_stride = c.transposed_b ? 1 : c.n;
  g.b_col_stride = c.transposed_b ? c.k : 1;
  g.c = out.get(), g.c_row_stride = c.n, g.max_threads = s.threads;
  g.a_offsets = a_offsets.data(), g.b_offsets = b_offsets.data(), g.c_offsets = c_offsets.data();
  const Buffer workspace(gemm_workspace_floats(g));
  g.workspace = workspace.get();
  const double flops = 2.0 * static_cast<double>(c.batch * c.m * c.n * c.k);
  report(s, name, flops, best_seconds([&] { gemm(g); }));
}

constexpr GemmCase kGemms[] = {
    {"square", 256, 256, 256, 1, true, false},
    {"square", 512, 512, 512, 1, true, false},
    {"square", 1024, 1024, 1024, 1, true, false},
    {"square unpacked", 512, 512, 512, 1, false, false},
    {"bert proj", 128, 768, 768, 1, true, false},
    {"bert up", 128, 3072, 768, 1, true, false},
    {"bert down", 128, 768, 3072, 1, true, false},
    {"bert q k^T", 128, 128, 64, 12, false, true},
    {"bert p v", 128, 64, 128, 12, false, false},
    {"vit up", 197, 3072, 768, 1, true, false},
    {"resnet 1x1", 3136, 64, 64, 1, true, false},
    {"resnet 1x1", 3136, 256, 64, 1, true, false},
    {"resnet 1x1", 3136, 64, 256, 1, true, false},
    {"resnet 1x1", 784, 512, 128, 1, true, false},
    {"resnet 1x1", 784, 128, 512, 1, true, false},
    {"resnet 1x1", 196, 1024, 256, 1, true, false},
    {"resnet 1x1", 196, 256, 1024, 1, true, false},
    {"resnet 1x1", 49, 2048, 512, 1, true, false},
    {"resnet 1x1", 49, 512, 2048, 1, true, false},
    {"mobilenet 1x1", 12544, 16, 32, 1, true, false},
    {"mobilenet 1x1", 12544, 96, 16, 1, true, false},
    {"mobilenet 1x1", 3136, 24, 96, 1, true, false},
    {"mobilenet 1x1", 3136, 144, 24, 1, true, false},
    {"mobilenet 1x1", 196, 384, 64, 1, true, false},
    {"mobilenet 1x1", 196, 64, 384, 1, true, false},
    {"mobilenet 1x1", 49, 960, 160, 1, true, false},
    {"mobilenet 1x1", 49, 320, 960, 1, true, false},
    {"mobilenet 1x1", 49, 1280, 320, 1, true, false},
    {"gemv", 1, 1000, 2048, 1, true, false},
    {"gemv", 1, 4096, 4096, 1, true, false},
    {"gemv", 4, 4096, 4096, 1, true, false},
    {"gemv unpacked", 1, 4096, 4096, 1, false, false},
};

}  // namespace

void run_benches(const Settings& s) {
  for (const GemmCase& c : kGemms) bench_gemm(s, c);
}

}  // namespace vitrify::cpu

int main(int argc, char** argv) {
  using namespace vitrify::cpu;
  Settings s;
  if (argc > 1) s.isa = parse_isa(argv[1]);
  if (argc > 2) s.threads = std::max(1, std::atoi(argv[2]));
  if (argc > 3) s.filter = argv[3];
  s.peak = measure_peak(s.isa);
  std::printf("%s, %d thread(s), peak %.1f GFLOP/s a thread\n", isa_name(s.isa), s.threads, s.peak);
  run_benches(s);
  return 0;
}
#endif
