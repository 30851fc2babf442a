#include "api/build/kernels.h"

#include <algorithm>

#include "backend/backend.h"
#include "base/error.h"
#include "ops/table.h"
#include "runtime/layout.h"

namespace vitrify::api {
namespace {

/// What users think of as one kind of data.
std::string type_class(DType t) {
  if (t == DType::kFloat16 || t == DType::kBFloat16) return "f16/bf16";
  if (t == DType::kInt8 || t == DType::kUint8) return "i8/u8";
  if (is_integer(t) && !is_sub_byte(t)) return "i16…u64";
  if (t == DType::kFloat32 || t == DType::kFloat64 || t == DType::kBool || t == DType::kString)
    return std::string(vitrify::name(t));
  return "others";
}

/// The type that the sample is about: of its first input that is no condition.
DType main_type(const Sample& sample, const Graph& graph) {
  for (const Tensor& t : sample.inputs)
    if (t.defined() && t.dtype() != DType::kBool) return t.dtype();
  return sample.inputs.empty() ? graph.type(graph.outputs[0].value).dtype : DType::kBool;
}

Graph make_graph(const Sample& sample, bool constants) {
  GraphBuilder b = make_builder();
  std::vector<ValueId> inputs;
  for (const Tensor& t : sample.inputs)
    inputs.push_back(!t.defined()                     ? ValueId{}
                     : constants && inputs.size() > 0 ? b.constant(t)
                                                      : b.input(cat("x", inputs.size()), t.type()));
  const ValueId y = b.add(sample.op, inputs, {}, sample.outputs);
  for (int o = 0; o < sample.outputs; ++o) b.output(cat("y", o), {y.node, o});
  return b.finish();
}

bool takes(const Backend& backend, const Graph& graph) {
  const int32_t n = graph.outputs[0].value.node;
  const NodeInfo info(graph, n);
  for (const Tactic& tactic : backend.tactics())
    if (tactic.op == graph.nodes[size_t(n)].op.name() && tactic.supports(info.view()).empty())
      return true;
  return false;
}

void add_sample(const Sample& sample, Json& kernels) {
  if (const Body* body = sample.op.body(); body && !body->empty()) return;
  const Graph given = make_graph(sample, false), constant = make_graph(sample, true);
  Json& row = kernels[sample.op.label()];
  for (const Backend* backend : backends()) {
    Json& entry = row[std::string(backend->name())][type_class(main_type(sample, given))];
    if (takes(*backend, given) || takes(*backend, constant))
      entry = "fast";
    else if (entry.is_null())
      entry = "reference";
  }
}

/// An op without samples: of sequences, or with graphs inside.
void add_whole(std::string_view op, Json& kernels) {
  for (const Backend* backend : backends()) {
    const bool fast =
        std::ranges::any_of(backend->tactics(), [&](const Tactic& t) { return t.op == op; });
    kernels[std::string(op)][std::string(backend->name())]["all"] = fast ? "fast" : "reference";
  }
}

std::string plain(std::string_view name) {
  std::string text;
  for (char c : name)
    if (c != '_') text += c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
  return text;
}

}  // namespace

Json describe_kernels() {
  Json kernels = Json::object();
  for (size_t i = 0; i < op_count(); ++i) {
    const OpInfo& info = op_info(i);
    if (info.samples)
      for (const Sample& sample : info.samples(1)) add_sample(sample, kernels);
    else if (info.reference)
      add_whole(info.name, kernels);
  }
  return kernels;
}

Json find_kernels(const Json& kernels, std::string_view onnx_op) {
  for (const auto& row : kernels.items())
    if (plain(row.key()) == plain(onnx_op)) return row.value();
  return nullptr;
}

}  // namespace vitrify::api
