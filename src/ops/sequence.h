// Sequences and optionals: rows of the op table.
//
// A sequence's element type says its shape only when that is wholly known, for elements may differ;
// otherwise the rank is unknown. An optional's value is the element itself or nothing.
#pragma once

#include "ops/op_info.h"

namespace vitrify {

/// The type of elements that may be of either type; user error when their element types differ.
Type join_elements(const Type& a, const Type& b);
/// A sequence of such elements.
Type sequence_of(Type element);

void infer_sequence_construct(InferContext&);
void infer_sequence_empty(InferContext&);
void infer_sequence_at(InferContext&);
void infer_sequence_insert(InferContext&);
void infer_sequence_erase(InferContext&);
void infer_sequence_length(InferContext&);
void infer_concat_from_sequence(InferContext&);
void infer_split_to_sequence(InferContext&);
void infer_optional(InferContext&);
void infer_optional_get(InferContext&);
void infer_optional_has(InferContext&);

void reference_sequence_construct(ReferenceCall&);
void reference_sequence_empty(ReferenceCall&);
void reference_sequence_at(ReferenceCall&);
void reference_sequence_insert(ReferenceCall&);
void reference_sequence_erase(ReferenceCall&);
void reference_sequence_length(ReferenceCall&);
void reference_concat_from_sequence(ReferenceCall&);
void reference_split_to_sequence(ReferenceCall&);
void reference_optional(ReferenceCall&);
void reference_optional_get(ReferenceCall&);
void reference_optional_has(ReferenceCall&);

}  // namespace vitrify
