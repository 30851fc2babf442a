#include "ops/broadcast.h"

#include "base/error.h"
#include "ir/tensor.h"

namespace vitrify {

namespace {
/// The operand's strides over the axes of `dims`, 0 where it repeats.
Dims broadcast_strides(const Dims& dims, const Dims& operand) {
  require(operand.size() <= dims.size() && broadcast_dims(operand, dims) == dims, "shape ",
          str(operand), " does not broadcast to ", str(dims));
  Dims dense = dense_strides(operand), strides(dims.size());
  size_t missing = dims.size() - operand.size();
  for (size_t a = 0; a < operand.size(); ++a)
    if (operand[a] != 1) strides[missing + a] = dense[a];
  return strides;
}
}  // namespace

BroadcastLoop make_broadcast_loop(const Dims& dims, std::span<const Dims> operands) {
  std::vector<Dims> full;
  for (const Dims& o : operands) full.push_back(broadcast_strides(dims, o));
  BroadcastLoop loop{{}, std::vector<Dims>(operands.size())};
  for (size_t a = 0; a < dims.size(); ++a) {
    if (dims[a] == 1) continue;
    bool merge = !loop.dims.empty();
    for (size_t o = 0; o < full.size() && merge; ++o)
      merge = loop.strides[o].back() == full[o][a] * dims[a];
    if (!merge) loop.dims.push_back(1);
    loop.dims.back() *= dims[a];
    for (size_t o = 0; o < full.size(); ++o) {
      if (!merge) loop.strides[o].push_back(0);
      loop.strides[o].back() = full[o][a];
    }
  }
  if (loop.dims.empty()) {
    loop.dims.push_back(1);
    for (Dims& s : loop.strides) s.push_back(0);
  }
  return loop;
}

}  // namespace vitrify
