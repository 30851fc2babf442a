// The public interface with several profiles, over time (states) and from several threads.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cmath>
#include <ctime>
#include <latch>
#include <random>
#include <thread>

#include "api_parts.h"

namespace {

using namespace api_parts;  // NOLINT: a test
using vitrify::Value;

// ---- profiles ----

int same_shape(vitrify_custom_shape* shape, void*) {
  const char* dims[] = {vitrify_custom_shape_input_dim(shape, 0, 0)};
  return vitrify_custom_shape_output(shape, VITRIFY_FLOAT32, 1, dims);
}
int count_and_negate(vitrify_custom_call* call, void* user) {
  ++*static_cast<int*>(user);
  const vitrify_value* x = vitrify_custom_input(call, 0);
  auto* y = static_cast<float*>(
      vitrify_custom_output(call, 0, VITRIFY_FLOAT32, 1, vitrify_value_dims(x)));
  for (size_t i = 0; y && i < vitrify_value_size(x); ++i)
    y[i] = -static_cast<const float*>(vitrify_value_data(x))[i];
  return y ? 0 : 1;
}

TEST(ApiProfiles, ChooseThePlanOrRefuse) {
  Files files;
  static int calls = 0;
  vitrify::register_custom_op("test.ops", "Negate", same_shape, count_and_negate, &calls);
  Model m;
  m.inputs = {{"x", kFloat, {"n"}}};
  m.outputs = {{"y", kFloat, {"n"}}};
  m.nodes = {{"Negate", {"x"}, {"y"}, "test.ops"}};
  const std::string model = files.model(m), path = files("m.engine");
  // Through C: 1 to 4 in one profile, 16 to 32 in the other.
  vitrify_build_options* options = vitrify_build_options_create();
  for (const auto& r : {std::array<int64_t, 3>{1, 2, 4}, std::array<int64_t, 3>{16, 16, 32}}) {
    vitrify_build_options_add_profile(options);
    ASSERT_EQ(vitrify_build_options_add_range(options, "x", 1, &r[0], &r[1], &r[2]), VITRIFY_OK);
  }
  ASSERT_EQ(vitrify_build(model.c_str(), path.c_str(), options, nullptr), VITRIFY_OK);
  vitrify_build_options_free(options);
  vitrify::Engine engine = vitrify::Engine::load(path);
  vitrify::Context context(engine);
  int expected = 0;
  for (size_t n : {3, 20, 4, 16, 1, 32, 5, 15, 33, 0, 2}) {
    std::vector<float> x(n, 1.5f), negated(n, -1.5f);
    calls = 0;
    context.set_input("x", Value::tensor<float>({int64_t(n)}, x));
    if ((n >= 1 && n <= 4) || (n >= 16 && n <= 32)) {
      context.run();
      EXPECT_EQ(numbers(context.output(0)), negated);
      EXPECT_EQ(calls, 1) << n;
      ++expected;
      continue;
    }
    const std::string message = user_error([&] { context.run(); });
    expect_part(message, "'x' has shape [" + std::to_string(n) + "]");
    expect_part(message, "x [1] to [4]");
    expect_part(message, "x [16] to [32]");
    EXPECT_EQ(calls, 0) << n;
    EXPECT_EQ(vitrify_value_kind(vitrify_context_output(context.handle(), 0)), VITRIFY_NONE);
  }
  EXPECT_EQ(expected, 7);
  expect_part(engine.describe(), "\"profiles\"");
}

// ---- states ----

Model lstm_model() {
  std::mt19937 random(3);
  auto weight = [&](const char* name, std::vector<int64_t> dims) {
    int64_t count = 1;
    for (int64_t d : dims) count *= d;
    std::vector<float> values(static_cast<size_t>(count));
    for (float& v : values) v = float(random() % 2001) / 1000 - 1;
    return Weight{name, dims, values};
  };
  Model m;
  m.inputs = {{"x", kFloat, {"s", "2", "5"}},
              {"h0", kFloat, {"1", "2", "3"}},
              {"c0", kFloat, {"1", "2", "3"}}};
  m.outputs = {{"y", kFloat, {"s", "1", "2", "3"}},
               {"h", kFloat, {"1", "2", "3"}},
               {"c", kFloat, {"1", "2", "3"}}};
  m.weights = {weight("w", {1, 12, 5}), weight("r", {1, 12, 3}), weight("b", {1, 24})};
  m.nodes = {
      {"LSTM", {"x", "w", "r", "b", "", "h0", "c0"}, {"y", "h", "c"}, "", {{"hidden_size", 3}}}};
  return m;
}

void expect_near(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5) << i;
}

TEST(ApiStates, LstmInPartsIsTheWholeSequence) {
  Files files;
  const std::string model = files.model(lstm_model());
  vitrify::BuildOptions options;
  options.add_state("h0", "h").add_state("c0", "c");
  vitrify::Engine engine = vitrify::Engine::build(model, options);
  vitrify::Engine plain = vitrify::Engine::build(model);
  std::vector<float> x(9 * 2 * 5);
  for (size_t i = 0; i < x.size(); ++i) x[i] = std::sin(float(i));
  vitrify::Context whole(plain);
  whole.set_input("x", Value::tensor<float>({9, 2, 5}, x));
  for (const char* state : {"h0", "c0"})
    whole.set_input(state, Value::tensor<float>({1, 2, 3}, std::vector<float>(6)));
  whole.run();
  vitrify::Context context(engine);
  for (const std::vector<int64_t>& parts :
       std::vector<std::vector<int64_t>>{{1, 2, 6}, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {9}, {4, 5}}) {
    std::vector<float> y;
    int64_t at = 0;
    for (int64_t steps : parts) {
      const std::span<const float> part(x.data() + at * 10, size_t(steps * 10));
      context.set_input("x", Value::tensor<float>({steps, 2, 5}, part));
      context.run();
      for (float v : numbers(context.output(0))) y.push_back(v);
      at += steps;
    }
    expect_near(y, numbers(whole.output(0)));
    expect_near(numbers(context.output(1)), numbers(whole.output(1)));
    expect_near(numbers(context.output(2)), numbers(whole.output(2)));
    context.reset();
  }
}

// ---- threads ----

/// Eight products of x [n, 512] with one matrix.
Model heavy_model() {
  Model m;
  m.inputs = {{"x", kFloat, {"n", "512"}}};
  m.outputs = {{"y8", kFloat, {"n", "512"}}};
  m.weights = {{"w", {512, 512}, std::vector<float>(512 * 512, 1 / 512.f)}};
  std::string from = "x";
  for (int i = 1; i <= 8; ++i) {
    const std::string to = "y" + std::to_string(i);
    m.nodes.push_back({"MatMul", {from, "w"}, {to}});
    from = to;
  }
  return m;
}

TEST(ApiThreads, ShareAnEngine) {
  Files files;
  vitrify::BuildOptions options;
  options.set_timing(false);
  vitrify::Engine engine = vitrify::Engine::build(files.model(heavy_model()), options);
  auto answers = [&](int seed, int32_t threads) {
    vitrify::Context context(engine, threads);
    std::vector<float> all;
    for (int run = 0; run < 40; ++run) {
      const int64_t n = 1 + (seed + run) % 4;
      const std::vector<float> x(size_t(n * 512), float(seed * 100 + run));
      context.set_input("x", Value::tensor<float>({n, 512}, x));
      context.run();
      for (float v : numbers(context.output(0))) all.push_back(v);
    }
    return all;
  };
  std::vector<std::vector<float>> expected(4), got(4);
  for (int t = 0; t < 4; ++t) expected[size_t(t)] = answers(t, 1);
  std::vector<std::thread> threads;
  std::latch all_here(4);
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      all_here.arrive_and_wait();
      got[size_t(t)] = answers(t, 1 + t % 2);
    });
  for (auto& t : threads) t.join();
  for (size_t t = 0; t < 4; ++t) EXPECT_EQ(got[t], expected[t]);  // to the bit
  EXPECT_NE(expected[0], expected[1]);
}

double cpu_seconds(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

TEST(ApiThreads, StayUnderTheCap) {
  Files files;
  vitrify::BuildOptions options;
  options.set_timing(false);
  vitrify::Engine engine = vitrify::Engine::build(files.model(heavy_model()), options);
  /// CPU time of other threads, relative to the caller's.
  auto share_of_others = [&](int32_t cap) {
    vitrify::Context context(engine, cap);
    context.set_input("x", Value::tensor<float>({1024, 512}, std::vector<float>(1024 * 512, 1)));
    context.run();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // workers park
    const double all = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID),
                 own = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < 4; ++i) context.run();
    const double mine = cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - own;
    const double others = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - all - mine;
    EXPECT_EQ(numbers(context.output(0)), std::vector<float>(1024 * 512, 1));
    return others / mine;
  };
  EXPECT_LT(share_of_others(1), 0.02);
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "one CPU";
  double most = 0;
  for (int i = 0; i < 10 && most < 0.2; ++i) most = std::max(most, share_of_others(2));
  EXPECT_GT(most, 0.2);
}

TEST(ApiThreads, CancelFromAnotherThread) {
  Files files;
  vitrify::BuildOptions options;
  options.set_timing(false);
  vitrify::Engine engine = vitrify::Engine::build(files.model(heavy_model()), options);
  vitrify::Context context(engine);
  context.set_input("x", Value::tensor<float>({16384, 512}, std::vector<float>(16384 * 512, 1)));
  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(vitrify_context_run(context.handle()), VITRIFY_OK);
  const auto whole = std::chrono::steady_clock::now() - start;
  std::chrono::steady_clock::time_point asked;
  std::thread other([&] {
    std::this_thread::sleep_for(whole / 8);
    asked = std::chrono::steady_clock::now();
    vitrify_context_cancel(context.handle());
  });
  EXPECT_EQ(vitrify_context_run(context.handle()), VITRIFY_CANCELLED);
  const auto ended = std::chrono::steady_clock::now();
  other.join();
  EXPECT_LT(ended - asked, whole / 2);
  expect_part(vitrify_last_error(), "cancelled");
  EXPECT_EQ(vitrify_value_kind(vitrify_context_output(context.handle(), 0)), VITRIFY_NONE);
  context.set_input("x", Value::tensor<float>({1, 512}, std::vector<float>(512, 1)));
  EXPECT_EQ(vitrify_context_run(context.handle()), VITRIFY_OK);
  EXPECT_EQ(numbers(context.output(0)), std::vector<float>(512, 1));
}

}  // namespace
