#include "runtime/binding.h"

#include "base/error.h"
#include "ops/guards.h"
#include "runtime/body_calls.h"
#include "runtime/memory_planner.h"

namespace vitrify {

bool is_dense(const Dims& dims, const Dims& strides) {
  int64_t expected = 1;
  bool dense = true;
  for (size_t a = dims.size(); a-- > 0;) {
    if (dims[a] == 0) return true;
    if (dims[a] != 1) dense &= strides[a] == expected;
    expected *= dims[a];
  }
  return dense;
}

Binding::Binding(const Engine& engine, const LoadedPlan& plan, Bindings given,
                 std::span<const Value> inputs, int max_threads)
    : symbols(std::move(given)), engine_(engine), plan_(plan), max_threads_(max_threads) {
  const Layout& layout = plan_.layout;
  values.resize(layout.values.size());
  facts.resize(layout.values.size());
  root_offset.resize(layout.values.size());
  steps.resize(plan_.plan.steps.size());
  bind_values(inputs);
  for (int32_t v : layout.static_facts) write_fact(v);
  for (size_t s = 0; s < steps.size(); ++s)
    if (!layout.late[s]) bind_step(s);
  lay_out_arena();
}

std::string Binding::where(int32_t node) const {
  return place_of(engine_.graph().nodes[size_t(node)]);
}

int64_t Binding::eval(const Dim& d) const {
  if (d.is_constant()) return d.value();
  return d.eval([&](const std::string& symbol) -> int64_t {
    auto at = symbols.find(symbol);
    require(at != symbols.end(), "the extent '", symbol, "' is not known");
    return at->second;
  });
}

bool Binding::try_eval(const Type& type, Dims& dims) const {
  if (!type.has_rank()) return false;
  std::set<std::string> used;
  collect_symbols(type, used);
  for (const auto& s : used)
    if (!symbols.count(s)) return false;
  dims.clear();
  for (const Dim& d : *type.shape) {
    dims.push_back(eval(d));
    require(dims.back() >= 0, "the extent ", d.str(), " is ", dims.back(),
            " for these input shapes");
  }
  byte_size(type.dtype, element_count(dims));  // throws on overflow
  return true;
}

void Binding::set_dims(int32_t v, const Dims& dims) {
  BoundValue& value = values[size_t(v)];
  if (value.known && value.dims == dims) return;
  value = {dims, dense_strides(dims), 0, true};
}

void Binding::bind_values(std::span<const Value> inputs) {
  const Graph& graph = engine_.graph();
  const Layout& layout = plan_.layout;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].kind == Value::Kind::kTensor)
      set_dims(layout.flat(graph.inputs[i].value), inputs[i].tensor.dims());
  for (size_t n = 0; n < graph.nodes.size(); ++n) bind_node(int32_t(n));
  std::vector<int32_t> chain;
  std::vector<bool> placed(values.size());
  for (size_t v = 0; v < values.size(); ++v) {
    chain.clear();
    for (auto at = int32_t(v); layout.parent[size_t(at)] >= 0 && !placed[size_t(at)];
         at = layout.parent[size_t(at)])
      chain.push_back(at);
    for (size_t i = chain.size(); i-- > 0; placed[size_t(chain[i])] = true)
      place_or_explain(chain[i]);
  }
}

void Binding::place_or_explain(int32_t v) {
  const Layout& layout = plan_.layout;
  const Alias& alias = plan_.plan.aliases[size_t(layout.alias[size_t(v)])];
  const int32_t node = alias.kind == Alias::Kind::kConcat ? alias.node : alias.value.node;
  try {
    place(v);
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::kInternal || !e.origin().empty()) throw;
    const BoundValue &from = values[size_t(layout.parent[size_t(v)])], &value = values[size_t(v)];
    throw Error(e.kind(),
                cat(engine_.graph().nodes[size_t(node)].op.label(), ": ", e.message(), " (",
                    str(value.dims), " in ", str(from.dims), "): give inputs whose shapes fit"),
                where(node));
  }
}

/// Checks a node, and sets the extents of its values that the inputs tell.
void Binding::bind_node(int32_t n) {
  const Layout& layout = plan_.layout;
  const Node& node = engine_.graph().nodes[size_t(n)];
  check_guards(engine_.graph(), n, symbols);
  for (size_t o = 0; o < node.types.size(); ++o) {
    const auto v = size_t(layout.flat({n, int32_t(o)}));
    if (layout.storage[v] == Storage::kNone || values[v].known) continue;
    Dims dims;
    try {
      if (is_plain(node.types[o], layout.input_symbols) && try_eval(node.types[o], dims))
        set_dims(int32_t(v), dims);
    } catch (const Error& e) {
      throw Error(e.kind(), e.message(), where(n));
    }
  }
}

/// Offset and strides of an alias, from its parent's, which are done.
void Binding::place(int32_t v) {
  const Layout& layout = plan_.layout;
  const Alias& alias = plan_.plan.aliases[size_t(layout.alias[size_t(v)])];
  const BoundValue& parent = values[size_t(layout.parent[size_t(v)])];
  require(parent.known && values[size_t(v)].known, "its extents do not follow from the inputs");
  if (alias.kind != Alias::Kind::kConcat) return place_view(v, alias, parent);
  const Node& concat = engine_.graph().nodes[size_t(alias.node)];
  const int64_t rank = int64_t(parent.dims.size()), axis = concat.op.as<Concat>()->axis;
  Dims begins(parent.dims.size());
  require(axis >= -rank && axis < rank, "bad axis of a concat");
  for (int32_t i = 0; i < alias.input; ++i) {
    const Dims& before = values[size_t(layout.flat(concat.inputs[size_t(i)]))].dims;
    const auto a = size_t(axis < 0 ? axis + rank : axis);
    require(a < before.size(), "the parts differ in rank");
    begins[a] = checked_add(begins[a], before[a]);
  }
  place_box(v, parent, begins);
}

void Binding::place_view(int32_t v, const Alias& alias, const BoundValue& parent) {
  BoundValue& value = values[size_t(v)];
  const Node& node = engine_.graph().node(alias.value);
  if (auto* slice = node.op.as<Slice>(); slice && alias.kind == Alias::Kind::kView) {
    Dims begins(parent.dims.size());
    for (size_t i = 0; i < slice->axes.size(); ++i) {
      const int64_t axis =
          slice->axes[i] < 0 ? slice->axes[i] + int64_t(begins.size()) : slice->axes[i];
      require(axis >= 0 && axis < int64_t(begins.size()) && i < slice->begins.size(),
              "bad axes of a slice");
      begins[size_t(axis)] = eval(slice->begins[i]);
    }
    return place_box(v, parent, begins);
  }
  require(element_count(value.dims) == element_count(parent.dims), "cannot turn ", str(parent.dims),
          " into ", str(value.dims));
  value.offset = parent.offset;
  if (auto* t = node.op.as<Transpose>(); t && alias.kind == Alias::Kind::kView) {
    CHECK(is_dense(parent.dims, parent.strides));
    require(t->permutation.size() == parent.dims.size() && value.dims.size() == parent.dims.size(),
            "bad permutation");
    for (size_t a = 0; a < value.strides.size(); ++a)
      value.strides[a] = parent.strides[size_t(t->permutation[a])];
    return;
  }
  if (value.dims == parent.dims)
    value.strides = parent.strides;
  else
    CHECK(is_dense(parent.dims, parent.strides));
}

void Binding::place_box(int32_t v, const BoundValue& parent, const Dims& begins) {
  BoundValue& value = values[size_t(v)];
  require(value.dims.size() == parent.dims.size(), "the ranks differ");
  const bool empty = element_count(value.dims) == 0;  // its place does not matter
  int64_t elements = 0;
  for (size_t a = 0; a < begins.size() && !empty; ++a) {
    require(begins[a] >= 0 && begins[a] <= parent.dims[a] &&
                value.dims[a] <= parent.dims[a] - begins[a],
            "a part from ", begins[a], " is outside axis ", a);
    elements += begins[a] * parent.strides[a];
  }
  value.strides = parent.strides;
  const DType dtype = engine_.graph().type(plan_.layout.values[size_t(v)]).dtype;
  value.offset = parent.offset + byte_size(dtype, elements);
}

void Binding::write_fact(int32_t v) {
  const ValueId id = plan_.layout.values[size_t(v)];
  const Type& type = engine_.graph().type(id);
  const std::vector<Dim>& fact = *engine_.graph().fact(id);
  try {
    Dims dims;
    require(try_eval(type, dims) && element_count(dims) == int64_t(fact.size()), "its ",
            fact.size(), " values do not fill ", type.str(), ", here ", str(dims));
    set_dims(v, dims);
    Tensor& tensor = facts[size_t(v)];
    if (!tensor.defined() || tensor.dims() != dims) tensor = Tensor(type.dtype, dims);
    for (size_t i = 0; i < fact.size(); ++i) set_int(tensor, int64_t(i), eval(fact[i]));
  } catch (const Error& e) {
    throw Error(e.kind(), e.message(), e.origin().empty() ? where(id.node) : e.origin());
  }
}

void Binding::write_late_facts(size_t segment) {
  for (int32_t v : plan_.layout.late_facts[segment]) write_fact(v);
}

void Binding::check_dense(size_t s, int32_t v, bool strided_allowed) const {
  const BoundValue& value = values[size_t(v)];
  if (!strided_allowed && !is_dense(value.dims, value.strides))
    fail_internal("step ", s, " (", plan_.plan.steps[s].tactic, " for ",
                  where(plan_.plan.steps[s].node), ") gets a strided operand");
}

void Binding::bind_step(size_t s) {
  const int32_t n = plan_.plan.steps[s].node;
  const Node& node = engine_.graph().nodes[size_t(n)];
  const Tactic* tactic = plan_.tactics[s];
  const Layout& layout = plan_.layout;
  BoundStep& step = steps[s];
  std::vector<Extents> inputs(node.inputs.size()), outputs(node.types.size());
  std::vector<std::vector<int64_t>> known(node.inputs.size());
  NodeInfo info(engine_.graph(), n);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!node.inputs[i].valid()) continue;
    const int32_t v = layout.flat(node.inputs[i]);
    // That the tactic takes a transposed view was checked when the plan was loaded.
    bool permuted = layout.alias[size_t(v)] >= 0 && tactic && tactic->takes_permuted &&
                    engine_.graph().node(node.inputs[i]).op.is<Transpose>();
    check_dense(s, v, permuted || (tactic && i < 32 && (tactic->strided_inputs >> i & 1)));
    inputs[i] = {values[size_t(v)].dims, values[size_t(v)].strides};
    if (info.facts[i] && tactic)
      for (const Dim& d : *info.facts[i]) known[i].push_back(eval(d));
  }
  for (size_t o = 0; o < outputs.size(); ++o) {
    const int32_t v = layout.flat({n, int32_t(o)});
    check_dense(s, v, tactic && o < 32 && (tactic->strided_outputs >> o & 1));
    outputs[o] = {values[size_t(v)].dims, values[size_t(v)].strides};
  }
  step.inputs.resize(inputs.size());
  step.outputs.resize(outputs.size());
  step.bound = !tactic;
  if (!tactic) return bind_control_flow(s);
  const BoundNode bound{node.op,
                        info.inputs,
                        node.types,
                        inputs,
                        outputs,
                        known,
                        [this](const Dim& d) { return eval(d); },
                        max_threads_};
  try {
    step.state = tactic->bind ? tactic->bind(plan_.states[s], bound) : plan_.states[s];
    step.workspace = tactic->workspace ? tactic->workspace(step.state) : 0;
  } catch (const Error& e) {
    throw Error(e.kind(), e.message(), e.origin().empty() ? where(n) : e.origin());
  }
  CHECK(step.workspace >= 0);
  step.bound = true;
}

/// Makes room for what the bodies of a step read elsewhere than its operands lie.
void Binding::bind_control_flow(size_t s) {
  const Node& node = engine_.graph().nodes[size_t(plan_.plan.steps[s].node)];
  BoundStep& step = steps[s];
  step.lent_offset.clear(), step.workspace = 0;
  if (plan_.layout.late[s] || !lends_operands(engine_, node)) return;
  step.lent_offset.assign(node.inputs.size(), -1);
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const Role role = role_of(node.op, i);
    if (role != Role::kSlice && role != Role::kOperand) continue;
    const auto v = size_t(plan_.layout.flat(node.inputs[i]));
    const bool is_view_of_input =
        plan_.layout.storage[v] == Storage::kInput && plan_.layout.parent[v] >= 0;
    if (role == Role::kOperand && !is_view_of_input) continue;
    step.lent_offset[i] = step.workspace;
    const Dims dims = lent_dims(node.op, i, values[v].dims);
    const DType dtype = engine_.graph().type(node.inputs[i]).dtype;
    step.workspace =
        checked_add(step.workspace, align_block(byte_size(dtype, element_count(dims))));
  }
}

void Binding::bind_late_step(size_t s) {
  const int32_t n = plan_.plan.steps[s].node;
  const Node& node = engine_.graph().nodes[size_t(n)];
  std::vector<int64_t> extents;
  auto add = [&](int32_t v) {
    for (int64_t d : values[size_t(v)].dims) extents.push_back(d);
    extents.push_back(-1);
  };
  for (ValueId v : node.inputs)
    if (v.valid()) add(plan_.layout.flat(v));
  for (size_t o = 0; o < node.types.size(); ++o) {
    const int32_t v = plan_.layout.flat({n, int32_t(o)});
    Dims dims;
    if (plan_.layout.storage[size_t(v)] == Storage::kDynamic) {
      // What no symbol tells cannot be made room for.
      if (!try_eval(node.types[o], dims))
        throw Error(ErrorKind::kUser,
                    cat("the extents of ", node.types[o].str(), " do not follow from the inputs"),
                    where(n));
      set_dims(v, dims);
    }
    add(v);
  }
  std::set<std::string> used;
  collect_symbols(node.op, used);
  for (ValueId v : node.inputs)
    if (v.valid() && engine_.graph().fact(v))
      for (const Dim& d : *engine_.graph().fact(v)) d.collect_symbols(used);
  for (const auto& symbol : used)
    if (auto at = symbols.find(symbol); at != symbols.end()) extents.push_back(at->second);
  if (steps[s].bound && steps[s].key == extents) return;
  check_guards(engine_.graph(), n, symbols);
  bind_step(s);
  steps[s].key = std::move(extents);
}

void Binding::lay_out_arena() {
  const Layout& layout = plan_.layout;
  std::vector<Block> blocks;
  std::vector<int64_t*> offsets;
  for (size_t v = 0; v < values.size(); ++v) {
    if (layout.storage[v] != Storage::kArena || layout.root[v] != int32_t(v)) continue;
    const Lifetime& life = layout.lifetime[v];
    const DType dtype = engine_.graph().type(layout.values[v]).dtype;
    const int64_t bytes = byte_size(dtype, element_count(values[v].dims));
    blocks.push_back({std::max<int64_t>(bytes, 1), life.first, std::max(life.first, life.last)});
    offsets.push_back(&root_offset[v]);
  }
  for (size_t s = 0; s < steps.size(); ++s) {
    if (steps[s].workspace == 0 || layout.late[s]) continue;
    blocks.push_back({steps[s].workspace, int32_t(s), int32_t(s)});
    offsets.push_back(&steps[s].workspace_offset);
  }
  arena_lower_bound = vitrify::arena_lower_bound(blocks);
  arena_bytes = plan_arena(blocks);
  for (size_t i = 0; i < blocks.size(); ++i) *offsets[i] = blocks[i].offset;
}

}  // namespace vitrify
