#include <cstdio>
#include <vitrify/vitrify.hpp>

int main(int count, char** words) {
  if (count != 2) return 1;
  try {
    vitrify::Engine engine = vitrify::Engine::load(words[1]);
    vitrify::Context context(engine);
    context.set_input("x", vitrify::Value::tensor<float>({2, 3}, {1, 2, 3, -1, -2, -3}));
    context.run();
    for (float v : context.output(0).data<float>()) std::printf("%g ", double(v));
    return 0;
  } catch (const vitrify::Failure& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
