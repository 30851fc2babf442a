#include "onnx/import_constant.h"

#include <array>

#include "base/error.h"

namespace vitrify::onnx {

namespace {

Tensor float_tensor(const std::vector<double>& values, Dims dims) {
  return Tensor::of(DType::kFloat32, std::move(dims),
                    std::vector<float>(values.begin(), values.end()));
}

Tensor constant_value(NodeContext& c, std::string_view form) {
  if (form == "value" || form == "sparse_value") return c.tensor_attribute(form);
  if (form == "value_int") return Tensor::scalar(c.int_attribute(form, 0));
  if (form == "value_ints") return Tensor::ints(c.ints_attribute(form));
  if (form == "value_float") return float_tensor({c.float_attribute(form, 0)}, {});
  if (form == "value_string") return Tensor::strings({}, {c.string_attribute(form, "")});
  if (form == "value_floats") {
    std::vector<double> values = c.floats_attribute(form);
    return float_tensor(values, {int64_t(values.size())});
  }
  std::vector<std::string> values = c.strings_attribute(form);
  int64_t count = int64_t(values.size());
  return Tensor::strings({count}, std::move(values));
}

}  // namespace

void import_constant(NodeContext& c) {
  constexpr std::array<std::string_view, 8> kForms{"value",        "sparse_value", "value_int",
                                                   "value_ints",   "value_float",  "value_floats",
                                                   "value_string", "value_strings"};
  std::string_view found;
  for (std::string_view form : kForms) {
    if (!c.has_attribute(form)) continue;
    require(found.empty(), "has both '", found, "' and '", form, "'");
    found = form;
  }
  require(!found.empty(), "has none of the attributes value, value_int, value_float …");
  ValueId v = c.builder().constant(constant_value(c, found));
  c.outputs({v});
}

}  // namespace vitrify::onnx
