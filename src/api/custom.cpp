#include "ops/custom.h"

#include <deque>

#include "api/handles.h"
#include "ir/bools.h"

using namespace vitrify;  // NOLINT: this file is the boundary
using api::guard;
using api::need;

struct vitrify_custom_shape {
  InferContext& context;
  std::deque<std::string> texts;  // of extents that were asked for
  int outputs = 0;
};

struct vitrify_custom_call {
  ReferenceCall& call;
  std::vector<std::unique_ptr<vitrify_value>> inputs;
  std::vector<bool> made;  // per output: the function has asked for its memory
};

namespace {

const Op& op_of(const vitrify_custom_call& call) { return call.call.op(); }
const Op& op_of(const vitrify_custom_shape& shape) { return shape.context.op(); }

template <class T, class Handle>
const T* attribute(const Handle* handle, const char* name) {
  if (!handle || !name) return nullptr;
  const Custom& op = *op_of(*handle).template as<Custom>();
  for (size_t i = 0; i < op.names.size() && i < op.values.size(); ++i)
    if (op.names[i] == name) return std::get_if<T>(&op.values[i]);
  return nullptr;
}

template <class T, class Handle>
T number(const Handle* handle, const char* name, T otherwise) {
  const T* found = attribute<T>(handle, name);
  return found ? *found : otherwise;
}

template <class Handle>
const char* text(const Handle* handle, const char* name, const char* otherwise) {
  const auto* found = attribute<std::string>(handle, name);
  return found ? found->c_str() : otherwise;
}

template <class T, class Handle>
const T* list(const Handle* handle, const char* name, size_t* count) {
  const auto* found = attribute<std::vector<T>>(handle, name);
  if (count) *count = found ? found->size() : 0;
  return found ? found->data() : nullptr;
}

std::string label(const Op& op) {
  const Custom& custom = *op.as<Custom>();
  return cat(custom.domain, ".", custom.op);
}

void infer(InferContext& c, vitrify_custom_shape_fn shape, void* user) {
  vitrify_custom_shape handle{c, {}, 0};
  const int status = shape(&handle, user);
  require(status == 0, "the shape function of ", label(c.op()), " refuses with ", status);
  require(handle.outputs > 0, "the shape function of ", label(c.op()), " names no output");
}

void compute(ReferenceCall& c, vitrify_custom_compute_fn function, void* user) {
  vitrify_custom_call handle{c, {}, std::vector<bool>(size_t(c.output_count()))};
  for (int i = 0; i < c.input_count(); ++i)
    handle.inputs.push_back(std::make_unique<vitrify_value>(c.value(i)));
  const int status = function(&handle, user);
  require(status == 0, label(c.op()), " failed with ", status);
  for (int o = 0; o < c.output_count(); ++o) {
    require(handle.made[size_t(o)], label(c.op()), " has not filled output ", o);
    if (!has_normal_bools(c.result(o))) c.set(o, with_normal_bools(c.result(o)));
  }
}

}  // namespace

extern "C" {

vitrify_status vitrify_register_custom_op(const char* domain, const char* name,
                                          vitrify_custom_shape_fn shape,
                                          vitrify_custom_compute_fn function, void* user) {
  return guard([&] {
    need(domain, "domain"), need(name, "name");
    require(shape && function, "a custom operator needs a shape and a compute function");
    register_custom_op({domain, name, [=](InferContext& c) { infer(c, shape, user); },
                        [=](ReferenceCall& c) { compute(c, function, user); }});
  });
}

size_t vitrify_custom_shape_input_count(const vitrify_custom_shape* shape) {
  return shape ? size_t(shape->context.input_count()) : 0;
}

static bool has_input(const vitrify_custom_shape* shape, size_t i) {
  return shape && i < size_t(shape->context.input_count()) && shape->context.has(int(i));
}

vitrify_dtype vitrify_custom_shape_input_dtype(const vitrify_custom_shape* shape, size_t i) {
  return has_input(shape, i) ? vitrify_dtype(shape->context.dtype(int(i))) : VITRIFY_UNDEFINED;
}

int64_t vitrify_custom_shape_input_rank(const vitrify_custom_shape* shape, size_t i) {
  if (!has_input(shape, i)) return -1;
  const Shape* dims = shape->context.shape(int(i));
  return dims ? int64_t(dims->size()) : -1;
}

const char* vitrify_custom_shape_input_dim(vitrify_custom_shape* shape, size_t i, size_t axis) {
  const int64_t rank = vitrify_custom_shape_input_rank(shape, i);
  if (rank < 0 || axis >= size_t(rank)) return nullptr;
  shape->texts.push_back((*shape->context.shape(int(i)))[axis].str());
  return shape->texts.back().c_str();
}

vitrify_status vitrify_custom_shape_output(vitrify_custom_shape* shape, vitrify_dtype dtype,
                                           size_t rank, const char* const* dims) {
  return guard([&] {
    need(shape, "shape");
    require(int(dtype) > 0 && int(dtype) < kDTypeCount && rank <= kMaxRank,
            "bad element type or rank");
    if (rank) need(dims, "dims");
    Shape extents;
    for (size_t a = 0; a < rank; ++a) {
      need(dims[a], "an extent");
      const std::string text = dims[a];
      extents.push_back(text == "?" ? shape->context.fresh(shape->outputs, int(a))
                                    : Dim::parse(text));
    }
    shape->context.output(Type::tensor(DType(dtype), std::move(extents)));
    ++shape->outputs;
  });
}

size_t vitrify_custom_input_count(const vitrify_custom_call* call) {
  return call ? call->inputs.size() : 0;
}

const vitrify_value* vitrify_custom_input(vitrify_custom_call* call, size_t i) {
  return call && i < call->inputs.size() ? call->inputs[i].get() : nullptr;
}

void* vitrify_custom_output(vitrify_custom_call* call, size_t i, vitrify_dtype dtype, size_t rank,
                            const int64_t* dims) {
  void* data = nullptr;
  const vitrify_status status = guard([&] {
    need(call, "call");
    require(i < size_t(call->call.output_count()), "there is no output ", i);
    require(
        int(dtype) > 0 && int(dtype) < kDTypeCount && dtype != VITRIFY_STRING && rank <= kMaxRank,
        "bad element type or rank");
    if (rank) need(dims, "dims");
    data = call->call.out(int(i), DType(dtype), Dims(dims, dims + rank)).raw();
    call->made[i] = true;
  });
  return status == VITRIFY_OK ? data : nullptr;
}

int64_t vitrify_custom_int(const vitrify_custom_call* call, const char* name, int64_t otherwise) {
  return number(call, name, otherwise);
}
double vitrify_custom_float(const vitrify_custom_call* call, const char* name, double otherwise) {
  return number(call, name, otherwise);
}
const char* vitrify_custom_string(const vitrify_custom_call* call, const char* name,
                                  const char* otherwise) {
  return text(call, name, otherwise);
}
const int64_t* vitrify_custom_ints(const vitrify_custom_call* call, const char* name,
                                   size_t* count) {
  return list<int64_t>(call, name, count);
}
const double* vitrify_custom_floats(const vitrify_custom_call* call, const char* name,
                                    size_t* count) {
  return list<double>(call, name, count);
}

int64_t vitrify_custom_shape_int(const vitrify_custom_shape* shape, const char* name,
                                 int64_t otherwise) {
  return number(shape, name, otherwise);
}
double vitrify_custom_shape_float(const vitrify_custom_shape* shape, const char* name,
                                  double otherwise) {
  return number(shape, name, otherwise);
}
const char* vitrify_custom_shape_string(const vitrify_custom_shape* shape, const char* name,
                                        const char* otherwise) {
  return text(shape, name, otherwise);
}
const int64_t* vitrify_custom_shape_ints(const vitrify_custom_shape* shape, const char* name,
                                         size_t* count) {
  return list<int64_t>(shape, name, count);
}

}  // extern "C"
