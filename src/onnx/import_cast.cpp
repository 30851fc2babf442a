// Elementwise ops that are no plain function: Where, casts, Clip, Dropout.
#include "onnx/import_cast.h"

#include <cmath>
#include <limits>

#include "base/error.h"

namespace vitrify::onnx {

namespace {

// ---- Select, casts ----

void import_where(NodeContext& c) { c.outputs({c.add(Select{}, {c.in(0), c.in(1), c.in(2)})}); }

void import_cast_to(NodeContext& c, DType to) {
  require(to != DType::kUndefined, "attribute 'to' is missing or 0");
  Cast op{.to = to, .saturate = c.int_attribute("saturate", 1) != 0};
  if (to == DType::kFloat8E8M0) {
    std::string mode = c.string_attribute("round_mode", "up");
    require(mode == "up" || mode == "down" || mode == "nearest", "unknown round_mode '", mode, "'");
    op.round_mode = mode == "up" ? 0 : mode == "down" ? 1 : 2;
  }
  bool same = c.dtype(c.in(0)) == to;
  c.outputs({same ? c.in(0) : c.add(op, {c.in(0)})});
}
void import_cast(NodeContext& c) { import_cast_to(c, c.dtype_attribute("to", DType::kUndefined)); }
void import_cast_like(NodeContext& c) { import_cast_to(c, c.dtype(c.in(1))); }

/// Opset 1 named the type in words.
void import_cast_by_name(NodeContext& c) {
  static constexpr std::pair<std::string_view, DType> kNames[] = {
      {"FLOAT", DType::kFloat32},
      {"UINT8", DType::kUint8},
      {"INT8", DType::kInt8},
      {"UINT16", DType::kUint16},
      {"INT16", DType::kInt16},
      {"INT32", DType::kInt32},
      {"INT64", DType::kInt64},
      {"STRING", DType::kString},
      {"BOOL", DType::kBool},
      {"FLOAT16", DType::kFloat16},
      {"DOUBLE", DType::kFloat64},
      {"UINT32", DType::kUint32},
      {"UINT64", DType::kUint64},
      {"COMPLEX64", DType::kComplex64},
      {"COMPLEX128", DType::kComplex128},
  };
  std::string to = c.string_attribute("to", "");
  for (auto [name, dtype] : kNames)
    if (name == to) return import_cast_to(c, dtype);
  fail("unknown element type '", to, "'");
}

void import_bitcast(NodeContext& c) {
  const DType to = c.dtype_attribute("to", DType::kUndefined);
  require(to != DType::kUndefined, "attribute 'to' is missing or 0");
  c.outputs({c.add(BitCast{to}, {c.in(0)})});
}

void import_identity(NodeContext& c) { c.outputs({c.in(0)}); }

// ---- Clip ----

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void import_clip_attributes(NodeContext& c) {
  double low = c.float_attribute("min", -kInfinity), high = c.float_attribute("max", kInfinity);
  c.outputs({c.unary(UnaryKind::kClip, c.in(0), low, high)});
}

/// A constant bound that a double holds exactly.
std::optional<double> constant_bound(NodeContext& c, int i, double otherwise) {
  if (!c.has(i)) return otherwise;
  const Tensor* t = c.constant(c.in(i));
  if (!t || t->size() != 1) return {};
  double v = double_at(*t, 0);
  if (is_integer(t->dtype()) && !(std::fabs(v) < 0x1p53)) return {};
  return v;
}

void import_clip(NodeContext& c) {
  ValueId x = c.in(0);
  auto low = constant_bound(c, 1, -kInfinity), high = constant_bound(c, 2, kInfinity);
  if (!c.has(1) && !c.has(2)) return c.outputs({x});
  if (low && high) return c.outputs({c.unary(UnaryKind::kClip, x, *low, *high)});
  if (c.has(1)) x = c.binary(BinaryKind::kMax, x, c.in(1));
  if (c.has(2)) x = c.binary(BinaryKind::kMin, x, c.in(2));
  c.outputs({x});
}

// ---- Dropout ----

ValueId filled_like(NodeContext& c, ValueId x, ValueId scalar) {
  if (c.type(x).has_rank()) return c.add(Expand{*c.type(x).shape}, {scalar});
  return c.add(Expand{}, {scalar, c.add(ShapeOf{}, {x})});
}

void dropout_inference(NodeContext& c, DType mask) {
  ValueId ones = c.wants(1) ? filled_like(c, c.in(0), c.scalar(1, mask)) : ValueId{};
  c.outputs({c.in(0), ones});
}
/// Versions 1 to 7 give a mask of the input's type, 10 one of bools.
void import_dropout_attributes(NodeContext& c) {
  dropout_inference(c, c.opset() < 10 ? c.dtype(c.in(0)) : DType::kBool);
}

/// Training: keeps each element with probability 1 - ratio, and scales what it keeps.
void import_dropout(NodeContext& c) {
  const Tensor* training = c.has(2) ? c.constant(c.in(2)) : nullptr;
  if (!c.has(2) || (training && training->size() == 1 && int_at(*training, 0) == 0))
    return dropout_inference(c, DType::kBool);
  ValueId x = c.in(0), mode = c.in(2);
  ValueId ratio = c.has(1) ? c.cast(c.in(1), DType::kFloat32) : c.scalar(0.5, DType::kFloat32);
  ValueId kept = c.binary(BinaryKind::kSub, c.scalar(1, DType::kFloat32), ratio);
  Random op{.kind = Random::Kind::kBernoulli, .dtype = DType::kBool, .shape = {}};
  op.has_seed = c.has_attribute("seed");
  op.seed = double(c.int_attribute("seed", 0));
  ValueId mask = c.add(op, {filled_like(c, x, kept)});
  ValueId scaled = c.binary(BinaryKind::kDiv, x, c.cast(kept, c.dtype(x)));
  ValueId dropped = c.add(Select{}, {mask, scaled, c.scalar(0, c.dtype(x))});
  ValueId not_training = c.unary(UnaryKind::kNot, mode);
  c.outputs({c.add(Select{}, {mode, dropped, x}), c.binary(BinaryKind::kOr, mask, not_training)});
}

constexpr ImportRow kRows[] = {
    {"", "Where", 9, import_where},
    {"", "Cast", 1, import_cast_by_name},
    {"", "Cast", 6, import_cast},
    {"", "CastLike", 15, import_cast_like},
    {"", "BitCast", 26, import_bitcast},
    {"", "Identity", 1, import_identity},
    {"", "Clip", 1, import_clip_attributes},
    {"", "Clip", 11, import_clip},
    {"", "Dropout", 1, import_dropout_attributes},
    {"", "Dropout", 12, import_dropout},
};

}  // namespace

std::span<const ImportRow> cast_rows() { return kRows; }

}  // namespace vitrify::onnx
