// An operator of one's own: example.ops Prefix, the sums of the rows so far.
//
//   y[0] = start, y[i + 1] = y[i] + x[i]    x f32[n, m], y f32[n + 1, m], attribute int start = 0
//
// The program that builds and the program that runs both register it; the engine file holds only
// the node.
#ifndef PREFIX_OP_HPP_
#define PREFIX_OP_HPP_

#include <string>
#include <vitrify/vitrify.hpp>

/// The output's type from the inputs': called when a model or engine is loaded.
inline int prefix_shape(vitrify_custom_shape* shape, void*) {
  if (vitrify_custom_shape_input_count(shape) != 1 ||
      vitrify_custom_shape_input_dtype(shape, 0) != VITRIFY_FLOAT32 ||
      vitrify_custom_shape_input_rank(shape, 0) != 2)
    return 1;
  // Extents are texts: "3", or "n" where only a run tells.
  const std::string rows = std::string(vitrify_custom_shape_input_dim(shape, 0, 0)) + " + 1";
  const char* dims[] = {rows.c_str(), vitrify_custom_shape_input_dim(shape, 0, 1)};
  return vitrify_custom_shape_output(shape, VITRIFY_FLOAT32, 2, dims);
}

/// The values: called by every run.
inline int prefix_compute(vitrify_custom_call* call, void*) {
  const vitrify_value* x = vitrify_custom_input(call, 0);
  const int64_t n = vitrify_value_dims(x)[0], m = vitrify_value_dims(x)[1];
  const int64_t dims[] = {n + 1, m};
  auto* y = static_cast<float*>(vitrify_custom_output(call, 0, VITRIFY_FLOAT32, 2, dims));
  if (!y) return 1;
  const auto* from = static_cast<const float*>(vitrify_value_data(x));
  const auto start = float(vitrify_custom_int(call, "start", 0));
  for (int64_t c = 0; c < m; ++c) y[c] = start;
  for (int64_t i = 0; i < n * m; ++i) y[m + i] = y[i] + from[i];
  return 0;
}

inline void register_prefix() {
  vitrify::register_custom_op("example.ops", "Prefix", prefix_shape, prefix_compute);
}

#endif  // PREFIX_OP_HPP_
