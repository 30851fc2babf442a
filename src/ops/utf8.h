// UTF-8 text: code points and simple case mapping. Bytes that are no valid UTF-8 stand for
// themselves, as U+DC00 + byte, and come back unchanged.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vitrify {

std::vector<char32_t> decode_utf8(std::string_view text);
void append_utf8(std::string& text, char32_t point);
/// One code point to one, in the C.UTF-8 locale.
std::string to_lower(std::string_view text);
std::string to_upper(std::string_view text);

}  // namespace vitrify
