#include "ops/recurrent.h"
#include "ops/samples.h"

namespace vitrify {

namespace {
struct Extents {
  int64_t steps, batch, input, hidden;
};

/// Which optional inputs a case has.
enum : unsigned { kBias = 1, kLengths = 2, kState = 4, kPeepholes = 8 };

Sample make_sample(SampleRandom& random, Recurrent op, DType dtype, const Extents& e,
                   unsigned given) {
  op.hidden_size = e.hidden;
  int64_t d = recurrent_directions(op), rows = recurrent_gates(op.kind) * e.hidden;
  auto draw = [&](Dims dims) { return random_tensor(random, dtype, dims, -0.7, 0.7); };
  Dims state = op.batch_first ? Dims{e.batch, d, e.hidden} : Dims{d, e.batch, e.hidden};
  bool lstm = op.kind == Recurrent::Kind::kLstm;
  std::vector<Tensor> inputs{
      draw(op.batch_first ? Dims{e.batch, e.steps, e.input} : Dims{e.steps, e.batch, e.input}),
      draw({d, rows, e.input}), draw({d, rows, e.hidden})};
  inputs.push_back(given & kBias ? draw({d, 2 * rows}) : Tensor());
  Tensor lengths(DType::kInt32, {e.batch});
  for (int64_t i = 0; i < e.batch; ++i) set_int(lengths, i, random.integer(0, e.steps));
  inputs.push_back(given & kLengths ? lengths : Tensor());
  inputs.push_back(given & kState ? draw(state) : Tensor());
  if (lstm) {
    inputs.push_back(given & kState ? draw(state) : Tensor());
    inputs.push_back(given & kPeepholes ? draw({d, 3 * e.hidden}) : Tensor());
  }
  while (!inputs.back().defined()) inputs.pop_back();
  return {std::move(op), std::move(inputs), lstm ? 3 : 2};
}
}  // namespace

std::vector<Sample> samples_recurrent(uint64_t seed) {
  SampleRandom random(seed);
  std::vector<Sample> samples;
  auto add = [&](Recurrent op, const Extents& e, unsigned given, DType dtype = DType::kFloat32) {
    samples.push_back(make_sample(random, std::move(op), dtype, e, given));
  };
  using Direction = Recurrent::Direction;
  for (auto kind : {Recurrent::Kind::kRnn, Recurrent::Kind::kGru, Recurrent::Kind::kLstm}) {
    for (auto direction : {Direction::kForward, Direction::kReverse, Direction::kBidirectional}) {
      Recurrent op{.kind = kind, .direction = direction};
      add(op, {3, 2, 5, 7}, kBias);
      add(op, {4, 3, 1, 3}, kBias | kLengths | kState | kPeepholes);
      op.batch_first = true;
      add(op, {2, 3, 4, 5}, kState | kLengths);
    }
    Recurrent op{.kind = kind};
    add(op, {1, 1, 9, 33}, kBias, DType::kFloat64);
    add(op, {2, 1, 3, 4}, kBias | kState, DType::kFloat16);
    add(op, {0, 2, 3, 4}, kState);
    op.clip = 0.3, op.linear_before_reset = true, op.input_forget = true;
    add(op, {3, 2, 3, 4}, kBias | kPeepholes | kState);
    op.activations = default_activations(kind);
    op.activations[0] = "hardsigmoid", op.activations.back() = "scaledtanh";
    op.alphas = std::vector<double>(op.activations.size(), 0.5);
    op.betas = std::vector<double>(op.activations.size(), 0.4);
    add(op, {3, 2, 3, 4}, kBias);
  }
  return samples;
}

}  // namespace vitrify
