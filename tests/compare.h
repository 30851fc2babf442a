// Compares results of two ways to compute the same thing.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "ir/tensor.h"

namespace vitrify {

/// "" when they agree: same type and shape, NaN and Inf in the same places, integers, bools and
/// strings equal, floats within tolerance * the largest finite magnitude of b.
inline std::string difference(const Tensor& a, const Tensor& b, double tolerance,
                              double floor = 0) {
  if (a.dtype() != b.dtype() || a.dims() != b.dims())
    return cat(a.type().str(), " instead of ", b.type().str());
  if (a.dtype() == DType::kString) {
    for (int64_t i = 0; i < a.size(); ++i)
      if (a.data<std::string>()[i] != b.data<std::string>()[i])
        return cat("element ", i, " differs");
    return {};
  }
  double largest = floor;
  for (int64_t i = 0; i < b.size(); ++i)
    if (double v = std::fabs(double_at(b, i)); std::isfinite(v)) largest = std::max(largest, v);
  for (int64_t i = 0; i < a.size(); ++i) {
    double x = double_at(a, i), y = double_at(b, i);
    bool agree = std::isnan(y)         ? std::isnan(x)
                 : std::isinf(y)       ? x == y
                 : is_float(a.dtype()) ? std::fabs(x - y) <= tolerance * largest + 1e-12
                                       : x == y;
    if (!agree) return cat("element ", i, " of ", a.type().str(), " is ", x, ", not ", y);
  }
  return {};
}

inline std::string difference(const Value& a, const Value& b, double tolerance, double floor = 0) {
  if (a.kind != b.kind) return "values of different kinds";
  if (a.kind == Value::Kind::kTensor) return difference(a.tensor, b.tensor, tolerance, floor);
  if (a.kind == Value::Kind::kNone) return {};
  if (a.sequence->size() != b.sequence->size())
    return cat(a.sequence->size(), " items instead of ", b.sequence->size());
  for (size_t i = 0; i < a.sequence->size(); ++i)
    if (std::string d = difference((*a.sequence)[i], (*b.sequence)[i], tolerance, floor);
        !d.empty())
      return cat("item ", i, ": ", d);
  return {};
}

inline std::string difference(const std::vector<Value>& a, const std::vector<Value>& b,
                              double tolerance, double floor = 0) {
  if (a.size() != b.size()) return cat(a.size(), " outputs instead of ", b.size());
  for (size_t i = 0; i < a.size(); ++i)
    if (std::string d = difference(a[i], b[i], tolerance, floor); !d.empty())
      return cat("output ", i, ": ", d);
  return {};
}

}  // namespace vitrify
