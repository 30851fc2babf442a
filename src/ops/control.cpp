#include "ops/control.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/run_scope.h"
#include "ops/interpreter.h"
#include "ops/parts.h"

namespace vitrify {

namespace {

bool is_true(const Tensor& t) {
  require(t.dtype() == DType::kBool && t.size() == 1, "a condition must be one bool, not ",
          t.type().str());
  return int_at(t, 0) != 0;
}

/// Inputs [first, first + count) of a call; all that follow when count is left out.
std::vector<Value> values_of(const ReferenceCall& call, int first, int count) {
  std::vector<Value> values;
  for (int i = first; i < first + count; ++i) values.push_back(call.value(i));
  return values;
}

/// The body's symbols as bound by `values`, its inputs [first, …).
Bindings bind_body(const Graph& body, size_t first, std::span<const Value> values) {
  Bindings bound;
  for (size_t i = 0; i < values.size(); ++i) {
    const Type& type = body.type(body.inputs.at(first + i).value);
    const Dims& dims = values[i].tensor.dims();
    if (!type.has_rank() || type.shape->size() != dims.size()) continue;
    for (size_t a = 0; a < dims.size(); ++a)
      if (const Dim& d = (*type.shape)[a]; d.is_symbol()) bound.emplace(d.symbol_name(), dims[a]);
  }
  return bound;
}

/// The extent under `bound`; 0 when it is not known without a run of the body.
int64_t extent_or_zero(const Dim& d, const Bindings& bound) {
  std::set<std::string> symbols;
  d.collect_symbols(symbols);
  for (const auto& s : symbols)
    if (!bound.count(s)) return 0;
  return std::max<int64_t>(d.eval([&](const std::string& s) { return bound.at(s); }), 0);
}

/// A scan output of `parts`; without any, an empty tensor of the element's extents as far as they
/// are known.
Tensor collect(const std::vector<Tensor>& parts, int64_t axis, const Type& element,
               const Bindings& bound) {
  if (!parts.empty()) return stack_axis(parts, axis < 0 ? axis + parts[0].rank() + 1 : axis);
  Dims dims;
  if (element.has_rank())
    for (const Dim& d : *element.shape) dims.push_back(extent_or_zero(d, bound));
  int64_t rank = int64_t(dims.size()) + 1;
  require(axis >= -rank && axis < rank, "axis ", axis, " is out of range for rank ", rank);
  dims.insert(dims.begin() + (axis < 0 ? axis + rank : axis), 0);
  return Tensor(element.dtype, std::move(dims));
}

const Type& output_type(const Graph& body, size_t i) { return body.type(body.outputs[i].value); }

}  // namespace

void reference_if(ReferenceCall& call) {
  const auto& op = *call.op().as<If>();
  int then_count = int(op.then_captures), all = call.input_count() - 1;
  bool then = is_true(call.in(0));
  std::vector<Value> results =
      then ? call.run_body(*op.then_graph, values_of(call, 1, then_count))
           : call.run_body(*op.else_graph, values_of(call, 1 + then_count, all - then_count));
  for (int i = 0; i < call.output_count(); ++i) call.set(i, std::move(results.at(size_t(i))));
}

void reference_region(ReferenceCall& call) {
  std::vector<Value> results =
      call.run_body(*call.op().as<Region>()->graph, values_of(call, 0, call.input_count()));
  for (int i = 0; i < call.output_count(); ++i) call.set(i, std::move(results.at(size_t(i))));
}

namespace {

/// A scalar of the body's own rank: some bodies take [1] for it.
Tensor scalar_for(const Graph& body, size_t input, DType dtype, int64_t value) {
  const Type& t = body.type(body.inputs[input].value);
  Tensor s(dtype, t.has_rank() && t.shape->size() == 1 ? Dims{1} : Dims{});
  set_int(s, 0, value);
  return s;
}

/// Tensors that scan outputs are made of, by output.
struct Parts : std::vector<std::vector<Tensor>> {
  using vector::vector;
  int64_t total = 0;  ///< bytes that all need once they are stacked, or more
};

void keep_parts(std::vector<Value>& results, size_t first, Parts& parts) {
  for (size_t k = 0; k < parts.size(); ++k) {
    Value& v = results.at(first + k);
    require(v.kind == Value::Kind::kTensor, "a scan output must be a tensor");
    parts.total += int64_t(std::max(v.tensor.bytes(), sizeof(Tensor)));
    parts[k].push_back(std::move(v.tensor));
  }
  // Parts may share one tensor's memory: an endless loop would go unnoticed until they are stacked.
  if (RunScope* scope = RunScope::current(); scope && scope->account())
    scope->account()->expect_room(parts.total);
}

}  // namespace

void reference_loop(ReferenceCall& call) {
  const auto& op = *call.op().as<Loop>();
  const Graph& body = *op.body;
  size_t carried = size_t(op.carried);
  int64_t trips = INT64_MAX;
  if (call.has(0)) {
    require(call.in(0).size() == 1, "the trip count must be one number, not ",
            str(call.in(0).dims()));
    trips = int_at(call.in(0), 0);
  }
  bool goes_on = !call.has(1) || is_true(call.in(1));
  std::vector<Value> state = values_of(call, 2, int(carried));
  std::vector<Value> captures =
      values_of(call, 2 + int(carried), call.input_count() - 2 - int(carried));
  Bindings bound = bind_body(body, 2, state);
  bound.merge(bind_body(body, 2 + carried, captures));
  Parts parts(body.outputs.size() - 1 - carried);
  for (int64_t i = 0; i < trips && goes_on; ++i) {
    check_cancelled();  // a body may be empty, and the loop endless
    std::vector<Value> inputs{scalar_for(body, 0, DType::kInt64, i),
                              scalar_for(body, 1, DType::kBool, 1)};
    inputs.insert(inputs.end(), state.begin(), state.end());
    inputs.insert(inputs.end(), captures.begin(), captures.end());
    std::vector<Value> results = call.run_body(body, std::move(inputs));
    goes_on = is_true(results.at(0).tensor);
    for (size_t k = 0; k < carried; ++k) state[k] = results.at(1 + k);
    keep_parts(results, 1 + carried, parts);
  }
  for (int i = 0; i < call.output_count(); ++i) {
    size_t k = size_t(i) - carried;
    call.set(i, size_t(i) < carried
                    ? state[size_t(i)]
                    : Value(collect(parts.at(k), 0, output_type(body, size_t(i) + 1), bound)));
  }
}

namespace {

struct ScanInput {
  Tensor tensor;
  int64_t axis = 0;
  bool reverse = false;
};

std::vector<ScanInput> scan_inputs(const ReferenceCall& call, const Scan& op) {
  std::vector<ScanInput> inputs;
  for (size_t k = 0; k < size_t(op.scan_inputs); ++k) {
    ScanInput s{call.in(int(op.states) + int(k))};
    int64_t axis = k < op.input_axes.size() ? op.input_axes[k] : 0, rank = s.tensor.rank();
    require(axis >= -rank && axis < rank, "scan axis ", axis, " is out of range for rank ", rank);
    s.axis = axis < 0 ? axis + rank : axis;
    s.reverse = k < op.input_reverse.size() && op.input_reverse[k] != 0;
    inputs.push_back(std::move(s));
  }
  int64_t length = inputs[0].tensor.dims()[size_t(inputs[0].axis)];
  for (const ScanInput& s : inputs)
    require(s.tensor.dims()[size_t(s.axis)] == length, "scan inputs have the lengths ", length,
            " and ", s.tensor.dims()[size_t(s.axis)]);
  return inputs;
}

/// What a scan input binds: its extents without the scanned axis.
Bindings bind_scanned(const Graph& body, size_t input, const ScanInput& s) {
  Dims dims = s.tensor.dims();
  dims.erase(dims.begin() + s.axis);
  Value shaped = Tensor::view(s.tensor.dtype(), std::move(dims), nullptr);  // read for its extents
  return bind_body(body, input, {&shaped, 1});
}

}  // namespace

void reference_scan(ReferenceCall& call) {
  const auto& op = *call.op().as<Scan>();
  const Graph& body = *op.body;
  size_t states = size_t(op.states), own = states + size_t(op.scan_inputs);
  std::vector<ScanInput> scanned = scan_inputs(call, op);
  int64_t length = scanned[0].tensor.dims()[size_t(scanned[0].axis)];
  std::vector<Value> state = values_of(call, 0, int(states));
  std::vector<Value> captures = values_of(call, int(own), call.input_count() - int(own));
  Bindings bound = bind_body(body, 0, state);
  bound.merge(bind_body(body, own, captures));
  for (size_t k = 0; k < scanned.size(); ++k)
    bound.merge(bind_scanned(body, states + k, scanned[k]));
  Parts parts(body.outputs.size() - states);
  for (int64_t t = 0; t < length; ++t) {
    check_cancelled();
    std::vector<Value> inputs = state;
    for (const ScanInput& s : scanned)
      inputs.emplace_back(take_axis(s.tensor, s.axis, s.reverse ? length - 1 - t : t));
    inputs.insert(inputs.end(), captures.begin(), captures.end());
    std::vector<Value> results = call.run_body(body, std::move(inputs));
    for (size_t k = 0; k < states; ++k) state[k] = results.at(k);
    keep_parts(results, states, parts);
  }
  for (size_t i = 0; i < size_t(call.output_count()); ++i) {
    if (i < states) {
      call.set(int(i), state[i]);
      continue;
    }
    size_t k = i - states;
    if (k < op.output_reverse.size() && op.output_reverse[k])
      std::reverse(parts.at(k).begin(), parts[k].end());
    int64_t axis = k < op.output_axes.size() ? op.output_axes[k] : 0;
    call.set(int(i), collect(parts.at(k), axis, output_type(body, i), bound));
  }
}

}  // namespace vitrify
