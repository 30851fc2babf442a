// The public C and C++ interface, against the shared library alone.
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "api_parts.h"

namespace {

using namespace api_parts;  // NOLINT: a test

TEST(Api, BuildsLoadsAndRuns) {
  Files files;
  const std::string model = files.model(small_model()), path = files("m.engine");
  int calls = 0;
  double last = 0;
  vitrify::BuildOptions options;
  options.add_profile().add_range("x", {1, 3}, {2, 3}, {4, 3});
  options.set_progress(
      [&](const char*, double fraction) { return ++calls, last = fraction, true; });
  const std::string report = vitrify::build(model, path, options);
  EXPECT_NE(report.find("\"decisions\""), std::string::npos);
  EXPECT_GT(calls, 2);
  EXPECT_EQ(last, 1);
  ASSERT_TRUE(vitrify_is_engine(path.c_str()));
  EXPECT_FALSE(vitrify_is_engine(model.c_str()));
  vitrify::Engine engine = vitrify::Engine::load(path);
  EXPECT_EQ(engine.input_name(0), "x");
  EXPECT_EQ(engine.output_name(0), "y");
  EXPECT_EQ(engine.input_type(0), "f32[n, 3]");
  vitrify::Context context(engine, 2);
  context.set_input("x", vitrify::Value::tensor<float>({2, 3}, {1, 2, 3, -1, -2, -3}));
  context.run();
  EXPECT_EQ(numbers(context.output(0)), (std::vector<float>{2, 6, 3, -1, -2, 0}));
  EXPECT_EQ(vitrify_context_output(context.handle(), 0),
            vitrify_context_output(context.handle(), 0));
  EXPECT_GE(context.stats().steps, 1);
  EXPECT_NE(context.profile().find("\"layers\""), std::string::npos);
  const float one[] = {0, 1, 0};
  context.set_input_data<float>("x", {1, 3}, one);
  context.run();
  EXPECT_EQ(numbers(context.output(0)), (std::vector<float>{0, 3, 0}));
}

TEST(Api, NamesWhatIsWrong) {
  Files files;
  const std::string model = files.model(small_model());
  vitrify::BuildOptions options;
  options.add_profile().add_range("x", {1, 3}, {2, 3}, {4, 3});
  vitrify::Engine engine = vitrify::Engine::build(model, options);
  vitrify::Context context(engine);
  auto expect = [&](const std::string& message, const char* part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect(user_error([&] { context.run(); }), "'x'");
  expect(user_error([&] { context.set_input("z", vitrify::Value::none()); }), "'z'");
  expect(user_error([&] { context.set_input("w", vitrify::Value::none()); }),
         "'w' is an initializer of the model, built in as a constant");
  expect(user_error([&] {
           context.set_input("x", vitrify::Value::tensor<float>({1, 4}, {1, 2, 3, 4}));
         }),
         "extent 4");
  expect(user_error([&] {
           context.set_input("x", vitrify::Value::tensor<int64_t>({1, 3}, {1, 2, 3}));
         }),
         "f32");
  context.set_input("x", vitrify::Value::tensor<float>({5, 3}, std::vector<float>(15)));
  expect(user_error([&] { context.run(); }), "profile");
  expect(user_error([&] { vitrify::Engine::load(model); }), "not a Vitrify engine");
  expect(user_error([&] { vitrify::Engine::build(files("absent.onnx")); }), "absent.onnx");
  vitrify::BuildOptions wrong;
  wrong.add_profile().add_range("q", {1}, {1}, {1});
  expect(user_error([&] { vitrify::Engine::build(model, wrong); }), "'q'");
  EXPECT_EQ(vitrify_engine_load(nullptr, nullptr), VITRIFY_USER_ERROR);
  EXPECT_EQ(vitrify_context_run(nullptr), VITRIFY_USER_ERROR);
  vitrify_engine_free(nullptr), vitrify_context_free(nullptr), vitrify_value_free(nullptr);
}

TEST(Api, PassesStringsAndSequences) {
  Files files;
  Model m;
  m.inputs = {{"a", kString, {"n"}}, {"b", kFloat, {"2"}}};
  m.outputs = {{"same", kString, {"n"}}};
  m.nodes = {{"Identity", {"a"}, {"same"}},
             {"SequenceConstruct", {"b", "b"}, {"list"}},
             {"SequenceLength", {"list"}, {"length"}}};
  m.outputs.push_back({"length", kInt64, {}});
  vitrify::Engine engine = vitrify::Engine::build(files.model(m));
  vitrify::Context context(engine);
  context.set_input("a", vitrify::Value::strings({2}, {"grün", std::string("a\0b", 3)}));
  context.set_input("b", vitrify::Value::tensor<float>({2}, {1, 2}));
  context.run();
  EXPECT_EQ(context.output(0).string(0), "grün");
  EXPECT_EQ(context.output(0).string(1), std::string_view("a\0b", 3));
  EXPECT_EQ(context.output(1).data<int64_t>()[0], 2);
  std::vector<vitrify::Value> items;
  items.push_back(vitrify::Value::tensor<float>({1}, {4}));
  items.push_back(vitrify::Value::none());
  const vitrify::Value list = vitrify::Value::sequence(items);
  EXPECT_EQ(list.view().kind(), VITRIFY_SEQUENCE);
  EXPECT_EQ(list.view().size(), 2u);
  EXPECT_EQ(list.view().item(0).data<float>()[0], 4);
  EXPECT_EQ(vitrify_value_item(list.handle(), 2), nullptr);
}

int scale_shape(vitrify_custom_shape* shape, void*) {
  const char* dims[] = {vitrify_custom_shape_input_dim(shape, 0, 0),
                        vitrify_custom_shape_input_dim(shape, 0, 1)};
  return vitrify_custom_shape_output(shape, VITRIFY_FLOAT32, 2, dims);
}
int scale_compute(vitrify_custom_call* call, void* user) {
  ++*static_cast<int*>(user);
  const vitrify_value* x = vitrify_custom_input(call, 0);
  auto* y = static_cast<float*>(
      vitrify_custom_output(call, 0, VITRIFY_FLOAT32, 2, vitrify_value_dims(x)));
  if (!y) return 7;
  const auto* from = static_cast<const float*>(vitrify_value_data(x));
  const int64_t factor = vitrify_custom_int(call, "factor", 1);
  for (size_t i = 0; i < vitrify_value_size(x); ++i) y[i] = from[i] * float(factor);
  return 0;
}

TEST(Api, RunsTheHostsOwnOperators) {
  Files files;
  Model m = small_model();
  m.nodes.push_back({"Scale", {"y"}, {"scaled"}, "test.ops", {{"factor", 10}}});
  m.outputs = {{"scaled", kFloat, {"n", "3"}}};
  const std::string model = files.model(m), path = files("custom.engine");
  EXPECT_EQ(vitrify_build(model.c_str(), path.c_str(), nullptr, nullptr), VITRIFY_UNSUPPORTED);
  EXPECT_NE(std::string(vitrify_last_error()).find("Scale"), std::string::npos);
  int calls = 0;
  ASSERT_EQ(vitrify_register_custom_op("test.ops", "Scale", scale_shape, scale_compute, &calls),
            VITRIFY_OK);
  vitrify::build(model, path);
  vitrify::Engine engine = vitrify::Engine::load(path);
  vitrify::Context context(engine);
  context.set_input("x", vitrify::Value::tensor<float>({1, 3}, {1, 2, 3}));
  context.run();
  EXPECT_EQ(numbers(context.output(0)), (std::vector<float>{20, 60, 30}));
  EXPECT_EQ(calls, 1);
}

/// next = sum + x, with x f32[2].
Model running_sum() {
  Model m;
  m.inputs = {{"x", kFloat, {"2"}}, {"sum", kFloat, {"2"}}};
  m.outputs = {{"next", kFloat, {"2"}}};
  m.nodes = {{"Add", {"sum", "x"}, {"next"}}};
  return m;
}

TEST(Api, KeepsStatesBetweenRuns) {
  Files files;
  const std::string path = files("sum.engine");
  vitrify::BuildOptions options;
  options.add_state("sum", "next");
  vitrify::build(files.model(running_sum()), path, options);
  vitrify::Engine engine = vitrify::Engine::load(path, VITRIFY_VERIFY_LAZY);
  ASSERT_EQ(engine.state_count(), 1u);
  EXPECT_EQ(engine.state_input(0), "sum");
  EXPECT_EQ(engine.state_output(0), "next");
  EXPECT_EQ(vitrify_engine_state_input(engine.handle(), 1), nullptr);
  EXPECT_NE(engine.describe().find("\"states\":[{\"input\":\"sum\""), std::string::npos);
  vitrify::Context context(engine), other(engine);
  context.set_input("x", vitrify::Value::tensor<float>({2}, {1, 2}));
  other.set_input("x", vitrify::Value::tensor<float>({2}, {5, 5}));
  for (float run = 1; run <= 3; ++run) {
    context.run(), other.run();
    EXPECT_EQ(numbers(context.output(0)), (std::vector<float>{run, 2 * run}));
  }
  EXPECT_EQ(numbers(other.output(0)), (std::vector<float>{15, 15}));
  context.cancel();  // a run that does not end leaves the state alone
  EXPECT_THROW(context.run(), vitrify::Failure);
  context.run();
  EXPECT_EQ(numbers(context.output(0)), (std::vector<float>{4, 8}));
  context.reset();
  context.run();
  EXPECT_EQ(numbers(context.output(0)), (std::vector<float>{1, 2}));
  context.set_input("sum", vitrify::Value::tensor<float>({2}, {10, 20}));
  context.run(), context.run();
  EXPECT_EQ(numbers(context.output(0)), (std::vector<float>{12, 24}));
}

TEST(Api, KeepsStatesThatGrow) {
  Files files;
  Model m;
  m.inputs = {{"x", kFloat, {"1", "2"}}, {"past", kFloat, {"p", "2"}}};
  m.outputs = {{"present", kFloat, {"q", "2"}}, {"seen", kFloat, {"q", "2"}}};
  m.nodes = {{"Concat", {"past", "x"}, {"present"}, "", {{"axis", 0}}},
             {"Relu", {"present"}, {"seen"}}};
  vitrify::BuildOptions options;
  options.add_state("past", "present");
  vitrify::Engine engine = vitrify::Engine::build(files.model(m), options);
  vitrify::Context context(engine);
  for (int round = 0; round < 2; ++round) {
    std::vector<float> all;
    for (float step = 1; step <= 5; ++step) {
      context.set_input("x", vitrify::Value::tensor<float>({1, 2}, {step, -step}));
      context.run();
      all.push_back(step), all.push_back(-step);
      EXPECT_EQ(numbers(context.output(0)), all);
      EXPECT_EQ(context.output(1).dims()[0], int64_t(step));
    }
    context.reset();
  }
}

TEST(Api, RefusesStatesThatDoNotFit) {
  Files files;
  Model m = running_sum();
  m.inputs.push_back({"i", kInt64, {"2"}});
  m.inputs.push_back({"w", kFloat, {"3"}});
  m.nodes.push_back({"Identity", {"i"}, {"j"}});
  m.nodes.push_back({"Identity", {"w"}, {"v"}});
  m.outputs.push_back({"j", kInt64, {"2"}});
  m.outputs.push_back({"v", kFloat, {"3"}});
  const std::string model = files.model(m);
  auto message = [&](const char* input, const char* output) {
    vitrify::BuildOptions options;
    options.add_state(input, output);
    return user_error([&] { vitrify::Engine::build(model, options); });
  };
  EXPECT_NE(message("none", "next").find("'none'"), std::string::npos);
  EXPECT_NE(message("sum", "none").find("next, j, v"), std::string::npos);
  EXPECT_NE(message("sum", "j").find("i64[2]"), std::string::npos);
  EXPECT_NE(message("sum", "v").find("f32[3]"), std::string::npos);
  vitrify::BuildOptions twice;
  twice.add_state("sum", "next");
  EXPECT_NE(user_error([&] { twice.add_state("sum", "next"); }).find("two"), std::string::npos);
}

TEST(Api, CancelsOneRunOrProfile) {
  Files files;
  vitrify::Engine engine = vitrify::Engine::build(files.model(small_model()));
  vitrify::Context context(engine);
  context.set_input("x", vitrify::Value::tensor<float>({1, 3}, {1, 2, 3}));
  char* json = nullptr;
  context.cancel();
  EXPECT_EQ(vitrify_context_profile(context.handle(), &json), VITRIFY_CANCELLED);
  EXPECT_EQ(json, nullptr);
  EXPECT_EQ(vitrify_context_run(context.handle()), VITRIFY_OK);
  context.cancel();
  EXPECT_EQ(vitrify_context_run(context.handle()), VITRIFY_CANCELLED);
  EXPECT_NE(context.profile().find("layers"), std::string::npos);
}

TEST(Api, NamesTheNodeThatPassesTheMemoryLimit) {
  Files files;
  Model m;
  m.inputs = {{"x", kFloat, {"1"}}, {"size", kInt64, {"1"}}};
  m.outputs = {{"y", kFloat, {"n"}}};
  m.nodes = {{"Expand", {"x", "size"}, {"big"}}, {"Relu", {"big"}, {"y"}}};
  const std::string model = files.model(m);
  for (bool passes : {true, false}) {
    vitrify::BuildOptions options;
    options.set_passes(passes);
    vitrify::Engine engine = vitrify::Engine::build(model, options);
    vitrify::Context context(engine, 0, 8 << 20);
    context.set_input("x", vitrify::Value::tensor<float>({1}, {3}));
    for (int64_t size : {int64_t{4}, int64_t{1} << 40, int64_t{4}, int64_t{3} << 20, int64_t{1},
                         int64_t{1500000}, INT64_MAX, int64_t{5}}) {
      context.set_input("size", vitrify::Value::tensor<int64_t>({1}, {size}));
      if (size < 10) {
        context.run();
        EXPECT_EQ(numbers(context.output(0)), std::vector<float>(size_t(size), 3));
        continue;
      }
      const std::string message = user_error([&] { context.run(); });
      if (size == INT64_MAX) continue;
      EXPECT_NE(message.find("limit of 8388608"), std::string::npos) << message;
      EXPECT_TRUE(message.find("Expand") != std::string::npos ||
                  message.find("Relu") != std::string::npos)
          << message;
      EXPECT_EQ(vitrify_value_kind(context.output(0).handle()), VITRIFY_NONE);
    }
  }
}

TEST(Api, KeepsErrorsApartByThread) {
  EXPECT_NE(vitrify_engine_load("/no/such.engine", nullptr), VITRIFY_OK);
  const std::string mine = vitrify_last_error();
  std::string other;
  std::thread([&] { other = vitrify_last_error(); }).join();
  EXPECT_NE(mine, "");
  EXPECT_EQ(other, "");
}

TEST(Api, ListsOperatorsAndDescribes) {
  char* text = nullptr;
  ASSERT_EQ(vitrify_list_ops(&text), VITRIFY_OK);
  EXPECT_NE(std::strstr(text, "\"MatMul\""), nullptr);
  vitrify_string_free(text);
  Files files;
  const std::string model = files.model(small_model());
  ASSERT_EQ(vitrify_inspect_model(model.c_str(), nullptr, &text), VITRIFY_OK);
  EXPECT_NE(std::strstr(text, "\"unsupported\":[]"), nullptr);
  vitrify_string_free(text);
  ASSERT_EQ(vitrify_graph_after(model.c_str(), nullptr, "imported", &text), VITRIFY_OK);
  EXPECT_NE(std::strstr(text, "matmul"), nullptr);
  vitrify_string_free(text);
  EXPECT_EQ(vitrify_graph_after(model.c_str(), nullptr, "no_such_pass", &text), VITRIFY_USER_ERROR);
}

}  // namespace
