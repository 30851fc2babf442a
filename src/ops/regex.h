// Regular expressions in RE2's syntax, full match only, in time linear in the text: patterns come
// with models, so a hostile one must not hang or overflow the stack.
//
// Supported: literals, ., classes with ranges, negation, escapes and POSIX names, \d \w \s \D \W
// \S, \t \n \r \f \v \a \xHH \x{…} \Q…\E, groups (plain, named, non-capturing, with flags i s m U),
// |, * + ? {m,n} (lazy forms too), ^ $ \A \z \b \B. Not: Unicode classes (\p), \C.
#pragma once

#include <memory>
#include <string_view>

namespace vitrify {

class Regex {
 public:
  /// Throws a user error on bad syntax, kUnsupported on Unicode classes.
  explicit Regex(std::string_view pattern);
  bool full_match(std::string_view text) const;

  struct Program;

 private:
  std::shared_ptr<const Program> program_;
};

}  // namespace vitrify
