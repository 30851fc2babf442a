#include "runtime/context.h"

#include <algorithm>

#include "backend/backend.h"
#include "base/error.h"
#include "base/knobs.h"
#include "base/thread_pool.h"
#include "ir/bools.h"
#include "runtime/peak.h"

namespace vitrify {

/// Bindings that a context keeps: more combinations of shapes than this are planned again.
constexpr size_t kCachedBindings = 16;

Context::Context(std::shared_ptr<const Engine> engine, ContextOptions options)
    : engine_(std::move(engine)), options_(options) {
  const Graph& graph = engine_->graph();
  inputs_.resize(graph.inputs.size());
  plain_.resize(graph.inputs.size());
  given_.resize(graph.inputs.size());
  kept_.resize(graph.inputs.size());
  output_memory_.resize(graph.outputs.size());
  output_capacity_.resize(graph.outputs.size());
  input_of_node_.assign(graph.nodes.size(), -1);
  for (size_t i = 0; i < graph.inputs.size(); ++i)
    input_of_node_[size_t(graph.inputs[i].value.node)] = int32_t(i);
  dynamic_.resize(engine_->plans().front().layout.values.size());
  const int pool = ThreadPool::process().size();
  options_.max_threads = options_.max_threads > 0 ? std::min(options_.max_threads, pool) : pool;
  account_ = options_.account;
  if (!account_)
    account_ = std::make_shared<MemoryAccount>(options_.memory_limit > 0 ? options_.memory_limit
                                                                         : usable_memory());
  keeps_subnormals_ = knob_int(Knob::kKeepSubnormals) != 0;
}

Context::~Context() = default;

namespace {
int find_name(const std::vector<NamedValue>& values, std::string_view name) {
  for (size_t i = 0; i < values.size(); ++i)
    if (values[i].name == name) return int(i);
  return -1;
}
}  // namespace

int Context::input_index(std::string_view name) const {
  return find_name(engine_->graph().inputs, name);
}
int Context::output_index(std::string_view name) const {
  return find_name(engine_->graph().outputs, name);
}

void Context::fail_unknown_input(std::string_view name) const {
  for (const Node& n : engine_->graph().nodes)
    if (const Constant* c = n.op.as<Constant>(); c && c->data->name == name)
      fail("'", name, "' is an initializer of the model, built in as a constant; a profile for it ",
           "when building keeps it as an input, if the model lists it as one");
  std::string names;
  for (const auto& i : engine_->graph().inputs) names += cat(names.empty() ? "" : ", ", i.name);
  fail("there is no input '", name, "': the model has ", names);
}

namespace {
/// Checks the items of a sequence but for their extents: models tell these wrongly, and what reads
/// an item checks them.
void check_items(const Type& type, const Value& value, const std::string& what) {
  if (type.kind == Type::Kind::kOptional) return check_items(*type.element, value, what);
  if (value.kind != Value::Kind::kSequence) return;
  for (size_t i = 0; i < value.sequence->size(); ++i) {
    const Value& item = (*value.sequence)[i];
    const std::string name = cat("item ", i, " of ", what);
    require(item.has_value(), name, " must have a value");
    Bindings nothing;
    Type element = *type.element;
    element.shape.reset();
    bind_symbols(element, item, name, nothing);
    check_items(element, item, name);
  }
}
}  // namespace

Status Context::set_input(size_t i, Value value) {
  return guarded([&] {
    const Graph& graph = engine_->graph();
    require(i < inputs_.size(), "there is no input ", i, ": the model has ", inputs_.size());
    const std::string what = cat("input '", graph.inputs[i].name, "'");
    const Type& type = graph.type(graph.inputs[i].value);
    require(value.has_value() || type.kind == Type::Kind::kOptional, what, " must have a value");
    Bindings alone;
    bind_symbols(type, value, what, alone);
    check_items(type, value, what);
    if (value.kind == Value::Kind::kTensor) value.tensor = value.tensor.aligned();
    // A tensor's bools are looked at by every run.
    if (value.kind == Value::Kind::kSequence) value = with_normal_bools(value);
    inputs_[i] = std::move(value);
    given_[i] = true;
  });
}

void Context::check_inputs() {
  const Graph& graph = engine_->graph();
  if (!graph.states.empty()) prepare_states();
  key_.clear();
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Type& type = graph.type(graph.inputs[i].value);
    if (!inputs_[i].has_value() && type.kind != Type::Kind::kOptional)
      fail("input '", graph.inputs[i].name, "' is not set: it must be ", type.str());
    key_.push_back(int64_t(inputs_[i].kind));
    if (inputs_[i].kind != Value::Kind::kTensor) continue;
    for (int64_t d : inputs_[i].tensor.dims()) key_.push_back(d);
    key_.push_back(-1);
  }
}

namespace {
/// "" when the dims lie in the range, else what does not.
std::string outside(const InputRange& range, const Dims& dims) {
  if (dims.size() != range.min.size() || dims.size() != range.max.size())
    return cat("input '", range.name, "' has shape ", str(dims), ", its profile is of rank ",
               range.min.size(), ": rebuild with a --profile of its rank");
  for (size_t a = 0; a < dims.size(); ++a)
    if (dims[a] < range.min[a] || dims[a] > range.max[a])
      return cat("input '", range.name, "' has shape ", str(dims), ", outside of its profile ",
                 str(range.min), " to ", str(range.max), ": rebuild with a wider --profile");
  return "";
}

/// "; the engine's profiles: x [1, 3] to [4, 3], y [2] to [2]; x ..." when there are several to
/// choose from.
std::string all_ranges(const std::vector<LoadedPlan>& plans) {
  if (plans.size() < 2) return "";
  std::string text;
  for (const LoadedPlan& plan : plans) {
    text += text.empty() ? "; the engine's profiles: " : "; or ";
    const char* comma = "";
    for (const InputRange& range : plan.plan.profile.inputs) {
      text += cat(comma, range.name, " ", str(range.min), " to ", str(range.max));
      comma = ", ";
    }
  }
  return text;
}
}  // namespace

const LoadedPlan& Context::choose_plan() const {
  std::string reason;
  for (const LoadedPlan& plan : engine_->plans()) {
    std::string problem;
    for (const InputRange& range : plan.plan.profile.inputs) {
      const int i = input_index(range.name);
      if (i >= 0 && problem.empty() && inputs_[size_t(i)].kind == Value::Kind::kTensor)
        problem = outside(range, inputs_[size_t(i)].tensor.dims());
    }
    if (problem.empty()) return plan;
    if (reason.empty()) reason = problem;
  }
  fail(reason, all_ranges(engine_->plans()));
}

Status Context::bind() {
  const RunScope scope(account_, nullptr);
  const auto or_release = [&](auto make_ready) {
    try {
      make_ready();
    } catch (...) {
      release_memory();
      throw;
    }
  };
  return guarded([&] {
    for (Value& v : plain_) v = {};  // of the last run: inputs may be others since
    check_inputs();
    if (active_ && active_->key == key_) return;
    for (size_t i = 0; i < cache_.size(); ++i)
      if (cache_[i]->binding.key == key_) {
        std::rotate(cache_.begin(), cache_.begin() + ptrdiff_t(i),
                    cache_.begin() + ptrdiff_t(i) + 1);
        return or_release([&] { activate(); });
      }
    const Graph& graph = engine_->graph();
    Bindings symbols;
    for (size_t i = 0; i < inputs_.size(); ++i)
      bind_symbols(graph.type(graph.inputs[i].value), inputs_[i],
                   cat("input '", graph.inputs[i].name, "'"), symbols);
    const LoadedPlan& plan = choose_plan();
    auto fresh = std::unique_ptr<Cached>(new Cached{
        &plan, Binding(*engine_, plan, std::move(symbols), inputs_, options_.max_threads)});
    fresh->binding.key = key_;
    if (verbosity() >= 1)
      log(1, cat("bound new shapes: arena of ", fresh->binding.arena_bytes, " bytes, at least ",
                 fresh->binding.arena_lower_bound, " needed"));
    cache_.insert(cache_.begin(), std::move(fresh));
    active_ = nullptr;
    if (cache_.size() > kCachedBindings) cache_.pop_back();
    or_release([&] {
      try {
        activate();
        bind_bodies();
      } catch (...) {
        cache_.erase(cache_.begin());
        throw;
      }
    });
  });
}

/// What has no room for its shapes must not take any from others.
void Context::release_memory() {
  active_ = nullptr;
  arena_.reset(), scratch_.reset();
  arena_capacity_ = scratch_capacity_ = 0;
  for (auto& memory : output_memory_) memory.reset();
  std::ranges::fill(output_capacity_, 0);
  bodies_.clear();
  ++generation_;
}

/// Device memory, charged as long as it lives.
std::shared_ptr<std::byte> Context::allocate(int64_t bytes) {
  account_->expect_room(bytes);
  auto memory = backends().front()->allocate(bytes);
  account_->charge(bytes);
  std::byte* data = memory.get();
  return {data, [memory = std::move(memory), account = account_, bytes](std::byte*) mutable {
            memory.reset();
            account->release(bytes);
          }};
}

/// Makes the first cached binding the active one, with memory for it.
void Context::activate() {
  active_ = nullptr;
  Cached& cached = *cache_.front();
  if (cached.binding.arena_bytes > arena_capacity_) {
    arena_.reset();
    arena_capacity_ = 0;
    with_claim([&] { return claim_of_arena(*engine_, *cached.plan, cached.binding); },
               [&] { arena_ = allocate(cached.binding.arena_bytes); });
    arena_capacity_ = cached.binding.arena_bytes;
    ++generation_;
  } else if (!arena_) {
    arena_ = allocate(0);
  }
  active_plan_ = cached.plan;
  active_ = &cached.binding;
  try {
    refresh_outputs();
  } catch (...) {
    active_ = nullptr;
    throw;
  }
}

}  // namespace vitrify
