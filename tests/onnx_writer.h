// Writes small ONNX models for tests, field by field as onnx.proto numbers them.
#pragma once

#include <cstring>
#include <protozero/pbf_writer.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "onnx/importer.h"
#include "ops/interpreter.h"

namespace vitrify::onnx::testing {

/// A message under construction: `Message().string(1, "x").number(2, 7)`.
class Message {
 public:
  Message& number(uint32_t tag, int64_t v) {
    protozero::pbf_writer(data_).add_int64(tag, v);
    return *this;
  }
  Message& real(uint32_t tag, float v) {
    protozero::pbf_writer(data_).add_float(tag, v);
    return *this;
  }
  Message& string(uint32_t tag, const std::string& v) {
    protozero::pbf_writer(data_).add_bytes(tag, v);
    return *this;
  }
  Message& sub(uint32_t tag, const Message& v) { return string(tag, v.data_); }
  const std::string& data() const { return data_; }

 private:
  std::string data_;
};

/// An extent: a number, a name, or neither ("").
struct Extent {
  int64_t value = -1;
  std::string name;
  Extent(int v) : value(v) {}         // NOLINT: implicit
  Extent(int64_t v) : value(v) {}     // NOLINT: implicit
  Extent(const char* n) : name(n) {}  // NOLINT: implicit
};

inline Message tensor_type(DType dtype, const std::vector<Extent>& extents) {
  Message shape;
  for (const Extent& e : extents) {
    Message dim;
    if (!e.name.empty())
      dim.string(2, e.name);
    else if (e.value != -1)
      dim.number(1, e.value);
    shape.sub(1, dim);
  }
  return Message().sub(1, Message().number(1, int(dtype)).sub(2, shape));
}
inline Message unranked_type(DType dtype) {
  return Message().sub(1, Message().number(1, int(dtype)));
}
inline Message sequence_type(const Message& element) {
  return Message().sub(4, Message().sub(1, element));
}
inline Message value_info(const std::string& name, const Message& type) {
  return Message().string(1, name).sub(2, type);
}

inline Message tensor(const std::string& name, const Tensor& t) {
  Message m;
  for (int64_t d : t.dims()) m.number(1, d);
  m.number(2, int(t.dtype())).string(8, name);
  m.string(9, std::string(reinterpret_cast<const char*>(t.raw()), t.bytes()));
  return m;
}

inline Message attribute(const std::string& name, int64_t v) {
  return Message().string(1, name).number(3, v).number(20, 2);
}
inline Message attribute(const std::string& name, float v) {
  return Message().string(1, name).real(2, v).number(20, 1);
}
inline Message attribute(const std::string& name, const std::vector<int64_t>& v) {
  Message m = Message().string(1, name).number(20, 7);
  for (int64_t i : v) m.number(8, i);
  return m;
}
inline Message attribute(const std::string& name, const Tensor& t) {
  return Message().string(1, name).sub(5, tensor("", t)).number(20, 4);
}
inline Message graph_attribute(const std::string& name, const Message& graph) {
  return Message().string(1, name).sub(6, graph).number(20, 5);
}
inline Message attribute_reference(const std::string& name, const std::string& of, int kind) {
  return Message().string(1, name).string(21, of).number(20, kind);
}

using Names = std::vector<std::string>;

inline Message node(const std::string& op, const Names& inputs, const Names& outputs,
                    const std::vector<Message>& attributes = {}, const std::string& domain = "",
                    const std::string& name = "") {
  Message m;
  for (const auto& i : inputs) m.string(1, i);
  for (const auto& o : outputs) m.string(2, o);
  if (!name.empty()) m.string(3, name);
  m.string(4, op);
  for (const auto& a : attributes) m.sub(5, a);
  if (!domain.empty()) m.string(7, domain);
  return m;
}

struct GraphParts {
  std::vector<Message> nodes, inputs, outputs, initializers;
};
inline Message graph(const GraphParts& parts, const std::string& name = "g") {
  Message m;
  for (const auto& n : parts.nodes) m.sub(1, n);
  m.string(2, name);
  for (const auto& t : parts.initializers) m.sub(5, t);
  for (const auto& i : parts.inputs) m.sub(11, i);
  for (const auto& o : parts.outputs) m.sub(12, o);
  return m;
}

inline Message opset(const std::string& domain, int64_t version) {
  return Message().string(1, domain).number(2, version);
}

inline Message function(const std::string& domain, const std::string& name, const Names& inputs,
                        const Names& outputs, const std::vector<Message>& nodes,
                        const Names& attributes = {}, int64_t version = 18) {
  Message m;
  m.string(1, name);
  for (const auto& i : inputs) m.string(4, i);
  for (const auto& o : outputs) m.string(5, o);
  for (const auto& a : attributes) m.string(6, a);
  for (const auto& n : nodes) m.sub(7, n);
  m.sub(9, opset("", version)).string(10, domain).sub(9, opset("local", 1));
  return m;
}

/// A whole model's bytes.
inline std::string model(const Message& graph, int64_t version = 18, int64_t ir = 8,
                         const std::vector<Message>& functions = {}) {
  Message m;
  m.number(1, ir).sub(7, graph).sub(8, opset("", version));
  if (!functions.empty()) m.sub(8, opset("local", 1));
  for (const auto& f : functions) m.sub(25, f);
  return m.data();
}

/// Imports bytes; the model outlives the graph through its tensors' owners.
inline vitrify::Graph import_bytes(const std::string& bytes, const ImportOptions& options = {},
                                   std::vector<ImportProblem>* problems = nullptr) {
  auto owner = std::make_shared<const std::string>(bytes);
  Model m = parse_model(std::as_bytes(std::span(*owner)), owner);
  return import_model(m, options, problems);
}

}  // namespace vitrify::onnx::testing
