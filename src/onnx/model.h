// An ONNX model as it lies in the file: plain structs whose strings and numbers point into the
// mapped file, which the Model keeps alive. Nothing is interpreted here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/tensor.h"

namespace vitrify::onnx {

/// TensorProto. Only the fields that the file has are filled.
struct TensorProto {
  std::string_view name;
  int32_t data_type = 0;  ///< ONNX's number, as in DType
  std::vector<int64_t> dims;
  std::optional<std::string_view> raw_data;
  std::vector<float> float_data;
  std::vector<int32_t> int32_data;
  std::vector<int64_t> int64_data;
  std::vector<double> double_data;
  std::vector<uint64_t> uint64_data;
  std::vector<std::string_view> string_data;
  bool external = false;  ///< data_location is EXTERNAL
  std::vector<std::pair<std::string_view, std::string_view>> external_data;
};

struct SparseTensorProto {
  TensorProto values, indices;
  std::vector<int64_t> dims;
};

struct DimProto {
  std::optional<int64_t> value;
  std::string_view symbol;  ///< dim_param; empty when there is none, or it only says "unknown"
};

/// TypeProto: kNone when the file says nothing.
struct TypeProto {
  enum class Kind : uint8_t { kNone, kTensor, kSparseTensor, kSequence, kOptional, kMap };
  Kind kind = Kind::kNone;
  int32_t elem_type = 0;  ///< of a tensor; a map's key type
  std::optional<std::vector<DimProto>> shape;
  std::shared_ptr<const TypeProto> element;  ///< of a sequence, optional or map
};

struct ValueInfo {
  std::string_view name;
  TypeProto type;
};

struct Graph;

struct Attribute {
  enum class Kind : int32_t {
    kUndefined = 0,
    kFloat = 1,
    kInt = 2,
    kString = 3,
    kTensor = 4,
    kGraph = 5,
    kFloats = 6,
    kInts = 7,
    kStrings = 8,
    kTensors = 9,
    kGraphs = 10,
    kSparseTensor = 11,
    kSparseTensors = 12,
    kType = 13,
    kTypes = 14,
  };
  std::string_view name, ref_name;  ///< ref_name: the enclosing function's attribute that is meant
  Kind kind = Kind::kUndefined;     ///< inferred from the fields when an old file leaves it out
  float f = 0;
  int64_t i = 0;
  std::string_view s;
  std::shared_ptr<const TensorProto> tensor;
  std::shared_ptr<const Graph> graph;
  std::shared_ptr<const SparseTensorProto> sparse_tensor;
  std::shared_ptr<const TypeProto> type;
  std::vector<float> floats;
  std::vector<int64_t> ints;
  std::vector<std::string_view> strings;
  std::vector<TensorProto> tensors;
  std::vector<std::shared_ptr<const Graph>> graphs;
};

struct Node {
  std::string_view name, op_type, domain, overload;
  std::vector<std::string_view> inputs, outputs;
  std::vector<Attribute> attributes;
  const Attribute* attribute(std::string_view attribute_name) const {
    for (const Attribute& a : attributes)
      if (a.name == attribute_name) return &a;
    return nullptr;
  }
};

struct Graph {
  std::string_view name;
  std::vector<Node> nodes;
  std::vector<TensorProto> initializers;
  std::vector<SparseTensorProto> sparse_initializers;  ///< named by their values tensor
  std::vector<ValueInfo> inputs, outputs, value_infos;
};

struct OpsetImport {
  std::string_view domain;  ///< "" is ai.onnx
  int64_t version = 0;
};

struct Function {
  std::string_view name, domain, overload;
  std::vector<std::string_view> inputs, outputs, attributes;  ///< attributes: names without default
  std::vector<Attribute> attribute_defaults;
  std::vector<Node> nodes;
  std::vector<OpsetImport> opset_imports;
};

struct Model {
  int64_t ir_version = 0;
  std::string_view producer_name, producer_version;
  std::vector<OpsetImport> opset_imports;
  Graph graph;
  std::vector<Function> functions;
  std::vector<std::pair<std::string_view, std::string_view>> metadata;
  std::string path;                   ///< where it was read from, or empty
  std::shared_ptr<const void> owner;  ///< keeps the bytes
  int64_t bytes = 0;
};

/// Maps and reads a model file. Throws a user error that says what the file is instead.
Model load_model(const std::string& path);
/// The same for bytes in memory, which `owner` keeps alive.
Model parse_model(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                  std::string path = {});

/// The tensor's value. raw_data and external data are not copied: the result may be unaligned and
/// keeps the file mapped. External data is looked up beside `model.path`. Throws a user error
/// naming the tensor.
Tensor to_tensor(const TensorProto& proto, const Model& model);
/// A dense tensor from a sparse one.
Tensor to_tensor(const SparseTensorProto& proto, const Model& model);

/// Values as ONNX's test suite stores them: TensorProto, SequenceProto, OptionalProto in a file.
enum class ValueFile { kTensor, kSequence, kOptional };
Value load_value(const std::string& path, ValueFile kind);

}  // namespace vitrify::onnx
