#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "base/error.h"
#include "ir/bools.h"
#include "ops/table.h"
#include "runtime/engine_file.h"
#include "runtime/engine_generated.h"

namespace vitrify {
namespace {

constexpr size_t kMaxNodes = 10'000'000;
constexpr size_t kMaxNestedNodes = 1'000'000;  // of bodies, as often as they are referred to
constexpr int kMaxDepth = 64;

std::string text(const flatbuffers::String* s) { return s ? s->str() : std::string(); }

/// Copies byte by byte: FlatBuffers' verifier does not look at the alignment of elements.
template <class T>
std::vector<T> numbers(const flatbuffers::Vector<T>* v) {
  std::vector<T> out(v ? v->size() : 0);
  if (!out.empty()) std::memcpy(out.data(), v->Data(), out.size() * sizeof(T));
  return out;
}

template <class V>
size_t count(const V* v) {
  return v ? v->size() : 0;
}

/// Memory that reads as zeros and costs nothing: what stands for weights that the engine does not
/// hold.
Tensor stripped_tensor(DType dtype, const Dims& dims) {
  require(dtype != DType::kString, "the engine leaves out a string constant");
  const int64_t bytes = std::max<int64_t>(1, byte_size(dtype, element_count(dims)));
  void* zeros =
      mmap(nullptr, size_t(bytes), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  require(zeros != MAP_FAILED, "the engine leaves out a weight of ", bytes, " bytes: too big");
  std::shared_ptr<const void> owner(
      zeros, [bytes](const void* p) { munmap(const_cast<void*>(p), size_t(bytes)); });
  return Tensor::view(dtype, dims, zeros, std::move(owner));
}

class Decoder {
 public:
  Decoder(const fb::Engine& root, const std::shared_ptr<const MappedFile>& file)
      : root_(root), file_(file) {
    parser_.constant = [this](std::string_view w) { return constants_.at(number(w, '#')); };
    parser_.graph = [this](std::string_view w) { return graphs_.at(number(w, '@')); };
  }

  EngineParts decode(bool check_digests) {
    read_sections(check_digests);
    for (size_t i = 0; i < count(root_.constants()); ++i)
      read_constant(*root_.constants()->Get(flatbuffers::uoffset_t(i)));
    const size_t graph_count = count(root_.graphs());
    require(graph_count > 0, "the engine has no graph");
    for (size_t i = 0; i < graph_count; ++i) {
      graphs_.push_back(std::make_shared<const Graph>(
          read_graph(*root_.graphs()->Get(flatbuffers::uoffset_t(i)))));
      nesting_[graphs_.back().get()] = current_;
    }
    for (size_t i = 0; i + 1 < graph_count; ++i)
      for (const Node& n : graphs_[i]->nodes)
        require(!is_stripped(n), "a body reads weights that the engine does not hold");
    parts_.graph = *graphs_.back();
    for (const Node& n : parts_.graph.nodes) parts_.stripped.push_back(is_stripped(n));
    for (size_t i = 0; i < count(root_.plans()); ++i) {
      const fb::Plan& p = *root_.plans()->Get(flatbuffers::uoffset_t(i));
      if (p.graph() == -1) {
        parts_.plans.push_back(read_plan(p));
        continue;
      }
      require(p.graph() >= 0 && size_t(p.graph()) + 1 < graphs_.size(),
              "a plan of the engine is for a body that is not there");
      parts_.bodies.push_back({graphs_[size_t(p.graph())], read_plan(p)});
    }
    parts_.owner = file_;
    return std::move(parts_);
  }

 private:
  size_t number(std::string_view word, char mark) const {
    const size_t limit = mark == '#' ? constants_.size() : graphs_.size();
    size_t n = 0;
    bool good = word.size() > 1 && word.size() < 10 && word[0] == mark;
    for (size_t i = 1; good && i < word.size(); ++i) {
      good = word[i] >= '0' && word[i] <= '9';
      n = n * 10 + size_t(word[i] - '0');
    }
    require(good && n < limit, "an op of the engine refers to '", word.substr(0, 20),
            "', which is not there");
    return n;
  }

  /// Whoever walks bodies recurses once a level, and walks one as often as it is referred to.
  void enter_body(const Graph& body) {
    const Nesting& inner = nesting_.at(&body);
    current_.depth = std::max(current_.depth, inner.depth + 1);
    current_.nodes += inner.nodes;
    nested_nodes_ += inner.nodes;
    require(current_.depth <= kMaxDepth && nested_nodes_ <= kMaxNestedNodes,
            "the engine's bodies are nested too deeply");
  }

  /// Sections must fill the file between header and metadata without gaps.
  void read_sections(bool check_digests) {
    const auto file = file_->bytes();
    uint64_t expected = uint64_t(kPage);
    for (size_t i = 0; i < count(root_.sections()); ++i) {
      const fb::Section& s = *root_.sections()->Get(flatbuffers::uoffset_t(i));
      const std::string kind = text(s.kind());
      if (kind != "packed" && kind != "source" && s.required())
        fail_unsupported("the engine needs a section '", kind, "' that this build does not know");
      require(s.offset() == expected && s.bytes() % uint64_t(kPage) == 0 &&
                  s.bytes() <= file.size() && s.offset() <= file.size() - s.bytes(),
              "section ", i, " of the engine lies outside of the file");
      const auto bytes = file.subspan(size_t(s.offset()), size_t(s.bytes()));
      if (check_digests) {
        const Digest found = digest(bytes);
        require(s.digest() && found.low == s.digest()->low() && found.high == s.digest()->high(),
                "section ", i, " (", kind, ") of the engine is damaged");
      }
      parts_.sections.push_back(bytes);
      expected += s.bytes();
    }
    sections_end_ = expected;
  }

  void read_constant(const fb::Constant& c) {
    auto data = std::make_shared<ConstantData>();
    data->id = c.id();
    data->name = text(c.name());
    require(c.id() >= 0 && c.id() < (int64_t{1} << 62),
            "a constant of the engine has a bad number");
    require(c.dtype() > 0 && c.dtype() < kDTypeCount, "a constant has an unknown element type");
    const DType dtype = DType(c.dtype());
    const Dims dims = numbers(c.dims());
    require(dims.size() <= kMaxRank, "a constant has rank ", dims.size());
    const int64_t elements = element_count(dims);
    if (c.stripped()) {
      data->tensor = stripped_tensor(dtype, dims);
      stripped_ids_.insert(data.get());
    } else if (dtype == DType::kString) {
      require(int64_t(count(c.strings())) == elements, "a string constant has ", count(c.strings()),
              " strings for the shape ", str(dims));
      std::vector<std::string> strings;
      for (const auto* s : *c.strings()) strings.push_back(text(s));
      data->tensor = Tensor::strings(dims, std::move(strings));
    } else {
      data->tensor = stored_tensor(dtype, dims, elements, c.data());
    }
    constants_.push_back(std::move(data));
  }

  Tensor stored_tensor(DType dtype, const Dims& dims, int64_t elements,
                       const fb::Blob* blob) const {
    const int64_t bytes = byte_size(dtype, elements);
    if (bytes == 0) return Tensor(dtype, dims);
    require(blob && blob->section() >= 0 && size_t(blob->section()) < parts_.sections.size(),
            "a constant lies in a section that is not there");
    const auto section = parts_.sections[size_t(blob->section())];
    require(blob->bytes() == bytes && bytes <= int64_t(section.size()) && blob->offset() >= 0 &&
                blob->offset() % kWeightAlignment == 0 &&
                blob->offset() <= int64_t(section.size()) - bytes,
            "a constant lies outside of its section");
    return with_normal_bools(Tensor::view(dtype, dims, section.data() + blob->offset(), file_));
  }

  static ValueId value(const fb::ValueRef& v) { return {v.node(), v.output()}; }

  /// A value of the graph so far; node -1 only where `optional`.
  static ValueId checked(const Graph& graph, const fb::ValueRef* v, bool optional) {
    require(v != nullptr, "the engine leaves out a value");
    if (optional && v->node() == -1) return {};
    require(v->node() >= 0 && size_t(v->node()) < graph.nodes.size() && v->output() >= 0 &&
                size_t(v->output()) < graph.nodes[size_t(v->node())].types.size(),
            "the engine refers to a value that is not there");
    return value(*v);
  }

  Graph read_graph(const fb::Graph& g) {
    GraphBuilder builder = make_builder();
    builder.graph().name = text(g.name());
    require(g.next_symbol() >= 0 && g.next_symbol() < (int64_t{1} << 62) &&
                g.next_constant() >= 0 && g.next_constant() < (int64_t{1} << 62),
            "the engine's counters are out of range");
    builder.graph().next_symbol = g.next_symbol();
    builder.graph().next_constant = g.next_constant();
    const size_t nodes = count(g.nodes());
    require(nodes <= kMaxNodes, "the engine has too many nodes");
    current_ = {1, nodes};
    for (size_t n = 0; n < nodes; ++n)
      read_node(builder, *g.nodes()->Get(flatbuffers::uoffset_t(n)), int32_t(n));
    check_inputs(builder.graph(), g);
    for (size_t i = 0; i < count(g.outputs()); ++i) {
      const fb::Named& o = *g.outputs()->Get(flatbuffers::uoffset_t(i));
      builder.output(text(o.name()), checked(builder.graph(), o.value(), false));
    }
    read_names(builder.graph(), g);
    Graph graph = builder.finish();
    require(graph.nodes.size() == nodes, "the engine's graph has nodes that nothing needs");
    return graph;
  }

  void check_inputs(const Graph& graph, const fb::Graph& g) const {
    require(graph.inputs.size() == count(g.inputs()), "the engine's inputs do not match its graph");
    for (size_t i = 0; i < graph.inputs.size(); ++i) {
      const fb::Named& in = *g.inputs()->Get(flatbuffers::uoffset_t(i));
      require(in.value() && value(*in.value()) == graph.inputs[i].value &&
                  text(in.name()) == graph.inputs[i].name,
              "the engine's inputs do not match its graph");
    }
  }

  void read_names(Graph& graph, const fb::Graph& g) const {
    for (size_t i = 0; i < count(g.states()); ++i) {
      const fb::State& s = *g.states()->Get(flatbuffers::uoffset_t(i));
      graph.states.push_back({text(s.input()), text(s.output())});
    }
    for (size_t i = 0; i < count(g.value_names()); ++i) {
      const fb::Named& v = *g.value_names()->Get(flatbuffers::uoffset_t(i));
      graph.value_names.emplace(checked(graph, v.value(), false), text(v.name()));
    }
    for (size_t i = 0; i < count(g.permutations()); ++i) {
      const fb::Permutation& p = *g.permutations()->Get(flatbuffers::uoffset_t(i));
      graph.onnx_permutations.emplace(checked(graph, p.value(), false), numbers(p.axes()));
    }
  }

  void read_node(GraphBuilder& builder, const fb::Node& n, int32_t index) {
    Op op = parse_op(text(n.op()), parser_);
    for (const GraphRef& body : op.graphs())
      if (body) enter_body(*body);
    Node stored{op, {}, {}, {}, {}};
    for (size_t i = 0; i < count(n.types()); ++i)
      stored.types.push_back(Type::parse(text(n.types()->Get(flatbuffers::uoffset_t(i)))));
    require(!stored.types.empty() && stored.types.size() < 65536, "a node has no outputs");
    for (size_t i = 0; i < count(n.origins()); ++i) {
      const uint32_t o = n.origins()->Get(flatbuffers::uoffset_t(i));
      require(o < count(root_.origins()), "a node names an origin that is not there");
      stored.origins.push_back(text(root_.origins()->Get(o)));
    }
    for (size_t i = 0; i < count(n.inputs()); ++i)
      stored.inputs.push_back(
          checked(builder.graph(), n.inputs()->Get(flatbuffers::uoffset_t(i)), true));
    const ValueId added = add_node(builder, stored);
    require(added == ValueId{index, 0}, "node ", index, " of the engine is there twice");
    check_types(builder.graph().nodes[size_t(index)], stored, index);
  }

  static ValueId add_node(GraphBuilder& builder, const Node& stored) {
    if (auto* input = stored.op.as<Input>()) {
      require(stored.inputs.empty() && stored.types.size() == 1, "an input has inputs");
      return builder.input(input->name, stored.types[0]);
    }
    if (auto* constant = stored.op.as<Constant>()) {
      require(constant->data != nullptr && stored.inputs.empty(), "a constant has no data");
      const ValueId v = builder.constant(constant->data);
      builder.graph().nodes[size_t(v.node)].origins = stored.origins;
      return v;
    }
    for (const GraphRef& body : stored.op.graphs())
      require(body != nullptr, "an op of the engine has no body");
    return builder.add(stored.op, stored.inputs, stored.origins, int(stored.types.size()), &stored);
  }

  static void check_types(const Node& inferred, const Node& stored, int32_t index) {
    require(inferred.types.size() == stored.types.size(), "node ", index, " of the engine has ",
            stored.types.size(), " outputs, not ", inferred.types.size());
    for (size_t o = 0; o < stored.types.size(); ++o)
      require(inferred.types[o] == stored.types[o], "output ", o, " of node ", index, " (",
              inferred.op.label(), ") has type ", inferred.types[o].str(), ", the engine says ",
              stored.types[o].str());
  }

  Plan read_plan(const fb::Plan& p) const {
    Plan plan;
    for (size_t i = 0; i < count(p.profile()); ++i) {
      const fb::Range& r = *p.profile()->Get(flatbuffers::uoffset_t(i));
      InputRange range{text(r.name()), numbers(r.min()), numbers(r.opt()), numbers(r.max())};
      require(range.min.size() == range.opt.size() && range.min.size() == range.max.size() &&
                  range.min.size() <= kMaxRank,
              "a profile of the engine has ranges of different rank");
      plan.profile.inputs.push_back(std::move(range));
    }
    for (size_t i = 0; i < count(p.steps()); ++i) {
      const fb::Step& s = *p.steps()->Get(flatbuffers::uoffset_t(i));
      Step step{s.node(), text(s.tactic()), s.version(), text(s.config()), {}};
      if (s.packed())
        step.packed = {s.packed()->section(), s.packed()->offset(), s.packed()->bytes()};
      plan.steps.push_back(std::move(step));
    }
    for (size_t i = 0; i < count(p.aliases()); ++i) {
      const fb::Alias& a = *p.aliases()->Get(flatbuffers::uoffset_t(i));
      require(a.kind() <= uint8_t(Alias::Kind::kConcat), "the plan has an alias of unknown kind");
      plan.aliases.push_back({Alias::Kind(a.kind()), value(a.value()), a.input(), a.node()});
    }
    return plan;
  }

  const fb::Engine& root_;
  const std::shared_ptr<const MappedFile>& file_;
  OpParser parser_;
  EngineParts parts_;
  std::vector<ConstantRef> constants_;
  std::vector<GraphRef> graphs_;
  bool is_stripped(const Node& node) const {
    auto* c = node.op.as<Constant>();
    return c && stripped_ids_.count(c->data.get()) > 0;
  }
  std::set<const ConstantData*> stripped_ids_;
  struct Nesting {
    int depth = 0;     ///< of bodies, this one included
    size_t nodes = 0;  ///< of this body and all inside it, counted as often as they are referred to
  };
  std::map<const Graph*, Nesting> nesting_;
  Nesting current_;
  size_t nested_nodes_ = 0;

 public:
  uint64_t sections_end_ = 0;
};

}  // namespace

EngineParts decode_metadata(std::span<const std::byte> metadata,
                            const std::shared_ptr<const MappedFile>& file, bool check_digests) {
  require(int64_t(metadata.size()) <= kMaxMetadata, "the engine's metadata is too big");
  const auto* data = reinterpret_cast<const uint8_t*>(metadata.data());
  flatbuffers::Verifier verifier(data, metadata.size(), 32, 64'000'000);
  require(metadata.size() >= 16 && fb::VerifyEngineBuffer(verifier),
          "the engine's metadata is malformed");
  Decoder decoder(*fb::GetEngine(data), file);
  EngineParts parts = decoder.decode(check_digests);
  require(decoder.sections_end_ == uint64_t(metadata.data() - file->bytes().data()),
          "the engine's sections do not end where its metadata starts");
  return parts;
}

}  // namespace vitrify
