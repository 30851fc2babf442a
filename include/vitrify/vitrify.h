/* Vitrify's C interface: the stable ABI.
 *
 *   vitrify_engine* engine = NULL;
 *   vitrify_context* context = NULL;
 *   if (vitrify_engine_load("model.engine", &engine) ||
 *       vitrify_context_create(engine, NULL, &context) ||
 *       vitrify_context_set_input_data(context, "x", VITRIFY_FLOAT32, 4, dims, data) ||
 *       vitrify_context_run(context))
 *     fprintf(stderr, "%s\n", vitrify_last_error());
 *
 * Functions that can fail return a vitrify_status; the message of the last failure on this thread
 * is `vitrify_last_error()`. Handles are freed by their own `_free`, which take NULL. Engines may
 * be shared between threads; a context is used by one thread at a time, only
 * `vitrify_context_cancel` may be called from another. Strings are UTF-8.
 *
 * Functions under "Building" are in libvitrify only; the others in libvitrify_runtime, too.
 */
#ifndef VITRIFY_VITRIFY_H_
#define VITRIFY_VITRIFY_H_

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define VITRIFY_API __attribute__((visibility("default")))
#else
#define VITRIFY_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum vitrify_status {
  VITRIFY_OK = 0,
  VITRIFY_USER_ERROR =
      1, /* the model, file or argument is wrong; the message says what to change */
  VITRIFY_UNSUPPORTED = 2,    /* valid, but not done by Vitrify or this machine */
  VITRIFY_INTERNAL_ERROR = 3, /* our mistake */
  VITRIFY_CANCELLED = 4
} vitrify_status;

/* Element types, numbered as in ONNX. */
typedef enum vitrify_dtype {
  VITRIFY_UNDEFINED = 0,
  VITRIFY_FLOAT32 = 1,
  VITRIFY_UINT8 = 2,
  VITRIFY_INT8 = 3,
  VITRIFY_UINT16 = 4,
  VITRIFY_INT16 = 5,
  VITRIFY_INT32 = 6,
  VITRIFY_INT64 = 7,
  VITRIFY_STRING = 8,
  VITRIFY_BOOL = 9,
  VITRIFY_FLOAT16 = 10,
  VITRIFY_FLOAT64 = 11,
  VITRIFY_UINT32 = 12,
  VITRIFY_UINT64 = 13,
  VITRIFY_COMPLEX64 = 14,
  VITRIFY_COMPLEX128 = 15,
  VITRIFY_BFLOAT16 = 16,
  VITRIFY_FLOAT8E4M3FN = 17,
  VITRIFY_FLOAT8E4M3FNUZ = 18,
  VITRIFY_FLOAT8E5M2 = 19,
  VITRIFY_FLOAT8E5M2FNUZ = 20,
  VITRIFY_UINT4 = 21, /* two to a byte, low nibble first */
  VITRIFY_INT4 = 22,
  VITRIFY_FLOAT4E2M1 = 23,
  VITRIFY_FLOAT8E8M0 = 24,
  VITRIFY_UINT2 = 25,
  VITRIFY_INT2 = 26
} vitrify_dtype;

typedef enum vitrify_kind {
  VITRIFY_NONE = 0, /* an empty optional */
  VITRIFY_TENSOR = 1,
  VITRIFY_SEQUENCE = 2,
  VITRIFY_OPTIONAL = 3 /* of types only: a value is the element or VITRIFY_NONE */
} vitrify_kind;

typedef struct vitrify_value vitrify_value;
typedef struct vitrify_engine vitrify_engine;
typedef struct vitrify_context vitrify_context;
typedef struct vitrify_build_options vitrify_build_options;

VITRIFY_API const char* vitrify_version(void);
/* What went wrong in the last failed call on this thread: "origin: message". Never NULL. */
VITRIFY_API const char* vitrify_last_error(void);
/* Frees a string that a function below has given away. */
VITRIFY_API void vitrify_string_free(char* text);

/* ---- Values ---- */

/* A tensor with a copy of `data` (zeros when NULL). Not for strings. */
VITRIFY_API vitrify_status vitrify_value_tensor(vitrify_dtype dtype, size_t rank,
                                                const int64_t* dims, const void* data,
                                                vitrify_value** out);
/* `lengths` may be NULL: the strings end at their NUL. */
VITRIFY_API vitrify_status vitrify_value_strings(size_t rank, const int64_t* dims,
                                                 const char* const* strings, const size_t* lengths,
                                                 vitrify_value** out);
/* Holds the items' values; the handles stay the caller's. */
VITRIFY_API vitrify_status vitrify_value_sequence(size_t count, const vitrify_value* const* items,
                                                  vitrify_value** out);
VITRIFY_API vitrify_status vitrify_value_none(vitrify_value** out);
VITRIFY_API void vitrify_value_free(vitrify_value* value);

VITRIFY_API vitrify_kind vitrify_value_kind(const vitrify_value* value);
VITRIFY_API vitrify_dtype vitrify_value_dtype(const vitrify_value* value);
VITRIFY_API size_t vitrify_value_rank(const vitrify_value* value);
VITRIFY_API const int64_t* vitrify_value_dims(const vitrify_value* value);
/* Elements of a tensor, items of a sequence. */
VITRIFY_API size_t vitrify_value_size(const vitrify_value* value);
VITRIFY_API size_t vitrify_value_bytes(const vitrify_value* value);
/* NULL for strings, sequences and none. */
VITRIFY_API const void* vitrify_value_data(const vitrify_value* value);
VITRIFY_API void* vitrify_value_mutable_data(vitrify_value* value);
/* String i of a string tensor; `length` may be NULL. NULL when there is none. */
VITRIFY_API const char* vitrify_value_string(const vitrify_value* value, size_t i, size_t* length);
/* Item i of a sequence, as long as the sequence lives. NULL when there is none. */
VITRIFY_API const vitrify_value* vitrify_value_item(const vitrify_value* value, size_t i);

/* ---- Engines ---- */

/* True when the file starts as an engine does. Never fails. */
VITRIFY_API int vitrify_is_engine(const char* path);
VITRIFY_API vitrify_status vitrify_engine_load(const char* path, vitrify_engine** out);
VITRIFY_API void vitrify_engine_free(vitrify_engine* engine);
VITRIFY_API size_t vitrify_engine_input_count(const vitrify_engine* engine);
VITRIFY_API size_t vitrify_engine_output_count(const vitrify_engine* engine);
/* NULL when there is no such input or output. The same for the functions below. */
VITRIFY_API const char* vitrify_engine_input_name(const vitrify_engine* engine, size_t i);
VITRIFY_API const char* vitrify_engine_output_name(const vitrify_engine* engine, size_t i);
/* As text: "f32[n, 3, 224, 224]", "seq(f32[*])", "optional(i64[])". */
VITRIFY_API const char* vitrify_engine_input_type(const vitrify_engine* engine, size_t i);
VITRIFY_API const char* vitrify_engine_output_type(const vitrify_engine* engine, size_t i);
/* Kind, element type, rank (-1: unknown) and extents (-1: symbolic) of an input; any pointer may be
 * NULL, `dims` has room for `room` extents. */
VITRIFY_API vitrify_status vitrify_engine_input_info(const vitrify_engine* engine, size_t i,
                                                     vitrify_kind* kind, vitrify_dtype* dtype,
                                                     int64_t* rank, int64_t* dims, size_t room);
/* Inputs, outputs, profiles, steps, aliases and sizes as one JSON object. */
VITRIFY_API vitrify_status vitrify_engine_describe(const vitrify_engine* engine, char** json);

/* ---- Contexts ---- */

typedef struct vitrify_context_options {
  size_t struct_size;   /* sizeof(vitrify_context_options) */
  int32_t max_threads;  /* 0: as many as the process may use */
  int64_t memory_limit; /* bytes; 0: the machine's memory */
} vitrify_context_options;

typedef struct vitrify_context_stats {
  size_t struct_size; /* sizeof(vitrify_context_stats), set by the caller */
  int64_t arena_bytes, arena_lower_bound_bytes, weight_bytes;
  int32_t steps, reference_steps;
} vitrify_context_stats;

/* `options` may be NULL. The context keeps the engine alive. */
VITRIFY_API vitrify_status vitrify_context_create(const vitrify_engine* engine,
                                                  const vitrify_context_options* options,
                                                  vitrify_context** out);
VITRIFY_API void vitrify_context_free(vitrify_context* context);
/* Takes over the value's contents; the handle stays the caller's. */
VITRIFY_API vitrify_status vitrify_context_set_input(vitrify_context* context, const char* name,
                                                     const vitrify_value* value);
/* Reads `data` in place on every run, until the input is set again or the context is freed. */
VITRIFY_API vitrify_status vitrify_context_set_input_data(vitrify_context* context,
                                                          const char* name, vitrify_dtype dtype,
                                                          size_t rank, const int64_t* dims,
                                                          const void* data);
VITRIFY_API vitrify_status vitrify_context_run(vitrify_context* context);
/* Ends a run that is under way on another thread, or the next one. */
VITRIFY_API void vitrify_context_cancel(vitrify_context* context);
/* An output of the last run: valid until the next run or free. NULL when there is none. */
VITRIFY_API const vitrify_value* vitrify_context_output(vitrify_context* context, size_t i);
/* Sets the recurrent states back to zero. */
VITRIFY_API void vitrify_context_reset(vitrify_context* context);
/* Of the shapes that are bound. */
VITRIFY_API vitrify_status vitrify_context_get_stats(const vitrify_context* context,
                                                     vitrify_context_stats* stats);
/* Runs once with a clock around every step: {"layers": [{name, origin, op, tactic, ms, gflops,
 * gbytes_per_s}]}. */
VITRIFY_API vitrify_status vitrify_context_profile(vitrify_context* context, char** json);

/* ---- Custom operators ---- */

typedef struct vitrify_custom_shape vitrify_custom_shape; /* what a shape function sees */
typedef struct vitrify_custom_call vitrify_custom_call;   /* what a compute function sees */

/* Says the outputs' types with `vitrify_custom_output`; returns 0, or another number to refuse. */
typedef int (*vitrify_custom_shape_fn)(vitrify_custom_shape* shape, void* user);
/* Fills the outputs. Called from any thread that runs a context. */
typedef int (*vitrify_custom_compute_fn)(vitrify_custom_call* call, void* user);

/* For the process, before models or engines with it are loaded. Registering again replaces. */
VITRIFY_API vitrify_status vitrify_register_custom_op(const char* domain, const char* name,
                                                      vitrify_custom_shape_fn shape,
                                                      vitrify_custom_compute_fn compute,
                                                      void* user);

VITRIFY_API size_t vitrify_custom_shape_input_count(const vitrify_custom_shape* shape);
VITRIFY_API vitrify_dtype vitrify_custom_shape_input_dtype(const vitrify_custom_shape* shape,
                                                           size_t i);
/* Rank, or -1 when unknown (or the input is left out). */
VITRIFY_API int64_t vitrify_custom_shape_input_rank(const vitrify_custom_shape* shape, size_t i);
/* An extent as text: "3", "n", "2*n"; as long as the call. NULL when there is none. */
VITRIFY_API const char* vitrify_custom_shape_input_dim(vitrify_custom_shape* shape, size_t i,
                                                       size_t axis);
/* Adds an output; `dims` as texts over the same symbols ("?" for one that only a run tells). */
VITRIFY_API vitrify_status vitrify_custom_shape_output(vitrify_custom_shape* shape,
                                                       vitrify_dtype dtype, size_t rank,
                                                       const char* const* dims);
VITRIFY_API size_t vitrify_custom_input_count(const vitrify_custom_call* call);
VITRIFY_API const vitrify_value* vitrify_custom_input(vitrify_custom_call* call, size_t i);
/* Memory for output i, of the type that the shape function said. NULL on failure. */
VITRIFY_API void* vitrify_custom_output(vitrify_custom_call* call, size_t i, vitrify_dtype dtype,
                                        size_t rank, const int64_t* dims);
/* Attributes of the node; the default when it has none of that name and type. */
VITRIFY_API int64_t vitrify_custom_int(const vitrify_custom_call* call, const char* name,
                                       int64_t otherwise);
VITRIFY_API double vitrify_custom_float(const vitrify_custom_call* call, const char* name,
                                        double otherwise);
VITRIFY_API const char* vitrify_custom_string(const vitrify_custom_call* call, const char* name,
                                              const char* otherwise);

/* ---- Building (libvitrify only) ---- */

VITRIFY_API vitrify_build_options* vitrify_build_options_create(void);
VITRIFY_API void vitrify_build_options_free(vitrify_build_options* options);
/* Starts a new profile; ranges then go into it. */
VITRIFY_API void vitrify_build_options_add_profile(vitrify_build_options* options);
VITRIFY_API vitrify_status vitrify_build_options_add_range(vitrify_build_options* options,
                                                           const char* input, size_t rank,
                                                           const int64_t* min, const int64_t* opt,
                                                           const int64_t* max);
VITRIFY_API void vitrify_build_options_set_threads(vitrify_build_options* options,
                                                   int32_t max_threads);
/* 0: tactics are chosen by prediction, so that equal inputs give equal engines. */
VITRIFY_API void vitrify_build_options_set_timing(vitrify_build_options* options, int on);
/* 0: the graph is run as imported. */
VITRIFY_API void vitrify_build_options_set_passes(vitrify_build_options* options, int on);
VITRIFY_API void vitrify_build_options_disable_pass(vitrify_build_options* options,
                                                    const char* pass);
typedef void (*vitrify_progress_fn)(const char* stage, double fraction, void* user);
VITRIFY_API void vitrify_build_options_set_progress(vitrify_build_options* options,
                                                    vitrify_progress_fn progress, void* user);

/* Builds an engine file from a model. `report` (may be NULL) gets a JSON object: decisions of the
 * passes, tactics with the times that they were chosen by, refusals with reasons. `options` may be
 * NULL. */
VITRIFY_API vitrify_status vitrify_build(const char* model, const char* engine_path,
                                         const vitrify_build_options* options, char** report);
/* The same in memory. */
VITRIFY_API vitrify_status vitrify_build_engine(const char* model,
                                                const vitrify_build_options* options,
                                                vitrify_engine** engine, char** report);
/* Inputs, outputs, operators and what is not supported of a model, as a JSON object. */
VITRIFY_API vitrify_status vitrify_inspect_model(const char* model,
                                                 const vitrify_build_options* options, char** json);
/* The graph as text after the pass of that name ("imported": before all). */
VITRIFY_API vitrify_status vitrify_graph_after(const char* model,
                                               const vitrify_build_options* options,
                                               const char* pass, char** text);
/* Operators × opsets and the tactics of every backend, as a JSON object. */
VITRIFY_API vitrify_status vitrify_list_ops(char** json);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* VITRIFY_VITRIFY_H_ */
