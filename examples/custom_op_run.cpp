// Runs an engine with the operator of prefix_op.hpp. Links vitrify::runtime alone.
#include <cstdio>

#include "prefix_op.hpp"

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: custom_op_run FILE.engine\n"), 1;
  try {
    register_prefix();
    vitrify::Engine engine = vitrify::Engine::load(argv[1]);
    vitrify::Context context(engine);
    context.set_input("x", vitrify::Value::tensor<float>({2, 3}, {1, 2, 3, 10, 20, 30}));
    context.run();
    for (float v : context.output(0).data<float>()) std::printf("%g ", double(v));
    std::printf("\n");
  } catch (const vitrify::Failure& failure) {
    return std::fprintf(stderr, "%s\n", failure.what()), 1;
  }
}
