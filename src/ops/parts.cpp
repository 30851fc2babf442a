#include "ops/parts.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace vitrify {

namespace {

/// One byte an element for packed types, itself for all others.
Tensor unpacked(const Tensor& t) {
  if (!is_sub_byte(t.dtype())) return t;
  std::vector<int8_t> values = unpack_sub_byte(t);
  return Tensor::of(DType::kInt8, t.dims(), values);
}
Tensor repacked(Tensor t, DType dtype) {
  if (!is_sub_byte(dtype)) return t;
  return pack_sub_byte(dtype, t.dims(), t.span<int8_t>());
}

/// A dense array seen as `rows` rows of `width` elements.
struct Rows {
  int64_t rows = 1, width = 1;
};
Rows rows_at(const Dims& dims, int64_t axis) {
  Rows r;
  for (size_t a = 0; a < dims.size(); ++a) (int64_t(a) < axis ? r.rows : r.width) *= dims[a];
  return r;
}

void copy_elements(const Tensor& from, int64_t k, Tensor& to, int64_t j, int64_t count) {
  if (count == 0) return;
  if (from.dtype() == DType::kString) {
    std::copy_n(from.data<std::string>() + k, count, to.data<std::string>() + j);
    return;
  }
  size_t width = size_t(bit_width(from.dtype())) / 8;
  std::memcpy(to.raw() + size_t(j) * width, from.raw() + size_t(k) * width, size_t(count) * width);
}

void check_axis(int64_t axis, size_t rank) {
  require(axis >= 0 && axis < int64_t(rank), "axis ", axis, " is out of range for rank ", rank);
}

}  // namespace

Tensor slice_axis(const Tensor& t, int64_t axis, int64_t begin, int64_t count) {
  check_axis(axis, t.dims().size());
  int64_t extent = t.dims()[size_t(axis)];
  require(begin >= 0 && count >= 0 && count <= extent && begin <= extent - count, "part [", begin,
          ", +", count, ") is out of range for extent ", extent);
  Tensor from = unpacked(t);
  Dims dims = t.dims();
  dims[size_t(axis)] = count;
  Tensor to(from.dtype(), dims);
  Rows read = rows_at(t.dims(), axis), write = rows_at(dims, axis);
  int64_t step = extent ? read.width / extent : 0;
  for (int64_t r = 0; r < read.rows; ++r)
    copy_elements(from, r * read.width + begin * step, to, r * write.width, write.width);
  return repacked(std::move(to), t.dtype());
}

namespace {

/// The extents of the concatenation.
Dims concat_dims(std::span<const Tensor> parts, int64_t axis) {
  Dims dims = parts[0].dims();
  check_axis(axis, dims.size());
  dims[size_t(axis)] = 0;
  for (const Tensor& p : parts) {
    require(p.dtype() == parts[0].dtype(), "cannot put ", name(p.dtype()), " and ",
            name(parts[0].dtype()), " together");
    require(p.dims().size() == dims.size(), "cannot put shapes ", str(parts[0].dims()), " and ",
            str(p.dims()), " together along axis ", axis);
    for (size_t a = 0; a < dims.size(); ++a)
      require(int64_t(a) == axis || p.dims()[a] == dims[a], "cannot put shapes ",
              str(parts[0].dims()), " and ", str(p.dims()), " together along axis ", axis);
    dims[size_t(axis)] = checked_add(dims[size_t(axis)], p.dims()[size_t(axis)]);
  }
  return dims;
}

}  // namespace

Tensor concat_axis(std::span<const Tensor> parts, int64_t axis) {
  require(!parts.empty(), "there is nothing to put together");
  Dims dims = concat_dims(parts, axis);
  DType dtype = parts[0].dtype();
  Tensor to(is_sub_byte(dtype) ? DType::kInt8 : dtype, dims);
  Rows write = rows_at(dims, axis);
  int64_t at = 0;
  for (const Tensor& p : parts) {
    Tensor from = unpacked(p);
    int64_t width = rows_at(p.dims(), axis).width;
    for (int64_t r = 0; r < write.rows; ++r)
      copy_elements(from, r * width, to, r * write.width + at, width);
    at += width;
  }
  return repacked(std::move(to), dtype);
}

Tensor take_axis(const Tensor& t, int64_t axis, int64_t index) {
  Tensor part = slice_axis(t, axis, index, 1);
  Dims dims = part.dims();
  dims.erase(dims.begin() + axis);
  return part.reshaped(std::move(dims));
}

Tensor stack_axis(std::span<const Tensor> parts, int64_t axis) {
  std::vector<Tensor> grown;
  for (const Tensor& p : parts) {
    require(axis >= 0 && axis <= p.rank(), "axis ", axis, " is out of range for parts of rank ",
            p.rank());
    Dims dims = p.dims();
    dims.insert(dims.begin() + axis, 1);
    grown.push_back(p.reshaped(std::move(dims)));
  }
  return concat_axis(grown, axis);
}

}  // namespace vitrify
