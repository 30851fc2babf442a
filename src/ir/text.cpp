// The text form of graphs:
//
//   graph @0 "body"                              bodies first, each before the graph that uses it
//   %0 = input{name="x"} : f32[1, n]
//   %1 = constant{data=#3} : i64[2] = 1, 2       small constants inline, others by id alone
//   %2, %3 = topk{axis=1}(%0, -) : f32[1, 2], i64[1, 2]  # topk_5
//   return "y" = %2, "z" = %3
#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "ir/graph.h"

namespace vitrify {

namespace {

constexpr int64_t kInlineElements = 8;
constexpr int kMaxDepth = 32;

std::string quoted(const std::string& s) {
  std::string out = "\"";
  for (char c : s) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + "\"";
}

/// Numbers the distinct bodies of a graph, inner ones first.
class GraphPrinter {
 public:
  std::string print(const Graph& g, int depth = 0) {
    require(depth < kMaxDepth, "graphs are nested too deeply");
    for (const Node& n : g.nodes)
      for (const GraphRef& body : n.op.graphs())
        if (body && !numbers_.count(body.get())) {
          std::string text = print(*body, depth + 1);
          int number = int(numbers_.size());
          numbers_[body.get()] = number;
          bodies_ += cat("graph @", number, " ", quoted(body->name), "\n", text);
        }
    return lines(g);
  }
  std::string bodies_;

 private:
  std::string lines(const Graph& g) {
    std::map<ValueId, int> numbers;
    std::string out;
    OpPrinter printer{[](const ConstantRef& c) { return cat("#", c->id); },
                      [&](const GraphRef& b) { return cat("@", numbers_.at(b.get())); }};
    for (size_t n = 0; n < g.nodes.size(); ++n) {
      const Node& node = g.nodes[n];
      std::string left, types, args;
      for (size_t o = 0; o < node.types.size(); ++o) {
        int number = int(numbers.size());
        numbers[{int32_t(n), int32_t(o)}] = number;
        left += cat(o ? ", " : "", "%", number);
        types += (o ? ", " : "") + node.types[o].str();
      }
      for (ValueId v : node.inputs)
        args += cat(args.empty() ? "" : ", ", v.valid() ? cat("%", numbers.at(v)) : "-");
      out += cat(left, " = ", vitrify::print(node.op, printer),
                 node.inputs.empty() ? "" : "(" + args + ")", " : ", types);
      if (auto* c = node.op.as<Constant>()) out += literal(c->data->tensor);
      for (size_t i = 0; i < node.origins.size(); ++i) out += (i ? ", " : "  # ") + node.origins[i];
      out += '\n';
    }
    out += "return";
    for (size_t i = 0; i < g.outputs.size(); ++i)
      out += cat(i ? ", " : " ", quoted(g.outputs[i].name), " = %", numbers.at(g.outputs[i].value));
    return out + "\n";
  }
  static std::string literal(const Tensor& t) {
    bool small = t.size() > 0 && t.size() <= kInlineElements &&
                 (is_float(t.dtype()) || is_integer(t.dtype()) || t.dtype() == DType::kBool);
    if (!small) return {};
    std::string out;
    for (int64_t i = 0; i < t.size(); ++i)
      out += (i ? ", " : " = ") + (is_float(t.dtype()) ? cat(double_at(t, i)) : cat(int_at(t, i)));
    return out;
  }
  std::map<const Graph*, int> numbers_;
};

class GraphParser {
 public:
  GraphParser(std::string_view text, const std::vector<ConstantRef>& constants) : rest_(text) {
    for (const auto& c : constants) constants_[c->id] = c;
  }
  Graph parse() {
    while (rest_.starts_with("graph @")) {
      line_ = next_line();
      line_.remove_prefix(7);
      size_t end = line_.find(' ');
      std::string number(line_.substr(0, end));
      auto body = std::make_shared<Graph>(body_of_lines());
      require(bodies_.emplace("@" + number, std::move(body)).second, "two bodies are numbered @",
              number);
    }
    return body_of_lines();
  }

 private:
  std::string_view next_line() {
    size_t end = std::min(rest_.find('\n'), rest_.size());
    std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    ++number_;
    return line;
  }
  Graph body_of_lines() {
    Graph g;
    values_.clear();
    while (!rest_.empty()) {
      line_ = next_line();
      if (line_.empty()) continue;
      try {
        if (line_.starts_with("return")) return finish(std::move(g));
        node(g);
      } catch (const Error& e) {
        throw Error(e.kind(), e.message(), cat("line ", number_));
      }
    }
    fail("the text ends without a 'return' line");
  }
  void space() {
    while (!line_.empty() && line_[0] == ' ') line_.remove_prefix(1);
  }
  bool eat(std::string_view token) {
    space();
    if (!line_.starts_with(token)) return false;
    line_.remove_prefix(token.size());
    return true;
  }
  void need(std::string_view token) {
    require(eat(token), "expected '", token, "' at '", line_.substr(0, 20), "'");
  }
  int64_t integer() {
    int64_t v = 0;
    auto [end, error] = std::from_chars(line_.data(), line_.data() + line_.size(), v);
    require(error == std::errc(), "expected a number at '", line_.substr(0, 20), "'");
    line_.remove_prefix(size_t(end - line_.data()));
    return v;
  }
  double number() {
    space();
    double v = 0;
    auto [end, error] = std::from_chars(line_.data(), line_.data() + line_.size(), v);
    require(error == std::errc(), "expected a number at '", line_.substr(0, 20), "'");
    line_.remove_prefix(size_t(end - line_.data()));
    return v;
  }
  std::string string() {
    need("\"");
    std::string s;
    while (!line_.empty() && line_[0] != '"') {
      if (line_[0] == '\\' && line_.size() > 1) line_.remove_prefix(1);
      s += line_[0];
      line_.remove_prefix(1);
    }
    need("\"");
    return s;
  }
  ValueId value() {
    if (eat("-")) return {};
    need("%");
    auto at = values_.find(integer());
    require(at != values_.end(), "a value is used before it is defined");
    return at->second;
  }
  /// Up to the character that ends the piece, outside strings, quotes and brackets.
  std::string_view until(std::string_view ends) {
    space();
    int depth = 0;
    bool in_string = false, in_quotes = false;
    size_t n = 0;
    for (; n < line_.size(); ++n) {
      char c = line_[n];
      if (in_string && c == '\\')
        ++n;
      else if (c == '"' && !in_quotes)
        in_string = !in_string;
      else if (c == '`' && !in_string)
        in_quotes = !in_quotes;
      if (in_string || in_quotes) continue;
      if (depth == 0 && ends.find(c) != ends.npos) break;
      depth += c == '{' || c == '[' || c == '(';
      depth -= c == '}' || c == ']' || c == ')';
    }
    n = std::min(n, line_.size());
    std::string_view piece = line_.substr(0, n);
    line_.remove_prefix(n);
    while (!piece.empty() && piece.back() == ' ') piece.remove_suffix(1);
    return piece;
  }
  void node(Graph& g) {
    std::vector<int64_t> numbers;
    do {
      need("%");
      numbers.push_back(integer());
    } while (eat(","));
    need("=");
    std::string_view text = until("(:");
    Node n{Input{}, {}, {}, {}, {}};
    if (eat("(") && !eat(")")) {
      do n.inputs.push_back(value());
      while (eat(","));
      need(")");
    }
    need(":");
    do n.types.push_back(Type::parse(until(",=#")));
    while (eat(","));
    n.facts.resize(n.types.size());
    require(n.types.size() == numbers.size(), "a node has ", numbers.size(), " results and ",
            n.types.size(), " types");
    OpParser parser{[&](std::string_view id) { return constant(id, n.types[0]); },
                    [&](std::string_view id) {
                      auto at = bodies_.find(std::string(id));
                      require(at != bodies_.end(), "no graph ", id.substr(0, 20));
                      return at->second;
                    }};
    n.op = parse_op(text, parser);
    if (eat("#")) {
      do n.origins.emplace_back(until(","));
      while (eat(","));
    }
    ValueId v{int32_t(g.nodes.size()), 0};
    for (size_t o = 0; o < numbers.size(); ++o)
      require(values_.emplace(numbers[o], ValueId{v.node, int32_t(o)}).second, "%", numbers[o],
              " is defined twice");
    if (auto* i = n.op.as<Input>()) g.inputs.push_back({i->name, v});
    g.nodes.push_back(std::move(n));
  }
  ConstantRef constant(std::string_view id, const Type& type) {
    int64_t number_of = 0;
    auto [end, error] = std::from_chars(id.data() + std::min<size_t>(1, id.size()),
                                        id.data() + id.size(), number_of);
    require(error == std::errc() && id.starts_with("#"), "bad constant '", id.substr(0, 20), "'");
    if (auto at = constants_.find(number_of); at != constants_.end()) return at->second;
    require(eat("="), "constant ", id, " is neither given nor written out");
    Tensor t(type.dtype, type.dims());
    for (int64_t i = 0; i < t.size(); ++i) {
      if (i) need(",");
      if (is_float(t.dtype()))
        set_double(t, i, number());
      else
        space(), set_int(t, i, integer());
    }
    auto data = std::make_shared<ConstantData>();
    data->id = number_of;
    data->tensor = std::move(t);
    return constants_[number_of] = data;
  }
  Graph finish(Graph g) {
    need("return");
    space();
    if (!line_.empty()) {
      do {
        std::string name = string();
        need("=");
        g.outputs.push_back({name, value()});
      } while (eat(","));
    }
    for (const auto& [id, c] : constants_) g.next_constant = std::max(g.next_constant, id + 1);
    return g;
  }

  std::string_view rest_, line_;
  int number_ = 0;
  std::map<int64_t, ConstantRef> constants_;
  std::map<std::string, GraphRef> bodies_;
  std::map<int64_t, ValueId> values_;
};

}  // namespace

std::string print(const Graph& graph) {
  GraphPrinter printer;
  std::string text = printer.print(graph);
  return printer.bodies_ + text;
}

Graph parse_graph(std::string_view text, const std::vector<ConstantRef>& constants) {
  return GraphParser(text, constants).parse();
}

}  // namespace vitrify
