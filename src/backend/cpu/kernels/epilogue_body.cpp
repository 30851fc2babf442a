#include "backend/cpu/kernels/epilogue_body.h"

#include "base/error.h"

namespace vitrify::cpu {

namespace {
constexpr size_t kMaxBodyRank = 16;
}

Refusal EpilogueRunner::refusal(const NodeView& node, int own) {
  const Body* body = node.op.body();
  if (!body || body->empty()) return {};
  std::vector<DType> types{DType::kFloat32};
  for (size_t i = size_t(own); i < node.inputs.size(); ++i) {
    if (!node.inputs[i].has_rank()) return "an epilogue operand's rank is unknown";
    types.push_back(node.inputs[i].dtype);
  }
  if (!node.outputs[0].has_rank() || node.outputs[0].shape->size() > kMaxBodyRank)
    return "the result's rank is unknown or absurd";
  if (node.outputs.size() != body->results().size()) return "some results are left out";
  if (node.outputs[0].dtype != DType::kFloat32) return "the epilogue's result is not f32";
  return body_refusal(*body, types);
}

EpilogueRunner::Walk EpilogueRunner::make_walk(const Extents& e, const Dims& dims,
                                               DType dtype) const {
  require(e.dims.size() <= dims.size(), "an epilogue operand has a higher rank than the result");
  Walk w;
  w.size = bit_width(dtype) / 8;
  const size_t skip = dims.size() - e.dims.size();
  w.strides.assign(dims.size(), 0);
  for (size_t a = 0; a < e.dims.size(); ++a) {
    require(e.dims[a] == 1 || e.dims[a] == dims[a + skip], "an epilogue operand of shape ",
            str(e.dims), " does not broadcast to ", str(dims));
    if (e.dims[a] != 1) w.strides[a + skip] = e.strides[a];
  }
  if (dims.empty()) return w;
  w.column = w.strides.back();
  require(w.column == 0 || w.column == 1, "an epilogue operand's columns have gaps");
  w.strides.pop_back();
  return w;
}

/// Axis a joins axis a + 1 where every walk goes on evenly.
void EpilogueRunner::merge_axes() {
  auto all = [&](auto f) {
    for (Walk& w : operands_) f(w);
    for (Walk& w : outputs_) f(w);
  };
  for (size_t a = rows_.size(); a-- > 0;) {
    bool even = a + 1 < rows_.size();
    if (even) all([&](const Walk& w) { even &= w.strides[a] == w.strides[a + 1] * rows_[a + 1]; });
    if (!even && rows_[a] != 1) continue;
    if (even) rows_[a + 1] *= rows_[a];
    rows_.erase(rows_.begin() + int64_t(a));
    all([&](Walk& w) { w.strides.erase(w.strides.begin() + int64_t(a)); });
  }
}

EpilogueRunner::EpilogueRunner(Isa isa, const BoundNode& node, int own, const Dims& dims)
    : isa_(isa) {
  const Body* body = node.op.body();
  if (!body || body->empty()) return;
  require(int(node.inputs.size()) == own + body->inputs - 1 &&
              node.outputs.size() <= body->results().size() && dims.size() <= kMaxBodyRank,
          "the epilogue's operands do not match its body");
  std::vector<DType> types{DType::kFloat32};
  for (size_t i = size_t(own); i < node.inputs.size(); ++i) {
    types.push_back(node.input_types[i].dtype);
    operands_.push_back(make_walk(node.inputs[i], dims, types.back()));
  }
  program_ = compile_body(*body, types);
  require(program_.result_types[0] == DType::kFloat32, "the epilogue's result is not f32");
  for (size_t r = 1; r < program_.results.size(); ++r) {
    require(r < node.outputs.size() && node.output_types[r].dtype == program_.result_types[r],
            "the epilogue's results do not match its body");
    outputs_.push_back(make_walk(node.outputs[r], dims, program_.result_types[r]));
  }
  rows_ = dims;
  if (!rows_.empty()) rows_.pop_back();
  merge_axes();
}

EpilogueRun EpilogueRunner::start(const RunCall& call, int own) const {
  EpilogueRun run;
  run.runner = this;
  for (size_t i = 0; i < operands_.size(); ++i) run.operands[i] = call.inputs[size_t(own) + i].data;
  for (size_t i = 0; i < outputs_.size(); ++i) run.outputs[i] = call.outputs[i + 1].data;
  return run;
}

const std::byte* EpilogueRunner::at(const Walk& w, const int64_t* index, const std::byte* data,
                                    int64_t col) const {
  if (!data) return nullptr;  // a result that nobody reads
  int64_t offset = col * w.column;
  for (size_t a = 0; a < w.strides.size(); ++a) offset += index[a] * w.strides[a];
  return data + offset * w.size;
}

void EpilogueRunner::tile(void* run, float* row, int64_t row_index, int64_t col0, int64_t cols) {
  const auto& r = *static_cast<const EpilogueRun*>(run);
  const EpilogueRunner& self = *r.runner;
  int64_t index[kMaxBodyRank];
  for (size_t a = self.rows_.size(); a-- > 0;) {
    index[a] = a ? row_index % self.rows_[a] : row_index;
    row_index /= self.rows_[a];
  }
  BodyOperand operands[kMaxBodyOperands];
  std::byte* results[kMaxBodyResults];
  operands[0] = {reinterpret_cast<const std::byte*>(row), 1};
  results[0] = reinterpret_cast<std::byte*>(row);
  for (size_t i = 0; i < self.operands_.size(); ++i)
    operands[i + 1] = {self.at(self.operands_[i], index, r.operands[i], col0),
                       self.operands_[i].column};
  for (size_t i = 0; i < self.outputs_.size(); ++i)
    results[i + 1] = const_cast<std::byte*>(self.at(self.outputs_[i], index, r.outputs[i], col0));
  run_body_row(self.isa_, self.program_, operands, results, cols);
}

}  // namespace vitrify::cpu
