// Builds an engine from a model with the operator of prefix_op.hpp. Links vitrify::vitrify.
#include <cstdio>

#include "prefix_op.hpp"

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: custom_op_build MODEL.onnx FILE.engine\n"), 1;
  try {
    register_prefix();
    vitrify::build(argv[1], argv[2], vitrify::BuildOptions().set_timing(false));
  } catch (const vitrify::Failure& failure) {
    return std::fprintf(stderr, "%s\n", failure.what()), 1;
  }
}
