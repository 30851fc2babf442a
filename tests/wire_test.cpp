// Reading ONNX files: the wire format, tensors, external data, and what is refused.
#include "onnx/wire.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <protozero/pbf_writer.hpp>

#include "base/error.h"
#include "node_data.h"
#include "onnx/external_data.h"

namespace vitrify::onnx {
namespace {

using protozero::pbf_writer;
namespace fs = std::filesystem;

/// A message from a function that writes its fields.
template <class F>
std::string message(F fill) {
  std::string bytes;
  pbf_writer w(bytes);
  fill(w);
  return bytes;
}

/// Keeps the bytes at an address of their own size, so that a sanitizer sees every step past them.
Model parse(std::string_view bytes) {
  std::shared_ptr<std::byte[]> copy(new std::byte[bytes.size()]);
  std::memcpy(copy.get(), bytes.data(), bytes.size());
  return parse_model({copy.get(), bytes.size()}, copy, {});
}

template <class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kUser) << e.what();
    return e.what();
  }
  return {};
}
void expect_mentions(const std::string& text, std::string_view part) {
  EXPECT_NE(text.find(part), std::string::npos) << "'" << text << "' does not say " << part;
}

std::string tensor(int32_t type, std::vector<int64_t> dims, std::string_view raw = {},
                   std::string_view name = "t") {
  return message([&](pbf_writer& w) {
    w.add_packed_int64(1, dims.begin(), dims.end());
    w.add_int32(2, type);
    w.add_string(8, name.data(), name.size());
    if (!raw.empty()) w.add_bytes(9, raw.data(), raw.size());
  });
}

std::string model_of_graph(std::string_view graph) {
  return message([&](pbf_writer& w) {
    w.add_int64(1, 10);
    w.add_message(7, graph.data(), graph.size());
    w.add_message(8, message([](pbf_writer& o) { o.add_int64(2, 21); }));
  });
}

std::string tensor_type(int32_t elem, const std::function<void(pbf_writer&)>& dims) {
  return message([&](pbf_writer& t) {
    t.add_message(1, message([&](pbf_writer& w) {
                    w.add_int32(1, elem);
                    w.add_message(2, message(dims));
                  }));
  });
}

std::string value_info(std::string_view name, const std::string& type) {
  return message([&](pbf_writer& w) {
    w.add_string(1, name.data(), name.size());
    w.add_message(2, type);
  });
}

std::string attribute(std::string_view name, int32_t kind,
                      const std::function<void(pbf_writer&)>& fill) {
  return message([&](pbf_writer& w) {
    w.add_string(1, name.data(), name.size());
    if (kind) w.add_int32(20, kind);
    fill(w);
  });
}

/// A model that has every field that is read.
std::string rich_model() {
  std::string body = message([](pbf_writer& g) {
    g.add_string(2, "body");
    g.add_message(12, value_info("y", tensor_type(1, [](pbf_writer&) {})));
  });
  std::string node = message([&](pbf_writer& n) {
    n.add_string(1, "x");
    n.add_string(1, "");
    n.add_string(2, "y");
    n.add_string(3, "name");
    n.add_string(4, "If");
    n.add_string(7, "ai.onnx");
    n.add_string(8, "variant");
    n.add_string(6, "a documentation, skipped");
    n.add_message(5, attribute("f", 1, [](pbf_writer& a) { a.add_float(2, 0.5f); }));
    n.add_message(5, attribute("i", 2, [](pbf_writer& a) { a.add_int64(3, -7); }));
    n.add_message(5, attribute("s", 3, [](pbf_writer& a) { a.add_string(4, "text"); }));
    n.add_message(5,
                  attribute("t", 4, [](pbf_writer& a) { a.add_message(5, tensor(2, {1}, "z")); }));
    n.add_message(5, attribute("g", 5, [&](pbf_writer& a) { a.add_message(6, body); }));
    n.add_message(5, attribute("fs", 6, [](pbf_writer& a) {
                    a.add_float(7, 1);
                    a.add_float(7, 2);
                  }));
    n.add_message(5, attribute("is", 7, [](pbf_writer& a) {
                    std::vector<int64_t> v{1, -1, std::numeric_limits<int64_t>::min()};
                    a.add_packed_int64(8, v.begin(), v.end());
                    a.add_int64(8, 4);
                  }));
    n.add_message(5, attribute("ss", 8, [](pbf_writer& a) {
                    a.add_string(9, "a");
                    a.add_string(9, "");
                  }));
    n.add_message(5, attribute("ts", 9, [](pbf_writer& a) { a.add_message(10, tensor(2, {0})); }));
    n.add_message(5, attribute("gs", 10, [&](pbf_writer& a) { a.add_message(11, body); }));
    n.add_message(5, attribute("tp", 13, [](pbf_writer& a) {
                    a.add_message(14, tensor_type(7, [](pbf_writer&) {}));
                  }));
    n.add_message(5, attribute("sp", 11, [](pbf_writer& a) {
                    a.add_message(22, message([](pbf_writer& s) {
                                    s.add_message(1, tensor(2, {1}, "z"));
                                    s.add_message(2, tensor(7, {1}, std::string(8, '\0')));
                                    s.add_int64(3, 4);
                                  }));
                  }));
    n.add_message(5, attribute("ref", 2, [](pbf_writer& a) { a.add_string(21, "outer"); }));
  });
  std::string graph = message([&](pbf_writer& g) {
    g.add_string(2, "main");
    g.add_message(1, node);
    g.add_message(5, tensor(1, {2, 1}, "12345678", "w"));
    g.add_message(
        11, value_info("x", tensor_type(1, [](pbf_writer& s) {
                         s.add_message(1, message([](pbf_writer& d) { d.add_int64(1, 3); }));
                         s.add_message(1, message([](pbf_writer& d) { d.add_string(2, "n"); }));
                         s.add_message(1, std::string());
                       })));
    g.add_message(12, value_info("y", message([](pbf_writer& t) {
                                   t.add_message(4, message([](pbf_writer& s) {
                                                   s.add_message(
                                                       1, tensor_type(8, [](pbf_writer&) {}));
                                                 }));
                                 })));
    g.add_message(13, value_info("m", message([](pbf_writer& t) {
                                   t.add_message(5, message([](pbf_writer& s) {
                                                   s.add_int32(1, 7);
                                                   s.add_message(
                                                       2, tensor_type(1, [](pbf_writer&) {}));
                                                 }));
                                 })));
    g.add_string(14, "quantization annotations are skipped");
  });
  return message([&](pbf_writer& w) {
    w.add_int64(1, 10);
    w.add_string(2, "producer");
    w.add_string(3, "1.0");
    w.add_message(7, graph);
    w.add_message(8, message([](pbf_writer& o) {
                    o.add_string(1, "ai.onnx");
                    o.add_int64(2, 21);
                  }));
    w.add_message(14, message([](pbf_writer& e) {
                    e.add_string(1, "key");
                    e.add_string(2, "value");
                  }));
    w.add_message(25, message([](pbf_writer& f) {
                    f.add_string(1, "Twice");
                    f.add_string(4, "a");
                    f.add_string(5, "b");
                    f.add_string(6, "alpha");
                    f.add_message(7, message([](pbf_writer& n) { n.add_string(4, "Add"); }));
                    f.add_message(9, message([](pbf_writer& o) { o.add_int64(2, 20); }));
                    f.add_string(10, "mine");
                    f.add_message(11,
                                  attribute("beta", 1, [](pbf_writer& a) { a.add_float(2, 2); }));
                  }));
    w.add_string(200, "a field of the future");
    w.add_fixed64(201, 1);
  });
}

TEST(Wire, ReadsTheModel) {
  Model m = parse(rich_model());
  EXPECT_EQ(m.ir_version, 10);
  EXPECT_EQ(m.producer_name, "producer");
  EXPECT_EQ(m.producer_version, "1.0");
  ASSERT_EQ(m.opset_imports.size(), 1u);
  EXPECT_EQ(m.opset_imports[0].domain, "");
  EXPECT_EQ(m.opset_imports[0].version, 21);
  ASSERT_EQ(m.metadata.size(), 1u);
  EXPECT_EQ(m.metadata[0].first, "key");
  EXPECT_EQ(m.metadata[0].second, "value");
  ASSERT_EQ(m.functions.size(), 1u);
  const Function& f = m.functions[0];
  EXPECT_EQ(f.name, "Twice");
  EXPECT_EQ(f.domain, "mine");
  EXPECT_EQ(f.inputs, std::vector<std::string_view>{"a"});
  EXPECT_EQ(f.outputs, std::vector<std::string_view>{"b"});
  EXPECT_EQ(f.attributes, std::vector<std::string_view>{"alpha"});
  EXPECT_EQ(f.nodes.at(0).op_type, "Add");
  EXPECT_EQ(f.opset_imports.at(0).version, 20);
  EXPECT_EQ(f.attribute_defaults.at(0).f, 2);
}

TEST(Wire, ReadsGraphsAndTypes) {
  Model m = parse(rich_model());
  const Graph& g = m.graph;
  EXPECT_EQ(g.name, "main");
  ASSERT_EQ(g.inputs.size(), 1u);
  const TypeProto& x = g.inputs[0].type;
  EXPECT_EQ(x.kind, TypeProto::Kind::kTensor);
  EXPECT_EQ(x.elem_type, 1);
  ASSERT_TRUE(x.shape && x.shape->size() == 3);
  EXPECT_EQ((*x.shape)[0].value, 3);
  EXPECT_EQ((*x.shape)[1].symbol, "n");
  EXPECT_FALSE((*x.shape)[2].value);
  const TypeProto& y = g.outputs.at(0).type;
  EXPECT_EQ(y.kind, TypeProto::Kind::kSequence);
  EXPECT_EQ(y.element->elem_type, 8);
  const TypeProto& map = g.value_infos.at(0).type;
  EXPECT_EQ(map.kind, TypeProto::Kind::kMap);
  EXPECT_EQ(map.elem_type, 7);
  EXPECT_EQ(map.element->elem_type, 1);
  EXPECT_EQ(g.initializers.at(0).name, "w");
  EXPECT_EQ(g.initializers[0].dims, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(g.initializers[0].raw_data, "12345678");
}

TEST(Wire, ReadsEveryKindOfAttribute) {
  Model m = parse(rich_model());
  const Node& n = m.graph.nodes.at(0);
  EXPECT_EQ(n.op_type, "If");
  EXPECT_EQ(n.domain, "");
  EXPECT_EQ(n.overload, "variant");
  EXPECT_EQ(n.inputs, (std::vector<std::string_view>{"x", ""}));
  EXPECT_EQ(n.attribute("f")->f, 0.5f);
  EXPECT_EQ(n.attribute("i")->i, -7);
  EXPECT_EQ(n.attribute("s")->s, "text");
  EXPECT_EQ(n.attribute("t")->tensor->raw_data, "z");
  EXPECT_EQ(n.attribute("g")->graph->name, "body");
  EXPECT_EQ(n.attribute("fs")->floats, (std::vector<float>{1, 2}));
  EXPECT_EQ(n.attribute("is")->ints,
            (std::vector<int64_t>{1, -1, std::numeric_limits<int64_t>::min(), 4}));
  EXPECT_EQ(n.attribute("ss")->strings, (std::vector<std::string_view>{"a", ""}));
  EXPECT_EQ(n.attribute("ts")->tensors.size(), 1u);
  EXPECT_EQ(n.attribute("gs")->graphs.at(0)->outputs.at(0).name, "y");
  EXPECT_EQ(n.attribute("tp")->type->elem_type, 7);
  EXPECT_EQ(n.attribute("sp")->sparse_tensor->dims, std::vector<int64_t>{4});
  EXPECT_EQ(n.attribute("ref")->ref_name, "outer");
  EXPECT_EQ(n.attribute("none"), nullptr);
}

TEST(Wire, OldFilesLeaveTheAttributesKindOut) {
  std::string node = message([](pbf_writer& n) {
    n.add_message(5, attribute("f", 0, [](pbf_writer& a) { a.add_float(2, 0); }));
    n.add_message(5, attribute("is", 0, [](pbf_writer& a) { a.add_int64(8, 4); }));
  });
  Model m = parse(model_of_graph(message([&](pbf_writer& g) { g.add_message(1, node); })));
  EXPECT_EQ(m.graph.nodes.at(0).attribute("f")->kind, Attribute::Kind::kFloat);
  EXPECT_EQ(m.graph.nodes.at(0).attribute("is")->kind, Attribute::Kind::kInts);
}

TEST(Wire, DoesNotCopy) {
  std::string bytes = rich_model();
  Model m = parse_model(std::as_bytes(std::span(bytes)), nullptr, {});
  const char* raw = m.graph.initializers.at(0).raw_data->data();
  EXPECT_TRUE(raw >= bytes.data() && raw < bytes.data() + bytes.size());
  EXPECT_EQ(static_cast<const void*>(to_tensor(m.graph.initializers[0], m).raw()), raw);
}

TEST(Refusals, SayWhatTheFileIs) {
  using namespace std::string_view_literals;
  const std::pair<std::string_view, std::string_view> cases[] = {
      {""sv, "the file is empty"},
      {"version https://git-lfs.github.com/spec/v1\noid"sv, "git lfs pull"},
      {"<!DOCTYPE html><html>"sv, "HTML"},
      {"PK\x03\x04rest of it"sv, "zip"},
      {"\x80\x02}q\x00"sv, "pickle"},
      {"{\"a\": 1}"sv, "JSON"},
      {"\x1f\x8b\x08rest"sv, "gzip"},
      {"GGUF\x03\0\0\0"sv, "GGUF"},
      {"\x40\0\0\0\0\0\0\0{\"__metadata__\""sv, "safetensors"},
      {"\x1c\0\0\0TFL3\0\0"sv, "TensorFlow Lite"},
      {"This is a text, not a model.\n"sv, "text file"},
      {"\x08\x0a"sv, "holds no graph"},
      {"\x3a\x7f"sv, "cut off"},
      {"\x3a\x02\x0a\x7f"sv, "cut off"},
      {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"sv, "damaged"},
      {"\x38\x01"sv, "wrong wire type"},
  };
  for (auto& [bytes, reason] : cases) {
    std::string text = message_of([&] { parse(bytes); });
    expect_mentions(text, "is not an ONNX model");
    expect_mentions(text, reason);
  }
}

/// A graph inside a graph's attribute, `depth` times.
std::string nested_graphs(int depth) {
  std::string graph;
  for (int i = 0; i < depth; ++i)
    graph = message([&](pbf_writer& g) {
      g.add_message(1, message([&](pbf_writer& n) {
                      n.add_string(3, cat("level ", i));
                      n.add_message(
                          5, attribute("body", 5, [&](pbf_writer& a) { a.add_message(6, graph); }));
                    }));
    });
  return model_of_graph(graph);
}

std::string nested_types(int depth) {
  std::string type = tensor_type(1, [](pbf_writer&) {});
  for (int i = 0; i < depth; ++i)
    type = message([&](pbf_writer& t) {
      t.add_message(4, message([&](pbf_writer& s) { s.add_message(1, type); }));
    });
  return model_of_graph(message([&](pbf_writer& g) { g.add_message(11, value_info("x", type)); }));
}

TEST(Refusals, DepthAndCountAreLimited) {
  EXPECT_EQ(message_of([] { parse(nested_graphs(kMaxGraphDepth - 1)); }), "");
  const std::string deep = message_of([] { parse(nested_graphs(kMaxGraphDepth)); });
  expect_mentions(deep,
                  "the model is refused: graphs are nested deeper than Vitrify's limit of 32");
  expect_mentions(deep, "in node 'level 0'");
  EXPECT_EQ(deep.find("not an ONNX"), std::string::npos) << deep;
  expect_mentions(message_of([] { parse(nested_graphs(2000)); }), "nested");
  EXPECT_EQ(message_of([] { parse(nested_types(kMaxTypeDepth - 1)); }), "");
  expect_mentions(message_of([] { parse(nested_types(kMaxTypeDepth)); }), "nested");
  std::string bomb;  // entries of metadata, the smallest struct
  for (int64_t i = 0; i <= kMaxMessages; ++i) bomb += std::string_view("\x72\0", 2);
  expect_mentions(message_of([&] { parse(bomb); }),
                  "is refused: it holds more than 8000000 messages");
}

/// Parses, and reads every tensor that it finds: succeeds or throws a user error.
void read_whole(std::string_view bytes) {
  auto try_tensor = [](const auto& t, const Model& m) {
    try {
      Tensor value = to_tensor(t, m);
      volatile uint8_t sum = 0;  // touches every byte
      if (value.dtype() != DType::kString)
        for (size_t i = 0; i < value.bytes(); ++i) sum = uint8_t(sum + uint8_t(value.raw()[i]));
    } catch (const Error&) {
    }
  };
  try {
    Model m = parse(bytes);
    for (const auto& t : m.graph.initializers) try_tensor(t, m);
    for (const auto& t : m.graph.sparse_initializers) try_tensor(t, m);
    for (const Node& n : m.graph.nodes)
      for (const Attribute& a : n.attributes) {
        if (a.tensor) try_tensor(*a.tensor, m);
        if (a.sparse_tensor) try_tensor(*a.sparse_tensor, m);
        for (const auto& t : a.tensors) try_tensor(t, m);
      }
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kUser) << e.what();
  }
}

void damage_everywhere(std::string bytes) {
  for (size_t n = 0; n < bytes.size(); ++n) read_whole(std::string_view(bytes).substr(0, n));
  for (char& c : bytes) {
    char old = c;
    for (int bit = 0; bit < 8; ++bit) {
      c = char(old ^ (1 << bit));
      read_whole(bytes);
    }
    for (char other : {'\0', '\x7f', '\xff'}) {
      c = other;
      read_whole(bytes);
    }
    c = old;
  }
}

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Damage, NeverCrashes) { damage_everywhere(rich_model()); }

TEST(Damage, RealModelsNeverCrash) {
  ASSERT_FALSE(find_onnx_data().empty()) << "needs the onnx package in .venv: run `make env`";
  for (const char* name :
       {"test_add", "test_if", "test_loop13_seq", "test_constant", "test_cast_FLOAT_to_FLOAT4E2M1",
        "test_optional_get_element_sequence", "test_gelu_default_1_expanded",
        "test_training_dropout", "test_strnormalizer_export_monday_casesensintive_lower",
        "test_sequence_map_add_2_sequences"}) {
    fs::path path = find_onnx_data() / "node" / name / "model.onnx";
    if (fs::exists(path)) damage_everywhere(read_file(path));
  }
}

TEST(RealModels, AllParse) {
  ASSERT_FALSE(find_onnx_data().empty()) << "needs the onnx package in .venv: run `make env`";
  int models = 0;
  for (const auto& entry : fs::recursive_directory_iterator(find_onnx_data())) {
    if (entry.path().extension() != ".onnx") continue;
    EXPECT_EQ(message_of([&] { load_model(entry.path().string()); }), "") << entry.path();
    ++models;
  }
  EXPECT_GT(models, 1000);
}

// ------------------------------------------------------------------------------------- tensors

Tensor decode(const std::string& bytes) {
  Model m;
  int64_t left = 1000;
  return to_tensor(read_tensor(Reader(bytes, &left)), m);
}

template <class T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::vector<uint8_t> bytes_of(const Tensor& t) {
  auto* p = reinterpret_cast<const uint8_t*>(t.raw());
  return {p, p + t.bytes()};
}

TEST(Tensors, NarrowTypesComeFromInt32Data) {
  struct Case {
    DType dtype;
    int64_t count;
    std::vector<int32_t> values;
    std::vector<uint8_t> bytes;
  };
  const Case cases[] = {
      {DType::kBool, 3, {1, 0, 2}, {1, 0, 1}},
      {DType::kInt8, 2, {-1, 5}, {255, 5}},
      {DType::kUint16, 1, {0xABCD}, {0xCD, 0xAB}},
      {DType::kFloat16, 2, {0x3C00, 0xC000}, {0, 0x3C, 0, 0xC0}},
      {DType::kBFloat16, 1, {0x3F80}, {0x80, 0x3F}},
      {DType::kFloat8E4M3FN, 2, {0x38, 0xB8}, {0x38, 0xB8}},
      {DType::kFloat8E8M0, 1, {127}, {127}},
      {DType::kInt4, 3, {0x21, 0x0F}, {0x21, 0x0F}},
      {DType::kFloat4E2M1, 2, {0x72}, {0x72}},
      {DType::kUint2, 5, {0xE4, 1}, {0xE4, 1}},
      {DType::kInt32, 1, {-2}, {254, 255, 255, 255}},
  };
  for (const Case& c : cases) {
    for (bool packed : {true, false}) {
      std::string t = tensor(int32_t(c.dtype), {c.count});
      pbf_writer w(t);
      if (packed)
        w.add_packed_int32(5, c.values.begin(), c.values.end());
      else
        for (int32_t v : c.values) w.add_int32(5, v);
      EXPECT_EQ(bytes_of(decode(t)), c.bytes) << name(c.dtype);
    }
    std::string from_raw(c.bytes.begin(), c.bytes.end());
    EXPECT_EQ(bytes_of(decode(tensor(int32_t(c.dtype), {c.count}, from_raw))), c.bytes);
    EXPECT_THROW(decode(tensor(int32_t(c.dtype), {c.count}, from_raw + "x")), Error);
    EXPECT_THROW(decode(tensor(int32_t(c.dtype), {c.count + 8}, from_raw)), Error);
    EXPECT_THROW(decode(tensor(int32_t(c.dtype), {c.count + 8})), Error);
  }
}

TEST(Tensors, WideTypesHaveFieldsOfTheirOwn) {
  auto with = [](DType dtype, int64_t count, const std::function<void(pbf_writer&)>& fill) {
    std::string t = tensor(int32_t(dtype), {count});
    pbf_writer w(t);
    fill(w);
    return bytes_of(decode(t));
  };
  auto bytes = [](const std::string& s) { return std::vector<uint8_t>(s.begin(), s.end()); };
  std::vector<float> f{1.5f, -2};
  std::vector<double> d{1.5, -2};
  std::vector<int64_t> i{-1, int64_t{1} << 40};
  std::vector<uint64_t> u{~0ull, 3};
  auto floats = [&](pbf_writer& w) { w.add_packed_float(4, f.begin(), f.end()); };
  auto doubles = [&](pbf_writer& w) { w.add_packed_double(10, d.begin(), d.end()); };
  EXPECT_EQ(with(DType::kFloat32, 2, floats), bytes(raw(f)));
  EXPECT_EQ(with(DType::kComplex64, 1, floats), bytes(raw(f)));
  EXPECT_EQ(with(DType::kFloat64, 2, doubles), bytes(raw(d)));
  EXPECT_EQ(with(DType::kComplex128, 1, doubles), bytes(raw(d)));
  EXPECT_EQ(
      with(DType::kInt64, 2, [&](pbf_writer& w) { w.add_packed_int64(7, i.begin(), i.end()); }),
      bytes(raw(i)));
  auto unsigned_fill = [&](pbf_writer& w) { w.add_packed_uint64(11, u.begin(), u.end()); };
  EXPECT_EQ(with(DType::kUint64, 2, unsigned_fill), bytes(raw(u)));
  EXPECT_EQ(with(DType::kUint32, 2, unsigned_fill), bytes(raw(std::vector<uint32_t>{~0u, 3})));
  EXPECT_THROW(with(DType::kFloat32, 3, floats), Error);
  EXPECT_THROW(with(DType::kFloat64, 2, floats), Error);
}

TEST(Tensors, StringsAreCopied) {
  std::string t = tensor(8, {2});
  pbf_writer w(t);
  w.add_string(6, "a");
  w.add_bytes(6, std::string("b\0c", 3));
  Tensor value = decode(t);
  EXPECT_EQ(value.data<std::string>()[0], "a");
  EXPECT_EQ(value.data<std::string>()[1], std::string("b\0c", 3));
  EXPECT_THROW(decode(tensor(8, {2})), Error);
  EXPECT_THROW(decode(tensor(8, {1}, "raw")), Error);
}

TEST(Tensors, RawBoolsBecomeZeroOrOne) {
  EXPECT_EQ(bytes_of(decode(tensor(9, {4}, std::string("\0\1\2\xff", 4)))),
            (std::vector<uint8_t>{0, 1, 1, 1}));
}

TEST(Tensors, AbsurdOnesAreRefusedByName) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  for (std::vector<int64_t> dims :
       std::vector<std::vector<int64_t>>{{-1},
                                         {kMax},
                                         {kMax, kMax},
                                         {int64_t{1} << 32, int64_t{1} << 32},
                                         {kMax, 2, 0, -1},
                                         std::vector<int64_t>(1000, 1)})
    expect_mentions(message_of([&] { decode(tensor(1, dims, "1234", "weight")); }), "weight");
  for (int32_t type : {0, 27, -1, 1000})
    expect_mentions(message_of([&] { decode(tensor(type, {1}, "1234", "weight")); }), "weight");
}

TEST(Tensors, AScalarNeedsAValue) { EXPECT_THROW(decode(tensor(1, {})), Error); }

TEST(Tensors, SparseOnesBecomeDense) {
  auto sparse = [](const std::string& values, const std::string& indices,
                   std::vector<int64_t> dims) {
    std::string bytes = message([&](pbf_writer& s) {
      s.add_message(1, values);
      s.add_message(2, indices);
      s.add_packed_int64(3, dims.begin(), dims.end());
    });
    int64_t left = 100;
    return to_tensor(read_sparse_tensor(Reader(bytes, &left)), Model{});
  };
  constexpr int64_t kBig = (int64_t{1} << 60) + 1;  // not a double
  std::string values = tensor(7, {2}, raw(std::vector<int64_t>{kBig, -3}));
  auto at = [](std::vector<int64_t> dims, std::vector<int64_t> v) {
    return tensor(7, dims, raw(v));
  };
  EXPECT_EQ(to_ints(sparse(values, at({2}, {1, 5}), {2, 3})),
            (std::vector<int64_t>{0, kBig, 0, 0, 0, -3}));
  EXPECT_EQ(to_ints(sparse(values, at({2, 2}, {0, 1, 1, 2}), {2, 3})),
            (std::vector<int64_t>{0, kBig, 0, 0, 0, -3}));
  EXPECT_THROW(sparse(values, at({2}, {1, 6}), {2, 3}), Error);
  EXPECT_THROW(sparse(values, at({2}, {-1, 5}), {2, 3}), Error);
  EXPECT_THROW(sparse(values, at({2, 2}, {0, 3, 1, 0}), {2, 3}), Error);
  EXPECT_THROW(sparse(values, at({3}, {0, 1, 2}), {2, 3}), Error);
  EXPECT_THROW(sparse(values, at({2}, {1, 5}), {int64_t{1} << 20, int64_t{1} << 20}), Error);
  EXPECT_THROW(sparse(values, at({2}, {1, 5}), {-2, 3}), Error);
}

// ------------------------------------------------------------------------------- external data

class External : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "vitrify.XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    fs::create_directories(root_ / "model/sub");
    put("model/data.bin", "0123456789abcdef");
    put("model/sub/data.bin", "sub-data");
    put("secret.bin", "secret!!");
  }
  void TearDown() override { fs::remove_all(root_); }
  void put(const std::string& name, std::string_view text) {
    std::ofstream(root_ / name, std::ios::binary) << text;
  }

  using Entries = std::vector<std::pair<std::string_view, std::string_view>>;
  Tensor read(int64_t count, const Entries& entries) {
    TensorProto t;
    t.name = "weight";
    t.data_type = 2;
    t.dims = {count};
    t.external = true;
    t.external_data = entries;
    Model m;
    m.path = (root_ / "model/m.onnx").string();
    return to_tensor(t, m);
  }
  std::string text(int64_t count, const Entries& entries) {
    Tensor t = read(count, entries);
    return {reinterpret_cast<const char*>(t.raw()), t.bytes()};
  }
  void expect_refused(int64_t count, const Entries& entries, std::string_view reason) {
    std::string message = message_of([&] { read(count, entries); });
    expect_mentions(message, "weight");
    expect_mentions(message, reason);
  }
  void expect_confined() {
    std::string absolute = (root_ / "secret.bin").string();
    for (std::string_view location :
         {std::string_view("../secret.bin"), std::string_view("sub/../../secret.bin"),
          std::string_view("sub/.."), std::string_view(".."), std::string_view(absolute)})
      expect_refused(8, {{"location", location}}, "outside the model's folder");
    fs::create_symlink(absolute, root_ / "model/link.bin");
    fs::create_symlink("data.bin", root_ / "model/inner.bin");
    fs::create_directory_symlink(root_, root_ / "model/up");
    fs::create_hard_link(absolute, root_ / "model/hard.bin");
    ASSERT_EQ(::mkfifo((root_ / "model/pipe").c_str(), 0600), 0);
    expect_refused(8, {{"location", "link.bin"}}, "links are not followed");
    expect_refused(8, {{"location", "inner.bin"}}, "links are not followed");
    expect_refused(8, {{"location", "up/secret.bin"}}, "links are not followed");
    expect_refused(8, {{"location", "hard.bin"}}, "hard link");
    expect_refused(8, {{"location", "pipe"}}, "not a regular file");
    expect_refused(8, {{"location", "sub"}}, "not a regular file");
    expect_refused(8, {{"location", "missing.bin"}}, "belongs beside the model");
    expect_refused(8, {{"location", std::string_view("data.bin\0x", 10)}}, "zero byte");
    expect_refused(8, {{"location", ""}}, "without a location");
    expect_refused(8, {}, "without a location");
    expect_refused(8, {{"location", "data.bin"}, {"command", "x"}}, "unknown key");
  }
  fs::path root_;
};

TEST_F(External, IsMappedFromTheModelsFolder) {
  EXPECT_EQ(text(4, {{"location", "data.bin"}, {"offset", "2"}, {"length", "4"}}), "2345");
  EXPECT_EQ(text(4, {{"location", "data.bin"}, {"length", "4"}}), "0123");
  EXPECT_EQ(text(3, {{"location", "data.bin"}, {"offset", "12"}}), "cde");
  EXPECT_EQ(text(8, {{"location", "sub/data.bin"}}), "sub-data");
  EXPECT_EQ(text(8, {{"location", "./sub/data.bin"}}), "sub-data");
  EXPECT_EQ(text(0, {{"location", "data.bin"}, {"offset", "16"}, {"length", "0"}}), "");
}

TEST_F(External, OneFileIsMappedOnceAndAnewWhenItChanges) {
  Tensor a = read(16, {{"location", "data.bin"}}), b = read(16, {{"location", "data.bin"}});
  EXPECT_EQ(a.raw(), b.raw());
  fs::remove(root_ / "model/data.bin");
  put("model/data.bin", "fedcba9876543210");
  EXPECT_EQ(text(16, {{"location", "data.bin"}}), "fedcba9876543210");
  EXPECT_EQ(std::memcmp(a.raw(), "0123456789abcdef", 16), 0);
}

TEST_F(External, BoundsAreChecked) {
  auto entries = [](std::string_view offset, std::string_view length) {
    return Entries{{"location", "data.bin"}, {"offset", offset}, {"length", length}};
  };
  expect_refused(4, entries("13", "4"), "is it complete?");
  expect_refused(4, entries("17", "0"), "is it complete?");
  expect_refused(4, entries("9223372036854775807", "4"), "is it complete?");
  expect_refused(4, entries("9223372036854775808", "4"), "offset");
  expect_refused(4, entries("4", "9223372036854775807"), "is it complete?");
  for (const char* bad : {"-1", "1x", "", " 1", "0x1", "1.5", "+1"}) {
    expect_refused(4, entries(bad, "4"), "offset");
    expect_refused(4, entries("0", bad), "length");
  }
  expect_refused(4, entries("0", "5"), "needs 4 bytes");
  expect_refused(17, {{"location", "data.bin"}}, "needs 17 bytes");
}

TEST_F(External, NothingOutsideTheFolderIsRead) { expect_confined(); }

/// Makes openat2 fail as if the kernel did not have it.
bool refuse_openat2() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog filter{std::size(program), program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

TEST_F(External, NorIsItOnKernelsWithoutOpenat2) {
  pid_t child = ::fork();
  if (child == 0) {
    if (!refuse_openat2()) ::_exit(2);
    expect_confined();
    std::string inner = text(8, {{"location", "./sub/data.bin"}});
    std::fflush(stdout);
    ::_exit(HasFailure() || inner != "sub-data");
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 2) GTEST_SKIP() << "no seccomp";
  EXPECT_EQ(status, 0);
}

TEST_F(External, AModelInMemoryHasNoFolder) {
  TensorProto t;
  t.data_type = 2;
  t.dims = {1};
  t.external = true;
  t.external_data = {{"location", "data.bin"}};
  expect_mentions(message_of([&] { to_tensor(t, Model{}); }), "comes from memory");
}

}  // namespace
}  // namespace vitrify::onnx
