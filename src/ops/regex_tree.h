// The tree of a regular expression, and its parser: the front half of ops/regex.h.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

namespace vitrify::regex {

struct CharSet {
  std::vector<std::pair<char32_t, char32_t>> ranges;
  bool negated = false, ignore_case = false;

  bool holds(char32_t c) const;
  bool matches(char32_t c) const;
};

struct TreeNode {
  enum class Kind { kSet, kConcat, kAlternate, kRepeat, kAssert };
  Kind kind = Kind::kConcat;
  CharSet set;
  char assertion = 0;  ///< ^ $ A z b B, and m or M for ^ and $ of lines
  int least = 0, most = -1;
  std::vector<TreeNode> children;
};

/// A letter, digit or underscore of ASCII: what \w and \b mean.
bool is_word(char32_t c);

/// Throws as the constructor of Regex says.
TreeNode parse(std::string_view pattern);

}  // namespace vitrify::regex
