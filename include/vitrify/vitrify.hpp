// Vitrify's C++ interface: a header-only wrapper over vitrify.h, with exceptions and RAII.
//
//   vitrify::Engine engine = vitrify::Engine::load("model.engine");
//   vitrify::Context context(engine);
//   context.set_input("x", vitrify::Value::tensor<float>({1, 3, 224, 224}, pixels));
//   context.run();
//   std::span<const float> scores = context.output(0).data<float>();
#ifndef VITRIFY_VITRIFY_HPP_
#define VITRIFY_VITRIFY_HPP_

#include <algorithm>
#include <complex>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vitrify/vitrify.h"

namespace vitrify {

/// What a failed call throws.
class Failure : public std::runtime_error {
 public:
  Failure(vitrify_status status, const std::string& message)
      : std::runtime_error(message), status_(status) {}
  vitrify_status status() const { return status_; }

 private:
  vitrify_status status_;
};

namespace detail {
inline void check(vitrify_status status) {
  if (status != VITRIFY_OK) throw Failure(status, vitrify_last_error());
}
inline std::string take(char* text) {
  std::unique_ptr<char, void (*)(char*)> owner(text, vitrify_string_free);
  return text ? std::string(text) : std::string();
}
template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr vitrify_dtype value = VITRIFY_FLOAT32;
};
template <>
struct DTypeOf<double> {
  static constexpr vitrify_dtype value = VITRIFY_FLOAT64;
};
template <>
struct DTypeOf<int8_t> {
  static constexpr vitrify_dtype value = VITRIFY_INT8;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr vitrify_dtype value = VITRIFY_UINT8;
};
template <>
struct DTypeOf<int16_t> {
  static constexpr vitrify_dtype value = VITRIFY_INT16;
};
template <>
struct DTypeOf<uint16_t> {
  static constexpr vitrify_dtype value = VITRIFY_UINT16;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr vitrify_dtype value = VITRIFY_INT32;
};
template <>
struct DTypeOf<uint32_t> {
  static constexpr vitrify_dtype value = VITRIFY_UINT32;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr vitrify_dtype value = VITRIFY_INT64;
};
template <>
struct DTypeOf<uint64_t> {
  static constexpr vitrify_dtype value = VITRIFY_UINT64;
};
template <>
struct DTypeOf<bool> {
  static constexpr vitrify_dtype value = VITRIFY_BOOL;
};
template <>
struct DTypeOf<std::complex<float>> {
  static constexpr vitrify_dtype value = VITRIFY_COMPLEX64;
};
template <>
struct DTypeOf<std::complex<double>> {
  static constexpr vitrify_dtype value = VITRIFY_COMPLEX128;
};
}  // namespace detail

/// A value that someone else owns: an output, or an item of a sequence.
class ValueView {
 public:
  explicit ValueView(const vitrify_value* value) : value_(value) {}
  const vitrify_value* handle() const { return value_; }
  vitrify_kind kind() const { return vitrify_value_kind(value_); }
  vitrify_dtype dtype() const { return vitrify_value_dtype(value_); }
  std::span<const int64_t> dims() const {
    return {vitrify_value_dims(value_), vitrify_value_rank(value_)};
  }
  /// Elements of a tensor, items of a sequence.
  size_t size() const { return vitrify_value_size(value_); }
  std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(vitrify_value_data(value_)), vitrify_value_bytes(value_)};
  }
  /// The elements; throws unless T matches the element type.
  template <class T>
  std::span<const T> data() const {
    if (dtype() != detail::DTypeOf<T>::value)
      throw Failure(VITRIFY_USER_ERROR, "the value has another element type");
    return {static_cast<const T*>(vitrify_value_data(value_)), size()};
  }
  std::string_view string(size_t i) const {
    size_t length = 0;
    const char* text = vitrify_value_string(value_, i, &length);
    return text ? std::string_view(text, length) : std::string_view();
  }
  ValueView item(size_t i) const { return ValueView(vitrify_value_item(value_, i)); }

 private:
  const vitrify_value* value_;
};

class Value {
 public:
  /// Takes over a handle.
  explicit Value(vitrify_value* value) : value_(value, vitrify_value_free) {}
  /// Copies `data`.
  template <class T>
  static Value tensor(const std::vector<int64_t>& dims, std::span<const T> data) {
    vitrify_value* out = nullptr;
    detail::check(vitrify_value_tensor(detail::DTypeOf<std::remove_cv_t<T>>::value, dims.size(),
                                       dims.data(), nullptr, &out));
    Value value(out);
    if (value.view().size() != data.size())
      throw Failure(VITRIFY_USER_ERROR, "the data does not fill the shape");
    std::copy(data.begin(), data.end(), static_cast<T*>(vitrify_value_mutable_data(out)));
    return value;
  }
  template <class T>
  static Value tensor(const std::vector<int64_t>& dims, const std::vector<T>& data) {
    return tensor<T>(dims, std::span<const T>(data));
  }
  /// Copies the bytes; null gives zeros.
  static Value tensor(vitrify_dtype dtype, const std::vector<int64_t>& dims, const void* data) {
    vitrify_value* out = nullptr;
    detail::check(vitrify_value_tensor(dtype, dims.size(), dims.data(), data, &out));
    return Value(out);
  }
  static Value strings(const std::vector<int64_t>& dims, const std::vector<std::string>& texts) {
    std::vector<const char*> pointers;
    std::vector<size_t> lengths;
    for (const auto& t : texts) pointers.push_back(t.data()), lengths.push_back(t.size());
    size_t count = 1;
    for (int64_t d : dims) count *= size_t(d);
    if (count != texts.size())
      throw Failure(VITRIFY_USER_ERROR, "the strings do not fill the shape");
    vitrify_value* out = nullptr;
    detail::check(
        vitrify_value_strings(dims.size(), dims.data(), pointers.data(), lengths.data(), &out));
    return Value(out);
  }
  static Value sequence(const std::vector<Value>& items) {
    std::vector<const vitrify_value*> handles;
    for (const Value& v : items) handles.push_back(v.handle());
    vitrify_value* out = nullptr;
    detail::check(vitrify_value_sequence(handles.size(), handles.data(), &out));
    return Value(out);
  }
  static Value none() {
    vitrify_value* out = nullptr;
    detail::check(vitrify_value_none(&out));
    return Value(out);
  }
  const vitrify_value* handle() const { return value_.get(); }
  vitrify_value* handle() { return value_.get(); }
  ValueView view() const { return ValueView(value_.get()); }

 private:
  std::unique_ptr<vitrify_value, void (*)(vitrify_value*)> value_;
};

/// Options of a build; see vitrify.h.
class BuildOptions {
 public:
  BuildOptions() : options_(vitrify_build_options_create(), vitrify_build_options_free) {}
  BuildOptions& add_profile() {
    vitrify_build_options_add_profile(options_.get());
    return *this;
  }
  BuildOptions& add_range(const std::string& input, const std::vector<int64_t>& min,
                          const std::vector<int64_t>& opt, const std::vector<int64_t>& max) {
    if (min.size() != opt.size() || min.size() != max.size())
      throw Failure(VITRIFY_USER_ERROR, "min, opt and max of '" + input + "' differ in rank");
    detail::check(vitrify_build_options_add_range(options_.get(), input.c_str(), min.size(),
                                                  min.data(), opt.data(), max.data()));
    return *this;
  }
  /// After a run, `output` is the next run's `input`.
  BuildOptions& add_state(const std::string& input, const std::string& output) {
    detail::check(vitrify_build_options_add_state(options_.get(), input.c_str(), output.c_str()));
    return *this;
  }
  BuildOptions& set_threads(int32_t threads) {
    vitrify_build_options_set_threads(options_.get(), threads);
    return *this;
  }
  BuildOptions& set_timing(bool on) {
    vitrify_build_options_set_timing(options_.get(), on);
    return *this;
  }
  BuildOptions& set_passes(bool on) {
    vitrify_build_options_set_passes(options_.get(), on);
    return *this;
  }
  BuildOptions& disable_pass(const std::string& pass) {
    vitrify_build_options_disable_pass(options_.get(), pass.c_str());
    return *this;
  }
  /// False ends the build with a Failure of status VITRIFY_CANCELLED, as an exception does.
  BuildOptions& set_progress(std::function<bool(const char* stage, double fraction)> progress) {
    progress_ = std::make_unique<decltype(progress)>(std::move(progress));
    vitrify_build_options_set_progress(
        options_.get(),
        [](const char* stage, double fraction, void* user) {
          try {
            return int(!(*static_cast<decltype(progress)*>(user))(stage, fraction));
          } catch (...) {
            return 1;
          }
        },
        progress_.get());
    return *this;
  }
  const vitrify_build_options* handle() const { return options_.get(); }

 private:
  std::unique_ptr<vitrify_build_options, void (*)(vitrify_build_options*)> options_;
  std::unique_ptr<std::function<bool(const char*, double)>> progress_;
};

class Engine {
 public:
  static Engine load(const std::string& path, vitrify_verify verify = VITRIFY_VERIFY_FULL) {
    const vitrify_load_options options = {sizeof options, verify};
    vitrify_engine* out = nullptr;
    detail::check(vitrify_engine_load_with(path.c_str(), &options, &out));
    return Engine(out);
  }
  /// Builds in memory (libvitrify only); `report` gets JSON.
  static Engine build(const std::string& model, const BuildOptions& options = {},
                      std::string* report = nullptr) {
    vitrify_engine* out = nullptr;
    char* text = nullptr;
    detail::check(
        vitrify_build_engine(model.c_str(), options.handle(), &out, report ? &text : nullptr));
    Engine engine(out);
    if (report) *report = detail::take(text);
    return engine;
  }
  size_t input_count() const { return vitrify_engine_input_count(engine_.get()); }
  size_t output_count() const { return vitrify_engine_output_count(engine_.get()); }
  std::string input_name(size_t i) const { return text(vitrify_engine_input_name(handle(), i)); }
  std::string output_name(size_t i) const { return text(vitrify_engine_output_name(handle(), i)); }
  std::string input_type(size_t i) const { return text(vitrify_engine_input_type(handle(), i)); }
  std::string output_type(size_t i) const { return text(vitrify_engine_output_type(handle(), i)); }
  size_t state_count() const { return vitrify_engine_state_count(engine_.get()); }
  std::string state_input(size_t i) const { return text(vitrify_engine_state_input(handle(), i)); }
  std::string state_output(size_t i) const {
    return text(vitrify_engine_state_output(handle(), i));
  }
  /// A JSON object.
  std::string describe() const {
    char* json = nullptr;
    detail::check(vitrify_engine_describe(handle(), &json));
    return detail::take(json);
  }
  const vitrify_engine* handle() const { return engine_.get(); }

 private:
  explicit Engine(vitrify_engine* engine) : engine_(engine, vitrify_engine_free) {}
  static std::string text(const char* t) { return t ? t : ""; }
  std::unique_ptr<vitrify_engine, void (*)(vitrify_engine*)> engine_;
};

class Context {
 public:
  explicit Context(const Engine& engine, int32_t max_threads = 0, int64_t memory_limit = 0)
      : context_(nullptr, vitrify_context_free) {
    const vitrify_context_options options = {sizeof options, max_threads, memory_limit};
    vitrify_context* out = nullptr;
    detail::check(vitrify_context_create(engine.handle(), &options, &out));
    context_.reset(out);
  }
  void set_input(const std::string& name, const Value& value) {
    detail::check(vitrify_context_set_input(context_.get(), name.c_str(), value.handle()));
  }
  /// Reads `data` in place on every run.
  template <class T>
  void set_input_data(const std::string& name, const std::vector<int64_t>& dims, const T* data) {
    detail::check(vitrify_context_set_input_data(
        context_.get(), name.c_str(), detail::DTypeOf<T>::value, dims.size(), dims.data(), data));
  }
  void run() { detail::check(vitrify_context_run(context_.get())); }
  /// From any thread; `run` then throws a Failure of status VITRIFY_CANCELLED.
  void cancel() { vitrify_context_cancel(context_.get()); }
  /// The states start anew.
  void reset() { vitrify_context_reset(context_.get()); }
  /// Valid until the next run.
  ValueView output(size_t i) const { return ValueView(vitrify_context_output(context_.get(), i)); }
  vitrify_context_stats stats() const {
    vitrify_context_stats stats = {};
    stats.struct_size = sizeof stats;
    detail::check(vitrify_context_get_stats(context_.get(), &stats));
    return stats;
  }
  /// Runs once with a clock around every step; a JSON object.
  std::string profile() {
    char* json = nullptr;
    detail::check(vitrify_context_profile(context_.get(), &json));
    return detail::take(json);
  }
  vitrify_context* handle() { return context_.get(); }

 private:
  std::unique_ptr<vitrify_context, void (*)(vitrify_context*)> context_;
};

/// An operator of the host program's own, for the process; see vitrify.h.
inline void register_custom_op(const std::string& domain, const std::string& name,
                               vitrify_custom_shape_fn shape, vitrify_custom_compute_fn compute,
                               void* user = nullptr) {
  detail::check(vitrify_register_custom_op(domain.c_str(), name.c_str(), shape, compute, user));
}

/// Writes an engine file (libvitrify only); returns the report as JSON.
inline std::string build(const std::string& model, const std::string& engine_path,
                         const BuildOptions& options = {}) {
  char* report = nullptr;
  detail::check(vitrify_build(model.c_str(), engine_path.c_str(), options.handle(), &report));
  return detail::take(report);
}

}  // namespace vitrify

#endif  // VITRIFY_VITRIFY_HPP_
