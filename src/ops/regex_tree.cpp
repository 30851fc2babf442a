#include "ops/regex_tree.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <string>

#include "base/error.h"
#include "ops/utf8.h"

namespace vitrify::regex {

bool CharSet::holds(char32_t c) const {
  for (auto [low, high] : ranges)
    if (c >= low && c <= high) return true;
  return false;
}

bool CharSet::matches(char32_t c) const {
  bool found = holds(c);
  if (!found && ignore_case && c < 0x80)
    found = holds(char32_t(std::tolower(int(c)))) || holds(char32_t(std::toupper(int(c))));
  return found != negated;
}

bool is_word(char32_t c) { return c == '_' || (c < 0x80 && std::isalnum(int(c)) != 0); }

namespace {

constexpr int kMaxNesting = 200, kMaxRepeat = 1000;

struct NamedClass {
  std::string_view name;
  std::vector<std::pair<char32_t, char32_t>> ranges;
};
const std::vector<NamedClass>& posix_classes() {
  static const std::vector<NamedClass> classes = {
      {"alnum", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}},
      {"alpha", {{'A', 'Z'}, {'a', 'z'}}},
      {"ascii", {{0, 127}}},
      {"blank", {{'\t', '\t'}, {' ', ' '}}},
      {"cntrl", {{0, 31}, {127, 127}}},
      {"digit", {{'0', '9'}}},
      {"graph", {{'!', '~'}}},
      {"lower", {{'a', 'z'}}},
      {"print", {{' ', '~'}}},
      {"punct", {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}},
      {"space", {{'\t', '\r'}, {' ', ' '}}},
      {"upper", {{'A', 'Z'}}},
      {"word", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}, {'_', '_'}}},
      {"xdigit", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}},
  };
  return classes;
}

/// The ranges not covered by `ranges`.
std::vector<std::pair<char32_t, char32_t>> complement(
    std::vector<std::pair<char32_t, char32_t>> ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::vector<std::pair<char32_t, char32_t>> out;
  char32_t next = 0;
  for (auto [low, high] : ranges) {
    if (low > next) out.emplace_back(next, low - 1);
    next = std::max(next, char32_t(high + 1));
  }
  out.emplace_back(next, 0x10FFFF);
  return out;
}

class Parser {
 public:
  explicit Parser(std::string_view pattern) : text_(decode_utf8(pattern)), pattern_(pattern) {}

  TreeNode parse() {
    TreeNode tree = alternation(0);
    if (!at_end()) bad("an unmatched )");
    return tree;
  }

 private:
  struct Flags {
    bool ignore_case = false, dot_all = false, multi_line = false;
  };

  [[noreturn]] void bad(std::string_view what) const {
    fail("the regular expression '", pattern_, "' has ", what);
  }
  bool at_end() const { return at_ >= text_.size(); }
  char32_t peek() const { return at_end() ? 0 : text_[at_]; }
  char32_t take() {
    if (at_end()) bad("an end where more was expected");
    return text_[at_++];
  }
  bool accept(char32_t c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool accept(std::string_view s) {
    for (size_t i = 0; i < s.size(); ++i)
      if (at_ + i >= text_.size() || text_[at_ + i] != char32_t(s[i])) return false;
    at_ += s.size();
    return true;
  }

  TreeNode alternation(int depth) {
    if (depth > kMaxNesting) bad("groups nested too deeply");
    Flags outer = flags_;
    TreeNode either{.kind = TreeNode::Kind::kAlternate};
    do either.children.push_back(sequence(depth));
    while (accept('|'));
    flags_ = outer;
    return either.children.size() == 1 ? std::move(either.children[0]) : std::move(either);
  }

  TreeNode sequence(int depth) {
    TreeNode all;
    while (!at_end() && peek() != '|' && peek() != ')') {
      if (accept("\\Q")) {
        while (!at_end() && !accept("\\E")) all.children.push_back(literal(take()));
        continue;
      }
      if (accept("(?")) {
        if (auto group = special_group(depth)) all.children.push_back(repeats(std::move(*group)));
        continue;
      }
      all.children.push_back(repeats(atom(depth)));
    }
    return all;
  }

  /// What follows "(?": nothing when it only sets flags for the rest of the enclosing group.
  std::unique_ptr<TreeNode> special_group(int depth) {
    Flags outer = flags_;
    if (accept("P<") || accept('<')) {
      while (is_word(peek())) take();
      if (!accept('>')) bad("a badly named group");
    } else {
      bool on = true;
      while (peek() != ':' && peek() != ')') {
        char32_t c = take();
        if (c == '-')
          on = false;
        else if (c == 'i')
          flags_.ignore_case = on;
        else if (c == 's')
          flags_.dot_all = on;
        else if (c == 'm')
          flags_.multi_line = on;
        else if (c != 'U')
          bad("a group that RE2 does not know");
      }
      if (accept(')')) return {};
      take();
    }
    auto group = std::make_unique<TreeNode>(alternation(depth + 1));
    flags_ = outer;
    if (!accept(')')) bad("an unclosed (");
    return group;
  }

  TreeNode atom(int depth) {
    char32_t c = take();
    switch (c) {
      case '(': {
        TreeNode group = alternation(depth + 1);
        if (!accept(')')) bad("an unclosed (");
        return group;
      }
      case '[':
        return bracket();
      case '.': {
        TreeNode any = set_of({});
        if (!flags_.dot_all) any.set.ranges = {{'\n', '\n'}};
        any.set.negated = true;
        return any;
      }
      case '^':
        return assertion(flags_.multi_line ? 'm' : 'A');
      case '$':
        return assertion(flags_.multi_line ? 'M' : 'z');
      case '*':
      case '+':
      case '?':
        bad("nothing to repeat");
      case '\\':
        return escape();
      default:
        return literal(c);
    }
  }

  TreeNode set_of(std::vector<std::pair<char32_t, char32_t>> ranges) const {
    TreeNode node{.kind = TreeNode::Kind::kSet};
    node.set.ranges = std::move(ranges);
    node.set.ignore_case = flags_.ignore_case;
    return node;
  }
  TreeNode literal(char32_t c) const { return set_of({{c, c}}); }
  static TreeNode assertion(char what) {
    TreeNode node{.kind = TreeNode::Kind::kAssert};
    node.assertion = what;
    return node;
  }

  TreeNode escape() {
    char32_t c = peek();
    if (c == 'A' || c == 'z' || c == 'b' || c == 'B') return take(), assertion(char(c));
    CharSet set;
    if (class_escape(set)) return set_of(std::move(set.ranges));
    return literal(escaped_character());
  }

  /// \d and its like, after the backslash; false when it is none of them.
  bool class_escape(CharSet& set) {
    static constexpr std::pair<char, std::string_view> kClasses[] = {
        {'d', "digit"}, {'w', "word"}, {'s', "space"}};
    char32_t c = peek();
    if (c == 'p' || c == 'P' || c == 'C' || c == 'X')
      fail_unsupported("Unicode classes in regular expressions: '", pattern_, "'");
    for (auto [letter, name] : kClasses) {
      bool negated = c == char32_t(std::toupper(letter));
      if (c != char32_t(letter) && !negated) continue;
      take();
      std::vector<std::pair<char32_t, char32_t>> ranges;
      for (const NamedClass& n : posix_classes())
        if (n.name == name) ranges = n.ranges;
      if (letter == 's') ranges = {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}};
      if (negated) ranges = complement(std::move(ranges));
      set.ranges.insert(set.ranges.end(), ranges.begin(), ranges.end());
      return true;
    }
    return false;
  }

  char32_t escaped_character() {
    static constexpr std::pair<char, char> kControls[] = {{'a', '\a'}, {'f', '\f'}, {'t', '\t'},
                                                          {'n', '\n'}, {'r', '\r'}, {'v', '\v'}};
    char32_t c = take();
    for (auto [letter, control] : kControls)
      if (c == char32_t(letter)) return char32_t(control);
    if (c == 'x') return hex();
    if (c == '0') return octal();
    if (is_word(c) || c >= 0x80) bad("an unknown escape");
    return c;
  }
  char32_t octal() {
    char32_t v = 0;
    for (int i = 0; i < 2 && peek() >= '0' && peek() < '8'; ++i) v = v * 8 + (take() - '0');
    return v;
  }
  char32_t hex() {
    bool braces = accept('{');
    char32_t v = 0;
    for (int i = 0; braces ? !accept('}') : i < 2; ++i) {
      char32_t c = take();
      if (c >= 0x80 || !std::isxdigit(int(c)) || i > 6) bad("a bad \\x escape");
      v = v * 16 + (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    if (v > 0x10FFFF) bad("a bad \\x escape");
    return v;
  }

  TreeNode bracket() {
    TreeNode node = set_of({});
    node.set.negated = accept('^');
    for (bool first = true; first || peek() != ']' || at_end(); first = false) {
      if (accept("[:")) {
        posix_class(node.set);
        continue;
      }
      char32_t low = take();
      if (low == '\\') {
        if (class_escape(node.set)) continue;
        low = escaped_character();
      }
      char32_t high = low;
      if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        take();
        high = take();
        if (high == '\\') high = escaped_character();
        if (high < low) bad("a range that runs backwards");
      }
      node.set.ranges.emplace_back(low, high);
    }
    take();
    return node;
  }

  void posix_class(CharSet& set) {
    bool negated = accept('^');
    for (const NamedClass& n : posix_classes())
      if (accept(cat(n.name, ":]"))) {
        auto ranges = negated ? complement(n.ranges) : n.ranges;
        set.ranges.insert(set.ranges.end(), ranges.begin(), ranges.end());
        return;
      }
    bad("an unknown class name");
  }

  TreeNode repeats(TreeNode node) {
    for (int count = 0;; ++count) {
      int least = 0, most = -1;
      if (accept('*')) {
      } else if (accept('+')) {
        least = 1;
      } else if (accept('?')) {
        most = 1;
      } else if (!counted(least, most)) {
        return node;
      }
      if (count > 8) bad("too many repetitions in a row");
      accept('?');
      TreeNode repeat{.kind = TreeNode::Kind::kRepeat, .least = least, .most = most};
      repeat.children.push_back(std::move(node));
      node = std::move(repeat);
    }
  }

  /// {m}, {m,} or {m,n}; anything else is plain text, as in RE2.
  bool counted(int& least, int& most) {
    size_t begin = at_;
    auto number = [&](int& v) {
      size_t from = at_;
      v = 0;
      while (peek() >= '0' && peek() <= '9' && v <= kMaxRepeat) v = v * 10 + int(take() - '0');
      return at_ > from;
    };
    if (accept('{') && number(least)) {
      most = least;
      bool comma = accept(',');
      if (comma && !number(most)) most = -1;
      if (accept('}')) {
        if (least > kMaxRepeat || most > kMaxRepeat || (most >= 0 && most < least))
          bad("a bad repetition count");
        return true;
      }
    }
    at_ = begin;
    return false;
  }

  std::vector<char32_t> text_;
  std::string_view pattern_;
  size_t at_ = 0;
  Flags flags_;
};

}  // namespace

TreeNode parse(std::string_view pattern) { return Parser(pattern).parse(); }

}  // namespace vitrify::regex
