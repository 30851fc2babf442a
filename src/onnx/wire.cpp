// Tensors, types and value infos.
#include "onnx/wire.h"

namespace vitrify::onnx {

using protozero::pbf_wire_type;

namespace {

/// Repeated numbers come packed or one by one.
template <class T, class Packed, class Single>
void read_numbers(Reader& r, std::vector<T>& out, pbf_wire_type single_type, Packed packed,
                  Single single) {
  if (r.wire_type() == single_type) {
    out.push_back(T(single()));
  } else {
    r.expect(pbf_wire_type::length_delimited);
    for (auto v : packed()) out.push_back(T(v));
  }
}

}  // namespace

void read_ints(Reader& r, std::vector<int64_t>& out) {
  read_numbers(
      r, out, pbf_wire_type::varint, [&] { return r.get_packed_int64(); },
      [&] { return r.get_int64(); });
}

void read_floats(Reader& r, std::vector<float>& out) {
  read_numbers(
      r, out, pbf_wire_type::fixed32, [&] { return r.get_packed_float(); },
      [&] { return r.get_float(); });
}

std::pair<std::string_view, std::string_view> read_entry(Reader r) {
  std::pair<std::string_view, std::string_view> entry;
  while (r.next()) {
    if (r.tag() == 1)
      entry.first = r.string();
    else if (r.tag() == 2)
      entry.second = r.string();
    else
      r.skip();
  }
  return entry;
}

TensorProto read_tensor(Reader r) {
  TensorProto t;
  while (r.next()) switch (r.tag()) {
      case 1:
        read_ints(r, t.dims);
        break;
      case 2:
        t.data_type = int32_t(r.integer());
        break;
      case 3:
        fail("a tensor is stored in segments, which no version of ONNX uses");
      case 4:
        read_floats(r, t.float_data);
        break;
      case 5:
        read_numbers(
            r, t.int32_data, pbf_wire_type::varint, [&] { return r.get_packed_int32(); },
            [&] { return r.get_int32(); });
        break;
      case 6:
        t.string_data.push_back(r.string());
        break;
      case 7:
        read_ints(r, t.int64_data);
        break;
      case 8:
        t.name = r.string();
        break;
      case 9:
        t.raw_data = r.string();
        break;
      case 10:
        read_numbers(
            r, t.double_data, pbf_wire_type::fixed64, [&] { return r.get_packed_double(); },
            [&] { return r.get_double(); });
        break;
      case 11:
        read_numbers(
            r, t.uint64_data, pbf_wire_type::varint, [&] { return r.get_packed_uint64(); },
            [&] { return r.get_uint64(); });
        break;
      case 13:
        t.external_data.push_back(read_entry(r.message()));
        break;
      case 14:
        t.external = r.integer() == 1;
        break;
      default:
        r.skip();
    }
  return t;
}

SparseTensorProto read_sparse_tensor(Reader r) {
  SparseTensorProto t;
  while (r.next()) switch (r.tag()) {
      case 1:
        t.values = read_tensor(r.message());
        break;
      case 2:
        t.indices = read_tensor(r.message());
        break;
      case 3:
        read_ints(r, t.dims);
        break;
      default:
        r.skip();
    }
  return t;
}

namespace {

/// Exporters write these for each unknown extent. Inference makes up "?7" …
bool names_nothing(std::string_view symbol) {
  return symbol.starts_with('?') || symbol == "None" || symbol == "-1" || symbol == "*";
}

std::vector<DimProto> read_shape(Reader r) {
  std::vector<DimProto> dims;
  while (r.next()) {
    if (r.tag() != 1) {
      r.skip();
      continue;
    }
    Reader d = r.message();
    DimProto& dim = dims.emplace_back();
    while (d.next()) {
      if (d.tag() == 1)
        dim.value = d.integer();
      else if (d.tag() == 2)
        dim.symbol = d.string();
      else
        d.skip();
    }
    if (names_nothing(dim.symbol)) dim.symbol = {};
  }
  return dims;
}

/// Tensor, SparseTensor, Sequence, Optional and Map all are {1: element or key, 2: shape or value}.
TypeProto read_type_case(Reader r, TypeProto::Kind kind, int depth) {
  TypeProto t;
  t.kind = kind;
  bool tensor = kind == TypeProto::Kind::kTensor || kind == TypeProto::Kind::kSparseTensor;
  auto element = [&] {
    t.element = std::make_shared<const TypeProto>(read_type(r.message(), depth + 1));
  };
  while (r.next()) {
    if (r.tag() == 1 && (tensor || kind == TypeProto::Kind::kMap))
      t.elem_type = int32_t(r.integer());
    else if (r.tag() == 1)
      element();
    else if (r.tag() == 2 && tensor)
      t.shape = read_shape(r.message());
    else if (r.tag() == 2 && kind == TypeProto::Kind::kMap)
      element();
    else
      r.skip();
  }
  return t;
}

}  // namespace

TypeProto read_type(Reader r, int depth) {
  require_within(depth < kMaxTypeDepth, "it holds a type nested deeper than Vitrify's limit of ",
                 kMaxTypeDepth);
  TypeProto t;
  while (r.next()) switch (r.tag()) {
      case 1:
        t = read_type_case(r.message(), TypeProto::Kind::kTensor, depth);
        break;
      case 4:
        t = read_type_case(r.message(), TypeProto::Kind::kSequence, depth);
        break;
      case 5:
        t = read_type_case(r.message(), TypeProto::Kind::kMap, depth);
        break;
      case 8:
        t = read_type_case(r.message(), TypeProto::Kind::kSparseTensor, depth);
        break;
      case 9:
        t = read_type_case(r.message(), TypeProto::Kind::kOptional, depth);
        break;
      default:
        r.skip();
    }
  return t;
}

ValueInfo read_value_info(Reader r) {
  ValueInfo v;
  while (r.next()) switch (r.tag()) {
      case 1:
        v.name = r.string();
        break;
      case 2:
        v.type = read_type(r.message(), 0);
        break;
      default:
        r.skip();
    }
  return v;
}

}  // namespace vitrify::onnx
