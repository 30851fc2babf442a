#include "builder/expected.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "base/error.h"
#include "builder/sampled_contraction.h"
#include "ops/table.h"

namespace vitrify {
namespace {

constexpr double kWholeContractionFlops = 2e7;  ///< above: sampled elements only
constexpr double kWholeWork = 4e9;              ///< flops or bytes; above: nothing is said
constexpr int kRandomSamples = 1024;
constexpr int64_t kEnds = 32;
constexpr int64_t kAllSampled = 1024, kAllWhole = 65536;

/// An index of an axis, at its ends half of the time.
int64_t draw(std::mt19937_64& random, int64_t extent) {
  const uint64_t word = random();
  switch (word % 8) {
    case 0:
    case 1:
      return extent - 1;
    case 2:
      return 0;
    case 3:
      return std::max<int64_t>(0, extent - 1 - int64_t(word / 8 % 16));
    default:
      return int64_t(word / 8 % uint64_t(extent));
  }
}

void add_corners(const Dims& dims, std::vector<int64_t>& positions) {
  const size_t axes = std::min<size_t>(dims.size(), 8);
  for (uint32_t corner = 0; corner < 1u << axes; ++corner) {
    int64_t at = 0;
    for (size_t a = 0; a < dims.size(); ++a)
      at = at * dims[a] + (a < axes && (corner >> a & 1) ? dims[a] - 1 : 0);
    positions.push_back(at);
  }
}

bool is_contraction(const Op& op) {
  return op.is<Conv>() || op.is<ConvTranspose>() || op.is<MatMul>();
}

Cost cost_of(const Node& node, std::span<const Value> inputs, const std::vector<Dims>& out_dims) {
  const OpInfo& row = op_info(node.op);
  std::vector<Dims> in_dims;
  for (const Value& v : inputs) in_dims.push_back(v.has_value() ? v.tensor.dims() : Dims{});
  return row.cost ? row.cost(node.op, in_dims, out_dims) : Cost{};
}

Expected sampled(const Node& node, std::span<const Value> inputs, const Dims& dims) {
  std::vector<int64_t> positions = sample_positions(dims, kAllSampled);
  Expected expected;
  for (const Tensor& t : sample_contraction(node, inputs, dims, positions)) {
    ExpectedOutput& out = expected.outputs.emplace_back();
    out.positions = positions;
    for (int64_t i = 0; i < t.size(); ++i) out.values.push_back(double_at(t, i));
  }
  return expected;
}

Expected whole(const Node& node, std::span<const Value> inputs, const Bindings& bindings) {
  std::vector<Value> results(node.types.size());
  Expected expected;
  try {
    run_reference(node, inputs, results, bindings);
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::kUser) throw;
    return {{}, cat("the reference refuses made-up inputs: ", e.message())};
  }
  for (const Value& v : results) {
    ExpectedOutput& out = expected.outputs.emplace_back();
    out.positions = sample_positions(v.tensor.dims(), kAllWhole);
    for (int64_t i : out.positions) out.values.push_back(double_at(v.tensor, i));
  }
  return expected;
}

bool jumps(UnaryKind kind) {
  switch (kind) {
    case UnaryKind::kSign:
    case UnaryKind::kFloor:
    case UnaryKind::kCeil:
    case UnaryKind::kRound:
    case UnaryKind::kThresholdedRelu:
    case UnaryKind::kShrink:
      return true;
    default:
      return false;
  }
}
bool jumps(BinaryKind kind) { return kind == BinaryKind::kMod || kind == BinaryKind::kFmod; }

/// True when a result may change much where an input changes little.
bool jumps(const Node& node) {
  for (const Type& t : node.types)
    if (!is_float(t.dtype)) return true;
  if (auto* u = node.op.as<Unary>()) return jumps(u->kind);
  if (auto* b = node.op.as<Binary>()) return jumps(b->kind);
  const Body* body = node.op.body();
  return body && std::any_of(body->steps.begin(), body->steps.end(), [](const BodyStep& s) {
           return !is_float(s.dtype) || (s.code == BodyStep::Code::kUnary && jumps(s.unary)) ||
                  (s.code == BodyStep::Code::kBinary && jumps(s.binary));
         });
}

/// Of one rounding, with room for a few.
double rounding_of(DType dtype) {
  if (!is_float(dtype) || bit_width(dtype) >= 32) return 0;
  return dtype == DType::kFloat16 ? 2e-3 : dtype == DType::kBFloat16 ? 2e-2 : 0.2;
}

/// Of the node's result `o`: by its type, and by those that its body rounds to on the way.
double rounding_of(const Node& node, size_t o) {
  double most = rounding_of(node.types[o].dtype);
  if (const Body* body = node.op.body())
    for (const BodyStep& s : body->steps) most = std::max(most, rounding_of(s.dtype));
  return most;
}

}  // namespace

std::vector<int64_t> sample_positions(const Dims& dims, int64_t all_up_to) {
  const int64_t count = element_count(dims);
  std::vector<int64_t> positions;
  if (count <= all_up_to) {
    for (int64_t i = 0; i < count; ++i) positions.push_back(i);
    return positions;
  }
  add_corners(dims, positions);
  for (int64_t i = 0; i < std::min(kEnds, count); ++i)
    positions.push_back(i), positions.push_back(count - 1 - i);
  std::mt19937_64 random(7);
  for (int i = 0; i < kRandomSamples; ++i) {
    int64_t at = 0;
    for (int64_t extent : dims) at = at * extent + draw(random, extent);
    positions.push_back(at);
  }
  std::sort(positions.begin(), positions.end());
  positions.erase(std::unique(positions.begin(), positions.end()), positions.end());
  return positions;
}

Expected expected_of(const Node& node, std::span<const Value> inputs,
                     const std::vector<Dims>& out_dims, const Bindings& bindings) {
  if (!op_info(node.op).pure) return {{}, "its results are random"};
  if (node.op.is<Region>()) return {{}, "a region's reference may take too long"};
  const Cost cost = cost_of(node, inputs, out_dims);
  if (is_contraction(node.op) && cost.flops > kWholeContractionFlops &&
      can_sample_contraction(node.op))
    return sampled(node, inputs, out_dims[0]);
  if (std::max(cost.flops, cost.bytes) > kWholeWork)
    return {{},
            cat("the reference would take too long for ", cost.flops / 1e9, " GFLOP and ",
                cost.bytes / 1e9, " GB")};
  return whole(node, inputs, bindings);
}

std::string difference(const Node& node, const Expected& expected, std::span<const Tensor> got,
                       double tolerance) {
  for (size_t o = 0; o < expected.outputs.size(); ++o) {
    const auto& [positions, values] = expected.outputs[o];
    const double allowed = std::max(tolerance, rounding_of(node, o));
    double scale = 0;
    for (double v : values)
      if (std::isfinite(v)) scale = std::max(scale, std::abs(v));
    size_t wrong = 0;
    std::string first;
    for (size_t i = 0; i < positions.size(); ++i) {
      const double a = double_at(got[o], positions[i]), b = values[i];
      if (a == b || (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= allowed * scale)
        continue;
      if (wrong++ == 0)
        first =
            cat("answers ", a, " instead of ", b, " at element ", positions[i], " of output ", o);
    }
    if (wrong > (jumps(node) ? positions.size() / 1000 : 0))
      return cat(first, " (wrong at ", wrong, " of ", positions.size(), " elements)");
  }
  return "";
}

}  // namespace vitrify
