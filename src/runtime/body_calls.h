// How If, Loop and Scan call their bodies: which of the node's inputs and outputs are which of the
// body's, and what iterations hand on.
#pragma once

#include "runtime/engine.h"

namespace vitrify {

/// A body and the inputs of the node that are its own: [first, first + count).
struct BodyCall {
  const Graph* body;
  size_t first, count;
};
/// Of If, 0 is the then branch and 1 the else branch; Loop and Scan have one body.
BodyCall body_call(const Node& node, int which);
int body_count(const Op& op);  ///< 0 for any op but these three

/// What iterations hand on: the node's inputs [first_input, …), its outputs [0, count) and the
/// body's outputs [first_result, …). The body's later outputs are scanned: an iteration's is one
/// slice of the node's.
struct Carried {
  size_t count, first_input, first_result;
};
Carried carried_by(const Op& op);

/// How a body comes by an input of the node: as it is, or anew in every iteration.
enum class Role { kOperand, kCounter, kCondition, kCarried, kSlice };
Role role_of(const Op& op, size_t input);

/// The extents that a body sees of an input of the node with extents `dims`.
Dims lent_dims(const Op& op, size_t input, Dims dims);

/// The axis along which input `input` of a Scan, of rank `rank`, is sliced.
size_t input_axis(const Op& op, size_t input, size_t rank);
/// The axis along which the node's scanned output `output`, of rank `rank`, is put together.
size_t output_axis(const Op& op, size_t output, size_t rank);
/// Where in it iteration i's slice goes, of `count`; and where that of an input comes from.
int64_t output_slice(const Op& op, size_t output, int64_t i, int64_t count);
int64_t input_slice(const Op& op, size_t input, int64_t i, int64_t count);

/// True when all bodies are planned and take what the node has as plain tensors.
bool lends_operands(const Engine& engine, const Node& node);

/// A dense tensor of whole-byte elements as `outer` rows of `count` slices of `bytes`.
struct Slices {
  Slices(DType dtype, const Dims& dims, size_t axis);
  /// Copies slice i of a tensor out of it, or into it. An internal error when there is none.
  void read(const std::byte* tensor, int64_t i, std::byte* slice) const;
  void write(std::byte* tensor, int64_t i, const std::byte* slice) const;
  void expect(int64_t i) const;
  int64_t outer = 1, count = 1, bytes = 1;
};

}  // namespace vitrify
