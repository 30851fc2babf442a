#include <charconv>
#include <cmath>
#include <cstdlib>

#include "ops/dispatch.h"
#include "ops/pointwise.h"
#include "ops/row_kernels.h"

namespace vitrify {

namespace {

/// Floating values of every width print with eight significant digits, as printf's %.8g does.
std::string number_text(const Tensor& t, int64_t i) {
  if (t.dtype() == DType::kUint64) return std::to_string(uint64_t(int_at(t, i)));
  if (!is_float(t.dtype())) return std::to_string(int_at(t, i));
  double v = double_at(t, i);
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v < 0 ? "-INF" : "INF";
  char text[40];
  auto end = std::to_chars(text, text + sizeof text, v, std::chars_format::general, 8);
  return {text, end.ptr};
}

double parse_number(const std::string& text) {
  char* end = nullptr;
  double v = std::strtod(text.c_str(), &end);
  while (*end == ' ') ++end;
  require(!text.empty() && end == text.c_str() + text.size(), "'", text, "' is not a number");
  return v;
}

void parse_into(const std::string& text, Tensor& to, int64_t i, CastMode mode) {
  if (is_integer(to.dtype())) {
    int64_t v = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
    if (error == std::errc() && end == text.data() + text.size()) return set_int(to, i, v);
  }
  double v = parse_number(text);
  cast_row(DType::kFloat64, &v, to, i, 1, mode);
}

}  // namespace

void reference_cast(ReferenceCall& call) {
  const Cast& op = *call.op().as<Cast>();
  const Tensor x = call.in(0);
  CastMode mode{op.saturate, op.round_mode};
  Tensor& y = call.out(0, op.to, x.dims());
  if (x.dtype() == DType::kString) {
    for (int64_t i = 0; i < x.size(); ++i)
      if (op.to == DType::kString)
        y.data<std::string>()[i] = x.data<std::string>()[i];
      else
        parse_into(x.data<std::string>()[i], y, i, mode);
  } else if (op.to == DType::kString) {
    for (int64_t i = 0; i < x.size(); ++i) y.data<std::string>()[i] = number_text(x, i);
  } else {
    Tensor wide = widen(x);
    cast_row(wide.dtype(), wide.raw(), y, 0, x.size(), mode);
  }
}

}  // namespace vitrify
