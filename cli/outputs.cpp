// What a run says of its outputs, and the files that it writes of them.
#include "outputs.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>

namespace vitrify::cli {
namespace {

/// IEEE half precision, or with 8 bits of exponent bfloat16; widened through the bits.
double widened(uint16_t bits, bool brain) {
  if (brain) return std::bit_cast<float>(uint32_t(bits) << 16);
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double size = exponent == 31  ? (fraction ? NAN : INFINITY)
                      : exponent == 0 ? std::ldexp(fraction, -24)
                                      : std::ldexp(1024 + fraction, exponent - 25);
  return bits >> 15 ? -size : size;
}

struct Statistics {
  double min = INFINITY, max = -INFINITY, sum = 0;
  size_t numbers = 0, nans = 0, infinite = 0;  ///< infinities are numbers, too
  void add(double x) {
    if (std::isnan(x)) return void(++nans);
    infinite += std::isinf(x);
    min = std::min(min, x), max = std::max(max, x), sum += x, ++numbers;
  }
};

template <class T, class F>
Statistics collect(const ValueView& value, F to_double) {
  Statistics s;
  const auto* data = reinterpret_cast<const T*>(value.bytes().data());
  for (size_t i = 0; i < value.size(); ++i) s.add(to_double(data[i]));
  return s;
}

/// Of the types that plain numbers are; without numbers for the others.
Statistics statistics(const ValueView& value) {
  const auto plain = [](auto x) { return double(x); };
  switch (value.dtype()) {
    case VITRIFY_FLOAT32:
      return collect<float>(value, plain);
    case VITRIFY_FLOAT64:
      return collect<double>(value, plain);
    case VITRIFY_FLOAT16:
      return collect<uint16_t>(value, [](uint16_t x) { return widened(x, false); });
    case VITRIFY_BFLOAT16:
      return collect<uint16_t>(value, [](uint16_t x) { return widened(x, true); });
    case VITRIFY_INT64:
      return collect<int64_t>(value, plain);
    case VITRIFY_INT32:
      return collect<int32_t>(value, plain);
    case VITRIFY_INT16:
      return collect<int16_t>(value, plain);
    case VITRIFY_INT8:
      return collect<int8_t>(value, plain);
    case VITRIFY_UINT64:
      return collect<uint64_t>(value, plain);
    case VITRIFY_UINT32:
      return collect<uint32_t>(value, plain);
    case VITRIFY_UINT16:
      return collect<uint16_t>(value, plain);
    case VITRIFY_UINT8:
    case VITRIFY_BOOL:
      return collect<uint8_t>(value, plain);
    default:
      return {};
  }
}

std::string number(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", x);
  return text;
}

std::string type_text(const ValueView& value) {
  if (value.kind() == VITRIFY_NONE) return "none";
  if (value.kind() == VITRIFY_SEQUENCE) return "sequence of " + std::to_string(value.size());
  std::string text;
  for (int64_t d : value.dims()) text += (text.empty() ? "" : ", ") + std::to_string(d);
  return std::string(vitrify_dtype_name(value.dtype())) + "[" + text + "]";
}

std::string range_text(const ValueView& value) {
  if (value.kind() != VITRIFY_TENSOR) return "";
  const Statistics s = statistics(value);
  std::string text;
  if (s.numbers)
    text = "min " + number(s.min) + "  mean " + number(s.sum / double(s.numbers)) + "  max " +
           number(s.max);
  if (s.nans) text += (text.empty() ? "" : "  ") + std::to_string(s.nans) + " NaN";
  return text;
}

std::string file_text(const std::vector<std::string>& files) {
  if (files.empty()) return "";
  return "-> " + files.front() + (files.size() > 1 ? " … " + files.back() : "");
}

}  // namespace

namespace {
std::string stem_of(const std::string& folder, const std::string& name) {
  return (std::filesystem::path(folder) / file_name(name)).string();
}
std::string item_name(const std::string& name, size_t i) { return name + "." + std::to_string(i); }
}  // namespace

std::vector<std::string> output_files(const std::string& folder, const std::string& name,
                                      const ValueView& value) {
  if (value.kind() == VITRIFY_TENSOR) return {stem_of(folder, name) + ".npy"};
  std::vector<std::string> files;
  for (size_t i = 0; i < value.size(); ++i)
    for (std::string& file : output_files(folder, item_name(name, i), value.item(i)))
      files.push_back(std::move(file));
  return files;
}

void write_output(const std::string& folder, const std::string& name, const ValueView& value) {
  if (value.kind() == VITRIFY_TENSOR) return write_value(stem_of(folder, name) + ".npy", value);
  for (size_t i = 0; i < value.size(); ++i) write_output(folder, item_name(name, i), value.item(i));
  const std::string next = stem_of(folder, item_name(name, value.size())) + ".npy";
  std::error_code ignored;
  if (value.kind() == VITRIFY_SEQUENCE && std::filesystem::exists(next, ignored))
    std::fprintf(stderr, "vitrify: '%s' is older than this run, whose '%s' has %zu items\n",
                 visible_name(next).c_str(), visible_name(name).c_str(), value.size());
}

Json describe_output(const std::string& name, const ValueView& value,
                     const std::vector<std::string>* files) {
  Json row = {{"name", name}, {"kind", "none"}};
  if (value.kind() == VITRIFY_SEQUENCE) row["kind"] = "sequence", row["size"] = value.size();
  if (value.kind() == VITRIFY_TENSOR) {
    row["kind"] = "tensor", row["dtype"] = vitrify_dtype_name(value.dtype());
    row["shape"] = std::vector<int64_t>(value.dims().begin(), value.dims().end());
    const Statistics s = statistics(value);
    row["nan"] = s.nans, row["infinite"] = s.infinite;
    if (s.numbers) row["min"] = s.min, row["mean"] = s.sum / double(s.numbers), row["max"] = s.max;
  }
  if (files) row["files"] = *files;
  return row;
}

void print_outputs(const std::vector<OutputRow>& rows) {
  std::vector<std::vector<std::string>> table;
  for (const OutputRow& row : rows)
    table.push_back({visible_name(row.name), type_text(row.value), range_text(row.value),
                     file_text(row.files)});
  std::vector<size_t> widths(4);
  for (const auto& line : table)
    for (size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], line[c].size());
  for (const auto& line : table) {
    std::string text;
    for (size_t c = 0; c < line.size(); ++c)
      if (widths[c]) text += line[c] + std::string(widths[c] - line[c].size() + 2, ' ');
    text.erase(text.find_last_not_of(' ') + 1);
    std::fprintf(stderr, "%s\n", text.c_str());
  }
}

}  // namespace vitrify::cli
