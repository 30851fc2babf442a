// One case of ONNX's node tests: a model, and inputs with their outputs in files beside it.
#pragma once

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "builder/builder.h"
#include "node_compare.h"
#include "node_data.h"
#include "onnx/importer.h"
#include "ops/interpreter.h"
#include "runtime/context.h"
#include "runtime/engine_file.h"

namespace vitrify::node_test {

namespace fs = std::filesystem;

enum class Mode { kInterpret, kEngine, kEngineWithoutPasses };

struct Case {
  std::string name;
  fs::path model;
  std::vector<fs::path> data;  ///< folders with input_0.pb …; none: a light model
};

struct Verdict {
  enum class Kind { kPass, kFail, kOut } kind = Kind::kPass;
  std::string reason;
};

inline bool is_training(const onnx::Graph& graph) {
  for (const onnx::Node& n : graph.nodes) {
    if (n.domain == "ai.onnx.preview.training" || n.domain == "ai.onnx.training") return true;
    for (const auto& a : n.attributes)
      if (a.graph && is_training(*a.graph)) return true;
  }
  return false;
}

inline Value load(const fs::path& path, const onnx::TypeProto& type) {
  using Kind = onnx::TypeProto::Kind;
  auto kind = type.kind == Kind::kSequence   ? onnx::ValueFile::kSequence
              : type.kind == Kind::kOptional ? onnx::ValueFile::kOptional
                                             : onnx::ValueFile::kTensor;
  return onnx::load_value(path.string(), kind);
}

/// input_0.pb … or output_0.pb …, in order.
inline std::vector<Value> load_all(const fs::path& folder, std::string_view what,
                                   const std::vector<onnx::ValueInfo>& infos) {
  std::vector<Value> values;
  for (size_t i = 0; i < infos.size(); ++i) {
    fs::path path = folder / cat(what, "_", i, ".pb");
    if (!fs::exists(path)) break;
    values.push_back(load(path, infos[i].type));
  }
  return values;
}

/// The ramp from 0 to 1 that ONNX runs its light models on; unnamed extents are 1.
inline Tensor ramp(const Type& type) {
  Dims dims;
  for (const Dim& d : *type.shape) dims.push_back(d.is_constant() ? d.value() : 1);
  Tensor t(type.dtype, dims);
  for (int64_t i = 0; i < t.size(); ++i) set_double(t, i, double(i) / double(t.size()));
  return t;
}

/// `memory_limit`: as of ContextOptions.
inline std::vector<Value> run_engine(const Graph& graph, const std::vector<Value>& inputs,
                                     bool passes, int64_t memory_limit = 0) {
  BuildOptions options;
  options.timing = false;
  options.passes.enabled = passes;
  Context context(load_engine(build_graph(graph, options).engine), {.memory_limit = memory_limit});
  for (size_t i = 0; i < inputs.size(); ++i) context.set_input(i, inputs[i]).check();
  context.run().check();
  std::vector<Value> outputs;
  for (size_t o = 0; o < graph.outputs.size(); ++o) outputs.push_back(copy_of(context.output(o)));
  return outputs;
}

inline bool has_random(const Graph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const Node& n) {
    return n.op.is<Random>() ||
           std::ranges::any_of(n.op.graphs(), [](const GraphRef& g) { return has_random(*g); });
  });
}

inline std::string judge_random(const Case& c, const std::vector<Value>& in,
                                const std::vector<Value>& got, const std::vector<Value>& want) {
  for (size_t o = 0; o < want.size(); ++o)
    if (got[o].tensor.type() != want[o].tensor.type())
      return cat("output ", o, " is ", got[o].tensor.type().str(), ", expected ",
                 want[o].tensor.type().str());
  if (c.name.starts_with("test_bernoulli")) return judge_bernoulli(in[0].tensor, got[0].tensor);
  if (c.name.starts_with("test_training_dropout")) {
    double ratio = in.size() > 1 && in[1].has_value() ? double_at(in[1].tensor, 0) : 0.5;
    return judge_dropout(in[0].tensor, ratio, got[0].tensor,
                         got.size() > 1 ? &got[1].tensor : nullptr);
  }
  return "no judge for this random op";
}

/// "rtol" and "atol" of the case's own data.json.
inline Tolerance tolerance_of(const Case& c) {
  Tolerance tolerance;
  fs::path folder = c.model.parent_path();
  if (c.data.empty()) folder = folder / "../real" / ("test_" + c.name.substr(strlen("light_")));
  std::ifstream file(folder / "data.json");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  auto read = [&](const char* key, double& value) {
    if (size_t at = text.find(key); at != text.npos)
      value = std::stod(text.substr(text.find(':', at) + 1));
  };
  read("\"rtol\"", tolerance.relative), read("\"atol\"", tolerance.absolute);
  return tolerance;
}

inline std::string compare(const Case& c, const Graph& graph, const std::vector<Value>& inputs,
                           const std::vector<Value>& got, const std::vector<Value>& want) {
  if (want.empty() || want.size() > got.size())
    return cat("has ", got.size(), " outputs, ", want.size(), " are stored");
  if (has_random(graph)) return judge_random(c, inputs, got, want);
  Tolerance tolerance = tolerance_of(c);
  for (size_t o = 0; o < want.size(); ++o)
    if (std::string d = difference(got[o], want[o], tolerance); !d.empty())
      return cat("output ", o, " ", d);
  return "";
}

inline std::vector<Value> run_graph(const Graph& graph, const std::vector<Value>& inputs,
                                    Mode mode) {
  return mode == Mode::kInterpret ? interpret(graph, inputs)
                                  : run_engine(graph, inputs, mode == Mode::kEngine);
}

inline std::string run_light(const Case& c, const onnx::Model& model, const Graph& graph,
                             Mode mode) {
  std::vector<Value> inputs;
  for (const auto& i : graph.inputs) inputs.emplace_back(ramp(graph.type(i.value)));
  fs::path stored = c.model;
  stored.replace_filename(c.model.stem().string() + "_output_0.pb");
  std::vector<Value> want{load(stored, model.graph.outputs.at(0).type)};
  return compare(c, graph, inputs, run_graph(graph, inputs, mode), want);
}

inline std::string run_data(const Case& c, const onnx::Model& model, const Graph& graph,
                            Mode mode) {
  for (const fs::path& folder : c.data) {
    std::vector<Value> inputs = load_all(folder, "input", model.graph.inputs);
    if (inputs.size() < graph.inputs.size())
      return cat("has ", graph.inputs.size(), " inputs, ", inputs.size(), " are stored");
    inputs.resize(graph.inputs.size());
    std::vector<Value> want = load_all(folder, "output", model.graph.outputs);
    std::string d = compare(c, graph, inputs, run_graph(graph, inputs, mode), want);
    if (!d.empty()) return d;
  }
  return "";
}

inline Verdict run_case(const Case& c, Mode mode) {
  try {
    onnx::Model model = onnx::load_model(c.model.string());
    if (is_training(model.graph)) return {Verdict::Kind::kOut, "training operators"};
    Graph graph = onnx::import_model(model, {}, nullptr);
    std::string d =
        c.data.empty() ? run_light(c, model, graph, mode) : run_data(c, model, graph, mode);
    return {d.empty() ? Verdict::Kind::kPass : Verdict::Kind::kFail, d};
  } catch (const std::exception& e) {
    return {Verdict::Kind::kFail, e.what()};
  }
}

}  // namespace vitrify::node_test
