#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "api/handles.h"

namespace vitrify::api {
namespace {

std::string& last_error() {
  static thread_local std::string message;
  return message;
}

Dims to_dims(size_t rank, const int64_t* dims) {
  require(rank <= kMaxRank, "rank ", rank, " is too big");
  if (rank) need(dims, "dims");
  return Dims(dims, dims + rank);
}

DType to_dtype(vitrify_dtype dtype) {
  require(int(dtype) > 0 && int(dtype) < kDTypeCount, "there is no element type ", int(dtype));
  return DType(dtype);
}

}  // namespace

vitrify_status failed(vitrify_status status, const std::string& message) {
  last_error() = message;
  return status;
}

vitrify_status to_status(ErrorKind kind) {
  return kind == ErrorKind::kUser          ? VITRIFY_USER_ERROR
         : kind == ErrorKind::kUnsupported ? VITRIFY_UNSUPPORTED
                                           : VITRIFY_INTERNAL_ERROR;
}

vitrify_status report(const Status& status) {
  if (status.ok) return VITRIFY_OK;
  const std::string message =
      status.origin.empty() ? status.message : status.origin + ": " + status.message;
  return failed(status.cancelled ? VITRIFY_CANCELLED : to_status(status.kind), message);
}

char* give_string(const std::string& text) {
  char* copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (!copy) throw std::bad_alloc();
  std::memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

}  // namespace vitrify::api

using namespace vitrify;  // NOLINT: this file is the boundary
using api::guard;
using api::need;

vitrify_value::vitrify_value(Value v) : value(std::move(v)) {
  if (value.kind == Value::Kind::kSequence && value.sequence)
    for (const Value& item : *value.sequence)
      items.push_back(std::make_unique<vitrify_value>(item));
}

extern "C" {

const char* vitrify_dtype_name(vitrify_dtype dtype) {
  return int(dtype) > 0 && int(dtype) < kDTypeCount ? name(DType(dtype)).data() : nullptr;
}

const char* vitrify_version(void) { return VITRIFY_VERSION; }
const char* vitrify_last_error(void) { return api::last_error().c_str(); }
void vitrify_string_free(char* text) { std::free(text); }

vitrify_status vitrify_value_tensor(vitrify_dtype dtype, size_t rank, const int64_t* dims,
                                    const void* data, vitrify_value** out) {
  return guard([&] {
    need(out, "out");
    require(dtype != VITRIFY_STRING, "make string tensors with vitrify_value_strings");
    Tensor t(api::to_dtype(dtype), api::to_dims(rank, dims));
    if (data && t.bytes()) std::memcpy(t.raw(), data, t.bytes());
    *out = new vitrify_value(Value(std::move(t)));
  });
}

vitrify_status vitrify_value_strings(size_t rank, const int64_t* dims, const char* const* strings,
                                     const size_t* lengths, vitrify_value** out) {
  return guard([&] {
    need(out, "out");
    Tensor t(DType::kString, api::to_dims(rank, dims));
    if (t.size()) need(strings, "strings");
    for (int64_t i = 0; i < t.size(); ++i) {
      need(strings[i], "a string");
      t.data<std::string>()[i] =
          lengths ? std::string(strings[i], lengths[i]) : std::string(strings[i]);
    }
    *out = new vitrify_value(Value(std::move(t)));
  });
}

vitrify_status vitrify_value_sequence(size_t count, const vitrify_value* const* items,
                                      vitrify_value** out) {
  return guard([&] {
    need(out, "out");
    std::vector<Value> values;
    for (size_t i = 0; i < count; ++i) {
      need(items, "items"), need(items[i], "an item");
      values.push_back(kept(items[i]->value));
    }
    *out = new vitrify_value(Value::of_sequence(std::move(values)));
  });
}

vitrify_status vitrify_value_none(vitrify_value** out) {
  return guard([&] {
    need(out, "out");
    *out = new vitrify_value();
  });
}

void vitrify_value_free(vitrify_value* value) { delete value; }

vitrify_kind vitrify_value_kind(const vitrify_value* value) {
  return value ? vitrify_kind(value->value.kind) : VITRIFY_NONE;
}
vitrify_dtype vitrify_value_dtype(const vitrify_value* value) {
  return value ? vitrify_dtype(value->value.tensor.dtype()) : VITRIFY_UNDEFINED;
}
size_t vitrify_value_rank(const vitrify_value* value) {
  return value ? value->value.tensor.dims().size() : 0;
}
const int64_t* vitrify_value_dims(const vitrify_value* value) {
  return value ? value->value.tensor.dims().data() : nullptr;
}
size_t vitrify_value_size(const vitrify_value* value) {
  if (!value) return 0;
  if (value->value.kind == Value::Kind::kSequence) return value->items.size();
  return size_t(value->value.tensor.size());
}
size_t vitrify_value_bytes(const vitrify_value* value) {
  return value ? value->value.tensor.bytes() : 0;
}
const void* vitrify_value_data(const vitrify_value* value) {
  return value && value->value.tensor.dtype() != DType::kString ? value->value.tensor.raw()
                                                                : nullptr;
}
void* vitrify_value_mutable_data(vitrify_value* value) {
  return const_cast<void*>(vitrify_value_data(value));
}
const char* vitrify_value_string(const vitrify_value* value, size_t i, size_t* length) {
  if (!value || value->value.tensor.dtype() != DType::kString ||
      i >= size_t(value->value.tensor.size()))
    return nullptr;
  const std::string& s = value->value.tensor.data<std::string>()[i];
  if (length) *length = s.size();
  return s.c_str();
}
const vitrify_value* vitrify_value_item(const vitrify_value* value, size_t i) {
  return value && i < value->items.size() ? value->items[i].get() : nullptr;
}

}  // extern "C"
