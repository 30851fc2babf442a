// Speed of the CPU kernels on layer shapes of well-known networks, as a share of the multiply-add
// peak that is measured in the same run: kernel_bench [isa] [threads] [filter].
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
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

struct Settings {
  Isa isa = machine_isa();
  int threads = 1;
  std::string filter;
};

/// Of this thread, where it does all the work: waiting for a busy machine does not count.
double cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double seconds_of(const std::function<void()>& run, double (*clock)() = cpu_seconds) {
  const double start = clock();
  run();
  return clock() - start;
}

double peak_sample(Isa isa) {
  constexpr int64_t kRounds = 5000;
  const auto kernel = VITRIFY_PICK_ISA(isa, multiply_adds);
  volatile float keep = 0;
  const double s = seconds_of([&] { keep = kernel(kRounds, 0.5f); });
  return static_cast<double>(kRounds) * 12 * 2 * isa_lanes(isa) / s * 1e-9;
}

/// The best of several runs within about 0.3 s, and the peak in the same stretch of time: other
/// work on the machine slows both.
struct Timing {
  double seconds = 1e9, peak = 0;
};

Timing measure(const Settings& settings, const std::function<void()>& run) {
  run();
  Timing best;
  double total = 0;
  for (int i = 0; i < 1000 && (total < 0.3 || i < 5); ++i) {
    const double s = seconds_of(run, settings.threads == 1 ? cpu_seconds : wall_seconds);
    best.peak = std::max(best.peak, peak_sample(settings.isa));
    best.seconds = std::min(best.seconds, s);
    total += s;
  }
  return best;
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

void report(const Settings& s, const std::string& name, double flops, Timing t) {
  const double speed = flops / t.seconds * 1e-9;
  std::printf("%-44s %9.1f us %8.1f GFLOP/s %6.1f %% of %.1f\n", name.c_str(), t.seconds * 1e6,
              speed, 100 * speed / (t.peak * s.threads), t.peak * s.threads);
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
  report(s, name, flops, measure(s, [&] { gemm(g); }));
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

struct ConvCase {
  const char* name;
  int64_t size, in_channels, out_channels, kernel, stride, groups;
  ConvAlgorithm algorithm = ConvAlgorithm::kImplicitGemm;
  bool nchw = false, transposed = false;
};

ConvArgs conv_args(const Settings& s, const ConvCase& c) {
  ConvArgs a;
  a.isa = s.isa;
  a.max_threads = s.threads;
  a.algorithm = c.algorithm;
  a.spec.in_channels = c.in_channels;
  a.spec.out_channels = c.out_channels;
  a.spec.groups = c.groups;
  for (int i = 1; i < 3; ++i) {
    a.spec.kernel[i] = c.kernel;
    a.spec.stride[i] = c.stride;
    a.spec.pad_begin[i] = c.transposed ? 0 : c.kernel / 2;
    a.in[i] = c.size;
    a.out[i] = c.transposed ? c.size * c.stride : (c.size + c.stride - 1) / c.stride;
  }
  a.x_channel_stride = c.nchw ? c.size * c.size : 1;
  a.x_stride[2] = c.nchw ? 1 : c.in_channels;
  a.x_stride[1] = a.x_stride[2] * c.size;
  a.x_batch_stride = c.size * c.size * c.in_channels;
  a.y_pixel_stride = c.out_channels;
  return a;
}

void bench_conv(const Settings& s, const ConvCase& c) {
  constexpr const char* kNames[] = {"implicit", "banded", "depthwise", "winograd2", "winograd4"};
  const std::string name = std::string("conv ") + c.name + " " + std::to_string(c.size) + " " +
                           std::to_string(c.in_channels) + "->" + std::to_string(c.out_channels) +
                           " k" + std::to_string(c.kernel) + " s" + std::to_string(c.stride) + " " +
                           kNames[static_cast<int>(c.algorithm)];
  if (!wanted(s, name)) return;
  ConvArgs a = conv_args(s, c);
  const int64_t weights = c.in_channels / c.groups * c.out_channels * c.kernel * c.kernel;
  const int64_t pixels = a.out[1] * a.out[2];
  const Buffer x(a.x_batch_stride), w(weights), y(pixels * c.out_channels), bias(c.out_channels);
  const Buffer packed(c.transposed ? packed_conv_transpose_floats(s.isa, a.spec)
                                   : packed_conv_floats(s.isa, a.algorithm, a.spec));
  c.transposed ? pack_conv_transpose_weights(s.isa, a.spec, w.get(), packed.get())
               : pack_conv_weights(s.isa, a.algorithm, a.spec, w.get(), packed.get());
  const Buffer workspace(c.transposed ? conv_transpose_workspace_floats(a)
                                      : conv_workspace_floats(a));
  a.x = x.get(), a.weights = packed.get(), a.y = y.get(), a.workspace = workspace.get();
  a.epilogue.bias = bias.get();
  a.epilogue.activation = Activation::kRelu;
  const double products = static_cast<double>((c.transposed ? c.size * c.size : pixels) * weights);
  report(s, name, 2 * products, measure(s, [&] { c.transposed ? conv_transpose(a) : conv(a); }));
}

constexpr ConvAlgorithm kBanded = ConvAlgorithm::kBanded, kDepthwise = ConvAlgorithm::kDepthwise,
                        kImplicit = ConvAlgorithm::kImplicitGemm;

constexpr ConvCase kConvs[] = {
    {"first", 224, 3, 64, 7, 2, 1, kBanded, true},
    {"first", 224, 3, 64, 7, 2, 1, kBanded, false},
    {"first", 224, 3, 32, 3, 2, 1, kBanded, true},
    {"first", 224, 3, 32, 3, 2, 1, kBanded, false},
    {"resnet", 56, 64, 64, 3, 1, 1},
    {"resnet", 28, 128, 128, 3, 1, 1},
    {"resnet", 14, 256, 256, 3, 1, 1},
    {"resnet", 7, 512, 512, 3, 1, 1},
    {"resnet", 56, 128, 128, 3, 2, 1},
    {"resnet", 28, 256, 256, 3, 2, 1},
    {"resnet", 14, 512, 512, 3, 2, 1},
    {"resnet", 56, 256, 512, 1, 2, 1},
    {"resnet", 56, 64, 256, 1, 1, 1},
    {"resnet", 14, 1024, 256, 1, 1, 1},
    {"densenet", 28, 128, 32, 3, 1, 1},
    {"resnext", 28, 256, 256, 3, 1, 32},
    {"depthwise", 112, 32, 32, 3, 1, 32, kDepthwise},
    {"depthwise", 112, 96, 96, 3, 2, 96, kDepthwise},
    {"depthwise", 56, 144, 144, 3, 1, 144, kDepthwise},
    {"depthwise", 14, 384, 384, 3, 1, 384, kDepthwise},
    {"depthwise", 7, 960, 960, 3, 1, 960, kDepthwise},
    {"depthwise", 28, 240, 240, 5, 1, 240, kDepthwise},
    {"depthwise", 28, 72, 72, 5, 2, 72, kDepthwise},
    {"depthwise", 14, 384, 384, 7, 1, 384, kDepthwise},
    {"transposed", 80, 64, 64, 2, 2, 1, kImplicit, false, true},
    {"transposed", 160, 64, 1, 2, 2, 1, kImplicit, false, true},
    {"transposed", 32, 128, 64, 2, 2, 1, kImplicit, false, true},
};

/// The 3x3 layers of stride 1 once more with Winograd: speed counts the direct multiply-adds.
void bench_winograd(const Settings& s, ConvCase c) {
  for (const ConvAlgorithm algorithm : {ConvAlgorithm::kWinograd2, ConvAlgorithm::kWinograd4}) {
    c.algorithm = algorithm;
    if (c.transposed || conv_refusal(algorithm, conv_args(s, c).spec)) continue;
    bench_conv(s, c);
  }
}

}  // namespace

void run_benches(const Settings& s) {
  for (const GemmCase& c : kGemms) bench_gemm(s, c);
  for (const ConvCase& c : kConvs) {
    bench_conv(s, c);
    bench_winograd(s, c);
  }
}

}  // namespace vitrify::cpu

int main(int argc, char** argv) {
  using namespace vitrify::cpu;
  Settings s;
  if (argc > 1) s.isa = parse_isa(argv[1]);
  if (argc > 2) s.threads = std::max(1, std::atoi(argv[2]));
  if (argc > 3) s.filter = argv[3];
  std::printf("%s, %d thread(s)\n", isa_name(s.isa), s.threads);
  run_benches(s);
  return 0;
}
#endif
