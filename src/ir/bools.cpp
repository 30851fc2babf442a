#include "ir/bools.h"

#include <algorithm>

namespace vitrify {

bool has_normal_bools(const Tensor& t) {
  if (t.dtype() != DType::kBool || !t.raw()) return true;
  unsigned all = 0;
  for (std::byte b : std::span(t.raw(), t.bytes())) all |= unsigned(b);
  return all <= 1;
}

Tensor with_normal_bools(const Tensor& t) {
  if (has_normal_bools(t)) return t;
  Tensor copy = t.clone();
  for (std::byte& b : std::span(copy.raw(), copy.bytes())) b = std::byte(b != std::byte{0});
  return copy;
}

Value with_normal_bools(const Value& value) {
  if (value.kind == Value::Kind::kTensor) return with_normal_bools(value.tensor);
  if (value.kind != Value::Kind::kSequence || !value.sequence) return value;
  std::vector<Value> items;
  for (const Value& v : *value.sequence) items.push_back(with_normal_bools(v));
  return Value::of_sequence(std::move(items));
}

}  // namespace vitrify
