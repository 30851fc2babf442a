// Thompson's construction: the tree becomes a program of a non-deterministic machine, which is run
// on all its states at once (Pike's way, without captures).
#include "ops/regex.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "ops/regex_tree.h"
#include "ops/utf8.h"

namespace vitrify {

using regex::CharSet, regex::is_word, regex::TreeNode;

namespace {
constexpr size_t kMaxProgram = 100000;
}

struct Regex::Program {
  enum class Code : uint8_t { kSet, kSplit, kJump, kAssert, kMatch };
  struct Step {
    Code code;
    char assertion = 0;
    int32_t a = 0, b = 0;  ///< targets; a: the set's number
  };
  std::vector<Step> steps;
  std::vector<CharSet> sets;
  size_t visits = 0;

  int32_t emit(Step step) {
    require(steps.size() < kMaxProgram, "the regular expression is too large");
    steps.push_back(step);
    return int32_t(steps.size() - 1);
  }
  int32_t next() const { return int32_t(steps.size()); }

  void compile(const TreeNode& node) {
    require(++visits < kMaxProgram, "the regular expression is too large");
    switch (node.kind) {
      case TreeNode::Kind::kSet:
        sets.push_back(node.set);
        emit({Code::kSet, 0, int32_t(sets.size() - 1)});
        break;
      case TreeNode::Kind::kAssert:
        emit({Code::kAssert, node.assertion});
        break;
      case TreeNode::Kind::kConcat:
        for (const TreeNode& child : node.children) compile(child);
        break;
      case TreeNode::Kind::kAlternate:
        compile_alternate(node);
        break;
      case TreeNode::Kind::kRepeat:
        compile_repeat(node);
        break;
    }
  }

  void compile_alternate(const TreeNode& node) {
    std::vector<int32_t> ends;
    for (size_t i = 0; i < node.children.size(); ++i) {
      bool last = i + 1 == node.children.size();
      int32_t split = last ? -1 : emit({Code::kSplit});
      if (!last) steps[size_t(split)].a = next();
      compile(node.children[i]);
      if (last) break;
      ends.push_back(emit({Code::kJump}));
      steps[size_t(split)].b = next();
    }
    for (int32_t e : ends) steps[size_t(e)].a = next();
  }

  void compile_repeat(const TreeNode& node) {
    for (int i = 0; i < node.least; ++i) compile(node.children[0]);
    if (node.most < 0) {
      int32_t split = emit({Code::kSplit});
      steps[size_t(split)].a = next();
      compile(node.children[0]);
      emit({Code::kJump, 0, split});
      steps[size_t(split)].b = next();
      return;
    }
    std::vector<int32_t> splits;
    for (int i = node.least; i < node.most; ++i) {
      splits.push_back(emit({Code::kSplit}));
      steps[size_t(splits.back())].a = next();
      compile(node.children[0]);
    }
    for (int32_t s : splits) steps[size_t(s)].b = next();
  }

  static bool holds(char assertion, const std::vector<char32_t>& text, size_t at) {
    bool begin = at == 0, end = at == text.size();
    bool edge = (!begin && is_word(text[at - 1])) != (!end && is_word(text[at]));
    switch (assertion) {
      case 'A':
        return begin;
      case 'z':
        return end;
      case 'm':
        return begin || text[at - 1] == '\n';
      case 'M':
        return end || text[at] == '\n';
      case 'b':
        return edge;
      default:
        return !edge;
    }
  }

  /// All states that `from` leads to without reading; `seen` marks them with `mark`.
  void follow(int32_t from, const std::vector<char32_t>& text, size_t at, size_t mark,
              std::vector<size_t>& seen, std::vector<int32_t>& states) const {
    std::vector<int32_t> open{from};
    while (!open.empty()) {
      int32_t s = open.back();
      open.pop_back();
      if (seen[size_t(s)] == mark) continue;
      seen[size_t(s)] = mark;
      const Step& step = steps[size_t(s)];
      if (step.code == Code::kSplit)
        open.push_back(step.b), open.push_back(step.a);
      else if (step.code == Code::kJump)
        open.push_back(step.a);
      else if (step.code != Code::kAssert)
        states.push_back(s);
      else if (holds(step.assertion, text, at))
        open.push_back(s + 1);
    }
  }
};

Regex::Regex(std::string_view pattern) {
  auto program = std::make_shared<Program>();
  program->compile(regex::parse(pattern));
  program->emit({Program::Code::kMatch});
  program_ = std::move(program);
}

bool Regex::full_match(std::string_view given) const {
  std::vector<char32_t> text = decode_utf8(given);
  std::vector<size_t> seen(program_->steps.size(), 0);
  std::vector<int32_t> states, next;
  program_->follow(0, text, 0, 1, seen, states);
  for (size_t at = 0; at < text.size(); ++at) {
    next.clear();
    for (int32_t s : states) {
      const Program::Step& step = program_->steps[size_t(s)];
      if (step.code == Program::Code::kSet && program_->sets[size_t(step.a)].matches(text[at]))
        program_->follow(s + 1, text, at + 1, at + 2, seen, next);
    }
    std::swap(states, next);
  }
  return std::any_of(states.begin(), states.end(), [&](int32_t s) {
    return program_->steps[size_t(s)].code == Program::Code::kMatch;
  });
}

}  // namespace vitrify
