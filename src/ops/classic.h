// The long tail of ops that only the reference runs: each is a row with a fixed meaning, in ONNX's
// own layout and semantics. To add one: a row in its family's table, the family's table here.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ops/op_info.h"

namespace vitrify {

struct ClassicRow {
  std::string_view name;  ///< what Classic::op says, snake_case
  void (*infer)(InferContext&);
  void (*reference)(ReferenceCall&);
  SamplesFn samples = nullptr;
};

// The families' tables.
std::span<const ClassicRow> linear_classics();     // ops/linear.cpp
std::span<const ClassicRow> vision_classics();     // ops/vision.cpp
std::span<const ClassicRow> signal_classics();     // ops/signal.cpp
std::span<const ClassicRow> attention_classics();  // ops/linear_attention.cpp
std::span<const ClassicRow> text_classics();       // ops/text.cpp
std::span<const ClassicRow> ml_classics();         // ops/ml.cpp
std::span<const ClassicRow> svm_classics();        // ops/svm.cpp

/// The row; user error when there is none.
const ClassicRow& classic_row(const Op& op);

using ClassicValue = decltype(Classic::values)::value_type;
/// An op with its attributes sorted by name, as equality and hashing want them.
Classic make_classic(std::string_view op,
                     std::vector<std::pair<std::string, ClassicValue>> attributes = {},
                     std::vector<ConstantRef> tensors = {});

/// Attributes of a Classic op; user error on one of another type.
class ClassicAttributes {
 public:
  explicit ClassicAttributes(const Op& op) : op_(*op.as<Classic>()) {}
  bool has(std::string_view name) const { return find(name) != nullptr; }
  int64_t integer(std::string_view name, int64_t otherwise) const;
  double number(std::string_view name, double otherwise) const;
  std::string text(std::string_view name, std::string_view otherwise) const;
  Ints integers(std::string_view name) const;
  std::vector<double> numbers(std::string_view name) const;
  std::vector<std::string> texts(std::string_view name) const;
  /// Tensor attribute i; user error when it is missing.
  const Tensor& tensor(size_t i) const;

 private:
  const ClassicValue* find(std::string_view name) const;
  template <class T>
  T get(std::string_view name, T otherwise) const;
  const Classic& op_;
};

// The op table's row for Classic.
void infer_classic(InferContext& context);
void reference_classic(ReferenceCall& call);
std::vector<Sample> samples_classic(uint64_t seed);

}  // namespace vitrify
