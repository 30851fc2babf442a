#include <unordered_map>

#include "base/error.h"
#include "runtime/engine_file.h"
#include "runtime/engine_generated.h"

namespace vitrify {
namespace {

void list_into(const Graph& graph, std::vector<const Graph*>& out, int depth) {
  require(depth < 64, "bodies are nested more than 64 deep");
  for (const Graph* known : out)
    if (known == &graph) return;
  for (const Node& n : graph.nodes)
    for (const GraphRef& body : n.op.graphs())
      if (body) list_into(*body, out, depth + 1);
  out.push_back(&graph);
}

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

fb::ValueRef ref(ValueId v) { return {v.node, v.output}; }
fb::Blob ref(const Blob& b) { return {b.section, b.offset, b.bytes}; }
fb::Digest ref(const Digest& d) { return {d.low, d.high}; }

class Encoder {
 public:
  Encoder(const std::vector<StoredConstant>& constants, const std::vector<const Graph*>& graphs)
      : constants_(constants), graphs_(graphs) {
    for (size_t i = 0; i < constants.size(); ++i) constant_number_[constants[i].data.get()] = i;
    for (size_t i = 0; i < graphs.size(); ++i) graph_number_[graphs[i]] = i;
    printer_.constant = [this](const ConstantRef& c) {
      return cat('#', constant_number_.at(c.get()));
    };
    printer_.graph = [this](const GraphRef& g) { return cat('@', graph_number_.at(g.get())); };
  }

  std::vector<std::byte> encode(const std::vector<Plan>& plans, const std::vector<BodyPlan>& bodies,
                                const std::vector<SectionInfo>& sections) {
    std::vector<Offset<fb::Section>> section_list;
    for (const SectionInfo& s : sections) {
      const fb::Digest digest = ref(s.digest);
      section_list.push_back(fb::CreateSection(fbb_, text(s.kind), true, uint64_t(s.offset),
                                               uint64_t(s.bytes), &digest));
    }
    std::vector<Offset<fb::Constant>> constant_list;
    for (const StoredConstant& c : constants_) constant_list.push_back(constant(c));
    std::vector<Offset<fb::Graph>> graph_list;
    for (const Graph* g : graphs_) graph_list.push_back(graph(*g));
    std::vector<Offset<fb::Plan>> plan_list;
    for (const Plan& p : plans) plan_list.push_back(plan(p, -1));
    for (const BodyPlan& b : bodies)
      plan_list.push_back(plan(b.plan, int32_t(graph_number_.at(b.graph.get()))));
    std::vector<Offset<flatbuffers::String>> origins;
    for (const auto& o : origins_) origins.push_back(text(o));
    const auto root = fb::CreateEngine(fbb_, text("vitrify"), fbb_.CreateVector(section_list),
                                       fbb_.CreateVector(origins), fbb_.CreateVector(constant_list),
                                       fbb_.CreateVector(graph_list), fbb_.CreateVector(plan_list));
    fb::FinishEngineBuffer(fbb_, root);
    const auto bytes = std::as_bytes(std::span(fbb_.GetBufferPointer(), fbb_.GetSize()));
    return {bytes.begin(), bytes.end()};
  }

 private:
  Offset<flatbuffers::String> text(std::string_view s) {
    require(fbb_.GetSize() < size_t(kMaxMetadata), "the engine's metadata exceeds ", kMaxMetadata,
            " bytes");
    return fbb_.CreateString(s.data(), s.size());
  }

  Offset<fb::Constant> constant(const StoredConstant& c) {
    const Tensor& t = c.data->tensor;
    std::vector<Offset<flatbuffers::String>> strings;
    if (t.dtype() == DType::kString)
      for (const auto& s : t.span<std::string>()) strings.push_back(text(s));
    const fb::Blob blob = ref(c.blob);
    return fb::CreateConstant(fbb_, c.data->id, text(c.data->name), uint8_t(t.dtype()),
                              fbb_.CreateVector(t.dims()), &blob, fbb_.CreateVector(strings),
                              c.stripped);
  }

  uint32_t origin(const std::string& name) {
    auto [at, added] = origin_number_.emplace(name, uint32_t(origins_.size()));
    if (added) origins_.push_back(name);
    return at->second;
  }

  Offset<fb::Node> node(const Node& n) {
    std::vector<fb::ValueRef> inputs;
    for (ValueId v : n.inputs) inputs.push_back(ref(v));
    std::vector<Offset<flatbuffers::String>> types;
    for (const Type& t : n.types) types.push_back(text(t.str()));
    std::vector<uint32_t> origins;
    for (const auto& o : n.origins) origins.push_back(origin(o));
    return fb::CreateNode(fbb_, text(print(n.op, printer_)), fbb_.CreateVectorOfStructs(inputs),
                          fbb_.CreateVector(types), fbb_.CreateVector(origins));
  }

  Offset<fb::Named> named(const std::string& name, ValueId v) {
    const fb::ValueRef value = ref(v);
    return fb::CreateNamed(fbb_, text(name), &value);
  }

  Offset<fb::Graph> graph(const Graph& g) {
    std::vector<Offset<fb::Node>> nodes;
    for (const Node& n : g.nodes) nodes.push_back(node(n));
    std::vector<Offset<fb::Named>> inputs, outputs, names;
    for (const auto& v : g.inputs) inputs.push_back(named(v.name, v.value));
    for (const auto& v : g.outputs) outputs.push_back(named(v.name, v.value));
    for (const auto& [v, name] : g.value_names) names.push_back(named(name, v));
    std::vector<Offset<fb::State>> states;
    for (const auto& s : g.states)
      states.push_back(fb::CreateState(fbb_, text(s.input), text(s.output)));
    std::vector<Offset<fb::Permutation>> permutations;
    for (const auto& [v, axes] : g.onnx_permutations) {
      const fb::ValueRef value = ref(v);
      permutations.push_back(fb::CreatePermutation(fbb_, &value, fbb_.CreateVector(axes)));
    }
    return fb::CreateGraph(fbb_, text(g.name), fbb_.CreateVector(nodes), fbb_.CreateVector(inputs),
                           fbb_.CreateVector(outputs), fbb_.CreateVector(states),
                           fbb_.CreateVector(names), fbb_.CreateVector(permutations), g.next_symbol,
                           g.next_constant);
  }

  Offset<fb::Plan> plan(const Plan& p, int32_t graph) {
    std::vector<Offset<fb::Range>> ranges;
    for (const InputRange& r : p.profile.inputs)
      ranges.push_back(fb::CreateRange(fbb_, text(r.name), fbb_.CreateVector(r.min),
                                       fbb_.CreateVector(r.opt), fbb_.CreateVector(r.max)));
    std::vector<Offset<fb::Step>> steps;
    for (const Step& s : p.steps) {
      const fb::Blob packed = ref(s.packed);
      steps.push_back(
          fb::CreateStep(fbb_, s.node, text(s.tactic), s.version, text(s.config), &packed));
    }
    std::vector<fb::Alias> aliases;
    for (const Alias& a : p.aliases)
      aliases.emplace_back(uint8_t(a.kind), ref(a.value), a.input, a.node);
    return fb::CreatePlan(fbb_, fbb_.CreateVector(ranges), fbb_.CreateVector(steps),
                          fbb_.CreateVectorOfStructs(aliases), graph);
  }

  const std::vector<StoredConstant>& constants_;
  const std::vector<const Graph*>& graphs_;
  FlatBufferBuilder fbb_;
  OpPrinter printer_;
  std::unordered_map<const ConstantData*, size_t> constant_number_;
  std::unordered_map<const Graph*, size_t> graph_number_;
  std::vector<std::string> origins_;
  std::unordered_map<std::string, uint32_t> origin_number_;
};

}  // namespace

std::vector<const Graph*> list_graphs(const Graph& graph) {
  std::vector<const Graph*> out;
  list_into(graph, out, 0);
  return out;
}

std::vector<ConstantRef> list_constants(const std::vector<const Graph*>& graphs) {
  std::vector<ConstantRef> out;
  std::unordered_map<const ConstantData*, bool> seen;
  OpPrinter printer;
  printer.graph = [](const GraphRef&) { return std::string("@"); };
  printer.constant = [&](const ConstantRef& c) {
    if (!std::exchange(seen[c.get()], true)) out.push_back(c);
    return std::string("#");
  };
  for (const Graph* g : graphs)
    for (const Node& n : g->nodes) print(n.op, printer);
  return out;
}

std::vector<std::byte> encode_metadata(const Graph& graph, const std::vector<Plan>& plans,
                                       const std::vector<BodyPlan>& bodies,
                                       const std::vector<StoredConstant>& constants,
                                       const std::vector<SectionInfo>& sections) {
  const std::vector<const Graph*> graphs = list_graphs(graph);
  std::vector<std::byte> bytes = Encoder(constants, graphs).encode(plans, bodies, sections);
  require(int64_t(bytes.size()) <= kMaxMetadata, "the engine's metadata exceeds ", kMaxMetadata,
          " bytes");
  return bytes;
}

}  // namespace vitrify
