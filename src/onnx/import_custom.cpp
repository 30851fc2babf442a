#include "onnx/import_custom.h"

#include <algorithm>

#include "base/error.h"
#include "ops/custom.h"

namespace vitrify::onnx {
namespace {

using CustomValue = decltype(Custom::values)::value_type;

CustomValue to_value(NodeContext& c, const Attribute& a) {
  const std::string name(a.name);
  switch (a.kind) {
    case Attribute::Kind::kInt:
      return c.int_attribute(name, 0);
    case Attribute::Kind::kFloat:
      return c.float_attribute(name, 0);
    case Attribute::Kind::kString:
      return c.string_attribute(name, "");
    case Attribute::Kind::kInts:
      return c.ints_attribute(name);
    case Attribute::Kind::kFloats:
      return c.floats_attribute(name);
    case Attribute::Kind::kStrings:
      return c.strings_attribute(name);
    default:
      fail_unsupported("attribute '", name, "' of a custom operator is no number, string or list");
  }
}

}  // namespace

bool import_custom(NodeContext& c) {
  const Node& node = c.node();
  if (!find_custom_op(node.domain, node.op_type)) return false;
  Custom op;
  op.domain = node.domain, op.op = node.op_type, op.version = c.opset();
  std::vector<const Attribute*> attributes;
  for (const Attribute& a : node.attributes) attributes.push_back(&a);
  std::sort(attributes.begin(), attributes.end(),
            [](const Attribute* a, const Attribute* b) { return a->name < b->name; });
  for (const Attribute* a : attributes) {
    op.names.emplace_back(a->name);
    op.values.push_back(to_value(c, *a));
  }
  const ValueId first = c.add(std::move(op), c.inputs(), c.output_count());
  std::vector<ValueId> outputs;
  for (size_t o = 0; o < c.builder().node(first).types.size(); ++o)
    outputs.push_back({first.node, int32_t(o)});
  c.outputs(std::move(outputs));
  return true;
}

}  // namespace vitrify::onnx
