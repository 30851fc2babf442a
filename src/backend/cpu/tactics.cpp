// The CPU's tactics: the rows of all families. Rows of one op are in order of preference.
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/families.h"

namespace vitrify::cpu {

std::span<const Tactic> tactics() {
  static const std::vector<Tactic> rows = [] {
    std::vector<Tactic> all;
    for (auto family :
         {conv_tactics(), matmul_tactics(), pointwise_tactics(), pool_tactics(), region_tactics(),
          reduce_tactics(), arg_reduce_tactics(), norm_tactics(), movement_tactics(),
          resize_tactics(), attention_tactics(), recurrent_tactics(), quantize_tactics()})
      all.insert(all.end(), family.begin(), family.end());
    return all;
  }();
  return rows;
}

}  // namespace vitrify::cpu
