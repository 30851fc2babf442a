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
 * Errors. Functions that can fail return a vitrify_status; the message of the last failure on this
 * thread is `vitrify_last_error()`. What they give (`out` and the like) is written on success only.
 * A NULL where a pointer is needed is a VITRIFY_USER_ERROR; functions without a status answer a
 * NULL handle with NULL, 0 or VITRIFY_NONE.
 *
 * Ownership. Handles are freed by their own `_free`, which take NULL; `char**` results by
 * `vitrify_string_free`. `const char*` results belong to the handle that they were asked of.
 * Arguments are copied, unless a function says that it reads them in place.
 *
 * Threads. Engines and values may be read from any number of threads at once. A context, and a
 * handle of build options, is used by one thread at a time; only `vitrify_context_cancel` may be
 * called from another.
 *
 * Units. Sizes are bytes where the name says so, elements else; times are milliseconds. Tensors are
 * dense, the last axis fastest. Strings are UTF-8.
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
/* The environment variables that are read, with defaults, as a JSON object. Loading, building and
 * inspecting refuse, with VITRIFY_USER_ERROR, one that must be a number and is none. */
VITRIFY_API vitrify_status vitrify_list_variables(char** json);

/* ---- Values ---- */

/* A tensor with a copy of `data` (zeros when NULL), which holds all elements of `dims`. Bools are
 * bytes: 0 is false, any other true. Not for strings. */
VITRIFY_API vitrify_status vitrify_value_tensor(vitrify_dtype dtype, size_t rank,
                                                const int64_t* dims, const void* data,
                                                vitrify_value** out);
/* A tensor with copies of the strings, one an element; `lengths` are their bytes, or NULL: the
 * strings end at their NUL. */
VITRIFY_API vitrify_status vitrify_value_strings(size_t rank, const int64_t* dims,
                                                 const char* const* strings, const size_t* lengths,
                                                 vitrify_value** out);
/* Shares the items' data; the handles stay the caller's. */
VITRIFY_API vitrify_status vitrify_value_sequence(size_t count, const vitrify_value* const* items,
                                                  vitrify_value** out);
/* The value of an optional input that is left out. */
VITRIFY_API vitrify_status vitrify_value_none(vitrify_value** out);
/* Not for values that another handle owns: outputs, items, inputs of a custom operator. */
VITRIFY_API void vitrify_value_free(vitrify_value* value);

VITRIFY_API vitrify_kind vitrify_value_kind(const vitrify_value* value);
/* Element type, rank and extents of a tensor; VITRIFY_UNDEFINED and 0 for other values. */
VITRIFY_API vitrify_dtype vitrify_value_dtype(const vitrify_value* value);
/* "f32": as types are written everywhere. NULL for what is no element type. */
VITRIFY_API const char* vitrify_dtype_name(vitrify_dtype dtype);
VITRIFY_API size_t vitrify_value_rank(const vitrify_value* value);
VITRIFY_API const int64_t* vitrify_value_dims(const vitrify_value* value);
/* Elements of a tensor, items of a sequence. */
VITRIFY_API size_t vitrify_value_size(const vitrify_value* value);
/* Of the tensor's data. */
VITRIFY_API size_t vitrify_value_bytes(const vitrify_value* value);
/* The elements, as long as the value lives. NULL for strings, sequences and none. */
VITRIFY_API const void* vitrify_value_data(const vitrify_value* value);
/* The same, for writing to a value that the caller has made and no context is running with. */
VITRIFY_API void* vitrify_value_mutable_data(vitrify_value* value);
/* String i of a string tensor; `length` may be NULL. NULL when there is none. */
VITRIFY_API const char* vitrify_value_string(const vitrify_value* value, size_t i, size_t* length);
/* Item i of a sequence, as long as the sequence lives. NULL when there is none. */
VITRIFY_API const vitrify_value* vitrify_value_item(const vitrify_value* value, size_t i);

/* ---- Engines ---- */

/* True when it is a regular file that starts as an engine does. Never fails. */
VITRIFY_API int vitrify_is_engine(const char* path);

/* What of an engine file is checked against its digests when it is loaded. The plan, and every
 * number that addresses memory, is checked in either case: a damaged file may give wrong results
 * with lazy, not crash. */
typedef enum vitrify_verify {
  VITRIFY_VERIFY_FULL = 0, /* everything: reads the whole file */
  VITRIFY_VERIFY_LAZY = 1  /* all but the weights, which are then only read as they are used */
} vitrify_verify;

typedef struct vitrify_load_options {
  size_t struct_size; /* sizeof(vitrify_load_options) */
  vitrify_verify verify;
} vitrify_load_options;

/* Maps and checks the file, which must not be written to as long as the engine lives.
 * VITRIFY_USER_ERROR when it is damaged or no engine; VITRIFY_UNSUPPORTED when it is of another
 * format version, needs what this machine lacks, or a custom operator that is not registered. */
VITRIFY_API vitrify_status vitrify_engine_load(const char* path, vitrify_engine** out);
/* `options` may be NULL. */
VITRIFY_API vitrify_status vitrify_engine_load_with(const char* path,
                                                    const vitrify_load_options* options,
                                                    vitrify_engine** out);
/* Contexts keep the engine's contents: it may be freed before them. */
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
/* States: inputs that get the value of an output of the run before (`vitrify_context_reset`). The
 * names of state i, NULL when there is none. */
VITRIFY_API size_t vitrify_engine_state_count(const vitrify_engine* engine);
VITRIFY_API const char* vitrify_engine_state_input(const vitrify_engine* engine, size_t i);
VITRIFY_API const char* vitrify_engine_state_output(const vitrify_engine* engine, size_t i);
/* Inputs, outputs, states, profiles, steps, aliases and sizes (bytes) as one JSON object. */
VITRIFY_API vitrify_status vitrify_engine_describe(const vitrify_engine* engine, char** json);

/* ---- Contexts ---- */

typedef struct vitrify_context_options {
  size_t struct_size;   /* sizeof(vitrify_context_options) */
  int32_t max_threads;  /* that a run may use, the caller's included; 0: all of the process's */
  int64_t memory_limit; /* bytes; 0: the memory of the machine or of the process's control group */
} vitrify_context_options;

/* The memory limit covers what the context holds: the arena, output buffers, states and every
 * tensor that a run makes. A run that needs more fails with VITRIFY_USER_ERROR before it allocates,
 * naming the node (of the arena: where most of it is in use), the bytes that it needs and the
 * limit; the context can be used further. Not covered: the engine, the
 * caller's inputs, characters of strings, buffers within operators that have no fast kernel. */

typedef struct vitrify_context_stats {
  size_t struct_size;  /* sizeof(vitrify_context_stats), set by the caller: so much is written */
  int64_t arena_bytes; /* memory that intermediate values share */
  int64_t arena_lower_bound_bytes; /* what no order of placing them could go below */
  int64_t weight_bytes;            /* of the engine, shared by its contexts */
  int32_t steps, reference_steps;  /* of a run; on reference kernels, in bodies too */
} vitrify_context_stats;

/* `options` may be NULL. The context keeps the engine alive. */
VITRIFY_API vitrify_status vitrify_context_create(const vitrify_engine* engine,
                                                  const vitrify_context_options* options,
                                                  vitrify_context** out);
VITRIFY_API void vitrify_context_free(vitrify_context* context);
/* Shares the value's data with the context until the input is set again (an output of a context is
 * copied); the handle stays the caller's and may be freed. VITRIFY_USER_ERROR, naming what the
 * input must be, when there is no such input or its type or shape differs. Setting a state's input
 * gives the next run's start. */
VITRIFY_API vitrify_status vitrify_context_set_input(vitrify_context* context, const char* name,
                                                     const vitrify_value* value);
/* Reads `data` in place on every run, until the input is set again or the context is freed: it must
 * live as long, and may be written to between runs. Data that is not aligned for its type is copied
 * now, bools with bytes other than 0 and 1 at every run. */
VITRIFY_API vitrify_status vitrify_context_set_input_data(vitrify_context* context,
                                                          const char* name, vitrify_dtype dtype,
                                                          size_t rank, const int64_t* dims,
                                                          const void* data);
/* Runs with the inputs that are set. The first run on a combination of input shapes prepares it;
 * a later one allocates nothing where all steps have fast kernels, extents follow from the inputs'
 * shapes and no state was set or reset in between. On failure there are no outputs and states stay
 * as they were; the context can be used further. VITRIFY_USER_ERROR when an input is not set,
 * shapes do not fit the model or a profile, or data do not (an index out of range);
 * VITRIFY_CANCELLED after a cancel. */
VITRIFY_API vitrify_status vitrify_context_run(vitrify_context* context);
/* Ends a run or profile that is under way, or else the next one; from any thread. It ends between
 * steps, between the parts that fast kernels work in, and at any iteration of a loop in the model,
 * but not within one operator that has no fast kernel. */
VITRIFY_API void vitrify_context_cancel(vitrify_context* context);
/* Output i of the last run, which the context owns: valid until the next run or free. Of kind
 * VITRIFY_NONE where the last run has failed or none was; NULL when there is no output i. */
VITRIFY_API const vitrify_value* vitrify_context_output(vitrify_context* context, size_t i);
/* Forgets all states, also those that were set as inputs: the next run starts with zeros, and with
 * no elements along an extent that no other input tells (an empty cache). */
VITRIFY_API void vitrify_context_reset(vitrify_context* context);
/* Of the shapes of the last run; VITRIFY_USER_ERROR before the first, and after one that has found no
 * room: that gives its memory back. */
VITRIFY_API vitrify_status vitrify_context_get_stats(const vitrify_context* context,
                                                     vitrify_context_stats* stats);
/* Runs once, as `vitrify_context_run`, with a clock around every step: {"layers": [{name, origin,
 * op, tactic, config, ms, gflops, gbytes_per_s}]}, the last two null where they are not known. */
VITRIFY_API vitrify_status vitrify_context_profile(vitrify_context* context, char** json);

/* ---- Custom operators ----
 *
 * Operators that the host program brings, for nodes of a domain of its own. Both functions are
 * registered before a model or engine with the operator is loaded: an engine file holds the node,
 * its attributes and types, never code. examples/prefix_op.hpp is one.
 *
 * The handles that the functions get, and what is asked of them, are good for the call only. The
 * functions may be called from several threads at once and must not throw. While an engine runs, its
 * threads make subnormal results 0 (see VITRIFY_KEEP_SUBNORMALS), those of compute functions too. */

typedef struct vitrify_custom_shape vitrify_custom_shape; /* what a shape function sees */
typedef struct vitrify_custom_call vitrify_custom_call;   /* what a compute function sees */

/* Says the outputs' types, one after the other, with `vitrify_custom_shape_output`. Returns 0; any
 * other number refuses the node, with VITRIFY_USER_ERROR. Equal inputs must give equal types: it is
 * called again when the engine is loaded. */
typedef int (*vitrify_custom_shape_fn)(vitrify_custom_shape* shape, void* user);
/* Fills the outputs. Returns 0; any other number fails the run with VITRIFY_USER_ERROR. */
typedef int (*vitrify_custom_compute_fn)(vitrify_custom_call* call, void* user);

/* Registers for the process; again replaces, for what is loaded from then on. `user` is handed to
 * both functions and must live as long as anything that may call them. */
VITRIFY_API vitrify_status vitrify_register_custom_op(const char* domain, const char* name,
                                                      vitrify_custom_shape_fn shape,
                                                      vitrify_custom_compute_fn compute,
                                                      void* user);

VITRIFY_API size_t vitrify_custom_shape_input_count(const vitrify_custom_shape* shape);
/* VITRIFY_UNDEFINED for an input that is left out. */
VITRIFY_API vitrify_dtype vitrify_custom_shape_input_dtype(const vitrify_custom_shape* shape,
                                                           size_t i);
/* Rank, or -1 when unknown (or the input is left out). */
VITRIFY_API int64_t vitrify_custom_shape_input_rank(const vitrify_custom_shape* shape, size_t i);
/* An extent as text: "3", "n", "2*n"; as long as the call. NULL when there is none. */
VITRIFY_API const char* vitrify_custom_shape_input_dim(vitrify_custom_shape* shape, size_t i,
                                                       size_t axis);
/* Attributes of the node; the default when it has none of that name and type. */
VITRIFY_API int64_t vitrify_custom_shape_int(const vitrify_custom_shape* shape, const char* name,
                                             int64_t otherwise);
VITRIFY_API double vitrify_custom_shape_float(const vitrify_custom_shape* shape, const char* name,
                                              double otherwise);
VITRIFY_API const char* vitrify_custom_shape_string(const vitrify_custom_shape* shape,
                                                    const char* name, const char* otherwise);
/* A list attribute; NULL, and a count of 0, when there is none of that name and type. */
VITRIFY_API const int64_t* vitrify_custom_shape_ints(const vitrify_custom_shape* shape,
                                                     const char* name, size_t* count);
/* Adds an output; `dims` as texts over the same symbols: "2*n", "n + 1", "?" for one that only a
 * run tells. */
VITRIFY_API vitrify_status vitrify_custom_shape_output(vitrify_custom_shape* shape,
                                                       vitrify_dtype dtype, size_t rank,
                                                       const char* const* dims);

VITRIFY_API size_t vitrify_custom_input_count(const vitrify_custom_call* call);
/* Input i; of kind VITRIFY_NONE when it is left out, NULL past the end. Tensors are aligned. */
VITRIFY_API const vitrify_value* vitrify_custom_input(vitrify_custom_call* call, size_t i);
/* Memory for output i, of the type that the shape function said; what is in it is not defined. For
 * bools, any byte but 0 is true. NULL on failure (the memory limit, say), of which the function
 * should return a number other than 0; `vitrify_last_error` tells. */
VITRIFY_API void* vitrify_custom_output(vitrify_custom_call* call, size_t i, vitrify_dtype dtype,
                                        size_t rank, const int64_t* dims);
/* Attributes, as above. */
VITRIFY_API int64_t vitrify_custom_int(const vitrify_custom_call* call, const char* name,
                                       int64_t otherwise);
VITRIFY_API double vitrify_custom_float(const vitrify_custom_call* call, const char* name,
                                        double otherwise);
VITRIFY_API const char* vitrify_custom_string(const vitrify_custom_call* call, const char* name,
                                              const char* otherwise);
VITRIFY_API const int64_t* vitrify_custom_ints(const vitrify_custom_call* call, const char* name,
                                               size_t* count);
VITRIFY_API const double* vitrify_custom_floats(const vitrify_custom_call* call, const char* name,
                                                size_t* count);

/* ---- Building (libvitrify only) ---- */

VITRIFY_API vitrify_build_options* vitrify_build_options_create(void);
VITRIFY_API void vitrify_build_options_free(vitrify_build_options* options);
/* Starts a new profile; ranges then go into it. An engine has a plan for each; without any, one
 * for all shapes. */
VITRIFY_API void vitrify_build_options_add_profile(vitrify_build_options* options);
/* Extents that the profile serves and (`opt`) is tuned for, the same wherever inputs share a dim's
 * name. An input of which the model tells no rank gets one by them; one that has an initializer
 * stays an input. Whether they fit the model is found by the build. */
VITRIFY_API vitrify_status vitrify_build_options_add_range(vitrify_build_options* options,
                                                           const char* input, size_t rank,
                                                           const int64_t* min, const int64_t* opt,
                                                           const int64_t* max);
/* Declares a state: after a run, the output's value is the next run's input, kept by the context.
 * The input need not be set then. Both must be tensors of one element type and rank whose fixed
 * extents agree; other extents may change from run to run (a cache that grows). Names that the
 * model lacks and types that do not fit are VITRIFY_USER_ERRORs of the build. */
VITRIFY_API vitrify_status vitrify_build_options_add_state(vitrify_build_options* options,
                                                           const char* input, const char* output);
/* That candidates are timed with; 0: all of the process's. */
VITRIFY_API void vitrify_build_options_set_threads(vitrify_build_options* options,
                                                   int32_t max_threads);
/* 0: tactics are chosen by prediction, so that equal inputs give equal engines. */
VITRIFY_API void vitrify_build_options_set_timing(vitrify_build_options* options, int on);
/* 0: the graph is run as imported. */
VITRIFY_API void vitrify_build_options_set_passes(vitrify_build_options* options, int on);
/* Leaves out the pass of that name (`vitrify_graph_after` lists them; besides "add_aliases"), or
 * what a build's report calls so: a rule, an alias, or for any other decision of a pass that pass.
 * The report tells of those as "left out"; a name of nothing, or of what cannot be left out
 * (decisions of "import", "split_refused", "store_constants" and the like), fails the build. */
VITRIFY_API void vitrify_build_options_disable_pass(vitrify_build_options* options,
                                                    const char* pass);
/* Called on the building thread with what is being done and how far the build is, 0 to 1. Returns 0
 * to go on; anything else ends the build with VITRIFY_CANCELLED, and the file that was there stays.
 */
typedef int (*vitrify_progress_fn)(const char* stage, double fraction, void* user);
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
/* Operators × opsets, which ops have fast kernels for which types, and the tactics of every
 * backend, as a JSON object. */
VITRIFY_API vitrify_status vitrify_list_ops(char** json);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* VITRIFY_VITRIFY_H_ */
