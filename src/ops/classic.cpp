#include "ops/classic.h"

#include <algorithm>

#include "base/error.h"

namespace vitrify {

namespace {
std::vector<std::span<const ClassicRow>> families() {
  return {linear_classics(), vision_classics(), signal_classics(), attention_classics(),
          text_classics(),   ml_classics(),     svm_classics()};
}
}  // namespace

const ClassicRow& classic_row(const Op& op) {
  const std::string& name = op.as<Classic>()->op;
  for (auto family : families())
    for (const ClassicRow& row : family)
      if (row.name == name) return row;
  fail("there is no op '", name, "'");
}

Classic make_classic(std::string_view op,
                     std::vector<std::pair<std::string, ClassicValue>> attributes,
                     std::vector<ConstantRef> tensors) {
  std::sort(attributes.begin(), attributes.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  Classic classic{std::string(op), {}, {}, std::move(tensors)};
  for (auto& [name, value] : attributes) {
    classic.names.push_back(name);
    classic.values.push_back(std::move(value));
  }
  return classic;
}

const ClassicValue* ClassicAttributes::find(std::string_view name) const {
  for (size_t i = 0; i < op_.names.size() && i < op_.values.size(); ++i)
    if (op_.names[i] == name) return &op_.values[i];
  return nullptr;
}

template <class T>
T ClassicAttributes::get(std::string_view name, T otherwise) const {
  const ClassicValue* value = find(name);
  if (!value) return otherwise;
  const T* typed = std::get_if<T>(value);
  require(typed, "attribute ", name, " of ", op_.op, " has the wrong type");
  return *typed;
}

int64_t ClassicAttributes::integer(std::string_view name, int64_t otherwise) const {
  return get<int64_t>(name, otherwise);
}
double ClassicAttributes::number(std::string_view name, double otherwise) const {
  return get<double>(name, otherwise);
}
std::string ClassicAttributes::text(std::string_view name, std::string_view otherwise) const {
  return get<std::string>(name, std::string(otherwise));
}
Ints ClassicAttributes::integers(std::string_view name) const { return get<Ints>(name, {}); }
std::vector<double> ClassicAttributes::numbers(std::string_view name) const {
  return get<std::vector<double>>(name, {});
}
std::vector<std::string> ClassicAttributes::texts(std::string_view name) const {
  return get<std::vector<std::string>>(name, {});
}

const Tensor& ClassicAttributes::tensor(size_t i) const {
  require(i < op_.tensors.size() && op_.tensors[i], "tensor attribute ", i, " of ", op_.op,
          " is missing");
  return op_.tensors[i]->tensor;
}

void infer_classic(InferContext& context) { classic_row(context.op()).infer(context); }
void reference_classic(ReferenceCall& call) { classic_row(call.op()).reference(call); }

std::vector<Sample> samples_classic(uint64_t seed) {
  std::vector<Sample> samples;
  for (auto family : families())
    for (const ClassicRow& row : family)
      if (row.samples)
        for (Sample& sample : row.samples(seed)) samples.push_back(std::move(sample));
  return samples;
}

}  // namespace vitrify
