// What products and pools with an epilogue body share: typing and storing their results.
#pragma once

#include "ops/op_info.h"

namespace vitrify {

/// The element type of a product of inputs 0 and 1: their common type; 32-bit integers for 8-bit
/// ones, which may differ in sign. User error for other mixtures.
DType product_dtype(DType a, DType b);

/// Stores the main result, of type `dtype` and extents `dims`, or runs the body over it and stores
/// the body's results. V is a working or accumulator type.
template <class V>
void store_through(ReferenceCall& call, const Body& body, int first_operand, DType dtype,
                   const Dims& dims, const V* values);

extern template void store_through<float>(ReferenceCall&, const Body&, int, DType, const Dims&,
                                          const float*);
extern template void store_through<double>(ReferenceCall&, const Body&, int, DType, const Dims&,
                                           const double*);
extern template void store_through<int64_t>(ReferenceCall&, const Body&, int, DType, const Dims&,
                                            const int64_t*);
extern template void store_through<uint64_t>(ReferenceCall&, const Body&, int, DType, const Dims&,
                                             const uint64_t*);

/// For samples: relu(main + operand), all of `dtype`; and (main + operand, sigmoid of it).
Body bias_relu(DType dtype);
Body two_results(DType dtype);

}  // namespace vitrify
