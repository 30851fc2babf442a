// Bools from outside: any byte but 0 is true there, kernels count on 0 and 1.
#pragma once

#include "ir/tensor.h"

namespace vitrify {

/// False for a bool tensor with some byte other than 0 and 1.
bool has_normal_bools(const Tensor& t);
/// The tensor itself where it has normal bools, else a copy with every byte other than 0 made 1.
Tensor with_normal_bools(const Tensor& t);
/// The same for all tensors in a value.
Value with_normal_bools(const Value& value);

}  // namespace vitrify
