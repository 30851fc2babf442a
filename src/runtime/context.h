// Context: a running engine. One caller at a time; any number of contexts share an engine.
//
//   Context context(engine);
//   context.set_input(0, tensor).check();
//   context.run().check();
//   context.output(0)  // stays valid until the next run
//
// Nothing here throws but constructors. After a first run on a combination of input shapes, `run`
// on it does not allocate, unless a step runs on a reference kernel or its extents depend on data.
#pragma once

#include <atomic>

#include "runtime/binding.h"
#include "runtime/status.h"

namespace vitrify {

struct ContextOptions {
  int max_threads = 0;       ///< 0: all of the process's pool
  int64_t memory_limit = 0;  ///< bytes that the context may hold; 0: the machine's memory
};

struct StepTiming {
  int32_t step = -1;
  double milliseconds = 0;
};

struct RunOptions {
  const std::atomic<bool>* cancelled = nullptr;  ///< looked at between steps
  std::vector<StepTiming>* timings = nullptr;    ///< filled with a row a step
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
  /// Sets the states (Graph::states) back to zero.
  void reset();

  /// Of the bound shapes; null before `bind`.
  const Binding* binding() const { return active_; }
  const LoadedPlan* plan() const { return active_plan_; }

 private:
  struct Cached;
  void check_inputs();
  void prepare_states();
  const LoadedPlan& choose_plan() const;
  void activate();
  void refresh_outputs();
  void point_outputs(const LoadedPlan& plan, Binding& binding) const;
  void charge(int64_t bytes);
  void run_all(const RunOptions& options);
  void run_step(size_t s, const RunOptions& options);
  void run_reference_step(size_t s, const RunOptions& options);
  std::vector<Value> run_body(const Graph& body, std::vector<Value> inputs,
                              const RunOptions& options);
  void run_tactic_step(size_t s, const RunOptions& options);
  void take_dynamic(size_t s, std::span<Value> results);
  bool outputs_are_stale() const;
  void finish_outputs();
  void keep_states();
  std::byte* pointer(int32_t v) const;
  Value value_of(int32_t v) const;

  std::shared_ptr<const Engine> engine_;
  ContextOptions options_;
  std::vector<Value> inputs_;
  std::vector<bool> given_;  ///< per input: set by the caller, not a state
  std::vector<std::unique_ptr<Cached>> cache_;
  Binding* active_ = nullptr;
  const LoadedPlan* active_plan_ = nullptr;
  std::vector<int64_t> key_;
  std::shared_ptr<std::byte> arena_, scratch_;
  int64_t arena_capacity_ = 0, scratch_capacity_ = 0;
  std::vector<std::shared_ptr<std::byte>> output_memory_;
  std::vector<int64_t> output_capacity_;
  std::vector<int32_t> output_of_root_;  ///< per value of the active plan
  std::vector<int32_t> input_of_node_;
  uint64_t generation_ = 1;
  std::vector<Value> dynamic_;  ///< per value
  int64_t dynamic_bytes_ = 0;
  bool has_run_ = false;
  std::map<const Graph*, std::unique_ptr<Context>> bodies_;  ///< made when they first run
};

}  // namespace vitrify
