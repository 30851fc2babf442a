#include "npy.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "common.h"

namespace vitrify::cli {

namespace {

[[noreturn]] void bad(const std::string& path, const std::string& reason) {
  throw std::runtime_error("cannot read '" + path + "': " + reason);
}

int64_t checked_product(const std::string& path, const std::vector<int64_t>& shape, int64_t item) {
  int64_t n = item;
  for (int64_t d : shape)
    if (d < 0 || __builtin_mul_overflow(n, d, &n)) bad(path, "its shape is absurd");
  return n;
}

/// The text after "'key':" in the header's Python dictionary.
std::string field(const std::string& path, const std::string& header, const std::string& key) {
  size_t at = header.find("'" + key + "'");
  if (at == std::string::npos) bad(path, "its header lacks '" + key + "'");
  at = header.find(':', at);
  if (at == std::string::npos) bad(path, "its header is damaged");
  at = header.find_first_not_of(' ', at + 1);
  return at == std::string::npos ? "" : header.substr(at);
}

std::vector<int64_t> parse_shape(const std::string& path, const std::string& text) {
  size_t end = text.find(')');
  if (text.empty() || text[0] != '(' || end == std::string::npos) bad(path, "its shape is damaged");
  std::istringstream items(text.substr(1, end - 1));
  std::vector<int64_t> shape;
  for (std::string item; std::getline(items, item, ',');) {
    if (item.find_first_not_of(" L") == std::string::npos) continue;
    char* stop = nullptr;
    errno = 0;
    int64_t d = std::strtoll(item.c_str(), &stop, 10);
    if (errno || stop == item.c_str() || shape.size() >= 64 ||
        std::string_view(stop).find_first_not_of(" L") != std::string_view::npos)
      bad(path, "its shape is damaged");
    shape.push_back(d);
  }
  return shape;
}

/// Of NumPy's name in quotes: "'<f4', …".
void parse_type(const std::string& path, const std::string& descr, Npy& array) {
  const size_t end = descr.find('\'', 1);
  if (descr.empty() || descr[0] != '\'' || end == std::string::npos)
    bad(path, "structured arrays are not supported: save each field as an array of its own");
  const std::string type = descr.substr(1, end - 1);
  if (type.size() < 2) bad(path, "element type '" + type + "' is not supported");
  array.kind = type[1];
  if (array.kind == 'O')
    bad(path, "it holds Python objects ('" + type +
                  "'): save numbers, or text with .astype(str), instead");
  if (array.kind == 'S' || array.kind == 'a')
    bad(path, "it holds byte strings ('" + type + "'): save them with .astype(str)");
  if (type[0] == '>') bad(path, "it is big endian; save it as little endian");
  array.item_size = std::strtoll(type.c_str() + 2, nullptr, 10);
  const bool known = std::string_view("fiubcU").find(array.kind) != std::string_view::npos &&
                     type.find_first_not_of("0123456789", 2) == std::string::npos &&
                     array.item_size >= 0 && array.item_size <= (1 << 20);
  if (!known || (array.kind != 'U' && (array.item_size == 0 || array.item_size > 16)))
    bad(path, "element type '" + type + "' is not supported");
}

void append_utf8(std::string& out, uint32_t c) {
  if (c < 0x80)
    out += char(c);
  else if (c < 0x800)
    out += char(0xC0 | c >> 6), out += char(0x80 | (c & 63));
  else if (c < 0x10000)
    out += char(0xE0 | c >> 12), out += char(0x80 | (c >> 6 & 63)), out += char(0x80 | (c & 63));
  else
    out += char(0xF0 | (c >> 18 & 7)), out += char(0x80 | (c >> 12 & 63)),
        out += char(0x80 | (c >> 6 & 63)), out += char(0x80 | (c & 63));
}

/// Code points of a UTF-8 string; bytes that are none stand for themselves.
std::vector<uint32_t> code_points(const std::string& s) {
  std::vector<uint32_t> out;
  for (size_t i = 0; i < s.size();) {
    auto byte = [&](size_t k) { return i + k < s.size() ? uint32_t(uint8_t(s[i + k])) : 0u; };
    uint32_t c = byte(0);
    size_t more = c >= 0xF0 && c < 0xF8 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
    bool valid = c < 0xF8;
    for (size_t k = 1; k <= more; ++k) valid &= (byte(k) & 0xC0) == 0x80;
    if (!valid) more = 0;
    if (more) c &= 0x3Fu >> more;
    for (size_t k = 1; k <= more; ++k) c = c << 6 | (byte(k) & 63);
    out.push_back(c);
    i += more + 1;
  }
  return out;
}

/// Column-major bytes to row-major.
std::vector<char> reorder(const std::vector<char>& in, const std::vector<int64_t>& shape,
                          int64_t item) {
  std::vector<char> out(in.size());
  int64_t count = int64_t(in.size()) / item;
  std::vector<int64_t> index(shape.size());
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = 0, stride = 1;
    for (size_t a = 0; a < shape.size(); ++a) at += index[a] * stride, stride *= shape[a];
    std::memcpy(&out[size_t(i * item)], &in[size_t(at * item)], size_t(item));
    for (size_t a = shape.size(); a-- > 0 && ++index[a] == shape[a];) index[a] = 0;
  }
  return out;
}

void unpack_strings(Npy& array) {
  int64_t width = array.item_size;
  for (size_t at = 0; width && at + size_t(width) * 4 <= array.bytes.size();
       at += size_t(width) * 4) {
    std::vector<uint32_t> points(static_cast<size_t>(width));
    std::memcpy(points.data(), &array.bytes[at], points.size() * 4);
    while (!points.empty() && points.back() == 0) points.pop_back();  // only these are padding
    std::string s;
    for (const uint32_t c : points) append_utf8(s, c);
    array.strings.push_back(std::move(s));
  }
  array.bytes.clear();
}

}  // namespace

Npy read_npy(const std::string& path) {
  std::error_code ignored;  // opening a pipe would wait for who writes into it
  if (std::filesystem::exists(path, ignored) && !std::filesystem::is_regular_file(path, ignored))
    bad(path, "it is not a regular file");
  std::ifstream in(path, std::ios::binary);
  if (!in) bad(path, std::strerror(errno));
  char magic[8] = {};
  in.read(magic, 8);
  if (!in || std::memcmp(magic, "\x93NUMPY", 6) != 0) bad(path, "it is not a .npy file");
  uint32_t length = 0;
  in.read(reinterpret_cast<char*>(&length), magic[6] == 1 ? 2 : 4);
  if (!in || length > (1u << 20)) bad(path, "its header is damaged");
  std::string header(length, '\0');
  in.read(header.data(), std::streamsize(length));
  if (!in) bad(path, "it is cut off");
  std::ranges::replace(header, '"', '\'');  // other writers quote as JSON does
  Npy array;
  parse_type(path, field(path, header, "descr"), array);
  array.shape = parse_shape(path, field(path, header, "shape"));
  int64_t item = array.kind == 'U' ? array.item_size * 4 : array.item_size;
  int64_t bytes = checked_product(path, array.shape, item);
  auto begin = in.tellg();
  in.seekg(0, std::ios::end);
  if (in.tellg() - begin < bytes) bad(path, "it is cut off");
  in.seekg(begin);
  array.bytes.resize(size_t(bytes));
  in.read(array.bytes.data(), bytes);
  if (!in) bad(path, "it is cut off");
  if (field(path, header, "fortran_order").starts_with("True") && item)
    array.bytes = reorder(array.bytes, array.shape, item);
  if (array.kind == 'U') {
    const int64_t count = checked_product(path, array.shape, 1);
    if (item == 0 && count > (1 << 20))
      bad(path, "it claims to hold more empty strings than it may");
    unpack_strings(array);
    array.strings.resize(size_t(count));
  }
  return array;
}

void write_npy(const std::string& path, const Npy& array) {
  std::vector<char> bytes = array.bytes;
  int64_t item_size = array.item_size;
  if (array.kind == 'U') {
    std::vector<std::vector<uint32_t>> texts;
    item_size = 1;
    for (const auto& s : array.strings) {
      texts.push_back(code_points(s));
      item_size = std::max(item_size, int64_t(texts.back().size()));
    }
    bytes.assign(texts.size() * size_t(item_size) * 4, 0);
    for (size_t i = 0; i < texts.size(); ++i)
      if (!texts[i].empty())
        std::memcpy(&bytes[i * size_t(item_size) * 4], texts[i].data(), texts[i].size() * 4);
  }
  std::string shape = "(";
  for (int64_t d : array.shape) shape += std::to_string(d) + ",";
  std::string order = item_size > 1 || array.kind == 'U' ? "<" : "|";
  std::string header = "{'descr': '" + order + std::string(1, array.kind) +
                       std::to_string(item_size) + "', 'fortran_order': False, 'shape': " + shape +
                       "), }";
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  if (header.size() > 65535) throw std::runtime_error("cannot write '" + path + "': too many axes");
  auto length = uint16_t(header.size());
  std::string content("\x93NUMPY\x01\x00", 8);
  content.append(reinterpret_cast<const char*>(&length), 2) += header;
  content.append(bytes.data(), bytes.size());
  replace_file(path, content);
}

}  // namespace vitrify::cli
