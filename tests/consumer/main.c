#include <stdio.h>
#include <vitrify/vitrify.h>

int main(int count, char** words) {
  const int64_t dims[] = {1, 3};
  const float x[] = {1, 2, 3};
  vitrify_engine* engine = NULL;
  vitrify_context* context = NULL;
  int failed = count != 2 || vitrify_engine_load(words[1], &engine) ||
               vitrify_context_create(engine, NULL, &context) ||
               vitrify_context_set_input_data(context, "x", VITRIFY_FLOAT32, 2, dims, x) ||
               vitrify_context_run(context);
  if (failed) {
    fprintf(stderr, "%s\n", vitrify_last_error());
  } else {
    const float* y = vitrify_value_data(vitrify_context_output(context, 0));
    printf("%g %g %g", (double)y[0], (double)y[1], (double)y[2]);
  }
  vitrify_context_free(context);
  vitrify_engine_free(engine);
  return failed;
}
