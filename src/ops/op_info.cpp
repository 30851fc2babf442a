#include "ops/op_info.h"

#include <algorithm>

#include "base/error.h"

namespace vitrify {

InferContext::InferContext(const Op& op, std::vector<KnownInput> inputs, int outputs,
                           const Node* like, int64_t* next_symbol)
    : op_(op),
      inputs_(std::move(inputs)),
      outputs_(outputs),
      like_(like),
      next_symbol_(next_symbol) {}

const Type& InferContext::type(int i) const {
  require(has(i), "input ", i, " is missing");
  return *inputs_[size_t(i)].type;
}

const Shape* InferContext::shape(int i) const {
  const Type& t = type(i);
  return t.has_rank() ? &*t.shape : nullptr;
}

void InferContext::expect_tensor(int i) const {
  require(type(i).is_tensor(), "input ", i, " must be a tensor, not ", type(i).str());
}

const Tensor* InferContext::constant(int i) const {
  return has(i) ? inputs_[size_t(i)].constant : nullptr;
}

const Fact& InferContext::fact(int i) const {
  static const Fact none;
  return has(i) ? *inputs_[size_t(i)].fact : none;
}

std::optional<std::vector<int64_t>> InferContext::known_ints(int i) const {
  return vitrify::known_ints(fact(i));
}

Dim InferContext::fresh(int output, int axis) {
  if (like_ && size_t(output) < like_->types.size()) {
    const Type& t = like_->types[size_t(output)];
    if (t.has_rank() && size_t(axis) < t.shape->size() && (*t.shape)[size_t(axis)].is_symbol())
      return (*t.shape)[size_t(axis)];
  }
  return Dim::symbol(cat("?", (*next_symbol_)++));
}

void InferContext::output(Type type, Fact fact) {
  const int at = int(result_.types.size());
  if (type.has_rank())
    for (size_t a = 0; a < type.shape->size(); ++a)
      if ((*type.shape)[a].is_large()) (*type.shape)[a] = fresh(at, int(a));
  if (fact && std::ranges::any_of(*fact, [](const Dim& d) { return d.is_large(); })) fact.reset();
  result_.types.push_back(std::move(type)), result_.facts.push_back(std::move(fact));
}

Shape InferContext::fresh_shape(int output, int rank) {
  Shape shape;
  for (int a = 0; a < rank; ++a) shape.push_back(fresh(output, a));
  return shape;
}

const Tensor& ReferenceCall::in(int i) const {
  require(has(i), op_.label(), ": input ", i, " is missing");
  require(inputs_[size_t(i)].kind == Value::Kind::kTensor, op_.label(), ": input ", i,
          " must be a tensor, not a sequence");
  return inputs_[size_t(i)].tensor;
}

Tensor& ReferenceCall::out(int i, DType dtype, const Dims& dims) {
  CHECK(i < output_count());
  Value& v = outputs_[size_t(i)];
  bool given =
      v.kind == Value::Kind::kTensor && v.tensor.dtype() == dtype && v.tensor.dims() == dims;
  if (!given) v = Value(Tensor(dtype, dims));
  return v.tensor;
}

int64_t ReferenceCall::lookup_dim(const Dim& d) const {
  return d.eval([&](const std::string& name) -> int64_t {
    if (!symbols) fail_internal("no value for the symbol ", name);
    return symbols(name);
  });
}

}  // namespace vitrify
