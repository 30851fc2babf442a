// What the tactics of convolution know once shapes are bound; regions run the same in bands of
// rows.
#pragma once

#include "backend/cpu/epilogue_plan.h"
#include "backend/cpu/kernels/conv.h"

namespace vitrify::cpu {

struct ConvBound {
  ConvArgs args;  ///< all but the pointers to operands and workspace
  EpiloguePlan epilogue;
  bool transposed = false;
  // An output that is a box of a larger one, but not of evenly spaced pixels, goes through a dense
  // copy.
  bool staged = false;
  Dims out_dims, out_strides;
  int64_t stage_floats = 0;
};

}  // namespace vitrify::cpu
