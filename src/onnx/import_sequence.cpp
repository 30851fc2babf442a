// Sequences and optionals.
#include "base/error.h"
#include "onnx/families.h"
#include "onnx/scope.h"
#include "ops/table.h"

namespace vitrify::onnx {

namespace {

void import_sequence_construct(NodeContext& c) {
  c.outputs({c.add(SequenceConstruct{}, c.inputs())});
}

void import_sequence_empty(NodeContext& c) {
  c.outputs({c.add(SequenceEmpty{c.dtype_attribute("dtype", DType::kFloat32)}, {})});
}

void import_sequence_at(NodeContext& c) { c.outputs({c.add(SequenceAt{}, {c.in(0), c.in(1)})}); }

void import_sequence_insert(NodeContext& c) {
  c.outputs({c.add(SequenceInsert{}, {c.in(0), c.in(1), c.optional_in(2)})});
}

void import_sequence_erase(NodeContext& c) {
  c.outputs({c.add(SequenceErase{}, {c.in(0), c.optional_in(1)})});
}

void import_sequence_length(NodeContext& c) { c.outputs({c.add(SequenceLength{}, {c.in(0)})}); }

void import_concat_from_sequence(NodeContext& c) {
  require(c.has_attribute("axis"), "attribute 'axis' is missing");
  ConcatFromSequence op{c.int_attribute("axis", 0), c.int_attribute("new_axis", 0) != 0};
  c.outputs({c.add(op, {c.in(0)})});
}

void import_split_to_sequence(NodeContext& c) {
  SplitToSequence op{c.int_attribute("axis", 0), c.int_attribute("keepdims", 1) != 0};
  c.outputs({c.add(op, {c.in(0), c.optional_in(1)})});
}

void import_optional(NodeContext& c) {
  if (c.has(0)) return c.outputs({c.add(MakeOptional{}, {c.in(0)})});
  FoundAttribute type = c.scope_->attribute(c.node(), "type");
  require(type.attribute && type.attribute->type, "needs an input or the attribute 'type'");
  Type element = to_type(*type.attribute->type, "type", *c.scope_->session);
  if (element.is_tensor() && !element.is_static()) element.shape.reset();
  c.outputs({c.add(MakeOptional{std::move(element)}, {})});
}

void import_optional_get(NodeContext& c) {
  bool optional = c.type(c.in(0)).kind == Type::Kind::kOptional;
  c.outputs({optional ? c.add(OptionalGetElement{}, {c.in(0)}) : c.in(0)});
}

void import_optional_has(NodeContext& c) {
  if (c.has(0) && c.type(c.in(0)).kind == Type::Kind::kOptional)
    return c.outputs({c.add(OptionalHasElement{}, {c.in(0)})});
  c.outputs({c.scalar(c.has(0) ? 1 : 0, DType::kBool)});
}

// ---- SequenceMap: a loop over the sequence ----

/// What the body sees of input i: an element of a sequence, or the tensor as it is.
Type seen_in_body(NodeContext& c, int i) {
  const Type& t = c.type(c.in(i));
  return t.kind == Type::Kind::kSequence ? *t.element : t;
}

/// The loop's body: takes the element at the iteration's place out of every sequence, runs the
/// graph, and appends its results to the sequences carried along.
class SequenceMapBody {
 public:
  SequenceMapBody(NodeContext& c, GraphRef graph, size_t captures)
      : c_(c), graph_(std::move(graph)), captures_(captures), builder_(make_builder()) {
    builder_.continue_from(c.builder().graph());
    builder_.graph().states.clear();
  }

  GraphRef build() {
    ValueId index = builder_.input("iteration", Type::tensor(DType::kInt64, {}));
    ValueId condition = builder_.input("condition", Type::tensor(DType::kBool, {}));
    std::vector<ValueId> carried;
    for (size_t k = 0; k < graph_->outputs.size(); ++k)
      carried.push_back(builder_.input(cat("result ", k), carried_type(k)));
    bind_inputs(index);
    for (size_t n = 0; n < graph_->nodes.size(); ++n)
      if (!graph_->nodes[n].op.is<Input>()) copy_node(builder_, *graph_, int32_t(n), map_);
    builder_.output("condition", condition);
    for (size_t k = 0; k < carried.size(); ++k) {
      ValueId item = map_.at(graph_->outputs[k].value);
      builder_.output(cat("result ", k), builder_.add(SequenceInsert{}, {carried[k], item}));
    }
    c_.builder().graph().next_symbol = builder_.graph().next_symbol;
    c_.builder().graph().next_constant = builder_.graph().next_constant;
    return std::make_shared<const vitrify::Graph>(builder_.finish());
  }

  Type carried_type(size_t k) const {
    const Type& item = graph_->type(graph_->outputs[k].value);
    require(item.is_tensor(), "the body's output ", k, " must be a tensor, not ", item.str());
    return Type::sequence(Type::unranked(item.dtype));
  }

 private:
  void bind_inputs(ValueId index) {
    size_t own = graph_->inputs.size() - captures_;
    for (size_t i = 0; i < graph_->inputs.size(); ++i) {
      bool sequence = i < own && c_.type(c_.in(int(i))).kind == Type::Kind::kSequence;
      const Type& inner = graph_->type(graph_->inputs[i].value);
      ValueId v = builder_.input(cat("argument ", i), sequence ? c_.type(c_.in(int(i))) : inner);
      map_[graph_->inputs[i].value] = sequence ? builder_.add(SequenceAt{}, {v, index}) : v;
    }
  }

  NodeContext& c_;
  GraphRef graph_;
  size_t captures_;
  GraphBuilder builder_;
  std::map<ValueId, ValueId> map_;
};

void import_sequence_map(NodeContext& c) {
  require(c.type(c.in(0)).kind == Type::Kind::kSequence, "input 0 must be a sequence, not ",
          c.type(c.in(0)).str());
  std::vector<Type> types;
  for (int i = 0; i < c.input_count(); ++i) types.push_back(seen_in_body(c, i));
  std::vector<ValueId> captures;
  GraphRef graph = c.graph_attribute("body", types, &captures);
  require(graph->inputs.size() == types.size() + captures.size(), "the body has ",
          graph->inputs.size() - captures.size(), " inputs, the node ", types.size());
  SequenceMapBody body(c, graph, captures.size());
  std::vector<ValueId> inputs{c.add(SequenceLength{}, {c.in(0)}), ValueId{}};
  for (size_t k = 0; k < graph->outputs.size(); ++k)
    inputs.push_back(c.add(SequenceEmpty{body.carried_type(k).element->dtype}, {}));
  for (int i = 0; i < c.input_count(); ++i) inputs.push_back(c.in(i));
  inputs.insert(inputs.end(), captures.begin(), captures.end());
  int count = int(graph->outputs.size());
  ValueId first = c.add(Loop{body.build(), count}, std::move(inputs), count);
  std::vector<ValueId> results;
  for (int k = 0; k < count; ++k) results.push_back({first.node, k});
  c.outputs(std::move(results));
}

constexpr ImportRow kRows[] = {
    {"", "SequenceConstruct", 11, import_sequence_construct},
    {"", "SequenceEmpty", 11, import_sequence_empty},
    {"", "SequenceAt", 11, import_sequence_at},
    {"", "SequenceInsert", 11, import_sequence_insert},
    {"", "SequenceErase", 11, import_sequence_erase},
    {"", "SequenceLength", 11, import_sequence_length},
    {"", "SequenceMap", 17, import_sequence_map},
    {"", "ConcatFromSequence", 11, import_concat_from_sequence},
    {"", "SplitToSequence", 11, import_split_to_sequence},
    {"", "Optional", 15, import_optional},
    {"", "OptionalGetElement", 15, import_optional_get},
    {"", "OptionalHasElement", 15, import_optional_has},
};

}  // namespace

std::span<const ImportRow> sequence_imports() { return kRows; }

}  // namespace vitrify::onnx
