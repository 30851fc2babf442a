#include "rewrite/rewriter.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/table.h"

namespace vitrify {

Tensor random_floats(Rng& random, Dims dims) {
  Tensor t(DType::kFloat32, std::move(dims));
  for (int64_t i = 0; i < t.size(); ++i) set_double(t, i, double(random() % 1000) / 250 - 2);
  return t;
}

Pattern any(std::string_view name) {
  Pattern p;
  p.leaf = Pattern::Leaf::kAny;
  p.name = name;
  return p;
}

Pattern constant(std::string_view name) {
  Pattern p;
  p.leaf = Pattern::Leaf::kConstant;
  p.name = name;
  return p;
}

Pattern scalar(float v) {
  Pattern p;
  p.leaf = Pattern::Leaf::kConstant;
  p.constant = v;
  p.is_scalar = true;
  return p;
}

Pattern unary(UnaryKind kind, Pattern x) {
  return op<Unary>(
      {std::move(x)}, [kind](auto&) { return Unary{kind}; },
      [kind](const Unary& u) { return u.kind == kind; });
}

Pattern binary(BinaryKind kind, Pattern a, Pattern b) {
  Pattern p = op<Binary>(
      {std::move(a), std::move(b)}, [kind](auto&) { return Binary{kind}; },
      [kind](const Binary& o) { return o.kind == kind; });
  p.commutes = kind == BinaryKind::kAdd || kind == BinaryKind::kMul || kind == BinaryKind::kMin ||
               kind == BinaryKind::kMax;
  return p;
}

ValueId Match::operator[](std::string_view name) const {
  auto at = values.find(name);
  CHECK(at != values.end());
  return at->second;
}

std::vector<std::string> origins_of(const GraphBuilder& builder,
                                    const std::vector<ValueId>& nodes) {
  std::vector<std::string> all;
  for (ValueId v : nodes) {
    const auto& o = builder.node(v).origins;
    all.insert(all.end(), o.begin(), o.end());
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

ValueId Match::add(Op op, std::vector<ValueId> inputs) {
  return builder_.add(std::move(op), std::move(inputs), origins_of(builder_, nodes));
}

void PassContext::leave_out(std::string_view rule, std::vector<std::string> where) const {
  if (trace && std::ranges::none_of(*trace, [&](const Decision& d) {
        return d.rule == rule && d.where == where && d.effect == kLeftOut;
      }))
    decide(std::string(rule), std::move(where), std::string(kLeftOut));
}

bool Match::is_of_root_type(ValueId v) const {
  if (!(type(v) == type(root_))) return false;
  return type(v).has_rank() || std::ranges::all_of(nodes, [&](ValueId node) {
           return std::ranges::all_of(builder_.node(node).inputs, [&](ValueId input) {
             const Tensor* t = builder_.constant_of(input);
             return !t || t->rank() == 0;
           });
         });
}

namespace {
bool matches_leaf(const Pattern& p, ValueId v, const GraphBuilder& builder) {
  if (p.leaf == Pattern::Leaf::kAny) return true;
  const Tensor* t = builder.constant_of(v);
  if (!t) return false;
  if (!p.is_scalar) return true;
  if (t->size() != 1 || !(is_float(t->dtype()) || is_integer(t->dtype()))) return false;
  // Halves of integers are exact in every type of float; others were rounded by the exporter.
  const double c = double(p.constant);
  const double slack = 2 * c == std::round(2 * c) ? 0 : 1e-6 * std::fabs(c);
  return std::fabs(double_at(*t, 0) - c) <= slack;
}

bool match_at(const Pattern& p, ValueId v, const UseCounts& uses, Match& m, bool root) {
  if (!v.valid()) return false;
  GraphBuilder& builder = m.builder();
  if (!p.name.empty())
    if (auto at = m.values.find(p.name); at != m.values.end() && at->second != v) return false;
  if (p.leaf != Pattern::Leaf::kNode) {
    if (!matches_leaf(p, v, builder)) return false;
    if (!p.name.empty()) m.values[p.name] = v;
    return true;
  }
  const Node& n = builder.node(v);
  if (!p.accepts(n.op) || p.inputs.size() != n.inputs.size()) return false;
  if (!root && !p.shared && uses[v] > 1) return false;
  auto saved_values = m.values;
  auto saved_nodes = m.nodes;
  for (int swap = 0; swap <= int(p.commutes); ++swap) {
    bool ok = true;
    for (size_t i = 0; ok && i < p.inputs.size(); ++i)
      ok = match_at(p.inputs[i], n.inputs[swap ? 1 - i : i], uses, m, false);
    if (ok) {
      if (!p.name.empty()) m.values[p.name] = v;
      m.nodes.push_back(v);
      return true;
    }
    m.values = saved_values;
    m.nodes = saved_nodes;
  }
  return false;
}
}  // namespace

bool match(const Pattern& pattern, ValueId root, const UseCounts& uses, Match& m) {
  return match_at(pattern, root, uses, m, true);
}

Graph rewrite_counted(const Graph& graph, const CountedVisit& visit) {
  auto old_uses = collect_uses(graph);
  std::map<ValueId, int> output_uses;
  for (const auto& o : graph.outputs) ++output_uses[o.value];
  UseCounts uses;
  auto count = [&](ValueId old_value, ValueId v) {
    auto at = output_uses.find(old_value);
    uses.add(v, int(old_uses[size_t(old_value.node)][size_t(old_value.output)].size()) +
                    (at == output_uses.end() ? 0 : at->second));
  };
  return rewrite_graph(graph, make_builder(&graph),
                       [&](GraphBuilder& b, int32_t n, std::map<ValueId, ValueId>& map) {
                         visit(b, n, map, uses);
                         for (size_t o = 0; o < graph.nodes[size_t(n)].types.size(); ++o)
                           if (auto at = map.find({n, int32_t(o)}); at != map.end())
                             count(at->first, at->second);
                       });
}

bool is_named(const Rule& rule, std::string_view name) {
  return rule.name == name || rule.name.substr(0, rule.name.find(" -> ")) == name;
}

namespace {
/// Consumers made inside a replacement count as uses of what they read.
void count_new_nodes(const GraphBuilder& builder, size_t first, UseCounts& uses) {
  for (size_t n = first; n < builder.graph().nodes.size(); ++n)
    for (ValueId v : builder.graph().nodes[n].inputs)
      if (v.valid() && size_t(v.node) >= first) uses.add(v, 1);
}

/// A rule of the walk; one that is left out only tells where it would have fired.
struct RuleInUse {
  const Rule* rule;
  bool left_out;
};

/// The replacement that the rule makes of what it has matched, or no value.
ValueId replacement_of(const Rule& rule, Match& m) {
  const ValueId root = m.root(), v = rule.replacement(m);
  if (!v.valid() || v == root) return {};
  // Equal up to what is proved: a replacement may know a shape better or worse, not another type.
  const Type &is = m.type(v), &was = m.type(root);
  CHECK(is.dtype == was.dtype);
  CHECK(!is.has_rank() || !was.has_rank() || is.shape->size() == was.shape->size());
  return v;
}

Graph apply_once(const Graph& graph, const std::vector<RuleInUse>& rules,
                 const PassContext& context, bool* changed) {
  return rewrite_counted(
      graph, [&](GraphBuilder& b, int32_t n, std::map<ValueId, ValueId>& map, UseCounts& uses) {
        copy_node(b, graph, n, map);
        if (graph.nodes[size_t(n)].op.is<Constant>() || graph.nodes[size_t(n)].types.size() != 1)
          return;
        for (int again = 0; again < 16; ++again) {
          ValueId root = map.at({n, 0});
          bool fired = false;
          for (const auto& [rule, left_out] : rules) {
            Match m(b, root);
            if (!match(rule->pattern, root, uses, m)) continue;
            if (left_out) {
              GraphBuilder scratch = b;  // no node of the model may share what the rule makes
              Match tried(scratch, root);
              tried.values = m.values, tried.nodes = m.nodes;
              if (replacement_of(*rule, tried).valid())
                context.leave_out(rule->name, origins_of(b, m.nodes));
              continue;
            }
            const size_t first = b.graph().nodes.size();
            const ValueId v = replacement_of(*rule, m);
            if (!v.valid()) continue;
            count_new_nodes(b, first, uses);
            map[{n, 0}] = v;
            context.decide(std::string(rule->name), origins_of(b, m.nodes), b.node(v).op.label());
            *changed = fired = true;
            break;
          }
          if (!fired) return;
        }
      });
}
}  // namespace

Graph apply_rules(const Graph& graph, std::span<const Rule> rules, const PassContext& context,
                  int rounds) {
  std::vector<RuleInUse> in_use;
  for (const Rule& r : rules) {
    const bool left_out = std::ranges::any_of(
        context.disabled_rules, [&](const std::string& name) { return is_named(r, name); });
    if (!left_out || context.trace) in_use.push_back({&r, left_out});
  }
  Graph current = graph;
  for (int round = 0; round < rounds; ++round) {
    bool changed = false;
    current = apply_once(current, in_use, context, &changed);
    if (!changed) break;
  }
  return current;
}

}  // namespace vitrify
