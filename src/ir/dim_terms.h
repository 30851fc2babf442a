// What a Dim is made of, for the files that implement it.
#pragma once

#include "ir/dim.h"

namespace vitrify {

struct Dim::AtomNode {
  AtomKind kind;
  std::string name;
  Dim a, b;
  int64_t size = 1;
  int depth = 0;
};

struct Dim::Term {
  std::vector<Atom> factors;  // sorted
  int64_t coefficient;
};

}  // namespace vitrify
