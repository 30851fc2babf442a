#include "ops/custom.h"

#include <map>
#include <mutex>

#include "base/error.h"

namespace vitrify {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const CustomOp>, std::less<>> ops;
};

Registry& registry() {
  static Registry instance;
  return instance;
}

std::shared_ptr<const CustomOp> need_custom_op(const Op& op) {
  const Custom& custom = *op.as<Custom>();
  auto found = find_custom_op(custom.domain, custom.op);
  if (!found)
    fail_unsupported("the custom operator ", custom.domain, ".", custom.op,
                     " is not registered in this program");
  return found;
}

}  // namespace

void register_custom_op(CustomOp op) {
  Registry& r = registry();
  std::lock_guard lock(r.mutex);
  auto key = std::make_pair(op.domain, op.name);
  r.ops[key] = std::make_shared<const CustomOp>(std::move(op));
}

std::shared_ptr<const CustomOp> find_custom_op(std::string_view domain, std::string_view name) {
  Registry& r = registry();
  std::lock_guard lock(r.mutex);
  auto at = r.ops.find(std::make_pair(std::string(domain), std::string(name)));
  return at == r.ops.end() ? nullptr : at->second;
}

void infer_custom(InferContext& c) { need_custom_op(c.op())->infer(c); }
void reference_custom(ReferenceCall& c) { need_custom_op(c.op())->compute(c); }

}  // namespace vitrify
