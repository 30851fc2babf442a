#include "ops/utf8.h"

#include <locale.h>

#include <cwctype>

namespace vitrify {

namespace {
constexpr char32_t kRawByte = 0xDC00;

/// The length that a lead byte announces; 0 for none.
size_t announced(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  if (lead >= 0xF0 && lead < 0xF5) return 4;
  return 0;
}
}  // namespace

std::vector<char32_t> decode_utf8(std::string_view text) {
  std::vector<char32_t> points;
  points.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    auto lead = static_cast<unsigned char>(text[i]);
    size_t length = announced(lead);
    bool valid = length > 0 && i + length <= text.size();
    char32_t point = length == 1 ? lead : lead & (0x7Fu >> length);
    for (size_t k = 1; k < length && valid; ++k) {
      auto byte = static_cast<unsigned char>(text[i + k]);
      valid = (byte & 0xC0) == 0x80;
      point = point << 6 | (byte & 0x3Fu);
    }
    valid &= point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF) &&
             !(length == 3 && point < 0x800) && !(length == 4 && point < 0x10000);
    points.push_back(valid ? point : kRawByte + lead);
    i += valid ? length : 1;
  }
  return points;
}

void append_utf8(std::string& text, char32_t p) {
  auto put = [&](char32_t byte) { text += static_cast<char>(byte); };
  if (p < 0x80) return put(p);
  if (p >= kRawByte && p <= kRawByte + 0xFF) return put(p - kRawByte);
  if (p < 0x800) return put(0xC0 | p >> 6), put(0x80 | (p & 0x3F));
  if (p < 0x10000) return put(0xE0 | p >> 12), put(0x80 | (p >> 6 & 0x3F)), put(0x80 | (p & 0x3F));
  put(0xF0 | p >> 18), put(0x80 | (p >> 12 & 0x3F)), put(0x80 | (p >> 6 & 0x3F)),
      put(0x80 | (p & 0x3F));
}

namespace {
locale_t utf8_locale() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

std::string mapped(std::string_view text, wint_t (*map)(wint_t, locale_t), bool upper) {
  std::string out;
  for (char32_t p : decode_utf8(text)) {
    char32_t q = p;
    if (utf8_locale() != locale_t{})
      q = char32_t(map(wint_t(p), utf8_locale()));
    else if (p < 0x80)
      q = char32_t(upper ? std::toupper(int(p)) : std::tolower(int(p)));
    append_utf8(out, p >= kRawByte && p <= kRawByte + 0xFF ? p : q);
  }
  return out;
}
}  // namespace

std::string to_lower(std::string_view text) { return mapped(text, towlower_l, false); }
std::string to_upper(std::string_view text) { return mapped(text, towupper_l, true); }

}  // namespace vitrify
