// Reads ONNX's protobuf wire format with protozero: bounded and without copies. Field numbers are
// those of onnx.proto; unknown fields are skipped.
#include <protozero/pbf_reader.hpp>

#include "base/error.h"
#include "base/mapped_file.h"
#include "onnx/model.h"

namespace vitrify::onnx {

namespace {

using Reader = protozero::pbf_reader;
using protozero::pbf_wire_type;

constexpr int kMaxGraphDepth = 32, kMaxTypeDepth = 16;

std::string_view view(protozero::data_view v) { return {v.data(), v.size()}; }

[[noreturn]] void wrong_type() { fail("a field has the wrong wire type"); }
void expect(const Reader& r, pbf_wire_type type) {
  if (r.wire_type() != type) wrong_type();
}
int64_t read_int(Reader& r) {
  expect(r, pbf_wire_type::varint);
  return r.get_int64();
}
std::string_view read_string(Reader& r) {
  expect(r, pbf_wire_type::length_delimited);
  return view(r.get_view());
}
Reader read_message(Reader& r) {
  expect(r, pbf_wire_type::length_delimited);
  return r.get_message();
}

/// Repeated numbers come packed or one by one.
template <class T, class Packed, class Single>
void read_numbers(Reader& r, std::vector<T>& out, pbf_wire_type single_type, Packed packed,
                  Single single) {
  if (r.wire_type() == single_type) {
    out.push_back(T(single()));
  } else {
    expect(r, pbf_wire_type::length_delimited);
    for (auto v : packed()) out.push_back(T(v));
  }
}
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
      entry.first = read_string(r);
    else if (r.tag() == 2)
      entry.second = read_string(r);
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
        t.data_type = int32_t(read_int(r));
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
        t.string_data.push_back(read_string(r));
        break;
      case 7:
        read_ints(r, t.int64_data);
        break;
      case 8:
        t.name = read_string(r);
        break;
      case 9:
        t.raw_data = read_string(r);
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
        t.external_data.push_back(read_entry(read_message(r)));
        break;
      case 14:
        t.external = read_int(r) == 1;
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
        t.values = read_tensor(read_message(r));
        break;
      case 2:
        t.indices = read_tensor(read_message(r));
        break;
      case 3:
        read_ints(r, t.dims);
        break;
      default:
        r.skip();
    }
  return t;
}

std::vector<DimProto> read_shape(Reader r) {
  std::vector<DimProto> dims;
  while (r.next()) {
    if (r.tag() != 1) {
      r.skip();
      continue;
    }
    Reader d = read_message(r);
    DimProto& dim = dims.emplace_back();
    while (d.next()) {
      if (d.tag() == 1)
        dim.value = read_int(d);
      else if (d.tag() == 2)
        dim.symbol = read_string(d);
      else
        d.skip();
    }
  }
  return dims;
}

TypeProto read_type(Reader r, int depth);

/// Tensor, SparseTensor, Sequence, Optional and Map all are {1: element or key, 2: shape or value}.
TypeProto read_type_case(Reader r, TypeProto::Kind kind, int depth) {
  TypeProto t;
  t.kind = kind;
  bool tensor = kind == TypeProto::Kind::kTensor || kind == TypeProto::Kind::kSparseTensor;
  auto element = [&] {
    t.element = std::make_shared<const TypeProto>(read_type(read_message(r), depth + 1));
  };
  while (r.next()) {
    if (r.tag() == 1 && (tensor || kind == TypeProto::Kind::kMap))
      t.elem_type = int32_t(read_int(r));
    else if (r.tag() == 1)
      element();
    else if (r.tag() == 2 && tensor)
      t.shape = read_shape(read_message(r));
    else if (r.tag() == 2 && kind == TypeProto::Kind::kMap)
      element();
    else
      r.skip();
  }
  return t;
}

TypeProto read_type(Reader r, int depth) {
  require(depth < kMaxTypeDepth, "a type is nested more than ", kMaxTypeDepth, " deep");
  TypeProto t;
  while (r.next()) switch (r.tag()) {
      case 1:
        t = read_type_case(read_message(r), TypeProto::Kind::kTensor, depth);
        break;
      case 4:
        t = read_type_case(read_message(r), TypeProto::Kind::kSequence, depth);
        break;
      case 5:
        t = read_type_case(read_message(r), TypeProto::Kind::kMap, depth);
        break;
      case 8:
        t = read_type_case(read_message(r), TypeProto::Kind::kSparseTensor, depth);
        break;
      case 9:
        t = read_type_case(read_message(r), TypeProto::Kind::kOptional, depth);
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
        v.name = read_string(r);
        break;
      case 2:
        v.type = read_type(read_message(r), 0);
        break;
      default:
        r.skip();
    }
  return v;
}

Graph read_graph(Reader r, int depth);

/// Files of IR version 1 leave the kind out.
Attribute::Kind guess_kind(const Attribute& a, bool has_f, bool has_i, bool has_s) {
  using Kind = Attribute::Kind;
  if (!a.floats.empty()) return Kind::kFloats;
  if (!a.ints.empty()) return Kind::kInts;
  if (!a.strings.empty()) return Kind::kStrings;
  if (!a.tensors.empty()) return Kind::kTensors;
  if (!a.graphs.empty()) return Kind::kGraphs;
  if (a.tensor) return Kind::kTensor;
  if (a.graph) return Kind::kGraph;
  return has_f ? Kind::kFloat : has_i ? Kind::kInt : has_s ? Kind::kString : Kind::kUndefined;
}

Attribute read_attribute(Reader r, int depth) {
  Attribute a;
  bool has_f = false, has_i = false, has_s = false;
  auto graph = [&] {
    return std::make_shared<const Graph>(read_graph(read_message(r), depth + 1));
  };
  while (r.next()) switch (r.tag()) {
      case 1:
        a.name = read_string(r);
        break;
      case 2:
        expect(r, pbf_wire_type::fixed32), a.f = r.get_float(), has_f = true;
        break;
      case 3:
        a.i = read_int(r), has_i = true;
        break;
      case 4:
        a.s = read_string(r), has_s = true;
        break;
      case 5:
        a.tensor = std::make_shared<const TensorProto>(read_tensor(read_message(r)));
        break;
      case 6:
        a.graph = graph();
        break;
      case 7:
        read_floats(r, a.floats);
        break;
      case 8:
        read_ints(r, a.ints);
        break;
      case 9:
        a.strings.push_back(read_string(r));
        break;
      case 10:
        a.tensors.push_back(read_tensor(read_message(r)));
        break;
      case 11:
        a.graphs.push_back(graph());
        break;
      case 14:
        a.type = std::make_shared<const TypeProto>(read_type(read_message(r), 0));
        break;
      case 20:
        a.kind = Attribute::Kind(read_int(r));
        break;
      case 21:
        a.ref_name = read_string(r);
        break;
      case 22:
        a.sparse_tensor =
            std::make_shared<const SparseTensorProto>(read_sparse_tensor(read_message(r)));
        break;
      default:
        r.skip();
    }
  if (a.kind == Attribute::Kind::kUndefined) a.kind = guess_kind(a, has_f, has_i, has_s);
  return a;
}

Node read_node(Reader r, int depth) {
  Node n;
  while (r.next()) switch (r.tag()) {
      case 1:
        n.inputs.push_back(read_string(r));
        break;
      case 2:
        n.outputs.push_back(read_string(r));
        break;
      case 3:
        n.name = read_string(r);
        break;
      case 4:
        n.op_type = read_string(r);
        break;
      case 5:
        n.attributes.push_back(read_attribute(read_message(r), depth));
        break;
      case 7:
        n.domain = read_string(r);
        break;
      case 8:
        n.overload = read_string(r);
        break;
      default:
        r.skip();
    }
  if (n.domain == "ai.onnx") n.domain = {};
  return n;
}

Graph read_graph(Reader r, int depth) {
  require(depth < kMaxGraphDepth, "graphs are nested more than ", kMaxGraphDepth, " deep");
  Graph g;
  while (r.next()) switch (r.tag()) {
      case 1:
        g.nodes.push_back(read_node(read_message(r), depth));
        break;
      case 2:
        g.name = read_string(r);
        break;
      case 5:
        g.initializers.push_back(read_tensor(read_message(r)));
        break;
      case 11:
        g.inputs.push_back(read_value_info(read_message(r)));
        break;
      case 12:
        g.outputs.push_back(read_value_info(read_message(r)));
        break;
      case 13:
        g.value_infos.push_back(read_value_info(read_message(r)));
        break;
      case 15:
        g.sparse_initializers.push_back(read_sparse_tensor(read_message(r)));
        break;
      default:
        r.skip();
    }
  return g;
}

OpsetImport read_opset(Reader r) {
  OpsetImport o;
  while (r.next()) {
    if (r.tag() == 1)
      o.domain = read_string(r);
    else if (r.tag() == 2)
      o.version = read_int(r);
    else
      r.skip();
  }
  if (o.domain == "ai.onnx") o.domain = {};
  return o;
}

Function read_function(Reader r) {
  Function f;
  while (r.next()) switch (r.tag()) {
      case 1:
        f.name = read_string(r);
        break;
      case 4:
        f.inputs.push_back(read_string(r));
        break;
      case 5:
        f.outputs.push_back(read_string(r));
        break;
      case 6:
        f.attributes.push_back(read_string(r));
        break;
      case 7:
        f.nodes.push_back(read_node(read_message(r), 0));
        break;
      case 9:
        f.opset_imports.push_back(read_opset(read_message(r)));
        break;
      case 10:
        f.domain = read_string(r);
        break;
      case 11:
        f.attribute_defaults.push_back(read_attribute(read_message(r), 0));
        break;
      case 13:
        f.overload = read_string(r);
        break;
      default:
        r.skip();
    }
  if (f.domain == "ai.onnx") f.domain = {};
  return f;
}

Model read_model(Reader r) {
  Model m;
  bool has_graph = false;
  while (r.next()) switch (r.tag()) {
      case 1:
        m.ir_version = read_int(r);
        break;
      case 2:
        m.producer_name = read_string(r);
        break;
      case 3:
        m.producer_version = read_string(r);
        break;
      case 7:
        m.graph = read_graph(read_message(r), 0), has_graph = true;
        break;
      case 8:
        m.opset_imports.push_back(read_opset(read_message(r)));
        break;
      case 14:
        m.metadata.push_back(read_entry(read_message(r)));
        break;
      case 25:
        m.functions.push_back(read_function(read_message(r)));
        break;
      default:
        r.skip();
    }
  require(has_graph, "it holds no graph");
  return m;
}

/// What a file that is no model seems to be, for the message.
std::string_view guess_content(std::string_view head) {
  auto starts = [&](std::string_view s) { return head.starts_with(s); };
  if (head.empty()) return "the file is empty";
  if (starts("version https://git-lfs"))
    return "it is a Git LFS pointer; fetch the file itself with 'git lfs pull'";
  if (starts("PK\x03\x04"))
    return "it is a zip archive (a PyTorch checkpoint?); export the model to ONNX first";
  if (starts("\x89HDF"))
    return "it is an HDF5 file (a Keras model?); convert the model to ONNX first";
  if (starts("\x80\x02") || starts("\x80\x04"))
    return "it is a Python pickle; export the model to ONNX first";
  if (starts("VITRIFY")) return "it is a Vitrify engine, not an ONNX model";
  if (starts("<")) return "it is an HTML or XML page; was the download refused?";
  if (starts("{")) return "it is JSON text";
  if (starts("TFL3") || (head.size() > 8 && head.substr(4, 4) == "TFL3"))
    return "it is a TensorFlow Lite model; convert it to ONNX first";
  return {};
}

std::string label(const std::string& path) { return path.empty() ? "the model" : "'" + path + "'"; }

/// Runs `read` with protozero's exceptions and our own turned into one message about the file.
template <class F>
auto guarded(std::span<const std::byte> bytes, const std::string& path, F read) {
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::string_view guess = guess_content(text.substr(0, 64));
  std::string reason;
  try {
    if (!text.empty()) return read(Reader(text.data(), text.size()));
  } catch (const protozero::exception& e) {
    reason = cat("it is cut off or damaged (", e.what(), ")");
  } catch (const Error& e) {
    reason = e.message();
  }
  fail(label(path), " is not an ONNX model: ", guess.empty() ? std::string_view(reason) : guess);
}

}  // namespace

Model parse_model(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                  std::string path) {
  Model m = guarded(bytes, path, read_model);
  m.owner = std::move(owner);
  m.path = std::move(path);
  m.bytes = int64_t(bytes.size());
  return m;
}

Model load_model(const std::string& path) {
  auto file = MappedFile::open(path);
  return parse_model(file->bytes(), file, path);
}

namespace {

Value read_sequence(Reader r, const Model& model, int depth);

Value read_optional(Reader r, const Model& model, int depth) {
  require(depth < kMaxTypeDepth, "a value is nested too deeply");
  Value v;
  while (r.next()) switch (r.tag()) {
      case 3:
        v = to_tensor(read_tensor(read_message(r)), model);
        break;
      case 5:
        v = read_sequence(read_message(r), model, depth + 1);
        break;
      case 7:
        v = read_optional(read_message(r), model, depth + 1);
        break;
      default:
        r.skip();
    }
  return v;
}

Value read_sequence(Reader r, const Model& model, int depth) {
  require(depth < kMaxTypeDepth, "a value is nested too deeply");
  std::vector<Value> items;
  while (r.next()) switch (r.tag()) {
      case 3:
        items.emplace_back(to_tensor(read_tensor(read_message(r)), model));
        break;
      case 5:
        items.push_back(read_sequence(read_message(r), model, depth + 1));
        break;
      case 7:
        items.push_back(read_optional(read_message(r), model, depth + 1));
        break;
      default:
        r.skip();
    }
  return Value::of_sequence(std::move(items));
}

}  // namespace

Value load_value(const std::string& path, ValueFile kind) {
  auto file = MappedFile::open(path);
  Model model;
  model.owner = file;
  model.path = path;
  std::span<const std::byte> bytes = file->bytes();
  if (bytes.empty() && kind != ValueFile::kTensor)
    return kind == ValueFile::kSequence ? Value::of_sequence({}) : Value();
  return guarded(bytes, path, [&](Reader r) -> Value {
    if (kind == ValueFile::kTensor) return to_tensor(read_tensor(r), model);
    return kind == ValueFile::kSequence ? read_sequence(r, model, 0) : read_optional(r, model, 0);
  });
}

}  // namespace vitrify::onnx
