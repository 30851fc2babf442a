// What the commands share: shapes on the command line, values as .npy files, messages.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "commands.h"
#include "vitrify/vitrify.hpp"

namespace vitrify::cli {

using Json = nlohmann::ordered_json;
using Dims = std::vector<int64_t>;

/// The user's mistake: exit status 1.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// "1x3x224x224"; "" is a scalar. Throws UsageError.
Dims parse_shape(const std::string& text);
/// "NAME=VALUE", split at the last '=' (names may hold some; files that do cannot be given). Throws
/// UsageError naming the option.
std::pair<std::string, std::string> parse_assignment(const std::string& option,
                                                     const std::string& text);
std::string shape_text(std::span<const int64_t> dims);

/// Profiles of --profile flags: a name that comes again starts the next profile.
void add_profiles(BuildOptions& options, const std::vector<std::string>& flags);
/// One profile that fixes the shapes of --shape flags.
void add_shapes(BuildOptions& options, const std::vector<std::string>& flags);

/// States of --state IN=OUT flags.
void add_states(BuildOptions& options, const std::vector<std::string>& flags);
/// --verify of an engine file.
Option verify_option(std::string* target);
vitrify_verify parse_verify(const std::string& text);

/// An engine file, or a model that is built in memory for these shapes. `build_s` and `load_ms` get
/// the times.
Engine open_engine(const std::string& path, const BuildOptions& options, const std::string& verify,
                   double* build_s, double* load_ms);

/// The value of a .npy file for an input of the element type.
Value read_value(const std::string& path, vitrify_dtype dtype);
void write_value(const std::string& path, const ValueView& value);
/// Random data of a shape: floats in [0, 1) (half precision: in [0.5, 1)), integers in [0, 2),
/// every run the same.
Value random_value(vitrify_dtype dtype, const Dims& dims, uint64_t seed);
/// Sets every input: from NAME=FILE.npy, or at random in the shape of NAME=1x3x8x8. Where there are
/// no files, shapes that the model fixes need not be given. States are left as they start unless
/// given.
void set_inputs(Context& context, const Engine& engine, const std::vector<std::string>& files,
                const std::vector<std::string>& shapes);

/// Writes into what is there, a pipe or a device; throws UsageError.
void write_file(const std::string& path, std::string_view content);
/// Writes a file whole or, throwing UsageError, not at all. Keeps the permissions of an old one.
void replace_file(const std::string& path, std::string_view content);

/// Characters other than letters, digits, '.', '_' and '-' become '_'.
std::string file_name(const std::string& name);

/// A bar on stderr, on terminals only.
class Progress {
 public:
  Progress();
  ~Progress();
  void show(const char* stage, double fraction);

 private:
  bool on_;
  bool drawn_ = false;
};

void print_json(const Json& json);

/// Text of a file for the terminal: control characters as \\x1b, of each line at most 2000 bytes.
std::string visible(std::string_view text);
/// The same for a name in a line: line feeds are control characters.
std::string visible_name(std::string_view text);

}  // namespace vitrify::cli
