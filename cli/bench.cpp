#include <algorithm>
#include <chrono>
#include <numeric>

#include "commands.h"
#include "common.h"

namespace vitrify::cli {
namespace {

struct Flags {
  std::string path, verify = "full";
  std::vector<std::string> shapes, inputs;
  int iterations = 100, warmup = 10, threads = 0;
  bool layers = false, json = false;
};

/// The p-th percentile, linearly between ranks.
double percentile(const std::vector<double>& sorted, double p) {
  const double at = p / 100 * double(sorted.size() - 1);
  const size_t low = size_t(at), high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - double(low));
}

Json latency(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  const double mean = std::accumulate(times.begin(), times.end(), 0.0) / double(times.size());
  return {{"min", times.front()},
          {"mean", mean},
          {"median", percentile(times, 50)},
          {"p90", percentile(times, 90)},
          {"p95", percentile(times, 95)},
          {"p99", percentile(times, 99)},
          {"max", times.back()}};
}

std::vector<double> measure(Context& context, const Flags& flags) {
  using Clock = std::chrono::steady_clock;
  for (int i = 0; i < flags.warmup; ++i) context.run();
  std::vector<double> times;
  for (int i = 0; i < flags.iterations; ++i) {
    const auto start = Clock::now();
    context.run();
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  }
  return times;
}

void print_layers(const Json& layers) {
  std::fprintf(stderr, "%10s %10s %8s  %-28s %s\n", "ms", "GFLOP/s", "GB/s", "tactic", "name");
  auto number = [](const Json& v) { return v.is_null() ? 0.0 : v.get<double>(); };
  for (const Json& l : layers)
    std::fprintf(stderr, "%10.4f %10.1f %8.1f  %-28s %s\n", number(l["ms"]), number(l["gflops"]),
                 number(l["gbytes_per_s"]), l["tactic"].get<std::string>().c_str(),
                 visible_name(l["name"].get<std::string>()).c_str());
}

/// The median of several profiled runs for every layer.
Json profile(Context& context, int runs) {
  std::vector<Json> profiles;
  for (int i = 0; i < runs; ++i) profiles.push_back(Json::parse(context.profile())["layers"]);
  Json layers = profiles[0];
  for (size_t l = 0; l < layers.size(); ++l) {
    std::sort(profiles.begin(), profiles.end(), [&](const Json& a, const Json& b) {
      return a[l]["ms"].get<double>() < b[l]["ms"].get<double>();
    });
    layers[l] = profiles[profiles.size() / 2][l];
  }
  return layers;
}

void bench(const Flags& flags) {
  if (flags.iterations < 1 || flags.warmup < 0)
    throw UsageError("--iterations must be at least 1 and --warmup at least 0");
  BuildOptions options;
  add_shapes(options, flags.shapes);
  options.set_threads(flags.threads);
  double build_s = 0, load_ms = 0;
  Engine engine = open_engine(flags.path, options, flags.verify, &build_s, &load_ms);
  Context context(engine, flags.threads);
  set_inputs(context, engine, flags.inputs, flags.shapes);
  Json result;
  result["latency_ms"] = latency(measure(context, flags));
  const vitrify_context_stats stats = context.stats();
  result["throughput_per_s"] = 1e3 / result["latency_ms"]["mean"].get<double>();
  result["build_s"] = build_s;
  result["load_ms"] = load_ms;
  result["arena_bytes"] = stats.arena_bytes;
  result["arena_lower_bound_bytes"] = stats.arena_lower_bound_bytes;
  result["weight_bytes"] = stats.weight_bytes;
  result["steps"] = stats.steps;
  result["reference_steps"] = stats.reference_steps;
  if (flags.layers) result["layers"] = profile(context, std::min(flags.iterations, 15));
  if (flags.json) return print_json(result);
  if (flags.layers) print_layers(result["layers"]);
  for (const auto& [name, value] : result.items())
    if (name != "layers") std::fprintf(stderr, "%-24s %s\n", name.c_str(), value.dump().c_str());
}

}  // namespace

Command bench_command() {
  auto flags = std::make_shared<Flags>();
  auto& [path, verify, shapes, inputs, iterations, warmup, threads, layers, json] = *flags;
  return {"bench",
          "Measure a model or engine",
          {{"file", &path, "ONNX or engine file", true},
           {"--shape", &shapes,
            "NAME=1x3x224x224: random input of that shape, floats from 0 to 1, integers 0 and 1"},
           {"--input", &inputs, "NAME=FILE.npy"},
           {"--iterations", &iterations, "measured runs"},
           {"--warmup", &warmup, "runs before"},
           {"--threads", &threads, "use at most so many threads"},
           verify_option(&verify),
           {"--layers", &layers, "a row a step"},
           {"--json", &json, "print one JSON object"}},
          [flags] { bench(*flags); }};
}

}  // namespace vitrify::cli
