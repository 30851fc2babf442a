// Runs one node on one tactic as the run time does: dense, strided and in place, with guards around
// every buffer, and compares with the reference.
#pragma once

#include <gtest/gtest.h>

#include <cstring>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/isa.h"
#include "base/error.h"
#include "compare.h"
#include "ops/interpreter.h"
#include "ops/table.h"
#include "runtime/layout.h"

namespace vitrify {

/// Bytes between guards.
class Guarded {
 public:
  explicit Guarded(size_t bytes) : bytes_(bytes), storage_(bytes + 2 * kGuard + 64, kMark) {
    const auto at = reinterpret_cast<uintptr_t>(storage_.data()) + kGuard;
    data_ = storage_.data() + kGuard + ((at + 63) / 64 * 64 - at);
  }
  std::byte* data() { return data_; }
  bool intact() const {
    const std::byte *begin = storage_.data(), *end = begin + storage_.size();
    for (const std::byte* p = begin; p < end; ++p)
      if ((p < data_ || p >= data_ + bytes_) && *p != kMark) return false;
    return true;
  }
  static constexpr std::byte kMark{0xA5};

 private:
  static constexpr size_t kGuard = 256;
  size_t bytes_;
  std::vector<std::byte> storage_;
  std::byte* data_;
};

/// A tensor in memory of its own, dense or as a box inside a larger tensor (last stride 1).
struct Placed {
  Placed(DType dtype, const Dims& dims, bool strided) : dtype(dtype), extents{dims, {}} {
    Dims outer = dims;
    if (strided)
      for (size_t a = 0; a < dims.size(); ++a) outer[a] += a + 1 == dims.size() ? 5 : 1;
    extents.strides = dense_strides(outer);
    size = size_t(bit_width(dtype) / 8);
    memory = std::make_shared<Guarded>(size_t(element_count(outer)) * size);
    std::memset(memory->data(), int(Guarded::kMark), size_t(element_count(outer)) * size);
    if (strided && element_count(dims) > 0)
      for (size_t a = 0; a < dims.size(); ++a) offset += extents.strides[a];
    total = element_count(outer);
  }
  std::byte* data() { return memory->data() + size_t(offset) * size; }
  /// Calls f(address in this tensor, index in a dense one) for every element.
  template <class F>
  void each(F f) {
    for (int64_t i = 0; i < element_count(extents.dims); ++i) {
      int64_t rest = i, at = offset;
      for (size_t a = extents.dims.size(); a-- > 0;)
        at += rest % extents.dims[a] * extents.strides[a], rest /= extents.dims[a];
      f(memory->data() + size_t(at) * size, size_t(i));
    }
  }
  void fill(const Tensor& t) {
    each([&](std::byte* p, size_t i) { std::memcpy(p, t.raw() + i * size, size); });
  }
  Tensor take() {
    Tensor t(dtype, extents.dims);
    each([&](std::byte* p, size_t i) { std::memcpy(t.raw() + i * size, p, size); });
    return t;
  }
  /// True when nothing outside of the box was written; takes the box itself away.
  bool intact() {
    each([&](std::byte* p, size_t) { std::memset(p, int(Guarded::kMark), size); });
    for (size_t i = 0; i < size_t(total) * size; ++i)
      if (memory->data()[i] != Guarded::kMark) return false;
    return memory->intact();
  }

  DType dtype;
  Extents extents;
  size_t size = 4;
  int64_t offset = 0, total = 0;
  std::shared_ptr<Guarded> memory;
};

struct RunVariant {
  bool strided_inputs = false, strided_outputs = false;
  int in_place = -1;  ///< the input that output 0 overwrites
  int threads = 1;
};

/// A node with concrete inputs and what the reference makes of them.
class TacticCase {
 public:
  /// Inputs from `first_constant` on are constants of the graph.
  TacticCase(const Op& op, std::vector<Tensor> inputs, int outputs, size_t first_constant)
      : inputs_(std::move(inputs)) {
    GraphBuilder builder = make_builder();
    std::vector<ValueId> values;
    std::vector<Value> given;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (!inputs_[i].defined()) {
        values.push_back({});
      } else if (i >= first_constant) {
        values.push_back(builder.constant(inputs_[i]));
      } else {
        values.push_back(builder.input(cat("x", i), inputs_[i].type()));
        given.push_back(inputs_[i]);
      }
    }
    const ValueId y = builder.add(op, values, {}, outputs);
    for (int o = 0; o < outputs; ++o) builder.output(cat("y", o), {y.node, o});
    graph_ = builder.finish();
    node_ = graph_.outputs[0].value.node;
    for (const Value& v : interpret(graph_, given)) expected_.push_back(v.tensor);
    info_.emplace(graph_, node_);
  }

  NodeView view() const { return info_->view(); }
  const std::vector<Tensor>& expected() const { return expected_; }
  bool has_tensors_only() const {
    for (const Tensor& t : expected_)
      if (!t.defined() || t.dtype() == DType::kString || is_sub_byte(t.dtype())) return false;
    for (const Tensor& t : inputs_)
      if (t.dtype() == DType::kString || is_sub_byte(t.dtype())) return false;
    return true;
  }

  std::vector<Tensor> run(const Tactic& tactic, const Config& config, const RunVariant& v) {
    const Node& node = graph_.nodes[size_t(node_)];
    std::vector<std::byte> packed;
    if (tactic.prepare) packed = tactic.prepare(view(), config);
    Guarded bytes(packed.size());
    std::copy(packed.begin(), packed.end(), bytes.data());
    TacticState state;
    if (tactic.load) state = tactic.load(node.op, config, {bytes.data(), packed.size()});
    place(tactic, v);
    std::vector<Extents> in, out;
    for (auto& p : in_) in.push_back(p ? p->extents : Extents{});
    for (auto& p : out_) out.push_back(p->extents);
    std::vector<std::vector<int64_t>> known(inputs_.size());
    for (size_t i = 0; i < known.size(); ++i)
      if (info_->facts[i] && inputs_[i].defined()) known[i] = to_ints(inputs_[i]);
    const BoundNode bound{
        node.op,  info_->inputs, node.types, in, out, known, [](const Dim& d) { return d.value(); },
        v.threads};
    if (tactic.bind) state = tactic.bind(state, bound);
    Guarded workspace(size_t(tactic.workspace ? tactic.workspace(state) : 0));
    std::vector<Operand> in_operands, out_operands;
    for (auto& p : in_) in_operands.push_back({p ? p->data() : nullptr});
    for (auto& p : out_) out_operands.push_back({p->data()});
    error_ = nullptr;
    tactic.run(state, {in_operands, out_operands, workspace.data(), v.threads, &error_});
    EXPECT_TRUE(workspace.intact()) << "wrote outside of the workspace";
    std::vector<Tensor> results;
    for (auto& p : out_) results.push_back(p->take());
    for (auto& p : out_) EXPECT_TRUE(p->intact()) << "wrote outside of an output";
    return results;
  }
  const char* error() const { return error_; }

 private:
  void place(const Tactic& tactic, const RunVariant& v) {
    in_.clear(), out_.clear();
    for (size_t i = 0; i < inputs_.size(); ++i) {
      in_.emplace_back();
      if (!inputs_[i].defined()) continue;
      const bool strided =
          v.strided_inputs && i < 32 && (tactic.strided_inputs >> i & 1) && int(i) != v.in_place;
      in_.back().emplace(inputs_[i].dtype(), inputs_[i].dims(), strided);
      in_.back()->fill(inputs_[i]);
    }
    for (size_t o = 0; o < expected_.size(); ++o) {
      if (o == 0 && v.in_place >= 0) {
        out_.push_back(in_[size_t(v.in_place)]);
        out_.back()->extents = {expected_[0].dims(), dense_strides(expected_[0].dims())};
        continue;
      }
      const bool strided = v.strided_outputs && o < 32 && (tactic.strided_outputs >> o & 1);
      out_.emplace_back(std::in_place, expected_[o].dtype(), expected_[o].dims(), strided);
    }
  }

  std::vector<Tensor> inputs_, expected_;
  Graph graph_;
  int32_t node_ = -1;
  std::optional<NodeInfo> info_;
  std::vector<std::optional<Placed>> in_, out_;
  const char* error_ = nullptr;
};

inline std::string difference(const std::vector<Tensor>& a, const std::vector<Tensor>& b,
                              double tolerance) {
  for (size_t i = 0; i < b.size(); ++i)
    if (std::string d = difference(a[i], b[i], tolerance); !d.empty())
      return cat("output ", i, ": ", d);
  return {};
}

inline bool same_bytes(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i].bytes() && std::memcmp(a[i].raw(), b[i].raw(), a[i].bytes()) != 0) return false;
  return true;
}

/// Every variant that the row allows; returns false when the row refuses the node.
inline bool check_tactic(const Tactic& tactic, TacticCase& c, double tolerance) {
  if (!tactic.supports(c.view()).empty()) return false;
  std::vector<Config> configs{""};
  if (tactic.configs) configs = tactic.configs(c.view());
  const uint32_t mask = tactic.overwrites ? tactic.overwrites(c.view()) : 0;
  for (const Config& config : configs) {
    SCOPED_TRACE(cat(tactic.name, " ", config));
    const std::vector<Tensor> dense = c.run(tactic, config, {});
    EXPECT_EQ(difference(dense, c.expected(), tolerance), "");
    EXPECT_TRUE(same_bytes(c.run(tactic, config, {.threads = 3}), dense))
        << "results depend on the number of threads";
    for (int s = 1; s < 4; ++s) {
      const bool in = s & 1, out = s & 2;
      if ((in && !tactic.strided_inputs) || (out && !tactic.strided_outputs)) continue;
      SCOPED_TRACE(cat(in ? "strided inputs " : "", out ? "strided outputs" : ""));
      EXPECT_EQ(difference(c.run(tactic, config, {in, out}), c.expected(), tolerance), "");
    }
    for (int i = 0; i < 32; ++i) {
      if (!(mask >> i & 1)) continue;
      SCOPED_TRACE(cat("over input ", i));
      EXPECT_EQ(difference(c.run(tactic, config, {.in_place = i}), c.expected(), tolerance), "");
    }
  }
  return true;
}

}  // namespace vitrify
