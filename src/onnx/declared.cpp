// What a model declares of its values, against what was inferred.
#include "base/knobs.h"
#include "onnx/scope.h"

namespace vitrify::onnx {

namespace {

/// Declared shapes are hints; a wrong kind or element type is an error.
void check_declared(const Type& type, const TypeProto& declared, std::string_view name) {
  using Kind = TypeProto::Kind;
  if (declared.kind == Kind::kNone) return;
  bool same = declared.kind == Kind::kTensor     ? type.is_tensor()
              : declared.kind == Kind::kSequence ? type.kind == Type::Kind::kSequence
              : declared.kind == Kind::kOptional ? type.kind == Type::Kind::kOptional
                                                 : false;
  require(same, "'", name, "' is ", type.str(), ", but declared as another kind of value");
  if (type.is_tensor()) {
    require(declared.elem_type == 0 || declared.elem_type == int32_t(type.dtype), "'", name,
            "' is ", type.str(), ", but declared with element type ",
            declared.elem_type > 0 && declared.elem_type < kDTypeCount
                ? vitrify::name(DType(declared.elem_type))
                : "unknown");
  } else if (declared.element) {
    check_declared(*type.element, *declared.element, name);
  }
}

/// "[1, n, ?]", the shape as the file declares it.
std::string describe(const std::vector<DimProto>& dims) {
  std::string text;
  for (const DimProto& d : dims) {
    text += text.empty() ? "" : ", ";
    text += d.value ? cat(*d.value) : d.symbol.empty() ? "?" : std::string(d.symbol);
  }
  return "[" + text + "]";
}

bool contradicts(const std::vector<DimProto>& declared, const Shape& inferred) {
  if (declared.size() != inferred.size()) return true;
  for (size_t a = 0; a < declared.size(); ++a)
    if (declared[a].value.value_or(-1) >= 0 && inferred[a].is_constant() &&
        *declared[a].value != inferred[a].value())
      return true;
  return false;
}

}  // namespace

void check_values(NodeContext::Scope& scope, const Graph& graph) {
  auto* found = scope.session->options.contradictions;
  for (const auto* infos : {&graph.value_infos, &graph.outputs})
    for (const ValueInfo& info : *infos) {
      auto at = scope.names.find(info.name);
      if (at == scope.names.end() || at->second.failed || !at->second.value.valid()) continue;
      const ValueId value = at->second.value;
      const Type& type = scope.builder().type(value);
      check_declared(type, info.type, info.name);
      if (!type.has_rank() || !info.type.shape || !contradicts(*info.type.shape, *type.shape))
        continue;
      const Contradiction c{std::string(info.name), describe(*info.type.shape), str(*type.shape),
                            scope.builder().node(value).origins};
      log(1, cat("'", c.value, "' is declared as ", c.declared, ", but is ", c.inferred));
      if (found) found->push_back(c);
    }
}

}  // namespace vitrify::onnx
