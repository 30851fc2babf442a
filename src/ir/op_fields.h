// How the fields of ops are encoded, printed and parsed: once for each type that a field can have.
// Only for ir/op.cpp.
#pragma once

#include "base/digest.h"
#include "base/error.h"
#include "ir/graph.h"
#include "ir/op.h"
#include "ir/op_parser.h"

namespace vitrify::fields {

/// Appends a field's canonical bytes: the base of equality and hash.
struct Encoder {
  std::string out;

  void bytes(const void* p, size_t n) { out.append(static_cast<const char*>(p), n); }
  template <class T>
  requires(std::is_arithmetic_v<T> || std::is_enum_v<T>) void value(const T& v) {
    bytes(&v, sizeof v);
  }
  void value(const std::string& s) {
    value(s.size());
    out += s;
  }
  void value(const Dim& d) { value(d.str()); }
  void value(const Type& t) { value(t.str()); }
  void value(const GraphRef& g) {
    Digest d = g ? digest(*g) : Digest{};
    value(d.low), value(d.high);
  }
  void value(const ConstantRef& c) { value(c ? c->id : int64_t{-1}); }
  void value(const Window& w) {
    value(w.kernel), value(w.strides), value(w.dilations), value(w.pads_begin), value(w.pads_end);
    value(w.auto_pad), value(w.ceil_mode);
  }
  void value(const BodyStep& s) {
    value(s.code), value(s.unary), value(s.binary), value(s.alpha), value(s.beta), value(s.dtype);
    for (int32_t a : s.args) value(a);
  }
  void value(const Body& b) { value(b.inputs), value(b.steps), value(b.outputs); }
  template <class... T>
  void value(const std::variant<T...>& v) {
    value(v.index());
    std::visit([this](const auto& x) { value(x); }, v);
  }
  template <class T>
  void value(const std::vector<T>& items) {
    value(items.size());
    for (const T& item : items) value(item);
  }
};

// Enums print as their number, but for the kinds that people read.
inline std::string_view enum_text(UnaryKind k) { return name(k); }
inline std::string_view enum_text(BinaryKind k) { return name(k); }
inline std::string_view enum_text(DType k) { return name(k); }

inline std::string quote(const std::string& s) {
  std::string out = "\"";
  for (unsigned char c : s) {
    if (c == '"' || c == '\\')
      out += '\\', out += char(c);
    else if (c < 32)
      out += '\\', out += 'x', out += "0123456789abcdef"[c >> 4], out += "0123456789abcdef"[c & 15];
    else
      out += char(c);
  }
  return out + "\"";
}

struct Printer {
  const OpPrinter& refs;

  std::string value(bool v) { return v ? "true" : "false"; }
  template <class T>
  requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) std::string value(T v) {
    return std::to_string(v);
  }
  std::string value(double v) { return cat(v); }
  template <class T>
  requires std::is_enum_v<T> std::string value(T v) {
    if constexpr (requires { enum_text(v); })
      return std::string(enum_text(v));
    else
      return std::to_string(int(v));
  }
  std::string value(const std::string& s) { return quote(s); }
  std::string value(const Dim& d) { return d.str(); }
  std::string value(const Type& t) { return quote(t.str()); }
  std::string value(const GraphRef& g) { return g ? refs.graph(g) : "null"; }
  std::string value(const ConstantRef& c) { return c ? refs.constant(c) : "null"; }
  std::string value(const Window& w) {
    return cat("{", value(w.kernel), ", ", value(w.strides), ", ", value(w.dilations), ", ",
               value(w.pads_begin), ", ", value(w.pads_end), ", ", value(w.auto_pad), ", ",
               value(w.ceil_mode), "}");
  }
  std::string value(const BodyStep& s) {
    std::string args = cat(s.args[0], ", ", s.args[1], ", ", s.args[2]);
    std::string_view what = s.code == BodyStep::Code::kUnary    ? name(s.unary)
                            : s.code == BodyStep::Code::kBinary ? name(s.binary)
                                                                : "-";
    return cat("{", int(s.code), ", ", what, ", ", args, ", ", value(s.alpha), ", ", value(s.beta),
               ", ", name(s.dtype), "}");
  }
  std::string value(const Body& b) {
    return cat("{", b.inputs, ", ", value(b.steps), ", ", value(b.outputs), "}");
  }
  template <class... T>
  std::string value(const std::variant<T...>& v) {
    return cat("{", v.index(), ", ", std::visit([this](const auto& x) { return value(x); }, v),
               "}");
  }
  template <class T>
  std::string value(const std::vector<T>& items) {
    std::string out = "[";
    for (size_t i = 0; i < items.size(); ++i) out += (i ? ", " : "") + value(items[i]);
    return out + "]";
  }
};

/// What can be done with a field whose type is known no longer.
struct Codec {
  void (*encode)(const void* field, Encoder& to);
  std::string (*print)(const void* field, Printer& printer);
  void (*parse)(void* field, Parser& from);
};
template <class T>
constexpr Codec kCodec = {
    [](const void* field, Encoder& to) { to.value(*static_cast<const T*>(field)); },
    [](const void* field, Printer& printer) {
      return printer.value(*static_cast<const T*>(field));
    },
    [](void* field, Parser& from) { from.value(*static_cast<T*>(field)); }};

/// A field of some op.
struct FieldRef {
  const char* name;
  void* at;
  const Codec* codec;

  template <class T>
  T* as() const {
    return codec == &kCodec<T> ? static_cast<T*>(at) : nullptr;
  }
};

}  // namespace vitrify::fields
