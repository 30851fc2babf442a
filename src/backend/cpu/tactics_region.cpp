// The tactic of a convolution whose result only a pool reads: bands of rows of the convolution are
// computed into a buffer that stays in cache, and pooled from there.
//
// A task is a stretch of pooled rows of one image. Rows that two bands of a task share stay in the
// buffer; rows that two tasks share are computed twice. The tactic is made of the rows of conv and
// pool: their refusals, packed weights, kernels and epilogues are the same, and so is the result,
// up to the order in which a product sums in tiles of other heights.
#include <algorithm>
#include <cstring>
#include <map>

#include "backend/cpu/families.h"
#include "backend/cpu/kernels/slots.h"
#include "backend/cpu/region_bound.h"
#include "backend/cpu/tactic_parts.h"
#include "base/error.h"
#include "base/thread_pool.h"

namespace vitrify::cpu {

namespace {

constexpr int64_t kManyTasks = 16, kFewTasks = 4;
constexpr std::string_view kTasksWord = " tasks=";

const Tactic& row_of(std::span<const Tactic> rows, std::string_view op) {
  return *std::find_if(rows.begin(), rows.end(), [&](const Tactic& t) { return t.op == op; });
}
const Tactic& conv_row() { return row_of(conv_tactics(), Conv::kName); }
const Tactic& pool_row() { return row_of(pool_tactics(), Pool::kName); }

// ---- the shape of the region ----

/// Inputs of the region: those of conv, then what the pool's epilogue takes.
struct Parts {
  const Graph* graph = nullptr;
  const Node *conv = nullptr, *pool = nullptr;
  size_t conv_inputs = 0;
};

/// Null when the graph is of the form, else the reason why not.
const char* match(const Op& op, Parts& p) {
  p.graph = op.as<Region>()->graph.get();
  const Graph& g = *p.graph;
  ValueId conv_value;
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    const Node& node = g.nodes[n];
    if (node.op.is<Input>()) continue;
    if (!p.conv && node.op.is<Conv>()) {
      p.conv = &node, conv_value = {int32_t(n), 0};
    } else if (p.conv && !p.pool && node.op.is<Pool>()) {
      p.pool = &node;
    } else {
      return "not a convolution and a pool";
    }
  }
  if (!p.pool || p.conv->types.size() != 1 || p.pool->types.size() != 1 || g.outputs.size() != 1 ||
      &g.node(g.outputs[0].value) != p.pool)
    return "not a convolution and a pool";
  p.conv_inputs = p.conv->inputs.size();
  std::vector<ValueId> read = p.conv->inputs;
  read.insert(read.end(), p.pool->inputs.begin() + 1, p.pool->inputs.end());
  if (p.pool->inputs[0] != conv_value || read.size() != g.inputs.size() || p.conv_inputs < 2)
    return "the pool does not read the convolution alone";
  for (size_t i = 0; i < read.size(); ++i)
    if (read[i] != g.inputs[i].value) return "inputs are in another order";
  return nullptr;
}

Parts matched(const Op& op) {
  Parts p;
  const char* reason = match(op, p);
  require(!reason, "the plan's tactic cannot run this region: ", reason ? reason : "");
  return p;
}

std::vector<Type> conv_types(const Parts& p) {
  std::vector<Type> types;
  for (ValueId v : p.conv->inputs) types.push_back(p.graph->type(v));
  return types;
}
std::vector<Type> pool_types(const Parts& p) {
  std::vector<Type> types;
  for (ValueId v : p.pool->inputs) types.push_back(p.graph->type(v));
  return types;
}

/// Calls f with the view of the convolution.
template <class F>
auto with_conv_view(const NodeView& n, const Parts& p, F f) {
  const std::vector<Type> types = conv_types(p);
  return f(NodeView{p.conv->op, types, p.conv->types, n.constants.first(p.conv_inputs),
                    n.facts.first(p.conv_inputs)});
}

Refusal supports(const NodeView& n) {
  Parts p;
  if (const char* reason = match(n.op, p)) return reason;
  if (!p.conv->types[0].has_rank() || p.conv->types[0].shape->size() != 4)
    return "not two spatial axes";
  if (Refusal r = with_conv_view(n, p, [](const NodeView& v) { return conv_row().supports(v); });
      !r.empty())
    return "convolution: " + r;
  const std::vector<Type> types = pool_types(p);
  std::vector<const Tensor*> constants(types.size());
  std::vector<Fact> facts(types.size());
  Refusal r = pool_row().supports({p.pool->op, types, p.pool->types, constants, facts});
  return r.empty() ? r : "pool: " + r;
}

// ---- configs: that of conv, and how many tasks an image is cut into ----

Config conv_config(const Config& config) {
  return config.substr(0, std::min(config.find(kTasksWord), config.size()));
}

int64_t tasks_of(const Config& config) {
  const size_t at = config.find(kTasksWord);
  for (int64_t tasks : {kManyTasks, kFewTasks})
    if (at != std::string::npos && config.substr(at) == cat(kTasksWord, tasks)) return tasks;
  fail("unknown division of a region in '", config.substr(0, 60), "'");
}

std::vector<Config> configs(const NodeView& n) {
  Parts p = matched(n.op);
  const Window w = checked_window(p.pool->op.as<Pool>()->window, 2);
  const bool overlap = (w.kernel[0] - 1) * w.dilations[0] >= w.strides[0];
  std::vector<Config> all;
  for (const Config& c :
       with_conv_view(n, p, [](const NodeView& v) { return conv_row().configs(v); })) {
    if (overlap) all.push_back(cat(c, kTasksWord, kFewTasks));
    all.push_back(cat(c, kTasksWord, kManyTasks));
  }
  return all;
}

std::vector<std::byte> prepare(const NodeView& n, const Config& config) {
  return with_conv_view(n, matched(n.op), [&](const NodeView& v) {
    return conv_row().prepare(v, conv_config(config));
  });
}

struct State {
  TacticState conv, pool;
  int64_t tasks = 1;
};

TacticState load(const Op& op, const Config& config, std::span<const std::byte> bytes) {
  const Parts p = matched(op);
  auto state = std::make_shared<State>();
  const Config conv = conv_config(config);
  state->conv = conv_row().load(p.conv->op, conv, bytes);
  state->pool = pool_row().load(p.pool->op, conv.substr(0, conv.find(' ')), {});
  state->tasks = tasks_of(config);
  return state;
}

// ---- bind ----

/// The region's own symbols, from the extents of its inputs.
class Symbols {
 public:
  explicit Symbols(const Parts& p, const BoundNode& n) {
    for (size_t i = 0; i < p.graph->inputs.size(); ++i) {
      const Type& type = p.graph->type(p.graph->inputs[i].value);
      const Dims& dims = n.inputs[i].dims;
      require(type.has_rank() && type.shape->size() == dims.size(), "input ", i,
              " of the region has rank ", dims.size(), ", needs ", type.str());
      for (size_t a = 0; a < dims.size(); ++a) {
        const Dim& d = (*type.shape)[a];
        if (d.is_symbol() && known_.emplace(d.symbol_name(), dims[a]).second) continue;
        require(eval(d) == dims[a], "input ", i, " of the region has shape ", str(dims), ", needs ",
                type.str());
      }
    }
  }
  int64_t eval(const Dim& d) const {
    return d.eval([&](const std::string& s) {
      auto at = known_.find(s);
      require(at != known_.end(), "the extent '", s, "' of a region is not known");
      return at->second;
    });
  }
  Extents dense(const Type& type) const {
    Dims dims;
    for (const Dim& d : *type.shape) dims.push_back(eval(d));
    return {dims, dense_strides(dims)};
  }

 private:
  std::map<std::string, int64_t> known_;
};

TacticState bind(const TacticState& loaded, const BoundNode& n) {
  const auto& state = bound_as<State>(loaded);
  const Parts p = matched(n.op);
  require(n.inputs.size() == p.graph->inputs.size(), "the region takes ", p.graph->inputs.size(),
          " inputs, given ", n.inputs.size());
  const Symbols symbols(p, n);
  const auto dim = [&](const Dim& d) { return symbols.eval(d); };
  const std::vector<Type> in_types = conv_types(p), pool_in_types = pool_types(p);
  const Extents middle = symbols.dense(p.conv->types[0]);
  auto bound = std::make_shared<RegionBound>();
  bound->conv_inputs = int64_t(p.conv_inputs);
  bound->conv = conv_row().bind(state.conv, {p.conv->op,
                                             in_types,
                                             p.conv->types,
                                             n.inputs.first(p.conv_inputs),
                                             {&middle, 1},
                                             n.values.first(p.conv_inputs),
                                             dim,
                                             1});
  std::vector<Extents> pool_in{middle};
  pool_in.insert(pool_in.end(), n.inputs.begin() + bound->conv_inputs, n.inputs.end());
  const std::vector<std::vector<int64_t>> no_values(pool_in.size());
  bound->pool = pool_row().bind(state.pool, {p.pool->op, pool_in_types, p.pool->types, pool_in,
                                             n.outputs, no_values, dim, 1});
  bound->batch = middle.dims[0];
  bound->max_threads = n.max_threads;
  plan_bands(*bound, state.tasks);
  return bound;
}

int64_t workspace(const TacticState& state) {
  const auto& b = bound_as<RegionBound>(state);
  return checked_mul(checked_mul(b.slot, kernel_threads(b.max_threads)), 4);
}

// ---- run ----

/// The convolution's callback, which counts rows from the band's first on.
struct ShiftedTile {
  EpilogueRun run;
  int64_t first_row = 0;
  static void tile(void* ctx, float* row, int64_t row_index, int64_t col0, int64_t cols) {
    auto& self = *static_cast<ShiftedTile*>(ctx);
    EpilogueRunner::tile(&self.run, row, row_index + self.first_row, col0, cols);
  }
};

/// Rows [rows.begin, rows.end) of the convolution of image `n` to `y`.
void conv_rows(const RegionBound& b, const RunCall& call, int64_t n, Rows rows, float* y,
               float* workspace) {
  const ConvBound& bound = b.conv_bound();
  ConvArgs a = bound.args;
  const int64_t first = rows.begin * a.spec.stride[1] - a.spec.pad_begin[1];
  const int64_t start = std::clamp<int64_t>(first, 0, a.in[1]);
  a.x = call.inputs[0].as<float>() + n * a.x_batch_stride + start * a.x_stride[1];
  a.spec.pad_begin[1] = std::max<int64_t>(0, start - first);
  a.in[1] -= start;
  a.out[1] = rows.end - rows.begin;
  a.batch = 1, a.max_threads = 1, a.is_part = true;
  a.y = y, a.y_pixel_stride = a.spec.out_channels;
  a.workspace = workspace;
  const int64_t pixel = (n * bound.args.out[1] + rows.begin) * a.out[2];
  ShiftedTile shifted;
  shifted.first_row = pixel;
  a.epilogue = make_epilogue(bound.epilogue, call, 2, a.spec.out_channels, shifted.run);
  if (a.epilogue.residual) a.epilogue.residual += pixel * a.epilogue.residual_stride;
  if (a.epilogue.tile) a.epilogue.tile = ShiftedTile::tile, a.epilogue.ctx = &shifted;
  conv(a);
}

/// Pooled rows [first, end) of image `n`.
void run_stretch(const RegionBound& b, const RunCall& call, EpilogueRun* epilogue, int64_t n,
                 int64_t first, int64_t end, float* buffer, float* workspace) {
  const PoolBound& pool = b.pool_bound();
  const int64_t height = pool.g.in[0];
  Rows held;  // in the buffer
  for (int64_t row = first; row < end; row += b.band) {
    const int64_t last = std::min(end, row + b.band) - 1;
    const Rows need = rows_for(pool.g, row, last);
    if (held.end <= need.begin) {
      held.begin = held.end = need.begin / b.tile * b.tile;
    } else if (need.begin > held.begin) {
      std::memmove(buffer, buffer + (need.begin - held.begin) * b.row,
                   size_t((held.end - need.begin) * b.row) * sizeof(float));
      held.begin = need.begin;
    }
    const Rows more{held.end, std::min((need.end + b.tile - 1) / b.tile * b.tile, height)};
    if (more.end > more.begin && need.end > held.end && b.row > 0) {
      conv_rows(b, call, n, more, buffer + (more.begin - held.begin) * b.row, workspace);
      held.end = more.end;
    }
    for (int64_t line = row; line <= last; ++line)
      pool_line(pool, buffer, held.begin, call.outputs[0].as<float>(), epilogue,
                n * pool.g.out[0] + line, 0, pool.channels);
  }
}

void run(const TacticState& state, const RunCall& call) {
  const auto& b = bound_as<RegionBound>(state);
  if (b.tasks == 0 || b.pool_bound().channels == 0) return;
  auto* memory = reinterpret_cast<float*>(call.workspace);
  const PoolBound& pool = b.pool_bound();
  const int64_t buffer = (b.capacity * b.row + 15) / 16 * 16, height = pool.g.out[0];
  RunCall pool_call = call;
  pool_call.inputs = call.inputs.subspan(size_t(b.conv_inputs) - 1);
  EpilogueRun epilogue = pool.epilogue.start(pool_call, 1);
  Slots slots(memory, b.slot);
  parallel_for(b.batch * b.tasks, kernel_threads(call.max_threads), [&](int64_t i) {
    const int64_t n = i / b.tasks, t = i % b.tasks;
    const int slot = slots.claim();
    float* mine = slots.memory(slot);
    run_stretch(b, call, &epilogue, n, t * b.units / b.tasks * b.unit,
                std::min(height, (t + 1) * b.units / b.tasks * b.unit), mine, mine + buffer);
    slots.release(slot);
  });
}

bool takes_permuted(const NodeView& n, const Config& config, int32_t input,
                    const std::vector<int64_t>& permutation) {
  return input == 0 && with_conv_view(n, matched(n.op), [&](const NodeView& v) {
           return conv_row().takes_permuted(v, conv_config(config), input, permutation);
         });
}

const Tactic kRows[] = {
    {.name = "cpu.region.conv_pool",
     .op = Region::kName,
     .supports = supports,
     .configs = configs,
     .prepare = prepare,
     .load = load,
     .bind = bind,
     .workspace = workspace,
     .run = run,
     .packed_inputs = 2,
     .strided_inputs = 1,
     .strided_outputs = 1,
     .takes_permuted = takes_permuted},
};

}  // namespace

std::span<const Tactic> region_tactics() { return kRows; }

}  // namespace vitrify::cpu
