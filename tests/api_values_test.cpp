// The public interface with what is not a plain tensor: sequences, optionals, strings.
#include <gtest/gtest.h>

#include "api_parts.h"

namespace {

using namespace api_parts;  // NOLINT: a test
using vitrify::Value;
using vitrify::ValueView;

/// longer = list + x; count = the list's length.
Model sequence_model() {
  Model m;
  m.inputs = {{"list", kFloat, {"a"}, {kSequence}}, {"x", kFloat, {"n"}}};
  m.outputs = {{"longer", kFloat, {"b"}, {kSequence}}, {"count", kInt64, {}}};
  m.nodes = {{"SequenceInsert", {"list", "x"}, {"longer"}},
             {"SequenceLength", {"list"}, {"count"}}};
  return m;
}

TEST(ApiValues, PassesSequences) {
  Files files;
  vitrify::build(files.model(sequence_model()), files("m.engine"));
  vitrify::Engine engine = vitrify::Engine::load(files("m.engine"));
  vitrify_kind kind = VITRIFY_NONE;
  ASSERT_EQ(vitrify_engine_input_info(engine.handle(), 0, &kind, nullptr, nullptr, nullptr, 0),
            VITRIFY_OK);
  EXPECT_EQ(kind, VITRIFY_SEQUENCE);
  EXPECT_EQ(engine.input_type(0).substr(0, 7), "seq(f32");
  vitrify::Context context(engine);
  context.set_input("x", Value::tensor<float>({1}, {9}));
  for (const std::vector<size_t>& lengths :
       std::vector<std::vector<size_t>>{{2, 3, 0}, {}, {1}, {}}) {
    std::vector<Value> items;
    for (size_t n : lengths)
      items.push_back(Value::tensor<float>({int64_t(n)}, std::vector<float>(n, float(n) + 0.5f)));
    context.set_input("list", Value::sequence(items));
    context.run();
    const ValueView longer = context.output(0);
    ASSERT_EQ(longer.kind(), VITRIFY_SEQUENCE);
    ASSERT_EQ(longer.size(), lengths.size() + 1);
    for (size_t i = 0; i < lengths.size(); ++i) {
      EXPECT_EQ(longer.item(i).dims()[0], int64_t(lengths[i]));
      EXPECT_EQ(numbers(longer.item(i)), numbers(items[i].view()));
    }
    EXPECT_EQ(numbers(longer.item(lengths.size())), std::vector<float>{9});
    EXPECT_EQ(context.output(1).data<int64_t>()[0], int64_t(lengths.size()));
    EXPECT_EQ(vitrify_value_data(longer.handle()), nullptr);
    EXPECT_EQ(vitrify_value_item(longer.handle(), lengths.size() + 1), nullptr);
  }
}

TEST(ApiValues, PassesOptionals) {
  Files files;
  Model m;
  m.inputs = {{"tensor", kFloat, {"n"}, {kOptional}}, {"list", kFloat, {}, {kOptional, kSequence}}};
  m.outputs = {{"same", kFloat, {"n"}, {kOptional}},
               {"same_list", kFloat, {}, {kOptional, kSequence}},
               {"there", kBool, {}}};
  m.nodes = {{"Identity", {"tensor"}, {"same"}},
             {"Identity", {"list"}, {"same_list"}},
             {"OptionalHasElement", {"tensor"}, {"there"}}};
  vitrify::build(files.model(m), files("m.engine"));
  vitrify::Engine engine = vitrify::Engine::load(files("m.engine"));
  EXPECT_EQ(engine.input_type(0).substr(0, 12), "optional(f32");
  vitrify::Context context(engine);
  std::vector<Value> items;
  items.push_back(Value::tensor<float>({}, {3}));
  for (int there : {1, 0, 1, 0, 0}) {
    context.set_input("tensor", there ? Value::tensor<float>({2}, {1, 2}) : Value::none());
    context.set_input("list", there ? Value::sequence(items) : Value::none());
    context.run();
    EXPECT_EQ(context.output(2).data<bool>()[0], there == 1);
    EXPECT_EQ(context.output(0).kind(), there ? VITRIFY_TENSOR : VITRIFY_NONE);
    EXPECT_EQ(context.output(1).kind(), there ? VITRIFY_SEQUENCE : VITRIFY_NONE);
    if (!there) continue;
    EXPECT_EQ(numbers(context.output(0)), (std::vector<float>{1, 2}));
    EXPECT_EQ(numbers(context.output(1).item(0)), std::vector<float>{3});
  }
}

TEST(ApiValues, PassesStrings) {
  Files files;
  Model m;
  m.inputs = {{"a", kString, {"n"}}, {"b", kString, {"m"}}, {"i", kInt64, {"k"}}};
  m.outputs = {{"all", kString, {"p"}}, {"some", kString, {"k"}}};
  m.nodes = {{"Concat", {"a", "b"}, {"all"}, "", {{"axis", 0}}},
             {"Gather", {"all", "i"}, {"some"}, "", {{"axis", 0}}}};
  vitrify::build(files.model(m), files("m.engine"));
  vitrify::Engine engine = vitrify::Engine::load(files("m.engine"));
  vitrify::Context context(engine);
  const char* texts[] = {"one", "", "a string of more than sixteen letters"};
  const int64_t three = 3;
  vitrify_value* value = nullptr;
  ASSERT_EQ(vitrify_value_strings(1, &three, texts, nullptr, &value), VITRIFY_OK);
  const Value ended(value);
  for (const std::vector<std::string>& more :
       std::vector<std::vector<std::string>>{{std::string("\0x", 2)}, {}, {"ü", "two"}}) {
    context.set_input("a", ended);
    context.set_input("b", Value::strings({int64_t(more.size())}, more));
    context.set_input("i", Value::tensor<int64_t>({2}, {-1, 2}));
    context.run();
    const ValueView all = context.output(0), some = context.output(1);
    ASSERT_EQ(all.dtype(), VITRIFY_STRING);
    ASSERT_EQ(all.size(), 3 + more.size());
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ(all.string(i), texts[i]);
    for (size_t i = 0; i < more.size(); ++i) EXPECT_EQ(all.string(3 + i), more[i]);
    EXPECT_EQ(some.string(0), more.empty() ? texts[2] : more.back());
    EXPECT_EQ(some.string(1), texts[2]);
    EXPECT_EQ(vitrify_value_data(all.handle()), nullptr);
    EXPECT_EQ(vitrify_value_string(all.handle(), all.size(), nullptr), nullptr);
  }
}

TEST(ApiValues, RefusesOtherKindsAndElements) {
  Files files;
  Model m = sequence_model();
  m.inputs.push_back({"words", kString, {"w"}});
  m.inputs.push_back({"maybe", kFloat, {"2"}, {kOptional}});
  m.outputs.push_back({"same", kString, {"w"}});
  m.outputs.push_back({"there", kBool, {}});
  m.nodes.push_back({"Identity", {"words"}, {"same"}});
  m.nodes.push_back({"OptionalHasElement", {"maybe"}, {"there"}});
  vitrify::Engine engine = vitrify::Engine::build(files.model(m));
  vitrify::Context context(engine);
  auto list_of = [](Value second) {
    std::vector<Value> items;
    items.push_back(Value::tensor<float>({2}, {1, 2}));
    items.push_back(std::move(second));
    return Value::sequence(items);
  };
  const Value numbers = Value::tensor<float>({1}, {1}), words = Value::strings({1}, {"a"});
  auto message = [&](const char* input, const Value& value) {
    const std::string text = user_error([&] { context.set_input(input, value); });
    expect_part(text, std::string("input '") + input + "'");
    return text;
  };
  expect_part(message("list", numbers), "must be a sequence");
  expect_part(message("list", Value::none()), "must have a value");
  expect_part(message("x", Value::sequence({})), "must be a tensor");
  expect_part(message("x", words), "must have element type f32, not string");
  expect_part(message("words", numbers), "must have element type string, not f32");
  expect_part(message("maybe", Value::tensor<int64_t>({2}, {1, 2})), "f32, not i64");
  expect_part(message("maybe", Value::tensor<float>({3}, {1, 2, 3})), "extent 3");
  expect_part(message("maybe", Value::sequence({})), "must be a tensor");
  expect_part(message("list", list_of(Value::tensor<int64_t>({1}, {1}))), "f32, not i64");
  expect_part(message("list", list_of(Value::strings({1}, {"a"}))), "item 1");
  expect_part(message("list", list_of(Value::none())), "item 1");
  expect_part(message("list", list_of(Value::sequence({}))), "must be a tensor");
  // The context goes on.
  context.set_input("list", list_of(Value::tensor<float>({1}, {5})));
  context.set_input("x", numbers), context.set_input("words", words);
  context.set_input("maybe", Value::none());
  context.run();
  EXPECT_EQ(context.output(0).size(), 3u);
  EXPECT_THROW(context.output(0).data<float>(), vitrify::Failure);
}

}  // namespace
