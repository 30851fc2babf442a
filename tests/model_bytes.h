// Small ONNX models as bytes, for tests that see nothing but the public interface.
#pragma once

#include <cstdint>
#include <fstream>
#include <protozero/pbf_writer.hpp>
#include <string>
#include <vector>

namespace model_bytes {

using protozero::pbf_writer;

/// Element types as ONNX numbers them.
enum { kFloat = 1, kInt64 = 7, kString = 8, kBool = 9 };

/// Types around the tensor's, the innermost last: {kOptional, kSequence} is optional(seq(…)).
enum Wrap { kSequence = 4, kOptional = 9 };  // as TypeProto numbers them

struct Info {
  std::string name;
  int type = kFloat;
  std::vector<std::string> dims;  ///< numbers or names
  std::vector<Wrap> wraps = {};
};
struct Node {
  std::string op;
  std::vector<std::string> inputs, outputs;
  std::string domain = {};
  std::vector<std::pair<std::string, int64_t>> ints = {};
};
struct Weight {
  std::string name;
  std::vector<int64_t> dims;
  std::vector<float> values;
};
struct Model {
  std::vector<Info> inputs, outputs;
  std::vector<Node> nodes;
  std::vector<Weight> weights = {};
};

inline std::string info_bytes(const Info& info) {
  std::string shape, tensor, type, out;
  for (const auto& d : info.dims) {
    std::string dim;
    if (d[0] >= '0' && d[0] <= '9')
      pbf_writer(dim).add_int64(1, std::stoll(d));
    else
      pbf_writer(dim).add_string(2, d);
    pbf_writer(shape).add_message(1, dim);
  }
  pbf_writer(tensor).add_int32(1, info.type);
  pbf_writer(tensor).add_message(2, shape);
  pbf_writer(type).add_message(1, tensor);
  for (size_t i = info.wraps.size(); i-- > 0;) {
    std::string wrap, wrapped;
    pbf_writer(wrap).add_message(1, type);
    pbf_writer(wrapped).add_message(uint32_t(info.wraps[i]), wrap);
    type = wrapped;
  }
  pbf_writer(out).add_string(1, info.name);
  pbf_writer(out).add_message(2, type);
  return out;
}

inline std::string node_bytes(const Node& node) {
  std::string out;
  pbf_writer w(out);
  for (const auto& i : node.inputs) w.add_string(1, i);
  for (const auto& o : node.outputs) w.add_string(2, o);
  w.add_string(3, node.op + "_" + node.outputs[0]);
  w.add_string(4, node.op);
  for (const auto& [name, value] : node.ints) {
    std::string a;
    pbf_writer(a).add_string(1, name);
    pbf_writer(a).add_int64(3, value);
    pbf_writer(a).add_int32(20, 2);
    w.add_message(5, a);
  }
  if (!node.domain.empty()) w.add_string(7, node.domain);
  return out;
}

inline std::string weight_bytes(const Weight& weight) {
  std::string out;
  pbf_writer w(out);
  for (int64_t d : weight.dims) w.add_int64(1, d);
  w.add_int32(2, kFloat);
  w.add_string(8, weight.name);
  w.add_bytes(9, reinterpret_cast<const char*>(weight.values.data()),
              weight.values.size() * sizeof(float));
  return out;
}

inline std::string to_bytes(const Model& model) {
  std::string graph, out;
  pbf_writer g(graph);
  for (const auto& n : model.nodes) g.add_message(1, node_bytes(n));
  g.add_string(2, "test");
  for (const auto& weight : model.weights) g.add_message(5, weight_bytes(weight));
  for (const auto& i : model.inputs) g.add_message(11, info_bytes(i));
  for (const auto& o : model.outputs) g.add_message(12, info_bytes(o));
  pbf_writer w(out);
  w.add_int64(1, 8);
  w.add_message(7, graph);
  for (const auto& [domain, version] : std::vector<std::pair<std::string, int64_t>>{
           {"", 17}, {"test.ops", 1}, {"example.ops", 1}}) {
    std::string opset;
    pbf_writer(opset).add_string(1, domain);
    pbf_writer(opset).add_int64(2, version);
    w.add_message(8, opset);
  }
  return out;
}

inline void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// y = relu(x · w) + x with x [n, 3].
inline Model small_model() {
  Model m;
  m.inputs = {{"x", kFloat, {"n", "3"}}};
  m.outputs = {{"y", kFloat, {"n", "3"}}};
  m.weights = {{"w", {3, 3}, {1, 0, 0, 0, 2, 0, 0, 0, -1}}};
  m.nodes = {{"MatMul", {"x", "w"}, {"a"}}, {"Relu", {"a"}, {"b"}}, {"Add", {"b", "x"}, {"y"}}};
  return m;
}

}  // namespace model_bytes
