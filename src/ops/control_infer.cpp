// Types that leave a body: what its symbols mean outside, and how branches and iterations join.
#include <map>

#include "base/error.h"
#include "ops/control.h"
#include "ops/sequence.h"

namespace vitrify {

namespace {

/// An extent outside of the body, where it is known there.
using OuterDim = std::optional<Dim>;

/// The body's symbols as extents of the enclosing graph.
class Symbols {
 public:
  void learn(const Dim& inner, const Dim& outer) {
    if (inner.is_symbol()) known_.emplace(inner.symbol_name(), outer);
  }
  /// From a value that enters the body as it is.
  void learn(const Type& inner, const Type& outer) {
    if (!inner.has_rank() || !outer.has_rank() || inner.shape->size() != outer.shape->size())
      return;
    for (size_t a = 0; a < inner.shape->size(); ++a) learn((*inner.shape)[a], (*outer.shape)[a]);
  }
  OuterDim outer(const Dim& inner) const {
    std::set<std::string> symbols;
    inner.collect_symbols(symbols);
    for (const auto& s : symbols)
      if (!known_.count(s)) return {};
    return inner.substitute([&](const std::string& s) { return known_.at(s); });
  }

 private:
  std::map<std::string, Dim> known_;
};

const Type& input_type(const Graph& body, size_t i) { return body.type(body.inputs[i].value); }
const Type& output_type(const Graph& body, size_t i) { return body.type(body.outputs[i].value); }

void check_entry(const Type& inner, const Type& outer, const std::string& name) {
  const Type* given = &outer;
  if (inner.kind != Type::Kind::kOptional && outer.kind == Type::Kind::kOptional)
    given = outer.element.get();
  bool fits =
      inner.kind == given->kind ? inner.dtype == given->dtype : inner.kind == Type::Kind::kOptional;
  require(fits, "the body's input '", name, "' is ", inner.str(), ", given ", outer.str());
}

/// Checks a body's inputs [first, …) against the node's inputs [at, …) and learns their symbols.
void enter(const InferContext& c, const Graph& body, size_t first, int at, int count,
           Symbols& symbols) {
  require(body.inputs.size() >= first + size_t(count), "the body '", body.name, "' has ",
          body.inputs.size(), " inputs, needs ", first + size_t(count));
  for (int i = 0; i < count; ++i) {
    if (!c.has(at + i)) continue;
    const Type& inner = input_type(body, first + size_t(i));
    check_entry(inner, c.type(at + i), body.inputs[first + size_t(i)].name);
    symbols.learn(inner, c.type(at + i));
  }
}

/// A body's result seen from outside, extents fresh where they are not known there.
Type leave(InferContext& c, int output, const Type& inner, const Symbols& symbols) {
  if (inner.kind == Type::Kind::kSequence) return sequence_of(*inner.element);
  if (inner.kind == Type::Kind::kOptional)
    return Type::optional(leave(c, output, *inner.element, symbols));
  if (!inner.has_rank()) return inner;
  Shape shape;
  for (const Dim& d : *inner.shape) {
    OuterDim outer = symbols.outer(d);
    shape.push_back(outer ? *outer : c.fresh(output, int(shape.size())));
  }
  return Type::tensor(inner.dtype, std::move(shape));
}

}  // namespace

// ---- If ----

namespace {

Type join_branches(InferContext& c, int output, const Type& a, const Symbols& sa, const Type& b,
                   const Symbols& sb) {
  if (a.kind == Type::Kind::kOptional && b.kind == Type::Kind::kOptional)
    return Type::optional(join_branches(c, output, *a.element, sa, *b.element, sb));
  require(a.kind == b.kind && a.dtype == b.dtype, "output ", output, " is ", a.str(),
          " in one branch and ", b.str(), " in the other");
  if (a.kind == Type::Kind::kSequence) return sequence_of(join_elements(*a.element, *b.element));
  if (!a.has_rank() || !b.has_rank() || a.shape->size() != b.shape->size())
    return Type::unranked(a.dtype);
  Shape shape;
  for (size_t i = 0; i < a.shape->size(); ++i) {
    OuterDim x = sa.outer((*a.shape)[i]), y = sb.outer((*b.shape)[i]);
    shape.push_back(x && y && *x == *y ? *x : c.fresh(output, int(i)));
  }
  return Type::tensor(a.dtype, std::move(shape));
}

}  // namespace

void infer_if(InferContext& c) {
  const auto& op = *c.op().as<If>();
  require(op.then_graph && op.else_graph, "a branch is missing");
  const Graph &a = *op.then_graph, &b = *op.else_graph;
  c.expect_tensor(0);
  require(c.dtype(0) == DType::kBool, "the condition must be bool, not ", c.type(0).str());
  int else_captures = c.input_count() - 1 - int(op.then_captures);
  require(op.then_captures == int64_t(a.inputs.size()) && else_captures == int(b.inputs.size()),
          "branches must have no inputs but what they capture");
  require(a.outputs.size() == b.outputs.size(), "one branch has ", a.outputs.size(),
          " outputs, the other ", b.outputs.size());
  Symbols sa, sb;
  enter(c, a, 0, 1, int(op.then_captures), sa);
  enter(c, b, 0, 1 + int(op.then_captures), else_captures, sb);
  for (size_t i = 0; i < a.outputs.size(); ++i)
    c.output(join_branches(c, int(i), output_type(a, i), sa, output_type(b, i), sb));
}

// ---- Loop and Scan ----

namespace {

/// Extents that no iteration changes keep their meaning.
void learn_invariants(const Type& entry, const Type& result, const Type& initial,
                      Symbols& symbols) {
  if (!entry.has_rank() || !result.has_rank() || !initial.has_rank()) return;
  size_t rank = entry.shape->size();
  if (result.shape->size() != rank || initial.shape->size() != rank) return;
  for (size_t a = 0; a < rank; ++a)
    if ((*entry.shape)[a] == (*result.shape)[a])
      symbols.learn((*entry.shape)[a], (*initial.shape)[a]);
}

/// A carried value after any number of iterations, none included.
Type carried_type(InferContext& c, int output, const Type& entry, const Type& result,
                  const Type& initial, const Symbols& symbols) {
  if (result.kind == Type::Kind::kSequence) {
    const Type& first = initial.kind == Type::Kind::kOptional ? *initial.element : initial;
    return sequence_of(join_elements(*first.element, *result.element));
  }
  if (result.kind == Type::Kind::kOptional) return result;
  if (!result.has_rank() || !initial.has_rank() || initial.shape->size() != result.shape->size())
    return Type::unranked(result.dtype);
  Shape shape;
  for (size_t a = 0; a < result.shape->size(); ++a) {
    const Dim &after = (*result.shape)[a], &before = (*initial.shape)[a];
    OuterDim outer = symbols.outer(after);
    bool same = (entry.has_rank() && entry.shape->size() > a && (*entry.shape)[a] == after) ||
                (outer && *outer == before);
    shape.push_back(same ? before : c.fresh(output, int(a)));
  }
  return Type::tensor(result.dtype, std::move(shape));
}

/// Outputs 0 … count-1: carried values, which are the body's inputs [entry, …) and outputs
/// [result, …), and the node's inputs [initial, …).
void carry(InferContext& c, const Graph& body, size_t count, size_t entry, size_t result,
           int initial, Symbols& symbols) {
  for (size_t k = 0; k < count; ++k) {
    check_entry(input_type(body, entry + k), c.type(initial + int(k)), body.inputs[entry + k].name);
    check_entry(input_type(body, entry + k), output_type(body, result + k),
                body.inputs[entry + k].name);
    learn_invariants(input_type(body, entry + k), output_type(body, result + k),
                     c.type(initial + int(k)), symbols);
  }
  for (size_t k = 0; k < count; ++k)
    c.output(carried_type(c, int(k), input_type(body, entry + k), output_type(body, result + k),
                          c.type(initial + int(k)), symbols));
}

/// A scan output: `length` elements put together along a new axis.
void collect(InferContext& c, int output, const Type& element, int64_t axis, const OuterDim& length,
             const Symbols& symbols) {
  require(element.is_tensor(), "scan output ", output, " must be a tensor, not ", element.str());
  if (!element.has_rank()) return c.output(Type::unranked(element.dtype));
  int64_t rank = int64_t(element.shape->size()) + 1;
  require(axis >= -rank && axis < rank, "axis ", axis, " is out of range for rank ", rank);
  if (axis < 0) axis += rank;
  Shape shape;
  size_t next = 0;
  for (int64_t a = 0; a < rank; ++a) {
    OuterDim d = a == axis ? length : symbols.outer((*element.shape)[next++]);
    shape.push_back(d ? *d : c.fresh(output, int(a)));
  }
  c.output(Type::tensor(element.dtype, std::move(shape)));
}

/// The number of iterations when it is certain: no condition can end the loop.
OuterDim trip_count(const InferContext& c, const Graph& body) {
  if (!c.has(0) || !c.fact(0) || c.fact(0)->size() != 1) return {};
  auto is_true = [](const Tensor* t) { return t && t->size() == 1 && int_at(*t, 0) != 0; };
  if (c.has(1) && !is_true(c.constant(1))) return {};
  ValueId goes_on = body.outputs[0].value;
  if (goes_on != body.inputs[1].value && !is_true(body.constant(goes_on))) return {};
  return max(c.fact(0)->front(), Dim(0));
}

void expect_scalar(const InferContext& c, int i, DType dtype, std::string_view what) {
  if (!c.has(i)) return;
  c.expect_tensor(i);
  require(c.dtype(i) == dtype, what, " must be ", name(dtype), ", not ", c.type(i).str());
}

}  // namespace

void infer_loop(InferContext& c) {
  const auto& op = *c.op().as<Loop>();
  require(op.body != nullptr, "the body is missing");
  const Graph& body = *op.body;
  expect_scalar(c, 0, DType::kInt64, "the trip count");
  expect_scalar(c, 1, DType::kBool, "the condition");
  size_t carried = size_t(op.carried);
  int captures = c.input_count() - 2 - int(carried);
  require(op.carried >= 0 && captures >= 0, "carries ", op.carried, " values, has ",
          c.input_count(), " inputs");
  require(body.inputs.size() == 2 + carried + size_t(captures), "the body has ", body.inputs.size(),
          " inputs, needs ", 2 + carried + size_t(captures));
  require(body.outputs.size() >= 1 + carried, "the body has ", body.outputs.size(),
          " outputs, needs at least ", 1 + carried);
  const Type& goes_on = output_type(body, 0);
  require(goes_on.is_tensor() && goes_on.dtype == DType::kBool,
          "the body's first output, the condition, must be bool, not ", goes_on.str());
  Symbols symbols;
  enter(c, body, 2 + carried, 2 + int(carried), captures, symbols);
  carry(c, body, carried, 2, 1, 2, symbols);
  OuterDim length = trip_count(c, body);
  for (size_t k = 1 + carried; k < body.outputs.size(); ++k)
    collect(c, int(k - 1), output_type(body, k), 0, length, symbols);
}

namespace {

int64_t axis_of(const Ints& axes, size_t k, int64_t rank) {
  int64_t axis = k < axes.size() ? axes[k] : 0;
  require(axis >= -rank && axis < rank, "scan axis ", axis, " is out of range for rank ", rank);
  return axis < 0 ? axis + rank : axis;
}

/// Learns the symbols of a scan input, and its length.
void enter_scan(const InferContext& c, int at, const Ints& axes, size_t k, const Type& inner,
                Symbols& symbols, OuterDim& length) {
  c.expect_tensor(at);
  require(inner.is_tensor() && inner.dtype == c.dtype(at), "the body takes ", inner.str(),
          ", scan input ", k, " is ", c.type(at).str());
  const Shape* shape = c.shape(at);
  if (!shape) return;
  Shape element = *shape;
  int64_t axis = axis_of(axes, k, int64_t(shape->size()));
  const Dim& own = (*shape)[size_t(axis)];
  require(!length || !length->is_constant() || !own.is_constant() || *length == own,
          "scan inputs have the lengths ", length ? length->str() : "", " and ", own.str());
  if (!length || own.is_constant()) length = own;
  element.erase(element.begin() + axis);
  symbols.learn(inner, Type::tensor(inner.dtype, element));
}

}  // namespace

void infer_scan(InferContext& c) {
  const auto& op = *c.op().as<Scan>();
  require(op.body != nullptr, "the body is missing");
  const Graph& body = *op.body;
  require(op.states >= 0 && op.scan_inputs >= 1 && op.states <= c.input_count() &&
              op.scan_inputs <= c.input_count(),
          "has ", op.states, " states and ", op.scan_inputs, " scan inputs");
  size_t states = size_t(op.states), own = states + size_t(op.scan_inputs);
  require(size_t(c.input_count()) >= own && body.inputs.size() == size_t(c.input_count()),
          "the body has ", body.inputs.size(), " inputs, the node ", c.input_count());
  require(body.outputs.size() >= states, "the body has ", body.outputs.size(),
          " outputs, fewer than states");
  Symbols symbols;
  OuterDim length;
  for (size_t k = states; k < own; ++k)
    enter_scan(c, int(k), op.input_axes, k - states, input_type(body, k), symbols, length);
  enter(c, body, own, int(own), c.input_count() - int(own), symbols);
  carry(c, body, states, 0, 0, 0, symbols);
  for (size_t k = states; k < body.outputs.size(); ++k) {
    int64_t axis = k - states < op.output_axes.size() ? op.output_axes[k - states] : 0;
    collect(c, int(k), output_type(body, k), axis, length, symbols);
  }
}

namespace {
/// Extents of a region's input that are plainly others than those it was made for.
void check_extents(const Type& inner, const Type& outer, const std::string& name) {
  if (!inner.has_rank() || !outer.has_rank()) return;
  bool fits = inner.shape->size() == outer.shape->size();
  for (size_t a = 0; fits && a < inner.shape->size(); ++a) {
    const Dim &in = (*inner.shape)[a], &out = (*outer.shape)[a];
    fits = !in.is_constant() || !out.is_constant() || in == out;
  }
  require(fits, "the graph's input '", name, "' is ", inner.str(), ", given ", outer.str());
}
}  // namespace

void infer_region(InferContext& c) {
  const auto& op = *c.op().as<Region>();
  require(op.graph != nullptr, "the graph is missing");
  require(op.graph->inputs.size() == size_t(c.input_count()), "the graph has ",
          op.graph->inputs.size(), " inputs, the node ", c.input_count());
  Symbols symbols;
  enter(c, *op.graph, 0, 0, c.input_count(), symbols);
  for (int i = 0; i < c.input_count(); ++i)
    if (c.has(i))
      check_extents(input_type(*op.graph, size_t(i)), c.type(i), op.graph->inputs[size_t(i)].name);
  for (size_t i = 0; i < op.graph->outputs.size(); ++i)
    c.output(leave(c, int(i), output_type(*op.graph, i), symbols));
}

}  // namespace vitrify
