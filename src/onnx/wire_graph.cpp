// Attributes, nodes, graphs, functions and the model.
#include "onnx/wire.h"

namespace vitrify::onnx {

namespace {

/// `holder`: the node that holds the graph, for the message.
Graph read_graph(Reader r, int depth, std::string_view holder);

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

Attribute read_attribute(Reader r, int depth, std::string_view holder) {
  Attribute a;
  bool has_f = false, has_i = false, has_s = false;
  auto graph = [&] {
    return std::make_shared<const Graph>(read_graph(r.message(), depth + 1, holder));
  };
  while (r.next()) switch (r.tag()) {
      case 1:
        a.name = r.string();
        break;
      case 2:
        a.f = r.number(), has_f = true;
        break;
      case 3:
        a.i = r.integer(), has_i = true;
        break;
      case 4:
        a.s = r.string(), has_s = true;
        break;
      case 5:
        a.tensor = std::make_shared<const TensorProto>(read_tensor(r.message()));
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
        a.strings.push_back(r.string());
        break;
      case 10:
        a.tensors.push_back(read_tensor(r.message()));
        break;
      case 11:
        a.graphs.push_back(graph());
        break;
      case 14:
        a.type = std::make_shared<const TypeProto>(read_type(r.message(), 0));
        break;
      case 20:
        a.kind = Attribute::Kind(r.integer());
        break;
      case 21:
        a.ref_name = r.string();
        break;
      case 22:
        a.sparse_tensor =
            std::make_shared<const SparseTensorProto>(read_sparse_tensor(r.message()));
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
        n.inputs.push_back(r.string());
        break;
      case 2:
        n.outputs.push_back(r.string());
        break;
      case 3:
        n.name = r.string();
        break;
      case 4:
        n.op_type = r.string();
        break;
      case 5:
        n.attributes.push_back(
            read_attribute(r.message(), depth, n.name.empty() ? n.op_type : n.name));
        break;
      case 7:
        n.domain = r.string();
        break;
      case 8:
        n.overload = r.string();
        break;
      default:
        r.skip();
    }
  if (n.domain == "ai.onnx") n.domain = {};
  return n;
}

Graph read_graph(Reader r, int depth, std::string_view holder) {
  require_within(depth < kMaxGraphDepth, "graphs are nested deeper than Vitrify's limit of ",
                 kMaxGraphDepth, " in node '", holder, "'");
  Graph g;
  while (r.next()) switch (r.tag()) {
      case 1:
        g.nodes.push_back(read_node(r.message(), depth));
        break;
      case 2:
        g.name = r.string();
        break;
      case 5:
        g.initializers.push_back(read_tensor(r.message()));
        break;
      case 11:
        g.inputs.push_back(read_value_info(r.message()));
        break;
      case 12:
        g.outputs.push_back(read_value_info(r.message()));
        break;
      case 13:
        g.value_infos.push_back(read_value_info(r.message()));
        break;
      case 15:
        g.sparse_initializers.push_back(read_sparse_tensor(r.message()));
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
      o.domain = r.string();
    else if (r.tag() == 2)
      o.version = r.integer();
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
        f.name = r.string();
        break;
      case 4:
        f.inputs.push_back(r.string());
        break;
      case 5:
        f.outputs.push_back(r.string());
        break;
      case 6:
        f.attributes.push_back(r.string());
        break;
      case 7:
        f.nodes.push_back(read_node(r.message(), 0));
        break;
      case 9:
        f.opset_imports.push_back(read_opset(r.message()));
        break;
      case 10:
        f.domain = r.string();
        break;
      case 11:
        f.attribute_defaults.push_back(read_attribute(r.message(), 0, f.name));
        break;
      case 13:
        f.overload = r.string();
        break;
      default:
        r.skip();
    }
  if (f.domain == "ai.onnx") f.domain = {};
  return f;
}

}  // namespace

Model read_model(Reader r) {
  Model m;
  bool has_graph = false;
  while (r.next()) switch (r.tag()) {
      case 1:
        m.ir_version = r.integer();
        break;
      case 2:
        m.producer_name = r.string();
        break;
      case 3:
        m.producer_version = r.string();
        break;
      case 7:
        m.graph = read_graph(r.message(), 0, {}), has_graph = true;
        break;
      case 8:
        m.opset_imports.push_back(read_opset(r.message()));
        break;
      case 14:
        m.metadata.push_back(read_entry(r.message()));
        break;
      case 25:
        m.functions.push_back(read_function(r.message()));
        break;
      default:
        r.skip();
    }
  require(has_graph, "it holds no graph");
  return m;
}

}  // namespace vitrify::onnx
