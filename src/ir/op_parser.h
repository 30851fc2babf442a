// Reads the fields of ops from text (see parse_op): every type that a field can have. Text may come
// from strangers: whatever it holds ends in a value or in a user error. Only for ir/op.cpp.
#pragma once

#include <charconv>

#include "base/error.h"
#include "ir/op.h"
#include "ir/text_cursor.h"

namespace vitrify::fields {

inline void enum_parse(std::string_view text, UnaryKind& k) { k = unary_kind_from_name(text); }
inline void enum_parse(std::string_view text, BinaryKind& k) { k = binary_kind_from_name(text); }
inline void enum_parse(std::string_view text, DType& k) {
  k = dtype_from_name(text);
  require(k != DType::kUndefined || text == "?", "unknown element type '", text, "'");
}
template <class T>
concept NamedEnum = requires(T& k) {
  enum_parse(std::string_view(), k);
};

/// How many values an enum has, for the bounds check of parsed ones.
template <class T>
constexpr int enum_count() {
  if constexpr (std::is_same_v<T, Reduce::Kind>)
    return int(Reduce::Kind::kSumSquare) + 1;
  else if constexpr (std::is_same_v<T, Resize::Coordinates>)
    return int(Resize::Coordinates::kTfHalfPixelNN) + 1;
  else if constexpr (std::is_same_v<T, ScatterReduction>)
    return 5;
  else if constexpr (std::is_same_v<T, Pad::Mode> || std::is_same_v<T, Resize::Nearest>)
    return 4;
  else if constexpr (std::is_same_v<T, Random::Kind>)
    return 4;
  else
    return 3;
}

inline constexpr size_t kMaxItems = 1 << 20;

class Parser : public TextCursor {
 public:
  Parser(std::string_view text, const OpParser& refs) : TextCursor(text), refs_(refs) {}

  void need(char c) {
    require(eat(c), "bad op text: expected '", c, "' at '", rest_.substr(0, 20), "'");
  }
  /// A run of characters up to one of ",]}= " outside parentheses and backquotes.
  std::string_view word() {
    space();
    size_t n = 0;
    int depth = 0;
    bool quoted = false;
    for (; n < rest_.size(); ++n) {
      char c = rest_[n];
      if (c == '`') quoted = !quoted;
      if (quoted) continue;
      if (depth == 0 && std::string_view(",]}={").find(c) != std::string_view::npos) break;
      depth += c == '(';
      depth -= c == ')';
    }
    std::string_view w = rest_.substr(0, n);
    rest_.remove_prefix(n);
    while (!w.empty() && w.back() == ' ') w.remove_suffix(1);
    return w;
  }

  void value(bool& v) {
    std::string_view w = word();
    require(w == "true" || w == "false", "bad op text: expected true or false, not '",
            w.substr(0, 20), "'");
    v = w == "true";
  }
  template <class T>
  requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) void value(T& v) { number(v); }
  void value(double& v) { number(v); }
  template <class T>
  requires std::is_enum_v<T>
  void value(T& v) {
    if constexpr (NamedEnum<T>) {
      enum_parse(word(), v);
    } else {
      int number_value = 0;
      number(number_value);
      require(number_value >= 0 && number_value < enum_count<T>(), "bad op text: no enumerator ",
              number_value);
      v = T(number_value);
    }
  }
  void value(std::string& s) {
    need('"');
    s.clear();
    for (;; rest_.remove_prefix(1)) {
      require(!rest_.empty(), "bad op text: a string does not end");
      if (rest_[0] == '"') break;
      if (rest_[0] != '\\') {
        s += rest_[0];
        continue;
      }
      rest_.remove_prefix(1);
      require(!rest_.empty(), "bad op text: a string does not end");
      s += rest_[0] == 'x' ? hex_digits() : rest_[0];
    }
    rest_.remove_prefix(1);
  }
  void value(Dim& d) { d = Dim::parse(word()); }
  void value(Type& t) {
    std::string s;
    value(s);
    t = Type::parse(s);
  }
  void value(GraphRef& g) {
    std::string_view w = word();
    g = w == "null" ? nullptr : refs_.graph(w);
  }
  void value(ConstantRef& c) {
    std::string_view w = word();
    c = w == "null" ? nullptr : refs_.constant(w);
  }
  void value(Window& w) {
    need('{');
    list(w.kernel), list(w.strides), list(w.dilations), list(w.pads_begin), list(w.pads_end);
    value(w.auto_pad);
    need(',');
    value(w.ceil_mode);
    need('}');
  }
  void value(BodyStep& s) {
    need('{');
    int code = 0;
    number(code);
    require(code >= 0 && code <= int(BodyStep::Code::kConstant),
            "bad op text: no body step of code ", code);
    s.code = BodyStep::Code(code);
    need(',');
    std::string_view what = word();
    if (s.code == BodyStep::Code::kUnary) s.unary = unary_kind_from_name(what);
    if (s.code == BodyStep::Code::kBinary) s.binary = binary_kind_from_name(what);
    need(',');
    for (int32_t& a : s.args) number(a), need(',');
    number(s.alpha), need(',');
    number(s.beta), need(',');
    enum_parse(word(), s.dtype);
    need('}');
  }
  void value(Body& b) {
    need('{');
    number(b.inputs), need(',');
    value(b.steps), need(',');
    value(b.outputs);
    need('}');
    if (!b.empty()) verify(b);
  }
  template <class... T>
  void value(std::variant<T...>& v) {
    need('{');
    size_t index = 0;
    number(index), need(',');
    require(index < sizeof...(T), "bad op text: no alternative ", index);
    alternative<0>(v, index);
    need('}');
  }
  template <class T>
  void value(std::vector<T>& items) {
    need('[');
    items.clear();
    if (eat(']')) return;
    do {
      require(items.size() < kMaxItems, "bad op text: a list is too long");
      value(items.emplace_back());
    } while (eat(','));
    need(']');
  }

 private:
  template <class T>
  void list(std::vector<T>& items) {
    value(items);
    need(',');
  }
  template <class T>
  void number(T& v) {
    std::string_view w = word();
    auto [end, error] = std::from_chars(w.data(), w.data() + w.size(), v);
    require(error == std::errc() && end == w.data() + w.size(), "bad op text: bad number '",
            w.substr(0, 30), "'");
  }
  char hex_digits() {
    require(rest_.size() >= 3, "bad op text: a string does not end");
    int v = 0;
    auto [end, error] = std::from_chars(rest_.data() + 1, rest_.data() + 3, v, 16);
    require(error == std::errc() && end == rest_.data() + 3, "bad op text: bad escape in a string");
    rest_.remove_prefix(2);
    return char(v);
  }
  template <size_t I, class... T>
  void alternative(std::variant<T...>& v, size_t index) {
    if constexpr (I < sizeof...(T)) {
      if (index == I) return value(v.template emplace<I>());
      alternative<I + 1>(v, index);
    }
  }
  const OpParser& refs_;
};

}  // namespace vitrify::fields
