// Regions: the pass that makes them, splitting, the tactic against the tactics of its parts, and
// engines that hold them, hostile ones among them.
#include <random>
#include <utility>

#include "builder/builder.h"
#include "hostile_engine.h"
#include "passes/pipeline.h"
#include "runtime/engine_file.h"
#include "runtime/engine_generated.h"
#include "tactic_harness.h"

namespace vitrify {
namespace {

constexpr DType kF32 = DType::kFloat32;

Tensor drawn(std::mt19937_64& r, const Dims& dims, int specials = 0) {
  Tensor t(kF32, dims);
  for (int64_t i = 0; i < t.size(); ++i) t.data<float>()[i] = float(r() % 2001) / 500 - 2;
  constexpr float kSpecial[] = {NAN, INFINITY, -INFINITY, -0.0f};
  for (int i = 0; i < specials && t.size(); ++i)
    t.data<float>()[r() % uint64_t(t.size())] = kSpecial[r() % 4];
  return t;
}

// ---- the pass ----

Graph conv_relu_pool(bool second_reader, bool constant_weights) {
  GraphBuilder b = make_builder();
  const Dim n = Dim::symbol("n"), h = Dim::symbol("h");
  ValueId x = b.input("x", Type::tensor(kF32, {n, h, 8, 3}));
  std::mt19937_64 r(1);
  const Tensor weights = drawn(r, {4, 3, 3, 3});
  ValueId w = constant_weights ? b.constant(weights) : b.input("w", weights.type());
  Window same{{3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}};
  ValueId y = b.add(Conv{same, 1}, {x, w}, {"c"});
  y = b.add(Unary{UnaryKind::kRelu}, {y}, {"a"});
  ValueId p = b.add(Pool{Pool::Kind::kMax, {{2, 2}, {2, 2}}}, {y}, {"p"});
  b.output("p", b.add(Unary{UnaryKind::kSigmoid}, {p}, {"s"}));
  if (second_reader) b.output("y", y);
  return b.finish();
}

Graph fused(const Graph& graph, Trace* trace = nullptr) {
  return fuse_regions(fuse_epilogues(graph, {.pass = "fuse_epilogues"}),
                      {.pass = "fuse_regions", .trace = trace});
}

int count_regions(const Graph& graph) {
  int count = 0;
  for (const Node& n : graph.nodes) count += n.op.is<Region>();
  return count;
}

TEST(Regions, PassTakesConvolutionAndPoolWithTheirEpilogues) {
  Trace trace;
  const Graph graph = fused(conv_relu_pool(false, true), &trace);
  EXPECT_EQ(print(graph),
            R"(graph @0 ""
%0 = input{name="x0"} : f32[n, h, 8, 3]
%1 = input{name="x1"} : f32[4, 3, 3, 3]
%2 = conv{window={[3, 3], [1, 1], [1, 1], [1, 1], [1, 1], 0, false}, epilogue={1, [{0, relu, 0, -1, -1, 0, 0, f32}], []}}(%0, %1) : f32[n, h, 8, 4]  # a, c
%3 = pool{window={[2, 2], [2, 2], [], [], [], 0, false}, epilogue={1, [{0, sigmoid, 0, -1, -1, 0, 0, f32}], []}}(%2) : f32[n, floordiv(h - 2, 2) + 1, 4, 4]  # p, s
return "y" = %3
%0 = input{name="x"} : f32[n, h, 8, 3]
%1 = constant{data=#0} : f32[4, 3, 3, 3]
%2 = region{graph=@0}(%0, %1) : f32[n, floordiv(h - 2, 2) + 1, 4, 4]  # a, c, p, s
return "p" = %2
)");
  ASSERT_EQ(trace.size(), 1u);
  EXPECT_EQ(trace[0].rule, "max_pool(conv) -> region{conv, max_pool}");
  EXPECT_EQ(trace[0].where, (std::vector<std::string>{"a", "c", "p", "s"}));
  EXPECT_EQ(graph.nodes.back().op.label(), "conv+max_pool");
}

TEST(Regions, PassLeavesWhatOthersReadAndWeightsThatARunGives) {
  EXPECT_EQ(count_regions(fused(conv_relu_pool(true, true))), 0);
  EXPECT_EQ(count_regions(fused(conv_relu_pool(false, false))), 0);
}

TEST(Regions, SplittingGivesTheNodesBack) {
  const Graph plain = fuse_epilogues(conv_relu_pool(false, true), {.pass = "fuse_epilogues"});
  const Graph split = split_nodes(fused(conv_relu_pool(false, true)),
                                  [](const Node& n) { return n.op.is<Region>(); });
  EXPECT_EQ(print(split), print(plain));
}

TEST(Regions, SplittingMapsSymbolsAndAllOutputs) {
  GraphBuilder inner = make_builder();
  const Dim d = Dim::symbol("d");
  ValueId x = inner.input("x", Type::tensor(kF32, {d, 6}));
  inner.output("flat", inner.add(Reshape{{d * 6}}, {x}));
  inner.output("relu", inner.add(Unary{UnaryKind::kRelu}, {x}));
  GraphBuilder b = make_builder();
  ValueId outer = b.input("x", Type::tensor(kF32, {Dim::symbol("m"), 6}));
  ValueId y = b.add(Region{std::make_shared<const Graph>(inner.finish())}, {outer}, {"r"}, 2);
  b.output("flat", y), b.output("relu", {y.node, 1});
  const Graph graph = b.finish();
  const Graph split = split_nodes(graph, [](const Node&) { return true; });
  EXPECT_EQ(count_regions(split), 0);
  EXPECT_EQ(split.type(split.outputs[0].value).str(), graph.type(graph.outputs[0].value).str());
  std::mt19937_64 r(2);
  const std::vector<Value> inputs{drawn(r, {4, 6})};
  EXPECT_EQ(difference(interpret(split, inputs), interpret(graph, inputs), 0), "");
}

// ---- the tactic ----

/// A random conv + activation + pool, as the passes leave it.
class RandomRegion {
 public:
  explicit RandomRegion(uint64_t seed) : r_(seed), b_(make_builder()) {
    const int64_t group = pick(3) ? 1 : 2, c = group * (pick(12) + 1);
    const bool depthwise = pick(5) == 0;
    const int64_t m = depthwise ? c : group * (pick(20) + 1);
    const Dims x{pick(3) ? 1 : 2, pick(20) + 1, pick(20) + 1, c};
    Window w = window(3);
    const int64_t groups = depthwise ? c : group;
    special = pick(4) == 0;
    if (special && w.kernel == Ints{3, 3}) w.kernel = {3, 2};  // infinities spread in fast 3x3
    inputs = {drawn(r_, x, special ? 3 : 0), drawn(r_, {m, c / groups, w.kernel[0], w.kernel[1]})};
    ValueId y = b_.add(Conv{w, groups}, {b_.input("x", inputs[0].type()), b_.constant(inputs[1])});
    if (pick(2)) y = with(BinaryKind::kAdd, y, {m});
    if (pick(3) == 0) y = with(BinaryKind::kAdd, y, extents(y));
    if (pick(2)) y = b_.add(Unary{pick(2) ? UnaryKind::kRelu : UnaryKind::kHardSwish}, {y});
    if (pick(5) == 0) y = with(BinaryKind::kMul, y, {extents(y)[1], 1, 1});
    Pool pool{pick(2) ? Pool::Kind::kMax : Pool::Kind::kAverage, window(4), pick(2) == 0};
    y = b_.add(pool, {y});
    if (pick(3) == 0) y = with(BinaryKind::kAdd, y, {m});
    b_.output("y", y);
    graph = fused(b_.finish());
  }
  Graph graph;
  std::vector<Tensor> inputs;
  bool special = false;

 private:
  int64_t pick(int64_t n) { return int64_t(r_() % uint64_t(n)); }
  Window window(int64_t most) {
    Window w;
    for (int i = 0; i < 2; ++i) {
      w.kernel.push_back(pick(most) + 1), w.strides.push_back(pick(3) + 1);
      w.dilations.push_back(pick(4) ? 1 : pick(3) + 1);
      w.pads_begin.push_back(pick(w.kernel[size_t(i)]));
      w.pads_end.push_back(pick(w.kernel[size_t(i)]));
    }
    w.ceil_mode = pick(2) == 0;
    if (pick(6) == 0) w.auto_pad = Window::AutoPad::kSameUpper;
    return w;
  }
  Dims extents(ValueId v) const {
    Dims dims;
    for (const Dim& d : *b_.type(v).shape) dims.push_back(d.value());
    return dims;
  }
  ValueId with(BinaryKind kind, ValueId y, const Dims& dims) {
    return b_.add(Binary{kind}, {y, b_.constant(drawn(r_, dims))});
  }
  std::mt19937_64 r_;
  GraphBuilder b_;
};

/// The node's inputs: the first given, the others its constants.
std::vector<Tensor> inputs_of(const Graph& graph, const Node& node, const Tensor& first) {
  std::vector<Tensor> inputs{first};
  for (size_t i = 1; i < node.inputs.size(); ++i)
    inputs.push_back(graph.constant(node.inputs[i])->clone());
  return inputs;
}

const Node& node_of(const Graph& graph, std::string_view op) {
  for (const Node& n : graph.nodes)
    if (n.op.name() == op) return n;
  fail("no such node");
}

const Tactic& tactic(std::string_view name) {
  for (const Tactic& t : cpu::tactics())
    if (t.name == name) return t;
  fail("no such tactic");
}

/// The region's answer is that of its parts, each run on its own tactic with the same algorithm.
void check_parts(const RandomRegion& random) {
  const Graph& graph = random.graph;
  const Node& region = node_of(graph, "region");
  const Graph split = split_nodes(graph, [](const Node& n) { return n.op.is<Region>(); });
  const Node &conv = node_of(split, "conv"), &pool = node_of(split, "pool");
  TacticCase whole(region.op, inputs_of(graph, region, random.inputs[0]), 1, 1);
  TacticCase first(conv.op, inputs_of(split, conv, random.inputs[0]), 1, 1);
  const Tactic& row = tactic("cpu.region.conv_pool");
  ASSERT_EQ(row.supports(whole.view()), "");
  for (const Config& config : row.configs(whole.view())) {
    SCOPED_TRACE(config);
    const Config of_conv = config.substr(0, config.find(" tasks="));
    const Tensor middle = first.run(tactic("cpu.conv"), of_conv, {})[0];
    TacticCase second(pool.op, inputs_of(split, pool, middle), 1, 1);
    const auto apart = second.run(tactic("cpu.pool"), of_conv.substr(0, of_conv.find(' ')), {});
    // A product sums in another order where its tile has another number of rows.
    const double tolerance = config.find("winograd") != config.npos ? 2e-5 : 2e-6;
    const auto together = whole.run(row, config, {});
    EXPECT_EQ(difference(together, apart, tolerance), "");
    EXPECT_TRUE(same_bytes(whole.run(row, config, {.threads = 3}), together));
  }
}

TEST(Regions, TacticGivesWhatItsPartsAndTheReferenceGive) {
  int fuzzed = 0, specials = 0;
  for (uint64_t seed = 0; seed < 160; ++seed) {
    SCOPED_TRACE(seed);
    std::optional<RandomRegion> random;
    try {
      random.emplace(seed);
    } catch (const Error& e) {
      ASSERT_NE(e.kind(), ErrorKind::kInternal);
      continue;  // a window that does not fit
    }
    if (count_regions(random->graph) == 0) continue;
    const Node& region = node_of(random->graph, "region");
    TacticCase c(region.op, inputs_of(random->graph, region, random->inputs[0]), 1, 1);
    EXPECT_TRUE(check_tactic(tactic("cpu.region.conv_pool"), c, 1e-4));
    check_parts(*random);
    ++fuzzed, specials += random->special;
    if (HasFailure()) FAIL() << print(random->graph);
  }
  EXPECT_GT(fuzzed, 60);
  EXPECT_GT(specials, 8);
}

// ---- engines ----

/// Big enough that a region is worth it, at the opt extents.
Graph big_graph() {
  GraphBuilder b = make_builder();
  const Dim n = Dim::symbol("n"), h = Dim::symbol("h"), w = Dim::symbol("w");
  std::mt19937_64 r(4);
  ValueId x = b.input("x", Type::tensor(kF32, {n, h, w, 3}));
  ValueId y = b.add(Conv{{{3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}}, 1},
                    {x, b.constant(drawn(r, {32, 3, 3, 3}))}, {"conv"});
  y = b.add(Unary{UnaryKind::kRelu}, {y}, {"relu"});
  y = b.add(Pool{Pool::Kind::kMax, {{3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}}}, {y}, {"pool"});
  b.output("y", y);
  return b.finish();
}

BuildOptions big_options() {
  BuildOptions options;
  options.timing = false;
  options.profiles = {{{"x", {1, 1, 1, 3}, {1, 200, 210, 3}, {2, 220, 220, 3}}}};
  return options;
}

TEST(Regions, EnginesRunThemAtEveryShape) {
  const BuildResult built = build_graph(big_graph(), big_options());
  auto engine = load_engine(built.engine);
  ASSERT_EQ(engine->plans()[0].plan.steps.size(), 1u);
  EXPECT_EQ(engine->plans()[0].plan.steps[0].tactic, "cpu.region.conv_pool");
  const Node& region = node_of(engine->graph(), "region");
  EXPECT_EQ(region.origins, (std::vector<std::string>{"conv", "pool", "relu"}));
  std::mt19937_64 r(5);
  Context context(engine);
  for (const Dims& dims : std::vector<Dims>{{1, 200, 210, 3}, {2, 1, 1, 3}, {1, 37, 220, 3}}) {
    const Tensor x = drawn(r, dims);
    context.set_input(0, x).check();
    context.run().check();
    EXPECT_EQ(difference({context.output(0)}, interpret(big_graph(), {x}), 1e-4), "");
  }
}

TEST(Regions, DecisionsSayWhy) {
  for (bool timing : {false, true}) {
    BuildOptions options = big_options();
    options.timing = timing;
    std::string said;
    for (const Decision& d : build_graph(big_graph(), options).report.decisions)
      if (d.pass == "settle_regions") said = d.effect;
    EXPECT_TRUE(said.starts_with("conv+max_pool: ")) << said;
    EXPECT_NE(said.find(timing ? "measured" : "cache share"), std::string::npos) << said;
  }
  BuildOptions small = big_options();
  small.profiles = {{{"x", {1, 1, 1, 3}, {1, 20, 20, 3}, {2, 220, 220, 3}}}};
  auto engine = load_engine(build_graph(big_graph(), small).engine);
  EXPECT_EQ(count_regions(engine->graph()), 0);
}

TEST(Regions, HostileEnginesDoNoHarm) {
  BuildOptions options = big_options();
  const auto file = build_graph(big_graph(), options).engine;
  const hostile::Bytes original(file->bytes().begin(), file->bytes().end());
  const EngineHeader header = hostile::header_of(original);
  std::mt19937_64 random(6);
  int accepted = 0;
  for (int i = 0; i < 4000; ++i) {
    hostile::Bytes bytes = original;
    for (uint64_t changes = 1 + random() % 3; changes > 0; --changes) {
      const size_t at = size_t(header.metadata_offset) + random() % size_t(header.metadata_bytes);
      constexpr char kLikely[] = "0123456789-,]}x@#\x01\x7f\xff";
      bytes[at] = random() % 2 ? std::byte(kLikely[random() % (sizeof kLikely - 1)])
                               : bytes[at] ^ std::byte(1 << random() % 8);
    }
    hostile::reseal(bytes);
    accepted += hostile::load_and_run(bytes, [&] { return int64_t(random() % 40 + 1); });
  }
  EXPECT_GT(accepted, 0);
}

/// An engine of one region, with `levels` bodies more between it and its own, each of which runs
/// the one below `times` times.
hostile::Bytes nested(int levels, int times) {
  GraphBuilder inner = make_builder();
  inner.output("y",
               inner.add(Unary{UnaryKind::kTanh}, {inner.input("x", Type::tensor(kF32, {2}))}));
  GraphBuilder outer = make_builder();
  ValueId x = outer.input("x", Type::tensor(kF32, {2}));
  outer.output("y", outer.add(Region{std::make_shared<const Graph>(inner.finish())}, {x}));
  const Graph graph = outer.finish();
  const auto file = EngineWriter().finish(graph, {{.steps = {{.node = 1}}}}, {}, {}, {});
  EngineHeader header = hostile::header_of({file->bytes().begin(), file->bytes().end()});
  hostile::Bytes bytes(file->bytes().begin(), file->bytes().begin() + header.metadata_offset);
  std::unique_ptr<fb::EngineT> engine(
      fb::UnPackEngine(file->bytes().data() + header.metadata_offset));
  for (int i = 0; i < levels; ++i) {
    auto body = std::make_unique<fb::GraphT>(*engine->graphs.back());
    while (int(body->nodes.size()) < times + 1) {
      body->nodes.push_back(std::make_unique<fb::NodeT>(*body->nodes.back()));
      body->nodes.back()->inputs = {fb::ValueRef(int32_t(body->nodes.size()) - 2, 0)};
    }
    body->outputs[0]->value = std::make_unique<fb::ValueRef>(times, 0);
    for (size_t n = 1; n < body->nodes.size(); ++n)
      body->nodes[n]->op = cat("region{graph=@", engine->graphs.size() - 2, "}");
    engine->graphs.insert(engine->graphs.end() - 1, std::move(body));
  }
  engine->graphs.back()->nodes[1]->op = cat("region{graph=@", engine->graphs.size() - 2, "}");
  flatbuffers::FlatBufferBuilder builder;
  fb::FinishEngineBuffer(builder, fb::CreateEngine(builder, engine.get()));
  const auto metadata = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  bytes.insert(bytes.end(), metadata.begin(), metadata.end());
  header.metadata_bytes = int64_t(metadata.size()), header.file_bytes = int64_t(bytes.size());
  std::memcpy(bytes.data(), &header, sizeof header);
  hostile::reseal(bytes);
  return bytes;
}

TEST(Regions, EnginesOfDeeplyNestedBodiesAreRefused) {
  const auto loads = [](const hostile::Bytes& bytes) { load_engine(hostile::as_file(bytes)); };
  EXPECT_NO_THROW(loads(nested(0, 1)));
  EXPECT_NO_THROW(loads(nested(20, 1)));
  EXPECT_NO_THROW(loads(nested(8, 2)));
  EXPECT_TRUE(hostile::load_and_run(nested(8, 2), [] { return 2; }));
  EXPECT_THROW(loads(nested(70, 1)), Error);
  EXPECT_THROW(loads(nested(50, 2)), Error);  // 2^50 nodes in all
  EXPECT_THROW(loads(nested(9, 12)), Error);
}

}  // namespace
}  // namespace vitrify
