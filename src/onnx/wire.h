// ONNX's protobuf wire format, read with protozero: bounded and without copies. Field numbers are
// those of onnx.proto; unknown fields are skipped. What is malformed ends in a user error or one of
// protozero's exceptions, which load.cpp turns into one message.
#pragma once

#include <protozero/pbf_reader.hpp>
#include <utility>

#include "base/error.h"
#include "onnx/model.h"

namespace vitrify::onnx {

constexpr int kMaxGraphDepth = 32, kMaxTypeDepth = 16;
/// Messages in a file. An empty one takes two bytes there and hundreds as a struct: without a limit
/// a small file could take all memory. A graph of 100,000 nodes has about one million.
constexpr int64_t kMaxMessages = 8'000'000;

/// What reads well, yet is more than Vitrify takes.
struct LimitError : Error {
  using Error::Error;
};
template <class... Parts>
void require_within(bool ok, const Parts&... parts) {
  if (!ok) throw LimitError(ErrorKind::kUser, cat(parts...));
}

/// A protobuf message being read, and how many more messages the whole file may hold.
class Reader : public protozero::pbf_reader {
 public:
  Reader(std::string_view bytes, int64_t* messages_left)
      : pbf_reader(bytes.data(), bytes.size()), messages_left_(messages_left) {}

  // The current field, which must have the wire type that its kind implies.
  int64_t integer() {
    expect(protozero::pbf_wire_type::varint);
    return get_int64();
  }
  float number() {
    expect(protozero::pbf_wire_type::fixed32);
    return get_float();
  }
  std::string_view string() {
    expect(protozero::pbf_wire_type::length_delimited);
    protozero::data_view v = get_view();
    return {v.data(), v.size()};
  }
  Reader message() {
    require_within(--*messages_left_ >= 0, "it holds more than ", kMaxMessages, " messages");
    return {string(), messages_left_};
  }
  void expect(protozero::pbf_wire_type type) const {
    require(wire_type() == type, "field ", tag(), " has the wrong wire type");
  }

 private:
  int64_t* messages_left_;
};

/// A StringStringEntryProto.
std::pair<std::string_view, std::string_view> read_entry(Reader r);
TensorProto read_tensor(Reader r);
SparseTensorProto read_sparse_tensor(Reader r);
TypeProto read_type(Reader r, int depth);
ValueInfo read_value_info(Reader r);
void read_ints(Reader& r, std::vector<int64_t>& out);
void read_floats(Reader& r, std::vector<float>& out);
Model read_model(Reader r);

}  // namespace vitrify::onnx
