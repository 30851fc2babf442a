// Context: a running engine. One caller at a time; any number of contexts share an engine.
//
//   Context context(engine);
//   context.set_input(0, tensor).check();
//   context.run().check();
//   context.output(0)  // stays valid until the next run
//
// Nothing here throws but constructors. After a first run on a combination of input shapes, `run`
// on it does not allocate, unless a step runs on a reference kernel or its extents depend on data,
// or a state was set or reset since the last run. Control flow over planned bodies whose iterations
// keep their extents counts as what its bodies run.
//
// The memory limit covers the arena, output buffers, scratch memory, states and every tensor that a
// run makes, each charged before it is allocated. Not covered: the engine and its weights, inputs
// and values that the caller made, what binding tactics to shapes takes (tables of a few KiB), the
// characters of strings, and buffers within reference kernels that are no tensors (at most a few
// times the size of the node's operands).
//
// Bools: any byte but 0 is true in an input; kernels get 0 and 1. A bool input with other bytes is
// read through a copy, made anew at every run, because the caller may write to the data between.
#pragma once

#include <atomic>

#include "base/run_scope.h"
#include "runtime/binding.h"
#include "runtime/status.h"

namespace vitrify {

struct ContextOptions {
  int max_threads = 0;       ///< 0: all of the process's pool
  int64_t memory_limit = 0;  ///< bytes that the context may hold; 0: as many as the process may
  std::shared_ptr<MemoryAccount> account = nullptr;  ///< charged instead of one with that limit
};

struct StepTiming {
  int32_t step = -1;
  double milliseconds = 0;
};

struct RunOptions {
  /// Looked at between steps, between the parts that a step's kernel is divided into, and by
  /// reference kernels of control flow at every iteration and node; not within any other reference
  /// kernel. A cancelled run leaves states as they were, outputs undefined.
  const std::atomic<bool>* cancelled = nullptr;
  std::vector<StepTiming>* timings = nullptr;  ///< filled with a row a step
};

class Context {
 public:
  explicit Context(std::shared_ptr<const Engine> engine, ContextOptions options = {});
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const Engine& engine() const { return *engine_; }
  int input_index(std::string_view name) const;  ///< -1: none
  int output_index(std::string_view name) const;
  /// Throws a user error that names the inputs that there are.
  [[noreturn]] void fail_unknown_input(std::string_view name) const;

  /// Gives graph input i its value, whose data must live until it is replaced or the context ends.
  /// An error names the input, what it must be and what it is.
  Status set_input(size_t i, Value value);
  /// Chooses the plan for the inputs' shapes and prepares everything that depends on them. `run`
  /// does it where needed.
  Status bind();
  Status run(const RunOptions& options = {});
  /// Output i of the last good run; valid until the next.
  const Value& output(size_t i) const;
  /// Forgets the states (Graph::states), also those that were set as inputs: the next run starts
  /// with zeros, and with no elements along an extent that no other input tells.
  void reset();

  /// Of the bound shapes; null before `bind`.
  const Binding* binding() const { return active_; }
  const LoadedPlan* plan() const { return active_plan_; }

 private:
  struct Cached {
    const LoadedPlan* plan;
    Binding binding;
  };
  void check_inputs();
  void prepare_states();
  const LoadedPlan& choose_plan() const;
  void activate();
  void release_memory();
  void refresh_outputs();
  void point_values(const LoadedPlan& plan, Binding& binding) const;
  void lend_operands(const LoadedPlan& plan, Binding& binding) const;
  void bind_bodies();
  std::shared_ptr<std::byte> allocate(int64_t bytes);
  void forget_results();
  void normalize_bools();
  const Value& input(size_t i) const { return plain_[i].has_value() ? plain_[i] : inputs_[i]; }
  void run_all(const RunOptions& options);
  void run_step(size_t s);
  void log_step(size_t s, double milliseconds) const;
  void run_reference_step(size_t s);
  Context& body_context(const Graph& body, std::shared_ptr<const Engine> engine);
  std::vector<Value> run_body(const Graph& body, std::vector<Value> inputs);
  Value lent_operand(const LoadedPlan& plan, const Binding& binding, size_t s, size_t i) const;
  Context& enter_body(size_t s, int which);
  bool keeps_extents(size_t s, const Context& body) const;
  bool run_in_place(size_t s);
  static void run_entered(Context& body);
  void run_if(size_t s);
  void run_loop(size_t s);
  void run_scan(size_t s);
  void start_carried(size_t s);
  void take_iteration(size_t s, const Context& body, int64_t i);
  const std::byte* scalar_input(size_t s, size_t i, std::string_view what) const;
  const Dims& dims_of_input(size_t s, size_t i) const;
  const Node& node_of(size_t s) const;
  void run_tactic_step(size_t s);
  void take_dynamic(size_t s, std::span<Value> results);
  bool outputs_are_stale() const;
  void finish_outputs();
  void keep_states();
  std::byte* pointer(int32_t v) const { return pointer(*active_plan_, *active_, v); }
  std::byte* pointer(const LoadedPlan& plan, const Binding& binding, int32_t v) const;
  Value value_of(int32_t v) const;

  std::shared_ptr<const Engine> engine_;
  ContextOptions options_;
  std::shared_ptr<MemoryAccount> account_;
  bool keeps_subnormals_ = false;
  std::vector<Value> inputs_;
  std::vector<Value> plain_;  ///< per input: the copy with normal bools that the run reads, if any
  std::vector<bool> given_;   ///< per input: set by the caller, not a state
  std::vector<bool> kept_;    ///< per input: a state that a run has left
  std::vector<std::unique_ptr<Cached>> cache_;
  Binding* active_ = nullptr;
  const LoadedPlan* active_plan_ = nullptr;
  std::vector<int64_t> key_;
  std::shared_ptr<std::byte> arena_, scratch_;
  int64_t arena_capacity_ = 0, scratch_capacity_ = 0;
  std::vector<std::shared_ptr<std::byte>> output_memory_;
  std::vector<int64_t> output_capacity_;
  std::vector<int32_t> input_of_node_;
  uint64_t generation_ = 1;
  std::vector<Value> dynamic_;  ///< per value
  bool has_run_ = false;
  bool is_body_ = false;
  std::map<const Graph*, std::unique_ptr<Context>> bodies_;  ///< made when they first run
};

/// A value of its own: what a context gives out is overwritten by its next run.
Value copy_of(const Value& value);
/// The value, copied where its memory is another's, who may use it for something else.
Value kept(const Value& value);

}  // namespace vitrify
