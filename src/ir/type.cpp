#include "ir/type.h"

#include <algorithm>

#include "base/error.h"

namespace vitrify {

namespace {
struct DTypeRow {
  std::string_view name;
  int bits;
  char kind;  // f float, i signed, u unsigned, c complex, o other
};
constexpr DTypeRow kDTypes[kDTypeCount] = {
    {"?", 0, 'o'},          {"f32", 32, 'f'},   {"u8", 8, 'u'},
    {"i8", 8, 'i'},         {"u16", 16, 'u'},   {"i16", 16, 'i'},
    {"i32", 32, 'i'},       {"i64", 64, 'i'},   {"string", int(sizeof(std::string)) * 8, 'o'},
    {"bool", 8, 'o'},       {"f16", 16, 'f'},   {"f64", 64, 'f'},
    {"u32", 32, 'u'},       {"u64", 64, 'u'},   {"c64", 64, 'c'},
    {"c128", 128, 'c'},     {"bf16", 16, 'f'},  {"f8e4m3fn", 8, 'f'},
    {"f8e4m3fnuz", 8, 'f'}, {"f8e5m2", 8, 'f'}, {"f8e5m2fnuz", 8, 'f'},
    {"u4", 4, 'u'},         {"i4", 4, 'i'},     {"f4e2m1", 4, 'f'},
    {"f8e8m0", 8, 'f'},     {"u2", 2, 'u'},     {"i2", 2, 'i'},
};

const DTypeRow& row(DType dtype) {
  CHECK(int(dtype) < kDTypeCount);
  return kDTypes[int(dtype)];
}
}  // namespace

std::string_view name(DType dtype) { return row(dtype).name; }

DType dtype_from_name(std::string_view text) {
  for (int i = 1; i < kDTypeCount; ++i)
    if (kDTypes[i].name == text) return DType(i);
  return DType::kUndefined;
}

int bit_width(DType dtype) { return row(dtype).bits; }
int64_t byte_size(DType dtype, int64_t count) {
  return checked_add(checked_mul(count, bit_width(dtype)), 7) / 8;
}
bool is_float(DType dtype) { return row(dtype).kind == 'f'; }
bool is_integer(DType dtype) { return row(dtype).kind == 'i' || row(dtype).kind == 'u'; }
bool is_signed(DType dtype) { return row(dtype).kind == 'i'; }
bool is_sub_byte(DType dtype) { return row(dtype).bits > 0 && row(dtype).bits < 8; }

Type Type::sequence(Type element) {
  return {Kind::kSequence, DType::kUndefined, {}, std::make_shared<const Type>(std::move(element))};
}
Type Type::optional(Type element) {
  return {Kind::kOptional, DType::kUndefined, {}, std::make_shared<const Type>(std::move(element))};
}

bool Type::is_static() const {
  return has_rank() &&
         std::all_of(shape->begin(), shape->end(), [](const Dim& d) { return d.is_constant(); });
}

Dims Type::dims() const {
  CHECK(is_static());
  Dims out;
  for (const Dim& d : *shape) out.push_back(d.value());
  return out;
}

std::string Type::str() const {
  switch (kind) {
    case Kind::kNone:
      return "none";
    case Kind::kTensor:
      return std::string(name(dtype)) + (shape ? vitrify::str(*shape) : "[*]");
    case Kind::kSequence:
      return "seq(" + element->str() + ")";
    default:
      return "optional(" + element->str() + ")";
  }
}

bool operator==(const Type& a, const Type& b) {
  if (a.kind != b.kind || a.dtype != b.dtype || a.shape != b.shape) return false;
  return !a.element ? !b.element : b.element && *a.element == *b.element;
}

namespace {
/// Splits "a, f(b, c), d" at the commas outside parentheses and backquotes.
std::vector<std::string_view> split_top(std::string_view text) {
  std::vector<std::string_view> parts;
  int depth = 0;
  bool quoted = false;
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '`') quoted = !quoted;
    if (quoted) continue;
    depth += text[i] == '(';
    depth -= text[i] == ')';
    if (text[i] == ',' && depth == 0) {
      parts.push_back(text.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  if (!text.empty()) parts.push_back(text.substr(begin));
  return parts;
}

Type parse_type(std::string_view text, int depth) {
  require(depth < 16, "type is nested too deeply");
  if (text == "none") return {};
  for (auto [prefix, make] : {std::pair{std::string_view("seq("), &Type::sequence},
                              std::pair{std::string_view("optional("), &Type::optional}})
    if (text.starts_with(prefix) && text.ends_with(")"))
      return make(
          parse_type(text.substr(prefix.size(), text.size() - prefix.size() - 1), depth + 1));
  size_t open = text.find('[');
  require(open != text.npos && text.ends_with("]"), "bad type '", text.substr(0, 60), "'");
  DType dtype = dtype_from_name(text.substr(0, open));
  require(dtype != DType::kUndefined, "unknown element type in '", text.substr(0, 60), "'");
  std::string_view inner = text.substr(open + 1, text.size() - open - 2);
  if (inner == "*") return Type::unranked(dtype);
  Shape shape;
  for (std::string_view part : split_top(inner)) shape.push_back(Dim::parse(part));
  return Type::tensor(dtype, std::move(shape));
}
}  // namespace

Type Type::parse(std::string_view text) { return parse_type(text, 0); }

}  // namespace vitrify
