// Control flow: rows of the op table. Bodies are closed graphs that bind their own symbols from
// their inputs; the reference interprets them.
#pragma once

#include "ops/op_info.h"

namespace vitrify {

void infer_if(InferContext&);
void infer_loop(InferContext&);
void infer_scan(InferContext&);
void infer_region(InferContext&);

void reference_if(ReferenceCall&);
void reference_loop(ReferenceCall&);
void reference_scan(ReferenceCall&);
void reference_region(ReferenceCall&);

}  // namespace vitrify
