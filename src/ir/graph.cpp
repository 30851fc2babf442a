#include "ir/graph.h"

#include <algorithm>

#include "base/error.h"
#include "ir/bools.h"

namespace vitrify {

const Tensor* Graph::constant(ValueId v) const {
  if (!v.valid()) return nullptr;
  auto* c = node(v).op.as<Constant>();
  return c ? &c->data->tensor : nullptr;
}

const Tensor* GraphBuilder::constant_of(ValueId v) const { return graph_.constant(v); }

std::vector<std::vector<std::vector<Use>>> collect_uses(const Graph& graph) {
  std::vector<std::vector<std::vector<Use>>> users(graph.nodes.size());
  for (size_t n = 0; n < graph.nodes.size(); ++n) users[n].resize(graph.nodes[n].types.size());
  for (size_t n = 0; n < graph.nodes.size(); ++n)
    for (size_t i = 0; i < graph.nodes[n].inputs.size(); ++i)
      if (ValueId v = graph.nodes[n].inputs[i]; v.valid())
        users[size_t(v.node)][size_t(v.output)].push_back({int32_t(n), int32_t(i)});
  return users;
}

namespace {
/// Impure ops stay only when used, too: a random number that nobody reads has no effect.
std::vector<bool> live(const std::vector<Node>& nodes, const std::vector<NamedValue>& outputs) {
  std::vector<bool> alive(nodes.size());
  for (const auto& o : outputs) alive[size_t(o.value.node)] = true;
  for (size_t n = nodes.size(); n-- > 0;)
    if (alive[n])
      for (ValueId v : nodes[n].inputs)
        if (v.valid()) alive[size_t(v.node)] = true;
  return alive;
}
}  // namespace

std::vector<bool> live_nodes(const Graph& graph) { return live(graph.nodes, graph.outputs); }

Digest digest(const Graph& graph) {
  std::string bytes;
  auto number = [&](uint64_t v) { bytes.append(reinterpret_cast<const char*>(&v), sizeof v); };
  for (const Node& n : graph.nodes) {
    number(n.op.is<Input>() ? 0 : n.op.hash());
    for (ValueId v : n.inputs) number(uint64_t(uint32_t(v.node)) << 32 | uint32_t(v.output));
    for (const Type& t : n.types) bytes += t.str();
  }
  for (const auto& list : {graph.inputs, graph.outputs}) {
    number(list.size());
    for (const auto& v : list)
      number(uint64_t(uint32_t(v.value.node)) << 32 | uint32_t(v.value.output));
  }
  return digest(std::string_view(bytes));
}

void GraphBuilder::continue_from(const Graph& old) {
  graph_.name = old.name;
  graph_.states = old.states;
  graph_.next_symbol = old.next_symbol;
  graph_.next_constant = old.next_constant;
}

ValueId GraphBuilder::input(const std::string& name, Type type) {
  for (const auto& i : graph_.inputs) require(i.name != name, "two inputs are named '", name, "'");
  ValueId v{int32_t(graph_.nodes.size()), 0};
  graph_.nodes.push_back({Input{name}, {}, {std::move(type)}, {Fact{}}, {}});
  graph_.inputs.push_back({name, v});
  return v;
}

std::optional<std::vector<int64_t>> known_ints(const Fact& fact) {
  if (!fact) return {};
  std::vector<int64_t> values;
  for (const Dim& d : *fact) {
    if (!d.is_constant()) return {};
    values.push_back(d.value());
  }
  return values;
}

std::optional<Tensor> known_tensor(const Type& type, const Fact& fact) {
  const auto values = known_ints(fact);
  if (!values || !type.is_static()) return {};
  Tensor t(type.dtype, type.dims());
  if (t.size() != int64_t(values->size())) return {};
  for (size_t i = 0; i < values->size(); ++i) set_int(t, int64_t(i), (*values)[i]);
  return t;
}

namespace {
/// The elements of a small integer constant.
Fact constant_fact(const Tensor& t) {
  bool integer = t.dtype() == DType::kInt64 || t.dtype() == DType::kInt32;
  if (!integer || t.rank() > 1 || t.size() > 1024) return {};
  std::vector<Dim> values;
  for (int64_t i = 0; i < t.size(); ++i) values.emplace_back(int_at(t, i));
  return values;
}
}  // namespace

ValueId GraphBuilder::constant(ConstantRef data) {
  if (auto at = constants_.find(data->id); at != constants_.end()) return {at->second, 0};
  graph_.next_constant = std::max(graph_.next_constant, data->id + 1);
  ValueId v{int32_t(graph_.nodes.size()), 0};
  constants_.emplace(data->id, v.node);
  Type type = data->tensor.type();
  Fact fact = constant_fact(data->tensor);
  graph_.nodes.push_back({Constant{std::move(data)}, {}, {std::move(type)}, {std::move(fact)}, {}});
  return v;
}

ValueId GraphBuilder::constant(Tensor tensor, std::string name) {
  tensor = with_normal_bools(tensor);
  auto data = std::make_shared<ConstantData>();
  data->id = fresh_constant_id();
  data->name = std::move(name);
  data->tensor = std::move(tensor);
  return constant(ConstantRef(std::move(data)));
}

namespace {
void unite(std::vector<std::string>& into, const std::vector<std::string>& from) {
  if (from.empty()) return;
  into.insert(into.end(), from.begin(), from.end());
  std::sort(into.begin(), into.end());
  into.erase(std::unique(into.begin(), into.end()), into.end());
}
}  // namespace

std::string place_of(const Node& node) {
  return node.origins.empty() ? node.op.label() : node.origins.front();
}

ValueId GraphBuilder::add(Op op, std::vector<ValueId> inputs, std::vector<std::string> origins,
                          int outputs, const Node* like) {
  for (ValueId v : inputs) {
    CHECK(v.node < int32_t(graph_.nodes.size()));
    CHECK(!v.valid() || size_t(v.output) < graph_.node(v).types.size());
  }
  if (!learned_.empty())
    op.substitute_dims([&](const Dim& d) {
      return d.substitute([&](const std::string& name) {
        auto at = learned_.find(name);
        return at == learned_.end() ? Dim::symbol(name) : at->second;
      });
    });
  uint64_t hash = op.hash();
  for (ValueId v : inputs)
    hash = (hash ^ (uint64_t(uint32_t(v.node)) << 8 | uint32_t(v.output))) * 0x9E3779B97F4A7C15u;
  bool pure = pure_(op);
  if (pure) {
    auto [begin, end] = shared_.equal_range(hash);
    for (auto at = begin; at != end; ++at) {
      Node& n = graph_.nodes[size_t(at->second)];
      if (n.inputs != inputs || !(n.op == op) || (outputs && int(n.types.size()) < outputs))
        continue;
      unite(n.origins, origins);
      return {at->second, 0};
    }
  }
  Inferred inferred;
  try {
    inferred = infer_(*this, op, inputs, outputs, like, &graph_.next_symbol);
  } catch (const Error& e) {
    if (!e.origin().empty() || origins.empty()) throw;
    throw Error(e.kind(), e.message(), origins.front());
  }
  inferred.facts.resize(inferred.types.size());
  ValueId v{int32_t(graph_.nodes.size()), 0};
  std::sort(origins.begin(), origins.end());
  graph_.nodes.push_back({std::move(op), std::move(inputs), std::move(inferred.types),
                          std::move(inferred.facts), std::move(origins)});
  if (pure) shared_.emplace(hash, v.node);
  return v;
}

void GraphBuilder::output(const std::string& name, ValueId value) {
  CHECK(value.valid() && value.node < int32_t(graph_.nodes.size()));
  graph_.outputs.push_back({name, value});
}

Graph GraphBuilder::finish() {
  std::vector<bool> alive = live(graph_.nodes, graph_.outputs);
  for (const auto& i : graph_.inputs) alive[size_t(i.value.node)] = true;
  std::vector<int32_t> renumbered(graph_.nodes.size(), -1);
  std::vector<Node> kept;
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    if (!alive[n]) continue;
    renumbered[n] = int32_t(kept.size());
    for (ValueId& v : graph_.nodes[n].inputs)
      if (v.valid()) v.node = renumbered[size_t(v.node)];
    kept.push_back(std::move(graph_.nodes[n]));
  }
  graph_.nodes = std::move(kept);
  for (auto* list : {&graph_.inputs, &graph_.outputs})
    for (auto& v : *list) v.value.node = renumbered[size_t(v.value.node)];
  auto renumber_keys = [&](auto& table) {
    std::remove_reference_t<decltype(table)> fresh;
    for (auto& [v, what] : table)
      if (int32_t n = renumbered[size_t(v.node)]; n >= 0)
        fresh.emplace(ValueId{n, v.output}, std::move(what));
    table = std::move(fresh);
  };
  renumber_keys(graph_.value_names);
  renumber_keys(graph_.onnx_permutations);
  shared_.clear(), constants_.clear();
  return std::move(graph_);
}

namespace {
/// Fresh symbols of the old types that inference now sees through.
void learn_extents(GraphBuilder& builder, const Type& before, const Type& now) {
  if (!before.has_rank() || !now.has_rank() || before.shape->size() != now.shape->size()) return;
  for (size_t a = 0; a < before.shape->size(); ++a) {
    const Dim &was = (*before.shape)[a], &is = (*now.shape)[a];
    if (was.is_symbol() && was.symbol_name().starts_with("?") && !(was == is))
      builder.learn(was.symbol_name(), is);
  }
}
}  // namespace

void copy_node(GraphBuilder& builder, const Graph& old, int32_t index,
               std::map<ValueId, ValueId>& map) {
  const Node& n = old.nodes[size_t(index)];
  ValueId v;
  if (auto* c = n.op.as<Constant>()) {
    v = builder.constant(c->data);
    unite(builder.graph().nodes[size_t(v.node)].origins, n.origins);
  } else {
    std::vector<ValueId> inputs;
    for (ValueId i : n.inputs) inputs.push_back(i.valid() ? map.at(i) : ValueId{});
    v = builder.add(n.op, std::move(inputs), n.origins, int(n.types.size()), &n);
    for (size_t o = 0; o < n.types.size(); ++o)
      learn_extents(builder, n.types[o], builder.type({v.node, int32_t(o)}));
  }
  for (size_t o = 0; o < n.types.size(); ++o) map[{index, int32_t(o)}] = {v.node, int32_t(o)};
}

Graph rewrite_graph(
    const Graph& old, GraphBuilder builder,
    const std::function<void(GraphBuilder&, int32_t, std::map<ValueId, ValueId>&)>& visit) {
  std::map<ValueId, ValueId> map;
  for (const auto& i : old.inputs) map[i.value] = builder.input(i.name, old.type(i.value));
  std::vector<bool> alive = live_nodes(old);
  for (size_t n = 0; n < old.nodes.size(); ++n)
    if (alive[n] && !old.nodes[n].op.is<Input>()) visit(builder, int32_t(n), map);
  for (const auto& o : old.outputs) builder.output(o.name, map.at(o.value));
  Graph& fresh = builder.graph();
  for (const auto& [v, name] : old.value_names)
    if (auto at = map.find(v); at != map.end()) fresh.value_names.emplace(at->second, name);
  for (const auto& [v, permutation] : old.onnx_permutations)
    if (auto at = map.find(v); at != map.end())
      fresh.onnx_permutations.emplace(at->second, permutation);
  return builder.finish();
}

}  // namespace vitrify
