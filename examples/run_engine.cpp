// Loads an engine and runs it once on ones: the smallest program that uses Vitrify.
#include <cstdio>
#include <vitrify/vitrify.hpp>

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: run_engine FILE.engine\n"), 1;
  try {
    vitrify::Engine engine = vitrify::Engine::load(argv[1]);
    vitrify::Context context(engine);
    std::vector<float> ones(3 * 224 * 224, 1.0f);
    context.set_input("x", vitrify::Value::tensor<float>({1, 3, 224, 224}, ones));
    context.run();
    auto scores = context.output(0).data<float>();
    for (size_t i = 0; i < scores.size() && i < 5; ++i) std::printf("%g\n", double(scores[i]));
  } catch (const vitrify::Failure& failure) {
    return std::fprintf(stderr, "%s\n", failure.what()), 1;
  }
}
