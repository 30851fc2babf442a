// Engine files that somebody has edited with care: metadata taken apart, changed where it means
// something, its types inferred again, and sealed with fitting digests. Whatever was changed, the
// file is refused, fails with an error, or runs: it never does harm.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <random>

#include "backend/backend.h"
#include "builder/builder.h"
#include "hostile_engine.h"
#include "ops/table.h"
#include "random_graph.h"
#include "runtime/engine_generated.h"

namespace vitrify {
namespace {

using hostile::Bytes;
using Rng = std::mt19937_64;

constexpr int64_t kOdd[] = {
    -1,        0,  1,   2,         3,         4,         5,         7,         8,        16,
    63,        64, 100, 1000,      4095,      4096,      65536,     1 << 21,   1 << 22,  1 << 30,
    INT32_MAX, -2, -3,  INT32_MIN, INT64_MAX, INT64_MIN, 1ll << 40, 1ll << 62, 3ll << 31};

template <class Container>
auto& pick(Container& from, Rng& rng) {
  return *(std::begin(from) + long(rng() % std::size(from)));
}

/// An engine file taken apart.
class Editor {
 public:
  explicit Editor(const MappedFile& file)
      : bytes_(file.bytes().begin(), file.bytes().end()),
        engine_(load_engine(hostile::as_file(bytes_))),
        graphs_(list_graphs(engine_->graph())),
        constants_(list_constants(graphs_)) {
    const EngineHeader header = hostile::header_of(bytes_);
    const auto* metadata = bytes_.data() + header.metadata_offset;
    fb::GetEngine(metadata)->UnPackTo(&edited);
  }
  fb::EngineT edited;

  fb::GraphT& graph() { return *edited.graphs.back(); }

  /// Makes the types of the last graph what inference says, as far as the nodes are legal.
  void infer_types() {
    OpParser parser;
    parser.constant = [this](std::string_view w) { return constants_.at(index(w)); };
    parser.graph = [this](std::string_view w) {
      return std::make_shared<const Graph>(*graphs_.at(index(w)));
    };
    GraphBuilder builder = make_builder();
    try {
      for (auto& n : graph().nodes) {
        const Op op = parse_op(n->op, parser);
        ValueId v;
        if (auto* input = op.as<Input>())
          v = builder.input(input->name, Type::parse(n->types.at(0)));
        else if (auto* constant = op.as<Constant>())
          v = builder.constant(constant->data);
        else
          v = builder.add(op, inputs(builder.graph(), *n), {}, int(n->types.size()));
        n->types.clear();
        for (const Type& t : builder.graph().nodes[size_t(v.node)].types)
          n->types.push_back(t.str());
      }
    } catch (const Error&) {
    } catch (const std::out_of_range&) {
    }
  }

  Bytes seal() const {
    EngineHeader header = hostile::header_of(bytes_);
    flatbuffers::FlatBufferBuilder builder;
    fb::FinishEngineBuffer(builder, fb::Engine::Pack(builder, &edited));
    Bytes out(bytes_.begin(), bytes_.begin() + header.metadata_offset);
    const auto* metadata = reinterpret_cast<const std::byte*>(builder.GetBufferPointer());
    out.insert(out.end(), metadata, metadata + builder.GetSize());
    out.resize((out.size() + kPage - 1) / kPage * kPage);
    header.metadata_bytes = builder.GetSize();
    header.file_bytes = int64_t(out.size());
    std::memcpy(out.data(), &header, sizeof header);
    hostile::reseal(out);
    return out;
  }

 private:
  static size_t index(std::string_view word) {
    return size_t(std::strtoull(std::string(word.substr(1)).c_str(), nullptr, 10));
  }
  static std::vector<ValueId> inputs(const Graph& graph, const fb::NodeT& n) {
    std::vector<ValueId> out;
    for (const fb::ValueRef& v : n.inputs) {
      if (v.node() != -1) (void)graph.nodes.at(size_t(v.node())).types.at(size_t(v.output()));
      out.push_back({v.node(), v.output()});
    }
    return out;
  }
  Bytes bytes_;
  std::shared_ptr<const Engine> engine_;
  std::vector<const Graph*> graphs_;
  std::vector<ConstantRef> constants_;
};

/// Another number, symbol or expression in place of one of the text's numbers.
void edit_text(std::string& text, Rng& rng) {
  std::vector<std::pair<size_t, size_t>> numbers;
  for (size_t i = 0; i < text.size(); ++i) {
    size_t end = i;
    while (end < text.size() && isdigit(text[end])) ++end;
    if (end > i) numbers.emplace_back(i, end - i), i = end;
  }
  if (numbers.empty()) {
    if (!text.empty()) pick(text, rng) = char(rng());
    return;
  }
  const auto [at, size] = pick(numbers, rng);
  static const std::string kExpressions[] = {"d0_0", "n0", "1000*n0", "n0+n1", "n0-5", "?1"};
  text.replace(at, size,
               rng() % 4 ? std::to_string(pick(kOdd, rng)) : std::string(pick(kExpressions, rng)));
}

void edit_blob(fb::Blob* blob, Rng& rng) {
  if (!blob) return;
  const int64_t offset = blob->offset() + 64 * int64_t(rng() % 9);
  const int64_t bytes = blob->bytes() - int64_t(rng() % 99);
  const fb::Blob edits[] = {{int32_t(pick(kOdd, rng)), blob->offset(), blob->bytes()},
                            {blob->section(), offset, blob->bytes()},
                            {blob->section(), pick(kOdd, rng), blob->bytes()},
                            {blob->section(), blob->offset(), bytes},
                            {blob->section(), blob->offset(), pick(kOdd, rng)}};
  *blob = pick(edits, rng);
}

void edit_node(fb::EngineT& e, Rng& rng) {
  auto& nodes = e.graphs.back()->nodes;
  fb::NodeT& n = *pick(nodes, rng);
  if (rng() % 8 == 0) return edit_text(pick(n.types, rng), rng);
  if (rng() % 4 != 0 || n.inputs.empty()) return edit_text(n.op, rng);
  pick(n.inputs, rng) = fb::ValueRef(int32_t(rng() % (nodes.size() + 1)) - 1, int32_t(rng() % 2));
}

const std::vector<std::string>& all_tactics() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out{kReference};
    for (size_t i = 0; i < op_count(); ++i)
      for (const Tactic* t : tactics_for(op_info(i).name)) out.emplace_back(t->name);
    return out;
  }();
  return names;
}

void edit_step(fb::EngineT& e, Rng& rng) {
  auto& steps = pick(e.plans, rng)->steps;
  if (steps.empty()) return;
  fb::StepT& s = *pick(steps, rng);
  switch (rng() % 6) {
    case 0:
      s.node = int32_t(rng() % (e.graphs.back()->nodes.size() + 2)) - 1;
      return;
    case 1:
      s.tactic = pick(all_tactics(), rng);
      return;
    case 2:
      steps.erase(steps.begin() + long(rng() % steps.size()));
      return;
    case 3:
      return edit_blob(s.packed.get(), rng);
    case 4:
      std::swap(pick(steps, rng), pick(steps, rng));
      return;
    default:
      return edit_text(s.config, rng);
  }
}

void edit_alias(fb::EngineT& e, Rng& rng) {
  auto& aliases = pick(e.plans, rng)->aliases;
  const auto node = [&] { return int32_t(rng() % e.graphs.back()->nodes.size()); };
  const fb::Alias other(uint8_t(rng() % 4), fb::ValueRef(node(), int32_t(rng() % 2)),
                        int32_t(rng() % 5) - 1, node());
  if (aliases.empty() || rng() % 3 == 0) return aliases.push_back(other);
  fb::Alias& a = pick(aliases, rng);
  const fb::Alias edits[] = {{other.kind(), a.value(), a.input(), a.node()},
                             {a.kind(), other.value(), a.input(), a.node()},
                             {a.kind(), a.value(), other.input(), a.node()},
                             {a.kind(), a.value(), a.input(), other.node()}};
  a = pick(edits, rng);
}

void edit_constant(fb::EngineT& e, Rng& rng) {
  if (e.constants.empty()) return;
  fb::ConstantT& c = *pick(e.constants, rng);
  switch (rng() % 4) {
    case 0:
      if (!c.dims.empty()) pick(c.dims, rng) = pick(kOdd, rng);
      return;
    case 1:
      c.dtype = uint8_t(rng() % 26);
      return;
    case 2:
      c.stripped = !c.stripped;
      return;
    default:
      return edit_blob(c.data.get(), rng);
  }
}

void edit_profile(fb::EngineT& e, Rng& rng) {
  auto& ranges = pick(e.plans, rng)->profile;
  if (ranges.empty()) return;
  fb::RangeT& r = *pick(ranges, rng);
  auto& extents = rng() % 3 == 0 ? r.min : rng() % 2 ? r.max : r.opt;
  if (extents.empty() || rng() % 4 == 0)
    extents.push_back(pick(kOdd, rng));
  else
    pick(extents, rng) = pick(kOdd, rng);
}

void edit(fb::EngineT& e, Rng& rng) {
  static constexpr decltype(&edit_node) kEdits[] = {
      edit_node, edit_node, edit_node, edit_step, edit_alias, edit_constant, edit_profile};
  kEdits[rng() % std::size(kEdits)](e, rng);
}

/// Edits the engine of a graph `times` times; how many of the files were accepted.
int edit_engine(const Graph& graph, bool passes, int times, Rng& rng) {
  BuildOptions options;
  options.timing = false;
  options.passes.enabled = passes;
  const auto file = build_graph(graph, options).engine;
  int accepted = 0;
  for (int i = 0; i < times; ++i) {
    Editor editor(*file);
    for (uint64_t edits = 1 + rng() % 2; edits > 0; --edits) edit(editor.edited, rng);
    editor.infer_types();
    accepted += hostile::load_and_run(editor.seal(), [&] { return int64_t(rng() % 6); });
  }
  return accepted;
}

TEST(EngineEdit, RandomGraphsDoNoHarm) {
  Rng rng(1);
  int accepted = 0;
  for (uint64_t seed = 0; seed < 60; ++seed)
    accepted += edit_engine(RandomGraph(seed).graph, seed % 4 != 0, 60, rng);
  EXPECT_GT(accepted, 300);
}

/// One op as a graph, extents of the inputs unknown or known.
Graph graph_of(const Sample& sample, bool known) {
  GraphBuilder b = make_builder();
  std::vector<ValueId> inputs;
  for (size_t i = 0; i < sample.inputs.size(); ++i) {
    inputs.emplace_back();
    if (!sample.inputs[i].defined()) continue;
    Type type = sample.inputs[i].type();
    for (size_t a = 0; !known && a < type.shape->size(); ++a)
      (*type.shape)[a] = Dim::symbol(cat("d", i, "_", a));
    // Second inputs are weights as often as not.
    inputs.back() = known && i > 0 ? b.constant(sample.inputs[i]) : b.input(cat("x", i), type);
  }
  const ValueId y = b.add(sample.op, inputs, {}, sample.outputs);
  for (int o = 0; o < sample.outputs; ++o) b.output(cat("y", o), {y.node, o});
  return b.finish();
}

class EngineEditOps : public testing::TestWithParam<size_t> {};

TEST_P(EngineEditOps, DoNoHarm) {
  const OpInfo& info = op_info(GetParam());
  if (!info.samples) return;
  Rng rng(GetParam());
  std::vector<Sample> samples = info.samples(1);
  for (int i = 0; i < 6; ++i) {
    const Sample& sample = pick(samples, rng);
    SCOPED_TRACE(sample.op.label());
    edit_engine(graph_of(sample, i % 2 == 0), i % 3 != 0, 40, rng);
  }
}

INSTANTIATE_TEST_SUITE_P(All, EngineEditOps, testing::Range(size_t(0), op_count()),
                         [](const auto& i) { return std::string(op_info(i.param).name); });

}  // namespace
}  // namespace vitrify
