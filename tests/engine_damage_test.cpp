// Damaged and hostile engine files: found by digests, and harmless when the digests are made to
// fit.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

#include "base/thread_pool.h"
#include "builder/builder.h"
#include "hostile_engine.h"
#include "ops/table.h"
#include "random_graph.h"
#include "runtime/engine_generated.h"

namespace vitrify {
namespace {

using namespace hostile;

Tensor ramp(Dims dims, float start) {
  Tensor t(DType::kFloat32, std::move(dims));
  for (int64_t i = 0; i < t.size(); ++i) set_double(t, i, start + 0.37 * double(i % 29));
  return t;
}

Shape shape(std::initializer_list<Dim> dims) { return dims; }

/// A little of everything: packed weights, aliases, facts, a body, reference steps, strings.
Graph sample_graph() {
  GraphBuilder b = make_builder();
  const Dim n = Dim::symbol("n");
  ValueId x = b.input("x", Type::tensor(DType::kFloat32, shape({n, 3, 5, 4})));
  Window window{{3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}};
  ValueId y = b.add(Conv{window, 1}, {x, b.constant(ramp({4, 4, 3, 3}, -1))}, {"conv"});
  ValueId z = b.add(Conv{window, 1}, {x, b.constant(ramp({2, 4, 3, 3}, -2))}, {"conv_2"});
  ValueId c = b.add(Concat{3}, {y, z}, {"concat"});
  ValueId s = b.add(Slice{{3}, {Dim(1)}, {Dim(3)}, {1}}, {c}, {"slice"});
  ValueId flat = b.add(Reshape{shape({n, 90})}, {c}, {"flatten"});
  ValueId top = b.add(TopK{-1, true, true}, {flat, b.constant(Tensor::ints({4}))}, {"topk"});
  b.output("values", top);
  b.output("picked", b.add(Gather{1}, {flat, b.constant(Tensor::ints({3, 1, 80}))}, {"gather"}));
  b.output("mean", b.add(Reduce{Reduce::Kind::kMean, {1, 2}, false}, {s}, {"mean"}));
  b.output("shape", b.add(ShapeOf{}, {flat}, {"shape"}));
  b.output("where", b.add(NonZero{}, {b.add(Unary{UnaryKind::kRelu}, {y})}, {"nonzero"}));
  return b.finish();
}

Bytes sample_engine() {
  BuildOptions options;
  options.timing = false;
  options.passes.enabled = false;
  options.profiles = {{{"x", {1, 3, 5, 4}, {2, 3, 5, 4}, {4, 3, 5, 4}}}};
  const auto file = build_graph(sample_graph(), options).engine;
  return {file->bytes().begin(), file->bytes().end()};
}

/// "" when loading is refused with a proper error, else what happened.
std::string refusal(const Bytes& bytes) {
  try {
    load_engine(as_file(bytes));
  } catch (const Error& e) {
    return e.kind() == ErrorKind::kInternal ? cat("internal error: ", e.what()) : "";
  }
  return "was accepted";
}

TEST(EngineDamage, TheSampleItselfRuns) {
  Context context(load_engine(as_file(sample_engine())));
  context.set_input(0, ramp({2, 3, 5, 4}, -2)).check();
  context.run().check();
  EXPECT_EQ(context.output(0).tensor.dims(), (Dims{2, 4}));
}

TEST(EngineDamage, EveryFlippedBitIsRefused) {
  Bytes bytes = sample_engine();
  for (size_t i = 0; i < bytes.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      bytes[i] ^= std::byte(1 << bit);
      ASSERT_EQ(refusal(bytes), "") << "bit " << bit << " of byte " << i;
      bytes[i] ^= std::byte(1 << bit);
    }
}

TEST(EngineDamage, EveryTruncationIsRefused) {
  const Bytes bytes = sample_engine();
  for (size_t size = 0; size < bytes.size(); ++size)
    ASSERT_EQ(refusal(Bytes(bytes.begin(), bytes.begin() + ptrdiff_t(size))), "") << size;
  Bytes longer = bytes;
  longer.push_back(std::byte(0));
  EXPECT_EQ(refusal(longer), "");
}

TEST(EngineDamage, ResealedFilesDoNoHarm) {
  const Bytes original = sample_engine();
  const EngineHeader header = header_of(original);
  std::vector<std::pair<size_t, std::byte>> changes;
  auto attempt = [&](size_t i, std::byte value) {
    if (original[i] != value) changes.emplace_back(i, value);
  };
  for (size_t i = 8; i < sizeof header; i += i < 64 ? 1 : 61)
    for (int bit = 0; bit < 8; ++bit) attempt(i, original[i] ^ std::byte(1 << bit));
  const size_t start = size_t(header.metadata_offset), end = start + size_t(header.metadata_bytes);
  for (size_t i = start; i < end; ++i) {
    for (int bit = 0; bit < 8; ++bit) attempt(i, original[i] ^ std::byte(1 << bit));
    for (int value : {0, 255, 127, 48, 57, 93, 45})  // '0' '9' ']' '-' among them
      attempt(i, std::byte(value));
  }
  for (size_t i = size_t(kPage); i < start; i += 7) attempt(i, ~original[i]);
  std::atomic<int> accepted = 0;
  const auto load_changed = [&](int64_t k) {
    Bytes bytes = original;
    bytes[changes[size_t(k)].first] = changes[size_t(k)].second;
    reseal(bytes);
    accepted += load_and_run(bytes, [] { return 2; });
  };
  const auto count = int64_t(changes.size());
  parallel_for(count, ThreadPool::process().size(), load_changed);
  for (int64_t k = 0; k < count; k += 16) load_changed(k);  // alone, so that kernels use threads
  EXPECT_GT(changes.size(), 10000u);
  EXPECT_GT(accepted, 0);
}

/// The same on many kinds of steps: random graphs, after all passes, changed here and there.
TEST(EngineDamage, ResealedRandomEnginesDoNoHarm) {
  std::mt19937_64 random(3);
  int accepted = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    BuildOptions options;
    options.timing = false;
    const auto file = build_graph(RandomGraph(seed).graph, options).engine;
    const Bytes original(file->bytes().begin(), file->bytes().end());
    const EngineHeader header = header_of(original);
    for (int i = 0; i < 250; ++i) {
      Bytes bytes = original;
      for (uint64_t changes = 1 + random() % 3; changes > 0; --changes) {
        const size_t at = size_t(header.metadata_offset) + random() % size_t(header.metadata_bytes);
        constexpr char kLikely[] = "0123456789-,]}x\x01\x7f\xff";
        bytes[at] = random() % 2 ? std::byte(kLikely[random() % (sizeof kLikely - 1)])
                                 : bytes[at] ^ std::byte(1 << random() % 8);
      }
      reseal(bytes);
      accepted += load_and_run(bytes, [] { return 2; });
    }
  }
  EXPECT_GT(accepted, 0);
}

TEST(EngineDamage, SaysWhatIsWrong) {
  const Bytes original = sample_engine();
  auto message = [&](auto change) {
    Bytes bytes = original;
    EngineHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    change(header);
    header.digest = header_digest(header);
    std::memcpy(bytes.data(), &header, sizeof header);
    try {
      load_engine(as_file(bytes));
    } catch (const Error& e) {
      return cat(e.kind() == ErrorKind::kUnsupported ? "unsupported: " : "", e.what());
    }
    return std::string("accepted");
  };
  const std::string version = message([](EngineHeader& h) { h.major = 99; });
  EXPECT_NE(version.find("unsupported"), std::string::npos) << version;
  EXPECT_NE(version.find("format 99.0"), std::string::npos) << version;
  const std::string isa =
      message([](EngineHeader& h) { std::strcpy(h.features, "avx2,quantum9"); });
  EXPECT_NE(isa.find("unsupported"), std::string::npos) << isa;
  EXPECT_NE(isa.find("quantum9"), std::string::npos) << isa;
  try {
    load_engine(as_file(Bytes(5000)));
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("not a Vitrify engine"), std::string::npos);
  }
}

/// The error of loading and running an engine whose first convolution has packed weights that begin
/// with `header` (channels in and out, axes, kernel) and are `bytes` long; "" when it runs.
std::string error_of_packed(const std::array<int64_t, 6>& header, int64_t bytes) {
  Bytes file = sample_engine();
  EngineHeader head;
  std::memcpy(&head, file.data(), sizeof head);
  const fb::Engine* root = fb::GetEngine(file.data() + head.metadata_offset);
  const fb::Blob* packed = nullptr;
  for (const fb::Step* step : *root->plans()->Get(0)->steps())
    if (!packed && step->tactic()->str() == "cpu.conv") packed = step->packed();
  CHECK(packed);
  const auto* section = root->sections()->Get(flatbuffers::uoffset_t(packed->section()));
  std::byte* at = file.data() + section->offset() + packed->offset();
  const int64_t own[6] = {4, 4, 2, 1, 3, 3};
  CHECK(std::memcmp(at, own, sizeof own) == 0);
  std::memcpy(at, header.data(), sizeof own);
  if (bytes > 0)
    *const_cast<fb::Blob*>(packed) = fb::Blob(packed->section(), packed->offset(), bytes);
  reseal(file);
  try {
    Context context(load_engine(as_file(file), Verify::kLazy), {.max_threads = 1});
    context.set_input(0, ramp({2, 3, 5, 4}, -2)).check();
    context.run().check();
  } catch (const Error& e) {
    return cat(e.kind() == ErrorKind::kInternal ? "internal: " : "", e.what());
  }
  return "";
}

TEST(EngineDamage, PackedWeightsOfAnotherShapeAreRefused) {
  EXPECT_EQ(error_of_packed({4, 4, 2, 1, 3, 3}, 0), "");
  // 2^64 taps wrap around to none, for which the header alone would do.
  const std::string wrapped =
      error_of_packed({4, 4, 2, int64_t{1} << 22, int64_t{1} << 21, int64_t{1} << 21}, 64);
  EXPECT_NE(wrapped.find("overflow"), std::string::npos) << wrapped;
  // As many bytes, other extents.
  const std::string turned = error_of_packed({4, 4, 2, 3, 1, 3}, 0);
  EXPECT_NE(turned.find("not those of shape [4, 4, 3, 3]"), std::string::npos) << turned;
  const std::string deeper = error_of_packed({4, 4, 3, 1, 3, 3}, 0);
  EXPECT_NE(deeper.find("different ranks"), std::string::npos) << deeper;
}

TEST(EngineDamage, UnknownRequiredSectionsAreRefused) {
  Bytes bytes = sample_engine();
  const std::string from = "source", to = "sauces";
  auto at = std::search(bytes.begin(), bytes.end(), reinterpret_cast<const std::byte*>(from.data()),
                        reinterpret_cast<const std::byte*>(from.data()) + from.size());
  ASSERT_NE(at, bytes.end());
  std::memcpy(&*at, to.data(), to.size());
  reseal(bytes);
  try {
    load_engine(as_file(bytes));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(int(e.kind()), int(ErrorKind::kUnsupported));
    EXPECT_NE(std::string(e.what()).find("sauces"), std::string::npos);
  }
}

}  // namespace
}  // namespace vitrify
