// TensorProto → Tensor: without a copy where the bytes are there already.
#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "onnx/external_data.h"
#include "onnx/model.h"

namespace vitrify::onnx {

static_assert(std::endian::native == std::endian::little, "raw tensors are little endian");

namespace {

constexpr int64_t kMaxElements = int64_t{1} << 40;
/// A dense copy of a sparse tensor must not take all memory from a small file.
constexpr int64_t kMaxDensified = int64_t{1} << 28;

std::string who(const TensorProto& p) {
  return p.name.empty() ? std::string("a tensor") : cat("tensor '", p.name, "'");
}

DType checked_dtype(const TensorProto& p) {
  require(p.data_type > 0 && p.data_type < kDTypeCount, who(p), " has unknown element type ",
          p.data_type);
  return DType(p.data_type);
}

int64_t checked_count(const TensorProto& p) {
  require(p.dims.size() <= kMaxRank, who(p), " has ", p.dims.size(), " axes");
  int64_t count = 0;
  try {
    count = element_count(p.dims);
  } catch (const Error& e) {
    fail(who(p), ": ", e.message());
  }
  require(count <= kMaxElements, who(p), " of shape ", str(p.dims), " is too large");
  return count;
}

/// Bools that are neither 0 nor 1 count as true; kernels rely on the two.
Tensor zero_or_one(const Tensor& t) {
  auto is_bool = [](std::byte b) { return b <= std::byte{1}; };
  if (std::all_of(t.raw(), t.raw() + t.bytes(), is_bool)) return t;
  Tensor copy = t.clone();
  for (size_t i = 0; i < t.bytes(); ++i) copy.raw()[i] = std::byte(t.raw()[i] != std::byte{0});
  return copy;
}

Tensor from_bytes(const TensorProto& p, DType dtype, int64_t count,
                  std::span<const std::byte> bytes, std::shared_ptr<const void> owner) {
  require(dtype != DType::kString, who(p), " stores strings as raw bytes");
  int64_t expected = byte_size(dtype, count);
  require(int64_t(bytes.size()) == expected, who(p), " of type ", name(dtype), str(p.dims),
          " needs ", expected, " bytes but has ", bytes.size());
  Tensor t = Tensor::view(dtype, p.dims, bytes.data(), std::move(owner));
  return dtype == DType::kBool ? zero_or_one(t) : t;
}

void expect_count(const TensorProto& p, size_t have, int64_t need) {
  require(int64_t(have) == need, who(p), " of shape ", str(p.dims), " needs ", need,
          " values but has ", have);
}

template <class T>
Tensor copied(const TensorProto& p, DType dtype, int64_t count, const std::vector<T>& values) {
  expect_count(p, values.size(), count);
  return Tensor::of(dtype, p.dims, values);
}

/// int32_data carries every type of up to 16 bits, bit for bit; sub-byte ones packed as in raw
/// data.
Tensor from_int32(const TensorProto& p, DType dtype, int64_t count) {
  if (dtype == DType::kInt32) return copied(p, dtype, count, p.int32_data);
  int64_t bytes = byte_size(dtype, count), width = is_sub_byte(dtype) ? 1 : bit_width(dtype) / 8;
  expect_count(p, p.int32_data.size(), bytes / width);
  Tensor t(dtype, p.dims);
  for (size_t i = 0; i < p.int32_data.size(); ++i)
    std::memcpy(t.raw() + int64_t(i) * width, &p.int32_data[i], size_t(width));
  return dtype == DType::kBool ? zero_or_one(t) : t;
}

Tensor from_strings(const TensorProto& p, int64_t count) {
  expect_count(p, p.string_data.size(), count);
  return Tensor::strings(p.dims, {p.string_data.begin(), p.string_data.end()});
}

Tensor from_fields(const TensorProto& p, DType dtype, int64_t count) {
  switch (dtype) {
    case DType::kFloat32:
      return copied(p, dtype, count, p.float_data);
    case DType::kFloat64:
      return copied(p, dtype, count, p.double_data);
    case DType::kInt64:
      return copied(p, dtype, count, p.int64_data);
    case DType::kUint64:
      return copied(p, dtype, count, p.uint64_data);
    case DType::kUint32:
      return copied(p, dtype, count,
                    std::vector<uint32_t>(p.uint64_data.begin(), p.uint64_data.end()));
    case DType::kComplex64:
      expect_count(p, p.float_data.size(), 2 * count);
      return Tensor::of(dtype, p.dims, p.float_data);
    case DType::kComplex128:
      expect_count(p, p.double_data.size(), 2 * count);
      return Tensor::of(dtype, p.dims, p.double_data);
    case DType::kString:
      return from_strings(p, count);
    default:
      return from_int32(p, dtype, count);
  }
}

}  // namespace

Tensor to_tensor(const TensorProto& p, const Model& model) {
  DType dtype = checked_dtype(p);
  int64_t count = checked_count(p);
  if (p.external) {
    ExternalBytes external = find_external(p, model.path);
    if (external.whole_file) {  // without a length, the tensor's own size counts
      int64_t bytes = byte_size(dtype, count);
      require(int64_t(external.bytes.size()) >= bytes, who(p), " needs ", bytes, " bytes, but '",
              external.location, "' has only ", external.bytes.size(), " from its offset on");
      external.bytes = external.bytes.first(size_t(bytes));
    }
    return from_bytes(p, dtype, count, external.bytes, std::move(external.owner));
  }
  if (p.raw_data && dtype != DType::kString)
    return from_bytes(p, dtype, count,
                      std::as_bytes(std::span(p.raw_data->data(), p.raw_data->size())),
                      model.owner);
  return from_fields(p, dtype, count);
}

namespace {
void copy_element(const Tensor& from, int64_t i, Tensor& to, int64_t at) {
  if (is_sub_byte(from.dtype())) return set_double(to, at, double_at(from, i));  // exact
  int64_t width = bit_width(from.dtype()) / 8;
  std::memcpy(to.raw() + at * width, from.raw() + i * width, size_t(width));
}
}  // namespace

Tensor to_tensor(const SparseTensorProto& p, const Model& model) {
  Tensor values = to_tensor(p.values, model), indices = to_tensor(p.indices, model);
  require(
      values.dtype() != DType::kString && indices.dtype() == DType::kInt64 && values.rank() == 1,
      "a sparse tensor needs numbers and int64 indices");
  int64_t rank = int64_t(p.dims.size());
  bool linear = indices.rank() == 1;
  require(linear ? indices.dims()[0] == values.size() : indices.dims() == Dims{values.size(), rank},
          "a sparse tensor's indices have shape ", str(indices.dims()), " for ", values.size(),
          " values");
  require(element_count(p.dims) <= kMaxDensified, "a sparse tensor of shape ", str(p.dims),
          " is too large");
  Tensor out(values.dtype(), p.dims);
  Dims strides = dense_strides(p.dims);
  for (int64_t i = 0; i < values.size(); ++i) {
    int64_t at = linear ? int_at(indices, i) : 0;
    for (int64_t a = 0; !linear && a < rank; ++a) {
      int64_t index = int_at(indices, i * rank + a);
      require(index >= 0 && index < p.dims[size_t(a)], "a sparse tensor's index ", index,
              " is out of range");
      at += index * strides[size_t(a)];
    }
    require(at >= 0 && at < out.size(), "a sparse tensor's index ", at, " is out of range");
    copy_element(values, i, out, at);
  }
  return out;
}

}  // namespace vitrify::onnx
