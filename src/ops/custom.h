// Operators that the host program brings: a process-wide registry.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ops/op_info.h"

namespace vitrify {

struct CustomOp {
  std::string domain, name;
  std::function<void(InferContext&)> infer;
  std::function<void(ReferenceCall&)> compute;
};

/// Registering again replaces; graphs at work keep what they have found.
void register_custom_op(CustomOp op);
/// Null when there is none of that name.
std::shared_ptr<const CustomOp> find_custom_op(std::string_view domain, std::string_view name);

// The row of ops/table.cpp. Throw an unsupported error when the op is not registered.
void infer_custom(InferContext& c);
void reference_custom(ReferenceCall& c);

}  // namespace vitrify
