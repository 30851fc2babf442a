#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <random>

#include "backend/backend.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "builder/parts.h"
#include "ops/interpreter.h"
#include "ops/table.h"

namespace vitrify {
namespace {

/// Reference kernels are slow: bigger nodes are compared between candidates only.
constexpr double kReferenceFlops = 2e8;
constexpr double kTimeBudget = 0.03;  // seconds a candidate
constexpr int kRounds = 40;
constexpr int kSamples = 4096;

int64_t eval(const Dim& d, const std::map<std::string, int64_t>& bindings) {
  return d.eval([&](const std::string& symbol) -> int64_t {
    auto at = bindings.find(symbol);
    require(at != bindings.end(), "the extent '", symbol, "' is not known");
    return at->second;
  });
}

Dims eval(const Type& type, const std::map<std::string, int64_t>& bindings) {
  require(type.has_rank(), "a value's rank is not known");
  Dims dims;
  for (const Dim& d : *type.shape) dims.push_back(eval(d, bindings));
  return dims;
}

Tensor random_tensor(DType dtype, const Dims& dims) {
  require(dtype != DType::kString, "strings are not timed");
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

}  // namespace

/// A candidate that is ready to run.
struct Bench::Entry {
  const Tactic* tactic = nullptr;
  std::shared_ptr<std::byte> packed, workspace;
  TacticState state;
  std::vector<Tensor> outputs;
  std::vector<Operand> in_operands, out_operands;
  double best = INFINITY;

  double run(int max_threads) {
    const auto start = std::chrono::steady_clock::now();
    tactic->run(state, {in_operands, out_operands, workspace.get(), max_threads, nullptr});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    return took.count();
  }
};

Bench::Bench(const Graph& graph, int32_t node, const std::map<std::string, int64_t>& bindings,
             int max_threads)
    : graph_(graph),
      node_(graph.nodes[size_t(node)]),
      info_(graph, node),
      bindings_(bindings),
      max_threads_(max_threads > 0 ? max_threads : ThreadPool::process().size()) {
  make_inputs();
  for (const Type& t : node_.types) out_dims_.push_back(eval(t, bindings_));
  for (const Value& v : inputs_)
    in_.push_back(v.has_value() ? Extents{v.tensor.dims(), dense_strides(v.tensor.dims())}
                                : Extents{});
  for (const Dims& d : out_dims_) out_.push_back({d, dense_strides(d)});
}

Bench::~Bench() = default;

void Bench::make_inputs() {
  for (ValueId v : node_.inputs) {
    known_.emplace_back();
    if (!v.valid()) {
      inputs_.emplace_back();
      continue;
    }
    if (const Tensor* constant = graph_.constant(v)) {
      inputs_.emplace_back(constant->aligned());
    } else {
      inputs_.emplace_back(random_tensor(graph_.type(v).dtype, eval(graph_.type(v), bindings_)));
    }
    if (!graph_.fact(v)) continue;
    for (const Dim& d : *graph_.fact(v)) known_.back().push_back(eval(d, bindings_));
    Tensor& t = inputs_.back().tensor;
    for (int64_t i = 0; !graph_.constant(v) && i < t.size(); ++i)
      set_int(t, i, known_.back()[size_t(i)]);
  }
}

/// "" when the outputs agree with what was expected at sampled elements.
std::string Bench::compare(const std::vector<Tensor>& outputs) {
  const OpInfo& row = op_info(node_.op);
  if (expected_.empty()) {
    std::vector<Dims> in_dims;
    for (const Value& v : inputs_) in_dims.push_back(v.has_value() ? v.tensor.dims() : Dims{});
    const bool small = row.cost && row.cost(node_.op, in_dims, out_dims_).flops <= kReferenceFlops;
    if (!small) {
      for (const Tensor& t : outputs) expected_.push_back(t.clone());
      return "";
    }
    std::vector<Value> results(node_.types.size());
    Bindings symbols(bindings_.begin(), bindings_.end());
    run_reference(node_, inputs_, results, symbols);
    for (Value& v : results) expected_.push_back(std::move(v.tensor));
  }
  for (size_t o = 0; o < outputs.size(); ++o) {
    const Tensor &got = outputs[o], &want = expected_[o];
    double scale = 0;
    const int64_t step = std::max<int64_t>(1, want.size() / kSamples);
    for (int64_t i = 0; i < want.size(); i += step)
      if (const double w = std::abs(double_at(want, i)); std::isfinite(w))
        scale = std::max(scale, w);
    for (int64_t i = 0; i < want.size(); i += step) {
      const double a = double_at(got, i), b = double_at(want, i);
      const bool same = a == b || (std::isnan(a) && std::isnan(b)) ||
                        std::abs(a - b) <= std::max(row.tolerance, 1e-4) * scale;
      if (!same) return cat("answers ", a, " instead of ", b, " at element ", i);
    }
  }
  return "";
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
  return tactic.predict ? tactic.predict(bound_node(), config) : -1;
}

void Bench::add(const Tactic& tactic, const Config& config) {
  auto entry = std::make_unique<Entry>();
  entry->tactic = &tactic;
  Backend& backend = *backends().front();
  size_t bytes = 0;
  if (tactic.prepare) {
    const std::vector<std::byte> packed = tactic.prepare(info_.view(), config);
    bytes = packed.size();
    entry->packed = backend.allocate(int64_t(bytes));
    std::copy(packed.begin(), packed.end(), entry->packed.get());
  }
  if (tactic.load)
    entry->state = tactic.load(node_.op, config, std::span(entry->packed.get(), bytes));
  if (tactic.bind) entry->state = tactic.bind(entry->state, bound_node());
  entry->workspace = backend.allocate(tactic.workspace ? tactic.workspace(entry->state) : 0);
  for (const Value& v : inputs_) entry->in_operands.push_back({raw(v)});
  for (size_t o = 0; o < out_dims_.size(); ++o) {
    entry->outputs.emplace_back(node_.types[o].dtype, out_dims_[o]);
    entry->out_operands.push_back({entry->outputs.back().raw()});
  }
  entries_.push_back(std::move(entry));
}

std::vector<Measurement> Bench::measure() {
  std::vector<Measurement> results(entries_.size());
  for (size_t i = 0; i < entries_.size(); ++i) {
    entries_[i]->run(max_threads_);
    results[i].problem = compare(entries_[i]->outputs);
  }
  double spent = 0;
  for (int round = 0; round < kRounds && spent < kTimeBudget * double(entries_.size()); ++round)
    for (auto& entry : entries_) {
      const double took = entry->run(max_threads_);
      entry->best = std::min(entry->best, took);
      spent += took;
    }
  for (size_t i = 0; i < entries_.size(); ++i) results[i].milliseconds = entries_[i]->best * 1e3;
  return results;
}

}  // namespace vitrify
