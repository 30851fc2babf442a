// ONNX's node cases with small faults put in: attributes, wiring, opsets, extents and values that
// do not fit. Whatever the fault, a model or a run ends in an answer or in an error that speaks of
// the model; never in a crash, a hang, a foreign exception or an error of kind `internal`.
//
//   node_fuzz_test [SEED [FAULTY_MODELS_PER_CASE [FILTER]]]
//
// Cases run in child processes, so that one that crashes or hangs fails alone.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdio>
#include <random>

#include "base/run_scope.h"
#include "node_case.h"

namespace vitrify::node_test {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr unsigned kSecondsPerModel = 240;
#else
constexpr unsigned kSecondsPerModel = 30;
#endif
constexpr int kEndless =
    3;  ///< exit status of a child whose model loops as often as a fault told it to
constexpr size_t kLargestModel = 30000;
constexpr int64_t kMostMemory = int64_t(4) << 30;  ///< bytes that a run may hold
constexpr int64_t kOddIntegers[] = {
    -1, 0,   1,         2,         3,         -2,        -3,
    4,  5,   7,         8,         16,        10,        11,
    -4, 100, 1000,      255,       -129,      65536,     -5,
    6,  -7,  INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, int64_t(1) << 40};
constexpr double kOddNumbers[] = {NAN, INFINITY, -INFINITY, -1, 0, 1e30, -1e30, 0.5};

using Rng = std::mt19937;

template <class Container>
auto& pick(Container& from, Rng& rng) {
  return *(std::begin(from) + long(rng() % std::size(from)));
}

void damage(onnx::TensorProto& t, Rng& rng) {
  if (!t.int64_data.empty())
    pick(t.int64_data, rng) = pick(kOddIntegers, rng);
  else if (!t.dims.empty())
    pick(t.dims, rng) = pick(kOddIntegers, rng);
  else
    t.dims.push_back(pick(kOddIntegers, rng));
}

void damage(onnx::Attribute& a, Rng& rng) {
  using Kind = onnx::Attribute::Kind;
  if (a.kind == Kind::kInt) a.i = pick(kOddIntegers, rng);
  if (a.kind == Kind::kFloat) a.f = float(pick(kOddNumbers, rng));
  if (a.kind == Kind::kString) a.s = "weird";
  if (a.kind == Kind::kFloats && !a.floats.empty())
    pick(a.floats, rng) = float(pick(kOddNumbers, rng));
  if (a.kind == Kind::kStrings && !a.strings.empty()) pick(a.strings, rng) = "x";
  if (a.kind == Kind::kInts) {
    unsigned how = rng() % 4;
    if (how == 0) a.ints.push_back(pick(kOddIntegers, rng));
    if (how == 1 && !a.ints.empty()) a.ints.pop_back();
    if (how >= 2 && !a.ints.empty()) pick(a.ints, rng) = pick(kOddIntegers, rng);
  }
  if (a.kind == Kind::kTensor && a.tensor) {
    auto t = std::make_shared<onnx::TensorProto>(*a.tensor);
    damage(*t, rng);
    a.tensor = t;
  }
}

void damage(onnx::Model& model, Rng& rng) {
  if (model.graph.nodes.empty()) return;
  onnx::Node& n = pick(model.graph.nodes, rng);
  switch (rng() % 10) {
    case 0:
      if (!n.inputs.empty()) pick(n.inputs, rng) = "";
      return;
    case 1:
      if (n.inputs.size() > 1) std::swap(n.inputs.front(), pick(n.inputs, rng));
      return;
    case 2:
      if (!n.inputs.empty()) n.inputs.pop_back();
      return;
    case 3:
      if (!n.inputs.empty()) n.inputs.push_back(pick(n.inputs, rng));
      return;
    case 4: {
      static const auto table = onnx::import_table();
      n.op_type = pick(table, rng).op;
      return;
    }
    case 5:
      if (!model.opset_imports.empty()) model.opset_imports[0].version = 1 + int64_t(rng() % 27);
      return;
    case 6:
      if (!n.attributes.empty())
        n.attributes.erase(n.attributes.begin() + long(rng() % n.attributes.size()));
      return;
    default:
      if (!n.attributes.empty()) damage(pick(n.attributes, rng), rng);
  }
}

/// Another value, or another extent.
void damage(std::vector<Value>& inputs, Rng& rng) {
  if (inputs.empty()) return;
  Value& v = pick(inputs, rng);
  if (v.kind != Value::Kind::kTensor) return;
  Tensor t = v.tensor.clone();
  if (rng() % 3 == 0 && !t.dims().empty()) {
    Dims dims = t.dims();
    pick(dims, rng) = int64_t(rng() % 4);
    t = Tensor(t.dtype(), dims);
  } else if (t.size() > 0 && (is_integer(t.dtype()) || t.dtype() == DType::kBool)) {
    set_int(t, int64_t(rng() % uint64_t(t.size())), pick(kOddIntegers, rng));
  } else if (t.size() > 0 && t.dtype() != DType::kString) {
    set_double(t, int64_t(rng() % uint64_t(t.size())), pick(kOddNumbers, rng));
  }
  v = Value(t);
}

/// Hides what the model says of its inputs' shapes.
void hide_shapes(onnx::Model& model, Rng& rng) {
  for (auto& input : model.graph.inputs)
    if (unsigned how = rng() % 3; how == 1)
      input.type.shape.reset();
    else if (how == 2 && input.type.shape)
      for (auto& d : *input.type.shape) d.value.reset();
}

void run_damaged(const fs::path& folder, const std::string& bytes, Rng& rng) {
  auto owner = std::make_shared<const std::string>(bytes);
  onnx::Model model = onnx::parse_model(std::as_bytes(std::span(*owner)), owner);
  for (auto& output : model.graph.outputs) output.type = {};
  if (rng() % 3 == 0) hide_shapes(model, rng);
  for (unsigned faults = rng() % 3; faults > 0; --faults) damage(model, rng);
  Graph graph = onnx::import_model(model, {}, nullptr);
  bool loops = std::ranges::any_of(graph.nodes, [](const Node& n) { return n.op.is<Loop>(); });
  std::signal(SIGALRM, loops ? [](int) { _exit(kEndless); } : SIG_DFL);
  std::vector<Value> inputs = load_all(folder / "test_data_set_0", "input", model.graph.inputs);
  for (unsigned faults = rng() % 3; faults > 0; --faults) damage(inputs, rng);
  if (inputs.size() != graph.inputs.size()) return;
  if (rng() % 4 == 0) {
    const RunScope limited(std::make_shared<MemoryAccount>(kMostMemory), nullptr);
    interpret(graph, inputs);
  } else {
    run_engine(graph, inputs, true, kMostMemory);
  }
}

/// In the child: says each model's number before it runs; exits 1 if one ended badly.
[[noreturn]] void work(const fs::path& folder, const std::string& bytes, unsigned seed, int first,
                       int count, int pipe) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  rlimit memory{rlim_t(6) << 30, rlim_t(6) << 30};
  setrlimit(RLIMIT_AS, &memory);
#endif
  rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  std::string name = folder.filename().string();
  std::seed_seq words(name.begin(), name.end());
  uint32_t base = 0;
  words.generate(&base, &base + 1);
  bool bad = false;
  for (int i = first; i < count; ++i) {
    if (write(pipe, &i, sizeof i) != sizeof i) _exit(2);
    alarm(kSecondsPerModel);
    Rng rng(base ^ (seed * 100003u + unsigned(i) * 7919u));
    try {
      run_damaged(folder, bytes, rng);
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::kInternal) continue;
      bad = true, fprintf(stderr, "INTERNAL %s %d: %s\n", name.c_str(), i, e.what());
    } catch (const std::exception& e) {
      bad = true, fprintf(stderr, "EXCEPTION %s %d: %s\n", name.c_str(), i, e.what());
    }
  }
  _exit(bad ? 1 : 0);
}

/// Whether all `count` models made of the case ended well.
bool run_case(const fs::path& folder, const std::string& bytes, unsigned seed, int count) {
  bool good = true;
  for (int first = 0; first < count;) {
    int fds[2];
    if (pipe(fds) != 0) throw Error(ErrorKind::kInternal, "no pipe");
    pid_t child = fork();
    if (child == 0) work(folder, bytes, seed, first, count, fds[1]);
    close(fds[1]);
    int at = first, status = 0;
    for (int i; read(fds[0], &i, sizeof i) == sizeof i;) at = i;
    close(fds[0]);
    waitpid(child, &status, 0);
    first = at + 1;
    if (WIFEXITED(status) && WEXITSTATUS(status) == kEndless) continue;
    good = good && status == 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) < 2) break;
    fprintf(stderr, "CRASH %s %d: signal %d, status %d\n", folder.filename().c_str(), at,
            WTERMSIG(status), WEXITSTATUS(status));
  }
  return good;
}

int fuzz(unsigned seed, int count, const std::string& filter) {
  std::vector<fs::path> folders;
  for (std::string_view group : {"node", "simple"})
    for (const auto& entry : fs::directory_iterator(find_onnx_data() / group))
      if (entry.path().string().find(filter) != std::string::npos) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  size_t cases = 0, bad = 0;
  for (const fs::path& folder : folders) {
    std::ifstream file(folder / "model.onnx", std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    if (bytes.size() > kLargestModel) continue;
    ++cases;
    if (!run_case(folder, bytes, seed, count)) ++bad;
  }
  printf("%zu cases, %d faulty models of each: %zu cases ended badly\n", cases, count, bad);
  return bad > 0 || (filter.empty() && cases < 1000);
}

}  // namespace
}  // namespace vitrify::node_test

int main(int argc, char** argv) {
  unsigned seed = argc > 1 ? unsigned(std::stoul(argv[1])) : 1;
  int count = argc > 2 ? std::stoi(argv[2]) : 3;
  return vitrify::node_test::fuzz(seed, count, argc > 3 ? argv[3] : "");
}
