#include "ir/op.h"

#include <algorithm>
#include <charconv>

#include "base/digest.h"
#include "base/error.h"
#include "ir/graph.h"

namespace vitrify {

Op::Op(const Op&) = default;
Op::Op(Op&&) noexcept = default;
Op& Op::operator=(const Op&) = default;
Op& Op::operator=(Op&&) noexcept = default;
Op::~Op() = default;

std::string_view Op::name() const {
  return std::visit([](const auto& op) { return std::string_view(op.kName); }, op_);
}

namespace {

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

std::string encode(const OpVariant& op) {
  Encoder e;
  e.value(op.index());
  std::visit(
      [&](const auto& o) { o.fields(o, [&](const char*, const auto& field) { e.value(field); }); },
      op);
  return std::move(e.out);
}

}  // namespace

bool operator==(const Op& a, const Op& b) {
  return a.index() == b.index() && encode(a.op_) == encode(b.op_);
}

uint64_t Op::hash() const { return digest(std::string_view(encode(op_))).low; }

std::vector<GraphRef> Op::graphs() const {
  std::vector<GraphRef> found;
  auto look = [&](const char*, const auto& field) {
    if constexpr (std::is_same_v<std::decay_t<decltype(field)>, GraphRef>) found.push_back(field);
  };
  std::visit([&](const auto& o) { o.fields(o, look); }, op_);
  return found;
}

Body* Op::body() {
  Body* found = nullptr;
  auto look = [&](const char*, auto& field) {
    if constexpr (std::is_same_v<std::decay_t<decltype(field)>, Body>) found = &field;
  };
  std::visit([&](auto& o) { o.fields(o, look); }, op_);
  return found;
}
const Body* Op::body() const { return const_cast<Op*>(this)->body(); }

void Op::substitute_dims(const std::function<Dim(const Dim&)>& f) {
  auto look = [&](const char*, auto& field) {
    if constexpr (std::is_same_v<std::decay_t<decltype(field)>, std::vector<Dim>>)
      for (Dim& d : field) d = f(d);
  };
  std::visit([&](auto& o) { o.fields(o, look); }, op_);
}

// ---- Text ----

namespace {

// Enums print as their number, but for the kinds that people read.
std::string_view enum_text(UnaryKind k) { return name(k); }
std::string_view enum_text(BinaryKind k) { return name(k); }
std::string_view enum_text(DType k) { return name(k); }
void enum_parse(std::string_view text, UnaryKind& k) { k = unary_kind_from_name(text); }
void enum_parse(std::string_view text, BinaryKind& k) { k = binary_kind_from_name(text); }
void enum_parse(std::string_view text, DType& k) {
  k = dtype_from_name(text);
  require(k != DType::kUndefined || text == "?", "unknown element type '", text, "'");
}
template <class T>
concept NamedEnum = requires(T k) {
  enum_text(k);
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

std::string quote(const std::string& s) {
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
    if constexpr (NamedEnum<T>)
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

constexpr size_t kMaxItems = 1 << 20;

class Parser {
 public:
  Parser(std::string_view text, const OpParser& refs) : rest_(text), refs_(refs) {}

  void space() {
    while (!rest_.empty() && rest_[0] == ' ') rest_.remove_prefix(1);
  }
  bool eat(char c) {
    space();
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void need(char c) {
    require(eat(c), "bad op text: expected '", c, "' at '", rest_.substr(0, 20), "'");
  }
  bool at_end() {
    space();
    return rest_.empty();
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
  std::string_view rest_;
  const OpParser& refs_;
};

template <size_t... I>
OpVariant make_op(std::string_view name, std::index_sequence<I...>) {
  OpVariant op;
  bool found = ((name == std::variant_alternative_t<I, OpVariant>::kName ? (op.emplace<I>(), true)
                                                                         : false) ||
                ...);
  require(found, "unknown op '", name.substr(0, 40), "'");
  return op;
}

}  // namespace

std::string print(const Op& op, const OpPrinter& printer) {
  Printer p{printer};
  std::string out;
  auto with_defaults = [&](const auto& o) {
    std::remove_cvref_t<decltype(o)> defaults;
    std::vector<std::string> default_fields;
    auto collect = [&](const char*, const auto& field) {
      Encoder e;
      e.value(field);
      default_fields.push_back(std::move(e.out));
    };
    if constexpr (!std::is_same_v<std::remove_cvref_t<decltype(o)>, Constant>)
      defaults.fields(defaults, collect);
    size_t i = 0;
    o.fields(o, [&](const char* field_name, const auto& field) {
      Encoder e;
      e.value(field);
      bool is_default = i < default_fields.size() && default_fields[i] == e.out;
      ++i;
      if (!is_default) out += cat(out.empty() ? "" : ", ", field_name, "=", p.value(field));
    });
  };
  std::visit(with_defaults, op.variant());
  return cat(op.name(), out.empty() ? "" : "{" + out + "}");
}

Op parse_op(std::string_view text, const OpParser& refs) {
  require(text.size() < (size_t{1} << 26), "bad op text: too long");
  Parser p(text, refs);
  OpVariant op = make_op(p.word(), std::make_index_sequence<std::variant_size_v<OpVariant>>());
  if (p.eat('{') && !p.eat('}')) {
    do {
      std::string_view field_name = p.word();
      p.need('=');
      bool found = false;
      auto read = [&](const char* n, auto& field) {
        if (found || field_name != n) return;
        found = true;
        p.value(field);
      };
      std::visit([&](auto& o) { o.fields(o, read); }, op);
      require(found, "bad op text: no field '", field_name.substr(0, 40), "'");
    } while (p.eat(','));
    p.need('}');
  }
  require(p.at_end(), "bad op text: something follows the op");
  if (auto* c = std::get_if<Constant>(&op))
    require(c->data != nullptr, "bad op text: a constant without data");
  return std::visit([](auto& o) { return Op(std::move(o)); }, op);
}

namespace {
/// "conv+max_pool"; long ones are cut off.
std::string region_label(const Graph& graph) {
  constexpr size_t kMost = 64;
  std::string label;
  for (const Node& n : graph.nodes) {
    if (n.op.is<Input>() || n.op.is<Constant>()) continue;
    if (label.size() > kMost) return label + "+…";
    label += cat(label.empty() ? "" : "+", n.op.is<Region>() ? "region" : n.op.label());
  }
  return label.empty() ? "region" : label;
}
}  // namespace

std::string Op::label() const {
  if (auto* u = as<Unary>()) return std::string(vitrify::name(u->kind));
  if (auto* b = as<Binary>()) return std::string(vitrify::name(b->kind));
  static constexpr std::string_view kReduce[] = {
      "sum", "mean", "max", "min", "prod", "l1", "l2", "log_sum", "log_sum_exp", "sum_square"};
  static constexpr std::string_view kPool[] = {"max", "average", "lp"};
  if (auto* r = as<Reduce>()) return cat("reduce_", kReduce[int(r->kind)]);
  if (auto* p = as<Pool>()) return cat(kPool[int(p->kind)], "_pool");
  if (auto* r = as<Region>(); r && r->graph) return region_label(*r->graph);
  if (auto* c = as<Classic>()) return c->op;
  if (auto* c = as<Custom>()) return c->op;
  return std::string(name());
}

}  // namespace vitrify
