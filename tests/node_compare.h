// How results of ONNX's node cases are judged: against the stored ones, or, of random ops, by what
// must hold of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"
#include "ir/tensor.h"

namespace vitrify::node_test {

struct Tolerance {
  double relative = 1e-3, absolute = 1e-7;
};

/// The part of a complex number that double_at does not give.
inline std::vector<double> numbers(const Tensor& t) {
  std::vector<double> out;
  for (int64_t i = 0; i < t.size(); ++i) {
    if (t.dtype() == DType::kComplex64) {
      const auto* p = t.data<float>() + 2 * i;
      out.push_back(double(p[0])), out.push_back(double(p[1]));
    } else if (t.dtype() == DType::kComplex128) {
      const auto* p = t.data<double>() + 2 * i;
      out.push_back(p[0]), out.push_back(p[1]);
    } else {
      out.push_back(double_at(t, i));
    }
  }
  return out;
}

inline bool is_close(double got, double want, const Tolerance& tolerance) {
  if (std::isnan(want) || std::isnan(got)) return std::isnan(want) && std::isnan(got);
  if (std::isinf(want) || std::isinf(got)) return want == got;
  return std::abs(got - want) <= tolerance.absolute + tolerance.relative * std::abs(want);
}

/// "" when equal, else what differs.
inline std::string difference(const Tensor& got, const Tensor& want, const Tolerance& tolerance) {
  if (got.dtype() != want.dtype() || got.dims() != want.dims())
    return cat("is ", got.type().str(), ", expected ", want.type().str());
  if (want.dtype() == DType::kString) {
    for (int64_t i = 0; i < want.size(); ++i)
      if (got.data<std::string>()[i] != want.data<std::string>()[i])
        return cat("element ", i, " is '", got.data<std::string>()[i], "', expected '",
                   want.data<std::string>()[i], "'");
    return "";
  }
  if (is_integer(want.dtype()) || want.dtype() == DType::kBool) {
    for (int64_t i = 0; i < want.size(); ++i)
      if (int_at(got, i) != int_at(want, i))
        return cat("element ", i, " is ", int_at(got, i), ", expected ", int_at(want, i));
    return "";
  }
  std::vector<double> a = numbers(got.aligned()), b = numbers(want.aligned());
  Tolerance t = tolerance;  // stored values that should be 0 are off by fp32's own rounding
  double largest = 0;
  for (double v : b)
    if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
  t.absolute += 2.4e-7 * largest;
  for (size_t i = 0; i < b.size(); ++i)
    if (!is_close(a[i], b[i], t))
      return cat("element ", i, " is ", a[i], ", expected ", b[i]);
  return "";
}

inline std::string difference(const Value& got, const Value& want, const Tolerance& tolerance) {
  constexpr std::string_view kKinds[] = {"nothing", "a tensor", "a sequence"};
  if (got.kind != want.kind)
    return cat("is ", kKinds[int(got.kind)], ", expected ", kKinds[int(want.kind)]);
  if (want.kind == Value::Kind::kNone) return "";
  if (want.kind == Value::Kind::kTensor) return difference(got.tensor, want.tensor, tolerance);
  if (got.sequence->size() != want.sequence->size())
    return cat("has ", got.sequence->size(), " elements, expected ", want.sequence->size());
  for (size_t i = 0; i < want.sequence->size(); ++i)
    if (std::string d = difference((*got.sequence)[i], (*want.sequence)[i], tolerance); !d.empty())
      return cat("[", i, "] ", d);
  return "";
}

// ---- Random ops ----

/// Zeros and ones, as many ones as the probabilities say (within five standard deviations).
inline std::string judge_bernoulli(const Tensor& p, const Tensor& got) {
  double mean = 0, variance = 0, ones = 0;
  for (int64_t i = 0; i < p.size(); ++i) {
    double q = double_at(p, i), v = double_at(got, i);
    if (v != 0 && v != 1) return cat("element ", i, " is ", v, ", expected 0 or 1");
    mean += q, variance += q * (1 - q), ones += v;
  }
  if (std::abs(ones - mean) > 5 * std::sqrt(variance) + 1e-9)
    return cat(ones, " ones, expected about ", mean);
  return "";
}

/// Every element dropped, or scaled by what is kept; about `ratio` of them dropped; the mask
/// agrees.
inline std::string judge_dropout(const Tensor& x, double ratio, const Tensor& y,
                                 const Tensor* mask) {
  double n = double(x.size()), dropped = 0;
  for (int64_t i = 0; i < x.size(); ++i) {
    double v = double_at(y, i), kept = double_at(x, i) / (1 - ratio);
    bool drop = v == 0 && (kept != 0 || (mask && !int_at(*mask, i)));
    if (!drop && !is_close(v, kept, {1e-3, 1e-6})) return cat("element ", i, " is ", v);
    if (mask && (int_at(*mask, i) != 0) == drop) return cat("element ", i, " of the mask is wrong");
    dropped += drop;
  }
  if (std::abs(dropped - ratio * n) > 5 * std::sqrt(n * ratio * (1 - ratio)) + 1e-9)
    return cat(dropped, " of ", n, " elements dropped, expected about ", ratio * n);
  return "";
}

}  // namespace vitrify::node_test
