// Values as .npy files. Types that .npy has no name for are unsigned integers of their width, int4
// and smaller one value a byte.
#include <cstring>
#include <random>

#include "common.h"
#include "npy.h"

namespace vitrify::cli {
namespace {

struct NpyType {
  vitrify_dtype dtype;
  char kind;
  int64_t item_size;
  int bits;  ///< as Vitrify stores it
};
constexpr NpyType kTypes[] = {
    {VITRIFY_FLOAT32, 'f', 4, 32},       {VITRIFY_FLOAT64, 'f', 8, 64},
    {VITRIFY_FLOAT16, 'f', 2, 16},       {VITRIFY_INT8, 'i', 1, 8},
    {VITRIFY_INT16, 'i', 2, 16},         {VITRIFY_INT32, 'i', 4, 32},
    {VITRIFY_INT64, 'i', 8, 64},         {VITRIFY_UINT8, 'u', 1, 8},
    {VITRIFY_UINT16, 'u', 2, 16},        {VITRIFY_UINT32, 'u', 4, 32},
    {VITRIFY_UINT64, 'u', 8, 64},        {VITRIFY_BOOL, 'b', 1, 8},
    {VITRIFY_COMPLEX64, 'c', 8, 64},     {VITRIFY_COMPLEX128, 'c', 16, 128},
    {VITRIFY_BFLOAT16, 'u', 2, 16},      {VITRIFY_FLOAT8E4M3FN, 'u', 1, 8},
    {VITRIFY_FLOAT8E4M3FNUZ, 'u', 1, 8}, {VITRIFY_FLOAT8E5M2, 'u', 1, 8},
    {VITRIFY_FLOAT8E5M2FNUZ, 'u', 1, 8}, {VITRIFY_FLOAT8E8M0, 'u', 1, 8},
    {VITRIFY_UINT4, 'u', 1, 4},          {VITRIFY_INT4, 'i', 1, 4},
    {VITRIFY_FLOAT4E2M1, 'u', 1, 4},     {VITRIFY_UINT2, 'u', 1, 2},
    {VITRIFY_INT2, 'i', 1, 2},           {VITRIFY_STRING, 'U', 0, 0},
};

const NpyType& npy_type(vitrify_dtype dtype) {
  for (const NpyType& t : kTypes)
    if (t.dtype == dtype) return t;
  throw UsageError("values of element type " + std::to_string(int(dtype)) + " have no .npy form");
}

/// One value a byte ↔ several to a byte, low bits first.
std::vector<char> pack(const std::vector<char>& bytes, int bits) {
  const size_t per_byte = size_t(8 / bits);
  std::vector<char> out((bytes.size() + per_byte - 1) / per_byte);
  for (size_t i = 0; i < bytes.size(); ++i)
    out[i / per_byte] = char(uint8_t(out[i / per_byte]) | (uint8_t(bytes[i]) & ((1 << bits) - 1))
                                                              << (i % per_byte * size_t(bits)));
  return out;
}

std::vector<char> unpack(std::span<const std::byte> packed, size_t count, int bits,
                         bool is_signed) {
  const size_t per_byte = size_t(8 / bits);
  std::vector<char> out(count);
  for (size_t i = 0; i < count; ++i) {
    int v = int(packed[i / per_byte]) >> (i % per_byte * size_t(bits)) & ((1 << bits) - 1);
    if (is_signed && v >> (bits - 1)) v -= 1 << bits;
    out[i] = char(v);
  }
  return out;
}

/// Throws for a value that a type of so few bits cannot hold.
void check_range(const Npy& array, const NpyType& type, const std::string& path) {
  const int low = type.kind == 'i' ? -(1 << (type.bits - 1)) : 0, high = low + (1 << type.bits) - 1;
  for (char c : array.bytes) {
    const int value = array.kind == 'i' ? int(int8_t(c)) : int(uint8_t(c));
    if (value < low || value > high)
      throw UsageError("'" + path + "' holds " + std::to_string(value) + ", the input takes " +
                       std::to_string(low) + " to " + std::to_string(high));
  }
}

/// NumPy's name: "float32".
std::string type_name(char kind, int64_t item_size) {
  if (kind == 'U') return "strings";
  const std::string bits = std::to_string(item_size * 8);
  switch (kind) {
    case 'f':
      return "float" + bits;
    case 'i':
      return "int" + bits;
    case 'u':
      return "uint" + bits;
    case 'c':
      return "complex" + bits;
    case 'b':
      return "bool";
    default:
      return std::string(1, kind) + std::to_string(item_size);
  }
}

}  // namespace

Value read_value(const std::string& path, vitrify_dtype dtype) {
  Npy array;
  try {
    array = read_npy(path);
  } catch (const std::runtime_error& e) {
    throw UsageError(e.what());
  }
  const NpyType& type = npy_type(dtype);
  const bool raw_bits = type.kind == 'u' || type.kind == 'i';
  const bool fits = array.kind == type.kind ||
                    (raw_bits && type.bits < 8 && (array.kind == 'u' || array.kind == 'i'));
  if (!fits || (type.kind != 'U' && array.item_size != type.item_size))
    throw UsageError("'" + path + "' holds " + type_name(array.kind, array.item_size) +
                     ", the input takes " + type_name(type.kind, type.item_size));
  if (type.kind == 'U') return Value::strings(array.shape, array.strings);
  if (type.bits < 8) {
    check_range(array, type, path);
    array.bytes = pack(array.bytes, type.bits);
  }
  return Value::tensor(dtype, array.shape, array.bytes.data());
}

void write_value(const std::string& path, const ValueView& value) {
  const NpyType& type = npy_type(value.dtype());
  Npy array;
  array.kind = type.kind, array.item_size = type.item_size;
  array.shape.assign(value.dims().begin(), value.dims().end());
  if (type.kind == 'U') {
    for (size_t i = 0; i < value.size(); ++i) array.strings.emplace_back(value.string(i));
  } else if (type.bits < 8) {
    array.bytes = unpack(value.bytes(), value.size(), type.bits, type.kind == 'i');
  } else {
    array.bytes.resize(value.bytes().size());
    if (!array.bytes.empty())
      std::memcpy(array.bytes.data(), value.bytes().data(), array.bytes.size());
  }
  try {
    write_npy(path, array);
  } catch (const std::runtime_error& e) {
    throw UsageError(e.what());
  }
}

Value random_value(vitrify_dtype dtype, const Dims& dims, uint64_t seed) {
  std::mt19937_64 random(seed);
  Value value = Value::tensor(dtype == VITRIFY_STRING ? VITRIFY_UINT8 : dtype, dims, nullptr);
  const size_t count = value.view().size();
  if (dtype == VITRIFY_STRING) return Value::strings(dims, std::vector<std::string>(count, "text"));
  auto fill = [&](auto one) {
    auto* data = static_cast<decltype(one)*>(vitrify_value_mutable_data(value.handle()));
    for (size_t i = 0; i < count; ++i)
      data[i] = std::is_floating_point_v<decltype(one)>
                    ? decltype(one)(double(random() >> 11) * 0x1p-53)
                    : decltype(one)(random() % 2);
  };
  auto fill_bits = [&](auto one, unsigned half, unsigned fraction) {  // in [0.5, 1)
    auto* data = static_cast<decltype(one)*>(vitrify_value_mutable_data(value.handle()));
    for (size_t i = 0; i < count; ++i) data[i] = decltype(one)(half | (random() & fraction));
  };
  switch (dtype) {
    case VITRIFY_FLOAT32:
      fill(float());
      break;
    case VITRIFY_FLOAT64:
      fill(double());
      break;
    case VITRIFY_INT64:
    case VITRIFY_UINT64:
      fill(int64_t());
      break;
    case VITRIFY_INT32:
    case VITRIFY_UINT32:
      fill(int32_t());
      break;
    case VITRIFY_INT16:
    case VITRIFY_UINT16:
      fill(int16_t());
      break;
    case VITRIFY_INT8:
    case VITRIFY_UINT8:
    case VITRIFY_BOOL:
      fill(int8_t());
      break;
    case VITRIFY_FLOAT16:
      fill_bits(uint16_t(), 0x3800, 0x3FF);
      break;
    case VITRIFY_BFLOAT16:
      fill_bits(uint16_t(), 0x3F00, 0x7F);
      break;
    default:
      break;  // zeros: every bit pattern of the other types means something else
  }
  return value;
}

}  // namespace vitrify::cli
