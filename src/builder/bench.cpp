#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <random>

#include "backend/backend.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "builder/parts.h"
#include "ops/guards.h"
#include "ops/table.h"

namespace vitrify {
namespace {

constexpr double kTimeBudget = 0.03;  // seconds a candidate
constexpr int kRounds = 40;
/// Predictions do not look at this machine's cores, so that builds without timing repeat elsewhere.
constexpr int kPredictedThreads = 2;

int64_t eval(const Dim& d, const std::map<std::string, int64_t>& bindings) {
  return d.eval([&](const std::string& symbol) -> int64_t {
    auto at = bindings.find(symbol);
    require(at != bindings.end(), "the extent '", symbol, "' is not known");
    return at->second;
  });
}

Dims eval(const Type& type, const std::map<std::string, int64_t>& bindings) {
  require(type.is_tensor(), "a value is no tensor");
  require(type.has_rank(), "a value's rank is not known");
  require(type.dtype != DType::kString, "strings are not made up");
  Dims dims;
  for (const Dim& d : *type.shape) {
    dims.push_back(eval(d, bindings));
    require(dims.back() >= 0, "the extent ", d.str(), " would be ", dims.back());
  }
  byte_size(type.dtype, element_count(dims));  // throws on overflow
  return dims;
}

Tensor random_tensor(DType dtype, const Dims& dims) {
  Tensor t(dtype, dims);
  std::mt19937_64 random(1);
  for (int64_t i = 0; i < t.size(); ++i) {
    if (is_float(dtype))
      set_double(t, i, double(random() >> 11) * 0x1p-53 * 2 - 1);
    else if (is_integer(dtype) || dtype == DType::kBool)
      set_int(t, i, int64_t(random() % 2));
  }
  return t;
}

std::byte* raw(const Value& v) {
  return v.kind == Value::Kind::kTensor ? const_cast<std::byte*>(v.tensor.raw()) : nullptr;
}

/// Memory between guard bytes, 64-byte aligned.
class GuardedMemory {
 public:
  explicit GuardedMemory(size_t bytes) : bytes_(bytes) {
    memory_ = backends().front()->allocate(checked_add(int64_t(bytes), 2 * int64_t(kGuard)));
    std::memset(memory_.get(), int(kMark), kGuard);
    std::memset(data(), 0xFF, bytes);  // NaN where floats are not written
    std::memset(data() + bytes, int(kMark), kGuard);
  }
  std::byte* data() const { return memory_.get() + kGuard; }
  bool intact() const {
    auto marked = [](std::byte b) { return b == kMark; };
    return std::all_of(memory_.get(), data(), marked) &&
           std::all_of(data() + bytes_, data() + bytes_ + kGuard, marked);
  }

 private:
  static constexpr std::byte kMark{0xA5};
  static constexpr size_t kGuard = 256;
  size_t bytes_;
  std::shared_ptr<std::byte> memory_;
};

}  // namespace

/// A candidate that is ready to run, or what speaks against it.
struct Bench::Entry {
  const Tactic* tactic = nullptr;
  std::string problem;
  std::shared_ptr<std::byte> packed;
  TacticState state;
  std::vector<GuardedMemory> memory;  ///< outputs, then the workspace
  std::vector<Tensor> outputs;
  std::vector<Operand> in_operands, out_operands;
  const char* error = nullptr;
  double best = INFINITY;

  double run(int max_threads) {
    const auto start = std::chrono::steady_clock::now();
    tactic->run(state, {in_operands, out_operands, memory.back().data(), max_threads, &error});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    return took.count();
  }
};

std::string Bench::obstacle(const Graph& graph, int32_t node,
                            const std::map<std::string, int64_t>& bindings) {
  const Node& n = graph.nodes[size_t(node)];
  std::set<std::string> symbols;
  collect_symbols(n.op, symbols);
  for (const std::string& s : symbols)
    if (!bindings.count(s)) return cat("the extent '", s, "' is not known");
  try {
    for (const Type& t : n.types) eval(t, bindings);
    for (ValueId v : n.inputs) {
      if (!v.valid()) continue;
      eval(graph.type(v), bindings);
      if (!graph.fact(v)) continue;
      for (const Dim& d : *graph.fact(v)) eval(d, bindings);
    }
    check_guards(graph, node, bindings);  // kernels rely on them
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::kUser) throw;
    return e.message();
  }
  return "";
}

Bench::Bench(const Graph& graph, int32_t node, const std::map<std::string, int64_t>& bindings,
             int max_threads)
    : graph_(graph),
      node_(graph.nodes[size_t(node)]),
      info_(graph, node),
      bindings_(bindings),
      max_threads_(max_threads > 0 ? max_threads : ThreadPool::process().size()) {
  for (const Type& t : node_.types) {
    out_dims_.push_back(eval(t, bindings_));
    out_.push_back({out_dims_.back(), dense_strides(out_dims_.back())});
  }
  for (ValueId v : node_.inputs) {
    in_.emplace_back(), known_.emplace_back();
    if (!v.valid()) continue;
    in_.back().dims = eval(graph_.type(v), bindings_);
    in_.back().strides = dense_strides(in_.back().dims);
    if (!graph_.fact(v)) continue;
    for (const Dim& d : *graph_.fact(v)) known_.back().push_back(eval(d, bindings_));
  }
}

Bench::~Bench() = default;

int64_t Bench::bytes(size_t candidates) const {
  int64_t total = 0;
  const auto add = [&](size_t times, const Type& type, const Dims& dims) {
    if (!type.is_tensor()) return;
    const int64_t bytes = byte_size(type.dtype, element_count(dims));
    total = checked_add(total, checked_mul(int64_t(times), bytes));
  };
  for (size_t i = 0; i < in_.size(); ++i)
    if (const ValueId v = node_.inputs[i]; v.valid())
      add(graph_.constant(v) ? 1 + candidates : 1, graph_.type(v), in_[i].dims);
  for (size_t o = 0; o < out_.size(); ++o) add(1 + candidates, node_.types[o], out_[o].dims);
  return total;
}

void Bench::make_inputs() {
  for (size_t i = 0; i < node_.inputs.size(); ++i) {
    const ValueId v = node_.inputs[i];
    if (!v.valid()) {
      inputs_.emplace_back();
    } else if (const Tensor* constant = graph_.constant(v)) {
      inputs_.emplace_back(constant->aligned());
    } else {
      Tensor t = random_tensor(graph_.type(v).dtype, in_[i].dims);
      for (size_t k = 0; k < known_[i].size() && int64_t(k) < t.size(); ++k)
        set_int(t, int64_t(k), known_[i][k]);
      inputs_.emplace_back(std::move(t));
    }
  }
}

BoundNode Bench::bound_node() const {
  return {node_.op,
          info_.inputs,
          node_.types,
          in_,
          out_,
          known_,
          [this](const Dim& d) { return eval(d, bindings_); },
          max_threads_};
}

double Bench::predict(const Tactic& tactic, const Config& config) const {
  BoundNode bound = bound_node();
  bound.max_threads = kPredictedThreads;
  return tactic.predict ? tactic.predict(bound, config) : -1;
}

void Bench::add(const Tactic& tactic, const Config& config) {
  if (entries_.empty()) make_inputs();
  Entry& entry = *entries_.emplace_back(std::make_unique<Entry>());
  entry.tactic = &tactic;
  size_t bytes = 0;
  if (tactic.prepare) {
    const std::vector<std::byte> packed = tactic.prepare(info_.view(), config);
    bytes = packed.size();
    entry.packed = backends().front()->allocate(int64_t(bytes));
    std::copy(packed.begin(), packed.end(), entry.packed.get());
  }
  try {
    if (tactic.load)
      entry.state = tactic.load(node_.op, config, std::span(entry.packed.get(), bytes));
    if (tactic.bind) entry.state = tactic.bind(entry.state, bound_node());
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::kInternal) throw;
    entry.problem = cat("does not take these shapes: ", e.message());
    return;
  }
  for (const Value& v : inputs_) entry.in_operands.push_back({raw(v)});
  for (size_t o = 0; o < out_dims_.size(); ++o) {
    const DType dtype = node_.types[o].dtype;
    entry.memory.emplace_back(byte_size(dtype, element_count(out_dims_[o])));
    entry.outputs.push_back(Tensor::view(dtype, out_dims_[o], entry.memory.back().data()));
    entry.out_operands.push_back({entry.memory.back().data()});
  }
  entry.memory.emplace_back(size_t(tactic.workspace ? tactic.workspace(entry.state) : 0));
}

/// Runs a candidate once and says what is wrong with its answer.
std::string Bench::check(Entry& entry, const Expected& expected) {
  entry.run(max_threads_);
  for (size_t m = 0; m < entry.memory.size(); ++m)
    if (!entry.memory[m].intact())
      return m < entry.outputs.size() ? cat("writes outside of output ", m)
                                      : std::string("writes outside of its workspace");
  if (!expected.unknown.empty()) return "";
  if (entry.error) return cat("fails: ", entry.error);
  return difference(node_, expected, entry.outputs, std::max(op_info(node_.op).tolerance, 1e-4));
}

std::vector<Measurement> Bench::measure(std::string& unchecked, bool time_single) {
  const Expected expected = expected_of(node_, inputs_, out_dims_, bindings_);
  unchecked = expected.unknown;
  std::vector<Entry*> good;
  for (auto& entry : entries_) {
    if (entry->problem.empty()) entry->problem = check(*entry, expected);
    if (entry->problem.empty()) good.push_back(entry.get());
  }
  double spent = 0;
  for (int round = 0; good.size() + time_single > 1 && round < kRounds; ++round) {
    if (spent >= kTimeBudget * double(good.size())) break;
    for (Entry* entry : good) {
      const double took = entry->run(max_threads_);
      entry->best = std::min(entry->best, took);
      spent += took;
    }
  }
  std::vector<Measurement> results;
  for (const auto& e : entries_)
    results.push_back({std::isfinite(e->best) ? e->best * 1e3 : -1, e->problem});
  return results;
}

}  // namespace vitrify
