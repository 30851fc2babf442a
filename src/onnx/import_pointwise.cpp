// Elementwise ops: unary and binary functions and the variadic ones.
#include "base/error.h"
#include "onnx/families.h"
#include "onnx/import_cast.h"
#include "onnx/importer.h"

namespace vitrify::onnx {

namespace {

// ---- Unary ----

struct UnaryRow {
  std::string_view op;
  UnaryKind kind;
  std::string_view alpha = {}, beta = {};  ///< attribute names
  double alpha_default = 0, beta_default = 0;
};

constexpr UnaryRow kUnaryRows[] = {
    {"Abs", UnaryKind::kAbs},
    {"Acos", UnaryKind::kAcos},
    {"Acosh", UnaryKind::kAcosh},
    {"Asin", UnaryKind::kAsin},
    {"Asinh", UnaryKind::kAsinh},
    {"Atan", UnaryKind::kAtan},
    {"Atanh", UnaryKind::kAtanh},
    {"BitwiseNot", UnaryKind::kBitwiseNot},
    {"Ceil", UnaryKind::kCeil},
    {"Celu", UnaryKind::kCelu, "alpha", "", 1},
    {"Cos", UnaryKind::kCos},
    {"Cosh", UnaryKind::kCosh},
    {"Elu", UnaryKind::kElu, "alpha", "", 1},
    {"Erf", UnaryKind::kErf},
    {"Exp", UnaryKind::kExp},
    {"Floor", UnaryKind::kFloor},
    {"HardSigmoid", UnaryKind::kHardSigmoid, "alpha", "beta", 0.2F, 0.5},
    {"HardSwish", UnaryKind::kHardSwish},
    {"IsNaN", UnaryKind::kIsNan},
    {"LeakyRelu", UnaryKind::kLeakyRelu, "alpha", "", 0.01F},
    {"Log", UnaryKind::kLog},
    {"Mish", UnaryKind::kMish},
    {"Neg", UnaryKind::kNeg},
    {"Not", UnaryKind::kNot},
    {"Reciprocal", UnaryKind::kReciprocal},
    {"Relu", UnaryKind::kRelu},
    {"Round", UnaryKind::kRound},
    {"Selu", UnaryKind::kSelu, "alpha", "gamma", 1.67326319217681884765625,
     1.05070102214813232421875},
    {"Shrink", UnaryKind::kShrink, "lambd", "bias", 0.5, 0},
    {"Sigmoid", UnaryKind::kSigmoid},
    {"Sign", UnaryKind::kSign},
    {"Sin", UnaryKind::kSin},
    {"Sinh", UnaryKind::kSinh},
    {"Softplus", UnaryKind::kSoftplus},
    {"Softsign", UnaryKind::kSoftsign},
    {"Sqrt", UnaryKind::kSqrt},
    {"Swish", UnaryKind::kSwish, "alpha", "", 1},
    {"Tan", UnaryKind::kTan},
    {"Tanh", UnaryKind::kTanh},
    {"ThresholdedRelu", UnaryKind::kThresholdedRelu, "alpha", "", 1},
};

void import_unary(NodeContext& c) {
  for (const UnaryRow& row : kUnaryRows) {
    if (row.op != c.node().op_type) continue;
    double alpha = row.alpha.empty() ? 0 : c.float_attribute(row.alpha, row.alpha_default);
    double beta = row.beta.empty() ? 0 : c.float_attribute(row.beta, row.beta_default);
    return c.outputs({c.unary(row.kind, c.in(0), alpha, beta)});
  }
  fail_internal("no unary row");
}

void import_gelu(NodeContext& c) {
  std::string approximate = c.string_attribute("approximate", "none");
  require(approximate == "none" || approximate == "tanh", "unknown approximation '", approximate,
          "'");
  c.outputs({c.unary(approximate == "tanh" ? UnaryKind::kGeluTanh : UnaryKind::kGelu, c.in(0))});
}

void import_is_inf(NodeContext& c) {
  auto positive = double(c.int_attribute("detect_positive", 1) != 0);
  auto negative = double(c.int_attribute("detect_negative", 1) != 0);
  c.outputs({c.unary(UnaryKind::kIsInf, c.in(0), positive, negative)});
}

// ---- Binary ----

struct BinaryRow {
  std::string_view op;
  BinaryKind kind;
};

constexpr BinaryRow kBinaryRows[] = {
    {"Add", BinaryKind::kAdd},
    {"And", BinaryKind::kAnd},
    {"BitwiseAnd", BinaryKind::kBitwiseAnd},
    {"BitwiseOr", BinaryKind::kBitwiseOr},
    {"BitwiseXor", BinaryKind::kBitwiseXor},
    {"Div", BinaryKind::kDiv},
    {"Equal", BinaryKind::kEqual},
    {"Greater", BinaryKind::kGreater},
    {"GreaterOrEqual", BinaryKind::kGreaterEqual},
    {"Less", BinaryKind::kLess},
    {"LessOrEqual", BinaryKind::kLessEqual},
    {"Max", BinaryKind::kMax},
    {"Mean", BinaryKind::kAdd},
    {"Min", BinaryKind::kMin},
    {"Mul", BinaryKind::kMul},
    {"Or", BinaryKind::kOr},
    {"Pow", BinaryKind::kPow},
    {"Sub", BinaryKind::kSub},
    {"Sum", BinaryKind::kAdd},
    {"Xor", BinaryKind::kXor},
};

BinaryKind binary_kind(std::string_view op) {
  for (const BinaryRow& row : kBinaryRows)
    if (row.op == op) return row.kind;
  fail_internal("no binary row");
}

void import_binary(NodeContext& c) {
  c.outputs({c.binary(binary_kind(c.node().op_type), c.in(0), c.in(1))});
}

/// `b` with axes of extent 1 behind, so that its first axis lies on `axis` of a value of rank
/// `rank`.
ValueId aligned_at(NodeContext& c, ValueId b, int64_t axis, int rank) {
  Shape shape = (c.known_rank(b), *c.type(b).shape);
  require(axis + int64_t(shape.size()) <= rank, "the second input does not fit at axis ", axis);
  shape.resize(size_t(rank - axis), Dim(1));
  return c.reshape(b, shape);
}

/// Before opset 7 broadcasting was asked for, and could begin at any axis.
void import_binary_legacy(NodeContext& c) {
  ValueId a = c.in(0), b = c.in(1);
  if (c.int_attribute("broadcast", 0) != 0 && c.has_attribute("axis")) {
    int rank = c.known_rank(a);
    b = aligned_at(c, b, c.axis(c.int_attribute("axis", 0), rank), rank);
  }
  c.outputs({c.binary(binary_kind(c.node().op_type), a, b)});
}

void import_prelu(NodeContext& c) { c.outputs({c.binary(BinaryKind::kPrelu, c.in(0), c.in(1))}); }
/// One slope, or one a channel.
void import_prelu_legacy(NodeContext& c) {
  ValueId slope = c.in(1);
  int rank = c.known_rank(c.in(0));
  if (c.known_rank(slope) == 1 && rank >= 2 && (*c.type(slope).shape)[0] != Dim(1))
    slope = aligned_at(c, slope, 1, rank);
  c.outputs({c.binary(BinaryKind::kPrelu, c.in(0), slope)});
}

void import_mod(NodeContext& c) {
  bool fmod = c.int_attribute("fmod", 0) != 0;
  c.outputs({c.binary(fmod ? BinaryKind::kFmod : BinaryKind::kMod, c.in(0), c.in(1))});
}

void import_bit_shift(NodeContext& c) {
  std::string direction = c.string_attribute("direction", "");
  require(direction == "LEFT" || direction == "RIGHT", "direction must be LEFT or RIGHT, not '",
          direction, "'");
  auto kind = direction == "LEFT" ? BinaryKind::kShiftLeft : BinaryKind::kShiftRight;
  c.outputs({c.binary(kind, c.in(0), c.in(1))});
}

void import_variadic(NodeContext& c) {
  BinaryKind kind = binary_kind(c.node().op_type);
  ValueId y = c.in(0);
  for (int i = 1; i < c.input_count(); ++i) y = c.binary(kind, y, c.in(i));
  if (c.node().op_type == "Mean" && c.input_count() > 1)
    y = c.binary(BinaryKind::kDiv, y, c.scalar(c.input_count(), c.dtype(y)));
  c.outputs({y});
}

std::vector<ImportRow> make_rows() {
  std::vector<ImportRow> rows;
  for (const UnaryRow& row : kUnaryRows) rows.push_back({"", row.op, 1, import_unary});
  for (const BinaryRow& row : kBinaryRows) {
    bool variadic = row.op == "Max" || row.op == "Min" || row.op == "Sum" || row.op == "Mean";
    rows.push_back({"", row.op, 1, variadic ? import_variadic : import_binary_legacy});
    if (!variadic) rows.push_back({"", row.op, 7, import_binary});
  }
  const ImportRow others[] = {
      {"", "Gelu", 20, import_gelu},         {"", "IsInf", 10, import_is_inf},
      {"", "PRelu", 1, import_prelu_legacy}, {"", "PRelu", 7, import_prelu},
      {"", "Mod", 10, import_mod},           {"", "BitShift", 11, import_bit_shift},
  };
  rows.insert(rows.end(), std::begin(others), std::end(others));
  auto casts = cast_rows();
  rows.insert(rows.end(), casts.begin(), casts.end());
  return rows;
}

}  // namespace

std::span<const ImportRow> pointwise_imports() {
  static const std::vector<ImportRow> rows = make_rows();
  return rows;
}

}  // namespace vitrify::onnx
