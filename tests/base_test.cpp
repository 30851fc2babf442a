// The base layer: number formats, the thread pool, knobs, files, digests.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "base/digest.h"
#include "base/error.h"
#include "base/float_mode.h"
#include "base/knobs.h"
#include "base/mapped_file.h"
#include "base/progress.h"
#include "base/small_float.h"
#include "base/thread_pool.h"

namespace vitrify {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

struct NamedFormat {
  const char* name;
  SmallFloat format;
  double largest;
  uint32_t negative_infinity;  ///< code of -inf cast without saturation
};
const NamedFormat kFormats[] = {
    {"f16", kFloat16, 65504, 0xFC00},     {"bf16", kBFloat16, 0x1.FEp127, 0xFF80},
    {"e4m3fn", kFloat8E4M3FN, 448, 0xFF}, {"e4m3fnuz", kFloat8E4M3FNUZ, 240, 0x80},
    {"e5m2", kFloat8E5M2, 57344, 0xFC},   {"e5m2fnuz", kFloat8E5M2FNUZ, 57344, 0x80},
};

uint32_t sign_bit(const SmallFloat& f) { return 1u << (f.exponent_bits + f.mantissa_bits); }

/// The value that a finite code stands for, from the definition of a binary float.
double defined_value(const SmallFloat& f, uint32_t magnitude) {
  uint32_t exponent = magnitude >> f.mantissa_bits, fraction = magnitude % (1u << f.mantissa_bits);
  double scale = std::pow(2.0, exponent == 0 ? 1 - f.bias : int(exponent) - f.bias);
  return scale * ((exponent != 0) + fraction / std::pow(2.0, f.mantissa_bits));
}

TEST(SmallFloats, DecodeFollowsTheDefinition) {
  for (auto& [name, f, largest, negative_infinity] : kFormats) {
    EXPECT_EQ(decode(f, f.max_finite), largest) << name;
    EXPECT_EQ(decode(f, sign_bit(f) | f.max_finite), -largest) << name;
    EXPECT_TRUE(std::isnan(decode(f, f.nan))) << name;
    for (uint32_t code = 0; code <= f.max_finite; ++code)
      ASSERT_EQ(decode(f, code), defined_value(f, code)) << name << " " << code;
    for (uint32_t code = f.max_finite + 1; code < sign_bit(f); ++code)
      ASSERT_FALSE(std::isfinite(decode(f, code))) << name << " " << code;
  }
}

TEST(SmallFloats, EveryFiniteCodeSurvives) {
  for (auto& [name, f, largest, negative_infinity] : kFormats)
    for (uint32_t sign : {0u, sign_bit(f)})
      for (uint32_t code = sign; code <= (sign | f.max_finite); ++code)
        if (!(code == sign_bit(f) && !f.negative_zero)) {
          ASSERT_EQ(encode(f, decode(f, code), true), code) << name;
          ASSERT_EQ(encode(f, decode(f, code), false), code) << name;
        }
}

TEST(SmallFloats, RoundToNearestTiesToEven) {
  for (auto& [name, f, largest, negative_infinity] : kFormats)
    for (uint32_t code = 0; code < f.max_finite; ++code) {
      double low = decode(f, code), high = decode(f, code + 1), middle = (low + high) / 2;
      ASSERT_EQ(encode(f, middle, true), code + code % 2) << name;
      ASSERT_EQ(encode(f, std::nextafter(middle, 0), true), code) << name;
      ASSERT_EQ(encode(f, std::nextafter(middle, kInf), true), code + 1) << name;
    }
}

TEST(SmallFloats, EndsFollowTheCastTables) {
  for (auto& [name, f, largest, negative_infinity] : kFormats) {
    uint32_t sign = sign_bit(f), past = f.has_infinity ? f.max_finite + 1 : f.nan;
    double step = largest - decode(f, f.max_finite - 1), tie = largest + step / 2;
    EXPECT_EQ(encode(f, std::nextafter(tie, 0), false), f.max_finite) << name;
    EXPECT_EQ(encode(f, std::nextafter(tie, kInf), false), past) << name;
    for (double v : {2 * largest, kInf}) {
      EXPECT_EQ(encode(f, v, true), f.max_finite) << name;
      EXPECT_EQ(encode(f, -v, true), sign | f.max_finite) << name;
      EXPECT_EQ(encode(f, v, false), past) << name;
      EXPECT_EQ(encode(f, -v, false), negative_infinity) << name;
    }
    EXPECT_TRUE(std::isnan(decode(f, encode(f, kNaN, true)))) << name;
    EXPECT_TRUE(std::isnan(decode(f, encode(f, kNaN, false)))) << name;
    EXPECT_EQ(encode(f, 0.0, true), 0u) << name;
    EXPECT_EQ(encode(f, -0.0, true), f.negative_zero ? sign : 0) << name;
    EXPECT_EQ(encode(f, -1e-300, true), f.negative_zero ? sign : 0) << name;
  }
}

TEST(SmallFloats, Float4IsRoundedAndSaturated) {
  const double values[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  for (uint32_t code = 0; code < 8; ++code) {
    EXPECT_EQ(decode(kFloat4E2M1, code), values[code]);
    EXPECT_EQ(encode(kFloat4E2M1, -values[code], true), code | 8);
  }
  EXPECT_EQ(encode(kFloat4E2M1, 0.25, true), 0u);
  EXPECT_EQ(encode(kFloat4E2M1, 0.75, true), 2u);
  EXPECT_EQ(encode(kFloat4E2M1, 5, true), 6u);
  EXPECT_EQ(encode(kFloat4E2M1, 9, true), 7u);
  EXPECT_EQ(encode(kFloat4E2M1, -kInf, true), 15u);
  EXPECT_EQ(encode(kFloat4E2M1, kNaN, true), 8u);  // as ONNX's node tests have it
}

TEST(SmallFloats, PowersOfTwoRoundThreeWays) {
  using enum ScaleRounding;
  for (int code = 0; code < 255; ++code)
    for (auto r : {kUp, kDown, kNearest})
      ASSERT_EQ(encode_e8m0(decode_e8m0(uint8_t(code)), false, r), code);
  EXPECT_TRUE(std::isnan(decode_e8m0(255)));
  EXPECT_EQ(encode_e8m0(1.1, true, kUp), 128);
  EXPECT_EQ(encode_e8m0(1.9, true, kDown), 127);
  EXPECT_EQ(encode_e8m0(1.49, true, kNearest), 127);
  EXPECT_EQ(encode_e8m0(1.5, true, kNearest), 128);
  EXPECT_EQ(encode_e8m0(0, true, kUp), 0);
  EXPECT_EQ(encode_e8m0(0, false, kNearest), 255);
  EXPECT_EQ(encode_e8m0(1e-300, true, kUp), 0);
  EXPECT_EQ(encode_e8m0(1e-300, false, kUp), 255);
  EXPECT_EQ(encode_e8m0(1e300, true, kUp), 254);
  EXPECT_EQ(encode_e8m0(1e300, false, kUp), 255);
  EXPECT_EQ(encode_e8m0(kInf, true, kUp), 254);
  EXPECT_EQ(encode_e8m0(kNaN, true, kUp), 255);
}

/// The two bulk conversions against the codec, which shares no code with them.
TEST(SmallFloats, BulkConversionsAgreeWithTheCodec) {
  for (uint32_t code = 0; code < 65536; ++code) {
    double half = decode(kFloat16, code), brain = decode(kBFloat16, code);
    float h = half_to_float(uint16_t(code)), b = bfloat16_to_float(uint16_t(code));
    ASSERT_TRUE(std::isnan(half) ? std::isnan(h)
                                 : half == h && std::signbit(half) == std::signbit(h));
    ASSERT_TRUE(std::isnan(brain) ? std::isnan(b) : brain == b);
  }
  std::mt19937 random(1);
  for (int i = 0; i < 2'000'000; ++i) {
    // Half of the cases lie where f16 has its subnormals, ties and end.
    uint32_t bits = i % 2 ? random() : (random() & 0x8FFFF001u) + 0x30000000u;
    float x = std::bit_cast<float>(bits);
    if (std::isnan(x)) {
      ASSERT_TRUE(std::isnan(half_to_float(float_to_half(x))));
      ASSERT_TRUE(std::isnan(bfloat16_to_float(float_to_bfloat16(x))));
    } else {
      ASSERT_EQ(float_to_half(x), encode(kFloat16, x, false)) << x;
      ASSERT_EQ(float_to_bfloat16(x), encode(kBFloat16, x, false)) << x;
    }
  }
}

TEST(ThreadPool, CallsEveryIndexOnce) {
  for (int64_t n : {0, 1, 2, 3, 17, 1000}) {
    std::vector<std::atomic<int>> calls(size_t(n) + 1);
    parallel_for(n, 64, [&](int64_t i) { ++calls[size_t(i)]; });
    for (int64_t i = 0; i < n; ++i) ASSERT_EQ(calls[size_t(i)], 1) << i << " of " << n;
    ASSERT_EQ(calls[size_t(n)], 0);
  }
}

/// Results must be visible to the caller, and no job may leak into the next: many short ones.
TEST(ThreadPool, ManyShortJobs) {
  std::vector<int64_t> out(64);
  for (int64_t job = 0; job < 20000; ++job) {
    int64_t n = 2 + job % 62;
    parallel_for(n, 64, [&](int64_t i) { out[size_t(i)] = job * i; });
    for (int64_t i = 0; i < n; ++i) ASSERT_EQ(out[size_t(i)], job * i);
  }
}

TEST(ThreadPool, NestedCallsStayInTheCaller) {
  std::atomic<int> calls = 0, strangers = 0;
  parallel_for(8, 64, [&](int64_t) {
    auto self = std::this_thread::get_id();
    parallel_for(8, 64, [&](int64_t) {
      ++calls;
      strangers += std::this_thread::get_id() != self;
    });
  });
  EXPECT_EQ(calls, 64);
  EXPECT_EQ(strangers, 0);
}

TEST(ThreadPool, RespectsTheCap) {
  std::mutex mutex;
  for (int cap : {1, 2, 3}) {
    std::set<std::thread::id> ids;
    parallel_for(200, cap, [&](int64_t) {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
      std::lock_guard lock(mutex);
      ids.insert(std::this_thread::get_id());
    });
    EXPECT_LE(int(ids.size()), std::min(cap, ThreadPool::process().size()));
  }
}

TEST(ThreadPool, WorksInTheFloatModeOfItsCaller) {
  volatile float tiny = 1e-20f;
  const auto count_subnormals = [&] {
    std::atomic<int> count = 0;
    parallel_for(2000, 64, [&](int64_t) { count += tiny * tiny != 0; });
    return count.load();
  };
  EXPECT_EQ(count_subnormals(), 2000);
  {
    FlushSubnormals flush(true);
    EXPECT_EQ(count_subnormals(), 0);
    tiny = 1e-40f;
    EXPECT_NE(tiny, 0);  // an operand
    tiny = 1e-20f;
    FlushSubnormals inner(false);
    EXPECT_EQ(count_subnormals(), 0);
  }
  EXPECT_EQ(count_subnormals(), 2000);
}

TEST(FloatMode, WhatIsChosenStaysWhereResultsAreFlushed) {
  const FlushSubnormals flush(true);
  for (uint64_t i = 0; i < 1u << 16; ++i) {
    const auto code = uint32_t(i * 0x10001);
    const float given = std::bit_cast<float>(code);
    if (given != given) continue;
    EXPECT_EQ(std::bit_cast<uint32_t>(unflushed(double(given))), code);
  }
  EXPECT_TRUE(std::isnan(unflushed(std::nan(""))));
}

TEST(ThreadPool, CallersFromSeveralThreadsAllProgress) {
  std::atomic<int64_t> sum = 0;
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t)
    callers.emplace_back([&] {
      for (int job = 0; job < 500; ++job) parallel_for(10, 64, [&](int64_t i) { sum += i; });
    });
  for (auto& c : callers) c.join();
  EXPECT_EQ(sum, 4 * 500 * 45);
}

/// Runs `body` in a child process; its result is the exit status.
int in_child(int (*body)()) {
  pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);
    ::_exit(body());
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#if !defined(__SANITIZE_THREAD__)  // which cannot start threads after a fork of many
int sum_of_hundred() {
  std::atomic<int> sum = 0;
  parallel_for(100, 64, [&](int64_t i) { sum += int(i); });
  return sum == 4950 ? 0 : 1;
}

TEST(ThreadPool, WorksAfterFork) {
  EXPECT_EQ(sum_of_hundred(), 0);  // the parent's pool is running
  EXPECT_EQ(in_child(sum_of_hundred), 0);
  EXPECT_EQ(sum_of_hundred(), 0);
}

TEST(ThreadPool, TakesItsSizeFromTheKnob) {
  ::setenv("VITRIFY_THREADS", "3", 1);
  EXPECT_EQ(in_child([] { return ThreadPool::process().size(); }), 3);
  ::setenv("VITRIFY_THREADS", "no number", 1);
  EXPECT_GE(in_child([] { return ThreadPool::process().size(); }), 1);
  ::unsetenv("VITRIFY_THREADS");
}

#if !defined(__SANITIZE_ADDRESS__)  // whose shadow needs more address space
TEST(ThreadPool, GoesOnWhenTheProcessMayNotHaveMoreThreads) {
  ::setenv("VITRIFY_THREADS", "64", 1);
  int result = in_child([] {
    rlimit none{0, 0};  // no room for further stacks
    ::getrlimit(RLIMIT_AS, &none);
    none.rlim_cur = 64 << 20;
    ::setrlimit(RLIMIT_AS, &none);
    return sum_of_hundred();
  });
  ::unsetenv("VITRIFY_THREADS");
  EXPECT_EQ(result, 0);
}
#endif
#endif

TEST(Knobs, RowsStandInTheOrderOfTheEnum) {
  for (size_t i = 0; i < knob_table().size(); ++i) {
    EXPECT_EQ(size_t(knob_table()[i].knob), i);
    EXPECT_TRUE(knob_table()[i].name.starts_with("VITRIFY_"));
    EXPECT_FALSE(knob_table()[i].about.empty());
  }
}

TEST(Knobs, ValuesComeFromTheEnvironment) {
  ::unsetenv("VITRIFY_VERBOSE");
  EXPECT_EQ(knob_int(Knob::kVerbose), 0);
  ::setenv("VITRIFY_VERBOSE", "3", 1);
  EXPECT_EQ(knob_int(Knob::kVerbose), 3);
  ::setenv("VITRIFY_VERBOSE", "", 1);
  EXPECT_EQ(knob_int(Knob::kVerbose), 0);
  for (const char* bad : {"3x", "x", "-1", "99999999999999999999"}) {
    ::setenv("VITRIFY_VERBOSE", bad, 1);
    EXPECT_THROW(knob_int(Knob::kVerbose), Error) << bad;
    EXPECT_THROW(check_knobs(), Error) << bad;
  }
  ::unsetenv("VITRIFY_VERBOSE");
  ::setenv("VITRIFY_DISABLE_PASSES", ";a;b c;;d", 1);
  EXPECT_EQ(knob_list(Knob::kDisablePasses), (std::vector<std::string>{"a", "b c", "d"}));
  ::unsetenv("VITRIFY_DISABLE_PASSES");
  EXPECT_TRUE(knob_list(Knob::kDisablePasses).empty());
}

/// A folder of its own for each test.
class Files : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "vitrify.XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  static void write(const std::string& path, std::string_view text) {
    auto bytes = std::as_bytes(std::span(text.data(), text.size()));
    std::span<const std::byte> chunks[] = {bytes.first(text.size() / 2),
                                           bytes.subspan(text.size() / 2)};
    write_file(path, chunks);
  }
  static std::string read(const std::string& path) {
    auto file = MappedFile::open(path);
    return {reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()};
  }
  int entries() const {
    return int(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }
  std::filesystem::path folder_;
};

/// The message of the user error that f throws; empty if it throws none.
template <class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kUser);
    return e.what();
  }
  return {};
}
void expect_mentions(const std::string& text, std::string_view part) {
  EXPECT_NE(text.find(part), std::string::npos) << "'" << text << "' does not say " << part;
}

TEST_F(Files, AreReadAsTheyWereWritten) {
  for (std::string text : {std::string(), std::string("glass"), std::string(100000, 'x')}) {
    write(path("f"), text);
    EXPECT_EQ(read(path("f")), text);
    EXPECT_EQ(entries(), 1);
  }
}

TEST_F(Files, ErrorsNameThePath) {
  expect_mentions(message_of([&] { read(path("missing")); }), path("missing"));
  expect_mentions(message_of([&] { read(folder_); }), "it is a folder");
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  expect_mentions(message_of([&] { read(path("pipe")); }), "not a regular file");
  expect_mentions(message_of([&] { write(path("no/f"), "x"); }), path("no/f"));
  expect_mentions(message_of([&] { write(folder_, "x"); }), "it is a folder");
}

/// Writes a megabyte where only a kilobyte is allowed: 0 when that throws a user error.
int in_child_writing(const std::string& path) {
  static std::string target;
  target = path;
  return in_child([] {
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit small{1024, 1024};
    ::setrlimit(RLIMIT_FSIZE, &small);
    std::vector<std::byte> bytes(1 << 20);
    std::span<const std::byte> chunks[] = {bytes};
    return message_of([&] { write_file(target, chunks); }).empty() ? 1 : 0;
  });
}

TEST_F(Files, AFailedWriteLeavesTheOldFileAlone) {
  write(path("f"), "old");
  int result = in_child_writing(path("f"));
  EXPECT_EQ(result, 0);
  EXPECT_EQ(read(path("f")), "old");
  EXPECT_EQ(entries(), 1) << "the temporary file stayed";
}

TEST_F(Files, AMappingOutlivesItsReplacement) {
  write(path("f"), "old");
  auto old = MappedFile::open(path("f"));
  write(path("f"), "newer");
  EXPECT_EQ(std::memcmp(old->bytes().data(), "old", 3), 0);
  EXPECT_EQ(read(path("f")), "newer");
}

TEST_F(Files, LinksAndPipesStayWhatTheyAre) {
  write(path("f"), "old");
  std::filesystem::create_symlink("f", path("link"));
  write(path("link"), "new");
  EXPECT_TRUE(std::filesystem::is_symlink(path("link")));
  EXPECT_EQ(read(path("f")), "new");
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  int reader = ::open(path("pipe").c_str(), O_RDONLY | O_NONBLOCK);
  write(path("pipe"), "through");
  char buffer[16] = {};
  EXPECT_EQ(::read(reader, buffer, sizeof buffer), 7);
  EXPECT_STREQ(buffer, "through");
  ::close(reader);
}

TEST(Digests, AreXxh3) {
  EXPECT_EQ(digest(std::string_view()).hex(), "99aa06d3014798d86001c324468d497f");
  std::set<std::string> seen;
  std::string text(300, 'a');
  for (size_t n = 0; n <= text.size(); ++n)
    seen.insert(digest(std::string_view(text).substr(0, n)).hex());
  for (size_t i = 0; i < text.size(); ++i) {
    text[i] ^= 1;
    seen.insert(digest(text).hex());
    text[i] ^= 1;
  }
  EXPECT_EQ(seen.size(), 601u);
}

TEST(Errors, SizesAreCheckedForOverflow) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(checked_add(kMax - 1, 1), kMax);
  EXPECT_EQ(checked_mul(1 << 30, 1 << 30), int64_t{1} << 60);
  EXPECT_THROW(checked_add(kMax, 1), Error);
  EXPECT_THROW(checked_mul(kMax / 2, 3), Error);
  EXPECT_THROW(checked_mul(-(kMax / 2), 3), Error);
}

/// What a bar of four steps writes to a descriptor and, when it is a terminal's, its other end.
std::string drawn(int output, int reader) {
  {
    Progress bar("tuning", 4, output);
    bar.step("conv");
  }
  ::fcntl(reader, F_SETFL, O_NONBLOCK);
  char buffer[512];
  ssize_t n = ::read(reader, buffer, sizeof buffer);
  return {buffer, size_t(std::max<ssize_t>(n, 0))};
}

TEST(ProgressBar, IsDrawnOnTerminalsOnlyAndGoesAway) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  EXPECT_EQ(drawn(ends[1], ends[0]), "");
  ::close(ends[0]), ::close(ends[1]);
  int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0) GTEST_SKIP() << "no pty";
  int slave = ::open(::ptsname(master), O_RDWR | O_NOCTTY);
  ASSERT_GE(slave, 0);
  std::string text = drawn(slave, master);
  expect_mentions(text, "tuning [######                  ] 25% conv");
  EXPECT_TRUE(text.ends_with("\r\x1b[K"));
  ::close(slave), ::close(master);
}

TEST(ProgressBar, FitsTheLine) {
  EXPECT_EQ(progress_line("a", 9, 4, "b", 80), "a [########################] 100% b");
  EXPECT_EQ(progress_line("a", 0, 0, "b", 80), "a [########################] 100% b");
  EXPECT_EQ(progress_line("label", 1, 4, std::string(200, 'x'), 40).size(), 40u);
  EXPECT_EQ(progress_line("label", 1, 4, "x", 0), "");
}

}  // namespace
}  // namespace vitrify
