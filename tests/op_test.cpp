// Every tactic of the CPU on every sample that it supports, for every ISA of the machine.
#include <map>

#include "tactic_harness.h"

namespace vitrify {
namespace {

/// Dense and strided, in place, for the inputs as operands and as constants; counts what ran.
void check_sample(const OpInfo& info, const Sample& sample, std::map<std::string, int>& runs) {
  std::vector<const Tactic*> rows;
  for (const Tactic& t : cpu::tactics())
    if (t.op == info.name) rows.push_back(&t);
  if (rows.empty()) return;
  for (size_t first_constant : {sample.inputs.size(), size_t(1)}) {
    TacticCase c(sample.op, sample.inputs, sample.outputs, first_constant);
    if (!c.has_tensors_only()) continue;
    for (const Tactic* t : rows)
      if (check_tactic(*t, c, info.tolerance)) ++runs[std::string(t->name)];
    if (sample.inputs.size() <= 1) break;
  }
}

void check_all(cpu::Isa isa, uint64_t seed) {
  cpu::set_max_isa(isa);
  std::map<std::string, int> runs;
  for (const Tactic& t : cpu::tactics()) runs[std::string(t.name)];
  for (size_t i = 0; i < op_count(); ++i) {
    const OpInfo& info = op_info(i);
    if (!info.samples) continue;
    int number = 0;
    for (const Sample& sample : info.samples(seed)) {
      std::string types;
      for (const Tensor& t : sample.inputs) types += t.defined() ? " " + t.type().str() : " none";
      SCOPED_TRACE(cat(info.name, " sample ", number++, " ", sample.op.label(), types));
      check_sample(info, sample, runs);
    }
  }
  for (const auto& [name, count] : runs) EXPECT_GT(count, 0) << name << " has no sample";
  cpu::set_max_isa(cpu::machine_isa());
}

class OpTest : public testing::TestWithParam<int> {};

TEST_P(OpTest, EveryTacticGivesWhatTheReferenceGives) {
  const auto isa = static_cast<cpu::Isa>(GetParam());
  if (isa > cpu::machine_isa()) GTEST_SKIP() << "not on this machine";
  check_all(isa, 1 + uint64_t(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Isas, OpTest, testing::Range(0, cpu::kIsaCount), [](const auto& info) {
  return std::string(cpu::isa_name(static_cast<cpu::Isa>(info.param)));
});

}  // namespace
}  // namespace vitrify
