// Op: any one of the structs in ops.h, as a value. What every op can do is defined once, in op.cpp.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "ir/ops.h"

namespace vitrify {

class Op {
 public:
  template <class T>
  requires std::is_constructible_v<OpVariant, T> Op(T op)
      : op_(std::move(op)) {}  // NOLINT: implicit, so that add(Transpose{{0, 2, 1}}, …) reads well
  Op(const Op&);
  Op(Op&&) noexcept;
  Op& operator=(const Op&);
  Op& operator=(Op&&) noexcept;
  ~Op();

  template <class T>
  const T* as() const {
    return std::get_if<T>(&op_);
  }
  template <class T>
  T* as() {
    return std::get_if<T>(&op_);
  }
  template <class T>
  bool is() const {
    return std::holds_alternative<T>(op_);
  }
  /// The struct's kName: "conv", "unary" …
  std::string_view name() const;
  /// The struct's place in OpVariant: the row of ops/table.cpp.
  size_t index() const { return op_.index(); }

  /// Field by field; constants by id, graphs by digest.
  friend bool operator==(const Op& a, const Op& b);
  /// Equal ops hash alike; the same on every machine and run.
  uint64_t hash() const;
  /// The body graphs that the op holds (If, Loop, Scan, Region), in field order.
  std::vector<GraphRef> graphs() const;
  /// The epilogue or pointwise body, or null when the op has no such field.
  const Body* body() const;
  Body* body();
  /// "conv", or for families the kind: "relu", "add", "reduce_mean".
  std::string label() const;
  /// Replaces every Dim among the fields.
  void substitute_dims(const std::function<Dim(const Dim&)>& f);

  const OpVariant& variant() const { return op_; }

 private:
  OpVariant op_;
};

/// How text refers to what is not text: the number of a constant or graph, and back.
struct OpPrinter {
  std::function<std::string(const ConstantRef&)> constant;
  std::function<std::string(const GraphRef&)> graph;
};
struct OpParser {
  std::function<ConstantRef(std::string_view)> constant;
  std::function<GraphRef(std::string_view)> graph;
};

/// `conv{group=1, window={kernel=[3, 3], …}}`: fields that have their default value are left out.
/// `parse_op` reads it back exactly (floats round-trip); it throws a user error on anything else,
/// with bounds on length, nesting and counts, so text may come from untrusted files.
std::string print(const Op& op, const OpPrinter& printer);
Op parse_op(std::string_view text, const OpParser& parser);

}  // namespace vitrify
