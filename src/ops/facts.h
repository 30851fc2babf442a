// Arithmetic on facts: the values of small integer tensors, as far as they are known in symbols
// before a run (ir/graph.h). Nothing is said where a wrong answer could be.
#pragma once

#include "ops/op_info.h"

namespace vitrify {

/// The fact of input i when it is i64, i32 or bool; bool and float constants count as well when
/// their elements are whole numbers.
Fact input_fact(const InferContext& context, int i);
/// `fact` if it can hold for a result of `type` (an integer type that holds the values, rank 0 or 1
/// and as many elements), else nothing.
Fact fitting(Fact fact, const Type& type);

std::optional<Dim> unary_fact(UnaryKind kind, const Dim& x);
std::optional<Dim> binary_fact(BinaryKind kind, const Dim& a, const Dim& b);
/// True, false, or unknown (neither surely 0 nor surely not).
std::optional<bool> truth(const Dim& d);
/// Element by element with sides of one element repeated; nothing when f says nothing.
Fact map_facts(const Fact& a, const std::function<std::optional<Dim>(const Dim&)>& f);
Fact zip_facts(const Fact& a, const Fact& b,
               const std::function<std::optional<Dim>(const Dim&, const Dim&)>& f);

}  // namespace vitrify
