#include <algorithm>
#include <filesystem>
#include <fstream>

#include "api/describe.h"
#include "api/handles.h"
#include "base/knobs.h"
#include "ir/value_name.h"
#include "ops/table.h"
#include "runtime/engine_file.h"

using namespace vitrify;  // NOLINT: this file is the boundary
using api::guard;
using api::need;

vitrify_engine::vitrify_engine(std::shared_ptr<const Engine> e) : engine(std::move(e)) {
  const Graph& graph = engine->graph();
  for (const auto& i : graph.inputs) input_types.push_back(graph.type(i.value).str());
  for (const auto& o : graph.outputs) output_types.push_back(graph.type(o.value).str());
}

namespace {

const char* name_at(const std::vector<NamedValue>& values, size_t i) {
  return i < values.size() ? values[i].name.c_str() : nullptr;
}

/// Runs once; a cancel ends one run, this or the next.
Status run(vitrify_context& handle, std::vector<StepTiming>* timings = nullptr) {
  handle.outputs.clear();  // what they hold is for this run to use
  Status status = handle.context.run({.cancelled = &handle.cancelled, .timings = timings});
  handle.cancelled = false;
  return status;
}

api::Json layer(const Context& context, const StepTiming& timing) {
  const Graph& graph = context.engine().graph();
  const LoadedPlan& plan = *context.plan();
  const Step& step = plan.plan.steps[size_t(timing.step)];
  const Node& node = graph.nodes[size_t(step.node)];
  const Binding& binding = *context.binding();
  api::Json row = {{"name", value_name(graph, {step.node, 0})},
                   {"origin", node.origins},
                   {"op", node.op.name()},
                   {"tactic", api::shown_tactic(context.engine(), node, step)},
                   {"config", step.config},
                   {"ms", timing.milliseconds},
                   {"gflops", nullptr},
                   {"gbytes_per_s", nullptr}};
  const OpInfo& info = op_info(node.op);
  std::vector<Dims> in, out;
  for (ValueId v : node.inputs)
    in.push_back(v.valid() ? binding.values[size_t(plan.layout.flat(v))].dims : Dims{});
  for (size_t o = 0; o < node.types.size(); ++o)
    out.push_back(binding.values[size_t(plan.layout.flat({step.node, int32_t(o)}))].dims);
  if (!info.cost || timing.milliseconds <= 0) return row;
  const Cost cost = info.cost(node.op, in, out);
  row["gflops"] = cost.flops / timing.milliseconds / 1e6;
  row["gbytes_per_s"] = cost.bytes / timing.milliseconds / 1e6;
  return row;
}

}  // namespace

extern "C" {

vitrify_status vitrify_list_variables(char** json) {
  return guard([&] {
    need(json, "json");
    api::Json rows = api::Json::array();
    for (const KnobRow& row : knob_table())
      rows.push_back({{"name", row.name}, {"default", row.otherwise}, {"about", row.about}});
    *json = api::give_string(api::to_text({{"variables", rows}}));
  });
}

int vitrify_is_engine(const char* path) {
  std::error_code ignored;  // opening a pipe would wait for who writes into it
  if (!path || !std::filesystem::is_regular_file(path, ignored)) return 0;
  std::ifstream file(path, std::ios::binary);
  char start[8] = {};
  file.read(start, sizeof start);
  return file && looks_like_engine(std::as_bytes(std::span(start)));
}

vitrify_status vitrify_engine_load(const char* path, vitrify_engine** out) {
  return vitrify_engine_load_with(path, nullptr, out);
}
vitrify_status vitrify_engine_load_with(const char* path, const vitrify_load_options* options,
                                        vitrify_engine** out) {
  return guard([&] {
    need(path, "path"), need(out, "out");
    check_knobs();
    Verify verify = Verify::kFull;
    if (options) {
      const vitrify_load_options read = api::read_struct(*options);
      require(read.verify == VITRIFY_VERIFY_FULL || read.verify == VITRIFY_VERIFY_LAZY,
              "there is no way to verify ", int(read.verify));
      if (read.verify == VITRIFY_VERIFY_LAZY) verify = Verify::kLazy;
    }
    *out = new vitrify_engine(load_engine(std::string(path), verify));
  });
}
void vitrify_engine_free(vitrify_engine* engine) { delete engine; }

size_t vitrify_engine_input_count(const vitrify_engine* e) {
  return e ? e->engine->graph().inputs.size() : 0;
}
size_t vitrify_engine_output_count(const vitrify_engine* e) {
  return e ? e->engine->graph().outputs.size() : 0;
}
const char* vitrify_engine_input_name(const vitrify_engine* e, size_t i) {
  return e ? name_at(e->engine->graph().inputs, i) : nullptr;
}
const char* vitrify_engine_output_name(const vitrify_engine* e, size_t i) {
  return e ? name_at(e->engine->graph().outputs, i) : nullptr;
}
size_t vitrify_engine_state_count(const vitrify_engine* e) {
  return e ? e->engine->graph().states.size() : 0;
}
const char* vitrify_engine_state_input(const vitrify_engine* e, size_t i) {
  return i < vitrify_engine_state_count(e) ? e->engine->graph().states[i].input.c_str() : nullptr;
}
const char* vitrify_engine_state_output(const vitrify_engine* e, size_t i) {
  return i < vitrify_engine_state_count(e) ? e->engine->graph().states[i].output.c_str() : nullptr;
}
const char* vitrify_engine_input_type(const vitrify_engine* e, size_t i) {
  return e && i < e->input_types.size() ? e->input_types[i].c_str() : nullptr;
}
const char* vitrify_engine_output_type(const vitrify_engine* e, size_t i) {
  return e && i < e->output_types.size() ? e->output_types[i].c_str() : nullptr;
}

vitrify_status vitrify_engine_input_info(const vitrify_engine* engine, size_t i, vitrify_kind* kind,
                                         vitrify_dtype* dtype, int64_t* rank, int64_t* dims,
                                         size_t room) {
  return guard([&] {
    need(engine, "engine");
    const Graph& graph = engine->engine->graph();
    require(i < graph.inputs.size(), "there is no input ", i);
    const Type& type = graph.type(graph.inputs[i].value);
    if (kind) *kind = vitrify_kind(type.kind);
    if (dtype) *dtype = vitrify_dtype(type.dtype);
    if (rank) *rank = type.has_rank() ? int64_t(type.shape->size()) : -1;
    for (size_t a = 0; dims && type.has_rank() && a < std::min(room, type.shape->size()); ++a)
      dims[a] = (*type.shape)[a].is_constant() ? (*type.shape)[a].value() : -1;
  });
}

vitrify_status vitrify_engine_describe(const vitrify_engine* engine, char** json) {
  return guard([&] {
    need(engine, "engine"), need(json, "json");
    *json = api::give_string(api::to_text(api::describe_engine(*engine->engine)));
  });
}

vitrify_status vitrify_context_create(const vitrify_engine* engine,
                                      const vitrify_context_options* options,
                                      vitrify_context** out) {
  return guard([&] {
    need(engine, "engine"), need(out, "out");
    ContextOptions given;
    if (options) {
      const vitrify_context_options read = api::read_struct(*options);
      given = {read.max_threads, read.memory_limit};
    }
    *out = new vitrify_context(engine->engine, given);
  });
}
void vitrify_context_free(vitrify_context* context) { delete context; }

vitrify_status vitrify_context_set_input(vitrify_context* context, const char* name,
                                         const vitrify_value* value) {
  return guard([&] {
    need(context, "context"), need(name, "name"), need(value, "value");
    const int i = context->context.input_index(name);
    if (i < 0) context->context.fail_unknown_input(name);
    context->context.set_input(size_t(i), kept(value->value)).check();
  });
}

vitrify_status vitrify_context_set_input_data(vitrify_context* context, const char* name,
                                              vitrify_dtype dtype, size_t rank, const int64_t* dims,
                                              const void* data) {
  return guard([&] {
    need(context, "context"), need(name, "name");
    require(
        int(dtype) > 0 && int(dtype) < kDTypeCount && dtype != VITRIFY_STRING && rank <= kMaxRank,
        "data of this type or rank cannot be given in place");
    if (rank) need(dims, "dims");
    const int i = context->context.input_index(name);
    if (i < 0) context->context.fail_unknown_input(name);
    Tensor view = Tensor::view(DType(dtype), Dims(dims, dims + rank), data);
    if (view.bytes()) need(data, "data");
    context->context.set_input(size_t(i), Value(std::move(view))).check();
  });
}

vitrify_status vitrify_context_run(vitrify_context* context) {
  if (!context) return api::failed(VITRIFY_USER_ERROR, "context must not be NULL");
  return api::report(run(*context));
}

void vitrify_context_cancel(vitrify_context* context) {
  if (context) context->cancelled = true;
}

const vitrify_value* vitrify_context_output(vitrify_context* context, size_t i) {
  if (!context || i >= context->context.engine().graph().outputs.size()) return nullptr;
  try {
    context->outputs.resize(context->context.engine().graph().outputs.size());
    if (!context->outputs[i])
      context->outputs[i] = std::make_unique<vitrify_value>(context->context.output(i));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  return context->outputs[i].get();
}

void vitrify_context_reset(vitrify_context* context) {
  if (context) context->context.reset();
}

vitrify_status vitrify_context_get_stats(const vitrify_context* context,
                                         vitrify_context_stats* stats) {
  return guard([&] {
    need(context, "context"), need(stats, "stats");
    vitrify_context_stats all = api::read_struct(*stats);
    const Binding* binding = context->context.binding();
    require(binding != nullptr, "no shapes are bound: run the context first");
    all.arena_bytes = binding->arena_bytes;
    all.arena_lower_bound_bytes = binding->arena_lower_bound;
    all.weight_bytes = context->context.engine().weight_bytes();
    const Plan& plan = context->context.plan()->plan;
    all.steps = int32_t(plan.steps.size());
    all.reference_steps = context->context.engine().reference_steps(plan);
    std::memcpy(stats, &all, std::min(stats->struct_size, sizeof all));
  });
}

vitrify_status vitrify_context_profile(vitrify_context* context, char** json) {
  Status status;
  const vitrify_status result = guard([&] {
    need(context, "context"), need(json, "json");
    std::vector<StepTiming> timings;
    status = run(*context, &timings);
    if (!status.ok) return;
    api::Json layers = api::Json::array();
    for (const StepTiming& t : timings) layers.push_back(layer(context->context, t));
    *json = api::give_string(api::to_text({{"layers", layers}}));
  });
  return status.ok ? result : api::report(status);
}

}  // extern "C"
