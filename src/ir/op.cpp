#include "ir/op.h"

#include <algorithm>

#include "ir/op_fields.h"

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
using fields::FieldRef;

/// The one place that goes through every struct's `fields`. Of a const op they are only read.
std::vector<FieldRef> fields_of(const OpVariant& op) {
  std::vector<FieldRef> found;
  auto look = [&](const char* name, auto& field) {
    using T = std::decay_t<decltype(field)>;
    found.push_back({name, const_cast<T*>(&field), &fields::kCodec<T>});
  };
  std::visit([&](auto& o) { o.fields(o, look); }, op);
  return found;
}

std::string encode(const FieldRef& field) {
  fields::Encoder e;
  field.codec->encode(field.at, e);
  return std::move(e.out);
}

std::string encode(const OpVariant& op) {
  fields::Encoder e;
  e.value(op.index());
  for (const FieldRef& field : fields_of(op)) field.codec->encode(field.at, e);
  return std::move(e.out);
}

}  // namespace

bool operator==(const Op& a, const Op& b) {
  return a.index() == b.index() && encode(a.op_) == encode(b.op_);
}

uint64_t Op::hash() const { return digest(std::string_view(encode(op_))).low; }

std::vector<GraphRef> Op::graphs() const {
  std::vector<GraphRef> found;
  for (const FieldRef& field : fields_of(op_))
    if (const auto* graph = field.as<GraphRef>()) found.push_back(*graph);
  return found;
}

Body* Op::body() {
  for (const FieldRef& field : fields_of(op_))
    if (auto* body = field.as<Body>()) return body;
  return nullptr;
}
const Body* Op::body() const { return const_cast<Op*>(this)->body(); }

void Op::substitute_dims(const std::function<Dim(const Dim&)>& f) {
  for (const FieldRef& field : fields_of(op_))
    if (auto* dims = field.as<std::vector<Dim>>())
      for (Dim& d : *dims) d = f(d);
}

// ---- Text ----

namespace {

template <size_t... I>
OpVariant make_op(std::string_view name, std::index_sequence<I...>) {
  OpVariant op;
  bool found = ((name == std::variant_alternative_t<I, OpVariant>::kName ? (op.emplace<I>(), true)
                                                                         : false) ||
                ...);
  require(found, "unknown op '", name.substr(0, 40), "'");
  return op;
}
/// The op of that name, with every field as its struct leaves it.
OpVariant make_op(std::string_view name) {
  return make_op(name, std::make_index_sequence<std::variant_size_v<OpVariant>>());
}

}  // namespace

std::string print(const Op& op, const OpPrinter& refs) {
  fields::Printer printer{refs};
  const OpVariant plain = make_op(op.name());
  const std::vector<FieldRef> now = fields_of(op.variant()), defaults = fields_of(plain);
  std::string out;
  for (size_t i = 0; i < now.size(); ++i) {
    if (!op.is<Constant>() && encode(now[i]) == encode(defaults[i])) continue;
    out += cat(out.empty() ? "" : ", ", now[i].name, "=", now[i].codec->print(now[i].at, printer));
  }
  return cat(op.name(), out.empty() ? "" : "{" + out + "}");
}

Op parse_op(std::string_view text, const OpParser& refs) {
  require(text.size() < (size_t{1} << 26), "bad op text: too long");
  fields::Parser p(text, refs);
  OpVariant op = make_op(p.word());
  if (p.eat('{') && !p.eat('}')) {
    const std::vector<FieldRef> known = fields_of(op);
    do {
      const std::string_view name = p.word();
      p.need('=');
      const auto field = std::find_if(known.begin(), known.end(),
                                      [&](const FieldRef& f) { return f.name == name; });
      require(field != known.end(), "bad op text: no field '", name.substr(0, 40), "'");
      field->codec->parse(field->at, p);
    } while (p.eat(','));
    p.need('}');
  }
  require(p.at_end(), "bad op text: something follows the op");
  if (auto* c = std::get_if<Constant>(&op))
    require(c->data != nullptr, "bad op text: a constant without data");
  return Op(std::move(op));
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
