// What the parsers of dims and ops share.
#pragma once

#include <string_view>

namespace vitrify {

/// A place in a text: what is still to be read.
class TextCursor {
 public:
  explicit TextCursor(std::string_view text) : rest_(text) {}
  /// Passes over spaces, and over `c` if it comes next.
  bool eat(char c) {
    space();
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool at_end() {
    space();
    return rest_.empty();
  }

 protected:
  void space() {
    while (!rest_.empty() && rest_[0] == ' ') rest_.remove_prefix(1);
  }
  std::string_view rest_;
};

}  // namespace vitrify
