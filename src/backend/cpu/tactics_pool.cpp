// The tactic of pooling, channels last.
#include <algorithm>

#include "backend/cpu/families.h"
#include "backend/cpu/pool_bound.h"
#include "backend/cpu/tactic_parts.h"
#include "base/error.h"
#include "base/thread_pool.h"

namespace vitrify::cpu {

namespace {

constexpr size_t kMaxAxes = 4;
constexpr int64_t kTaskWork = 1 << 16;  // channels times taps
constexpr int64_t kFewLines = 16, kChannelStep = 64;

Refusal supports(const NodeView& n) {
  if (Refusal r = check_floats(n, 1); !r.empty()) return r;
  if (!n.inputs[0].has_rank()) return "the rank of x is unknown";
  if (n.inputs[0].shape->size() > kMaxAxes + 2) return cat("more than ", kMaxAxes, " axes");
  return EpilogueRunner::refusal(n, 1);
}

PoolStep step_of(const Pool& op) {
  if (op.kind == Pool::Kind::kMax) return PoolStep::kMax;
  if (op.kind == Pool::Kind::kAverage) return PoolStep::kSum;
  return op.p == 1 ? PoolStep::kAbsSum : op.p == 2 ? PoolStep::kSquareSum : PoolStep::kPowerSum;
}

/// Tasks: a few lines, or where there are few, some channels of one.
void split(PoolBound& b) {
  b.lines = b.batch;
  for (size_t i = 0; i + 1 < b.g.axes(); ++i) b.lines *= b.g.out[i];
  const int64_t line = std::max<int64_t>(1, b.g.out.back() * b.g.tap_count);
  b.chunk = std::max<int64_t>(1, b.channels);
  if (b.lines < kFewLines && b.chunk * line > kTaskWork)
    b.chunk = std::clamp(kTaskWork / line / kChannelStep * kChannelStep, kChannelStep, b.chunk);
  b.task_lines = std::max<int64_t>(1, kTaskWork / (line * b.chunk));
}

TacticState bind(const TacticState& isa, const BoundNode& n) {
  const Pool& op = *n.op.as<Pool>();
  auto bound = std::make_shared<PoolBound>();
  PoolBound& b = *bound;
  const Dims& x = n.inputs[0].dims;
  require(x.size() >= 3 && x.size() <= kMaxAxes + 2, "pooling of rank ", x.size());
  b.isa = isa_of(isa);
  b.g = window_geometry(checked_window(op.window, x.size() - 2), Ints(x.begin() + 1, x.end() - 1));
  b.batch = x.front(), b.channels = x.back();
  Dims y{b.batch};
  y.insert(y.end(), b.g.out.begin(), b.g.out.end());
  y.push_back(b.channels);
  require(y == n.outputs[0].dims, "the pooled shape is ", str(y), ", not ", str(n.outputs[0].dims));
  b.x = n.inputs[0].strides, b.y = n.outputs[0].strides;
  b.kind = op.kind, b.step = step_of(op), b.p = float(op.p), b.count_pads = op.count_include_pad;
  b.epilogue = EpilogueRunner(b.isa, n, 1, y);
  split(b);
  return bound;
}

/// Taps of one axis at a result position: input position base + tap * dilation.
struct AxisTaps {
  int64_t base = 0, first = 0, end = 0;
  int64_t padded = 0;  ///< taps inside the input together with its pads
};

AxisTaps taps_at(const WindowGeometry& g, size_t i, int64_t o) {
  AxisTaps t;
  t.base = o * g.strides[i] - g.pads_begin[i];
  const int64_t d = g.dilations[i], room = g.in[i] - t.base;
  t.first = t.base >= 0 ? 0 : (-t.base + d - 1) / d;
  t.end = std::min(g.kernel[i], room <= 0 ? 0 : (room + d - 1) / d);
  t.end = std::max(t.first, t.end);
  const int64_t padded_room = room + g.pads_end[i];
  t.padded = std::min(g.kernel[i], std::max<int64_t>((padded_room + d - 1) / d, 0));
  return t;
}

/// One result pixel's channels [c0, c0 + channels).
class PixelPool {
 public:
  PixelPool(const PoolBound& b, const AxisTaps* axes, const float* x, int64_t channels, float* out)
      : b_(b), axes_(axes), channels_(channels), out_(out) {
    inside_ = 1, padded_ = 1;
    for (size_t i = 0; i < b.g.axes(); ++i)
      inside_ *= axes[i].end - axes[i].first, padded_ *= axes[i].padded;
    if (inside_ > 0) gather(0, x);
    flush(true);
    finish();
  }

 private:
  void gather(size_t axis, const float* x) {
    const AxisTaps& t = axes_[axis];
    const int64_t step = b_.g.dilations[axis] * b_.x[axis + 1];
    const float* at = x + (t.base + t.first * b_.g.dilations[axis]) * b_.x[axis + 1];
    for (int64_t tap = t.first; tap < t.end; ++tap, at += step) {
      if (axis + 1 < b_.g.axes()) {
        gather(axis + 1, at);
      } else {
        taps_[count_++] = at;
        if (count_ == kPoolTaps) flush(false);
      }
    }
  }
  void flush(bool last) {
    if (count_ == 0 && !(last && first_)) return;
    pool_taps(b_.isa, b_.step, b_.p, taps_, count_, channels_, first_, out_);
    first_ = false, count_ = 0;
  }
  void finish() {
    if (b_.kind == Pool::Kind::kLp) root_row(b_.isa, b_.p, channels_, out_);
    if (b_.kind != Pool::Kind::kAverage) return;
    const int64_t count = std::max<int64_t>(1, b_.count_pads ? padded_ : inside_);
    scale_row(b_.isa, 1.0f / float(count), channels_, out_);
  }

  const PoolBound& b_;
  const AxisTaps* axes_;
  int64_t channels_, count_ = 0, inside_ = 1, padded_ = 1;
  float* out_;
  bool first_ = true;
  const float* taps_[kPoolTaps];
};

}  // namespace

void pool_line(const PoolBound& b, const float* x, int64_t x_row, float* y, EpilogueRun* epilogue,
               int64_t line, int64_t c0, int64_t channels) {
  const size_t axes = b.g.axes();
  AxisTaps taps[kMaxAxes];
  int64_t rest = line, y_at = c0;
  for (size_t i = axes - 1; i-- > 0; rest /= b.g.out[i]) {
    taps[i] = taps_at(b.g, i, rest % b.g.out[i]);
    y_at += rest % b.g.out[i] * b.y[i + 1];
  }
  taps[0].base -= x_row;
  y += rest * b.y[0] + y_at;
  for (int64_t o = 0; o < b.g.out[axes - 1]; ++o, y += b.y[axes]) {
    taps[axes - 1] = taps_at(b.g, axes - 1, o);
    PixelPool(b, taps, x + c0, channels, y);
    if (!b.epilogue.empty())
      EpilogueRunner::tile(epilogue, y, line * b.g.out[axes - 1] + o, c0, channels);
  }
}

namespace {

void run(const TacticState& state, const RunCall& call) {
  const auto& b = bound_as<PoolBound>(state);
  if (b.channels == 0 || b.batch == 0 || b.g.out_count == 0) return;
  EpilogueRun epilogue = b.epilogue.start(call, 1);
  const int64_t chunks = (b.channels + b.chunk - 1) / b.chunk;
  const int64_t tasks = (b.lines + b.task_lines - 1) / b.task_lines;
  parallel_for(tasks * chunks, call.max_threads, [&](int64_t t) {
    const int64_t c0 = t % chunks * b.chunk, line = t / chunks * b.task_lines;
    for (int64_t i = line; i < std::min(b.lines, line + b.task_lines); ++i)
      pool_line(b, call.inputs[0].as<float>() + i / (b.lines / b.batch) * b.x[0], 0,
                call.outputs[0].as<float>(), &epilogue, i, c0, std::min(b.chunk, b.channels - c0));
  });
}

const Tactic kRows[] = {
    {.name = "cpu.pool",
     .op = Pool::kName,
     .supports = supports,
     .configs = isa_configs,
     .load = load_isa,
     .bind = bind,
     .run = run,
     .strided_inputs = 1,
     .strided_outputs = 1},
};

}  // namespace

std::span<const Tactic> pool_tactics() { return kRows; }

}  // namespace vitrify::cpu
