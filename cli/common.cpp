#include "common.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <utility>

namespace vitrify::cli {

Dims parse_shape(const std::string& text) {
  Dims dims;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.find('x', at), text.size());
    int64_t d = 0;
    const auto [stop, error] = std::from_chars(text.data() + at, text.data() + end, d);
    if (error != std::errc() || stop != text.data() + end || d < 0 || end + 1 == text.size())
      throw UsageError("'" + text + "' is not a shape: write extents like 1x3x224x224");
    dims.push_back(d);
    at = end + 1;
  }
  return dims;
}

std::string shape_text(std::span<const int64_t> dims) {
  std::string out;
  for (int64_t d : dims) out += (out.empty() ? "" : "x") + std::to_string(d);
  return out;
}

std::pair<std::string, std::string> parse_assignment(const std::string& option,
                                                     const std::string& text) {
  const size_t at = text.rfind('=');
  if (at == std::string::npos || at == 0)
    throw UsageError(option + " " + text + ": write NAME=VALUE");
  return {text.substr(0, at), text.substr(at + 1)};
}

void add_profiles(BuildOptions& options, const std::vector<std::string>& flags) {
  std::set<std::string> names;
  for (const std::string& flag : flags) {
    const auto [name, ranges] = parse_assignment("--profile", flag);
    std::vector<Dims> parts;
    for (size_t at = 0; at <= ranges.size();) {
      const size_t end = std::min(ranges.find(':', at), ranges.size());
      parts.push_back(parse_shape(ranges.substr(at, end - at)));
      at = end + 1;
    }
    if (parts.size() == 1) parts = {parts[0], parts[0], parts[0]};
    if (parts.size() != 3) throw UsageError("--profile " + flag + ": write NAME=MIN:OPT:MAX");
    if (names.empty() || names.count(name)) names.clear(), options.add_profile();
    names.insert(name);
    options.add_range(name, parts[0], parts[1], parts[2]);
  }
}

void add_shapes(BuildOptions& options, const std::vector<std::string>& flags) {
  if (flags.empty()) return;
  options.add_profile();
  std::set<std::string> given;
  for (const std::string& flag : flags) {
    const auto [name, text] = parse_assignment("--shape", flag);
    if (!given.insert(name).second) throw UsageError("--shape " + name + " is given twice");
    const Dims dims = parse_shape(text);
    options.add_range(name, dims, dims, dims);
  }
}

void add_states(BuildOptions& options, const std::vector<std::string>& flags) {
  for (const std::string& flag : flags) {
    const auto [input, output] = parse_assignment("--state", flag);
    options.add_state(input, output);
  }
}

Option verify_option(std::string* target) {
  return {
      "--verify",
      target,
      "what of an engine file is checked against its digests: full, or lazy: all but the weights",
      false,
      {"full", "lazy"}};
}

vitrify_verify parse_verify(const std::string& text) {
  return text == "lazy" ? VITRIFY_VERIFY_LAZY : VITRIFY_VERIFY_FULL;
}

Engine open_engine(const std::string& path, const BuildOptions& options, const std::string& verify,
                   double* build_s, double* load_ms) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  if (vitrify_is_engine(path.c_str())) {
    Engine engine = Engine::load(path, parse_verify(verify));
    *load_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    return engine;
  }
  if (verify != "full") throw UsageError("--verify is for engines: a model is read whole");
  Engine engine = Engine::build(path, options);
  *build_s = std::chrono::duration<double>(Clock::now() - start).count();
  return engine;
}

std::string file_name(const std::string& name) {
  std::string out;
  for (char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '_' || c == '-';
    const bool goes_on = (c & 0xC0) == 0x80;  // UTF-8: a character's second byte and further ones
    if (!goes_on) out += plain ? c : '_';
  }
  return out;
}

namespace {

/// The input's shape: from --shape, or the model's own where it has no symbols.
Dims input_shape(const Engine& engine, size_t i, const std::map<std::string, Dims>& given) {
  const std::string name = engine.input_name(i);
  if (auto at = given.find(name); at != given.end()) return at->second;
  int64_t rank = -1;
  Dims dims(64);
  detail::check(vitrify_engine_input_info(engine.handle(), i, nullptr, nullptr, &rank, dims.data(),
                                          dims.size()));
  dims.resize(size_t(std::max<int64_t>(rank, 0)));
  if (rank < 0 || std::count(dims.begin(), dims.end(), -1))
    throw UsageError("input '" + name + "' has type " + engine.input_type(i) +
                     ": give it with --input " + name + "=FILE.npy or --shape " + name + "=…");
  return dims;
}

/// Fails as setting an unknown input does, before files are read.
void check_names(Context& context, const Engine& engine,
                 const std::map<std::string, std::string>& files,
                 const std::map<std::string, Dims>& shapes) {
  std::set<std::string> known;
  for (size_t i = 0; i < engine.input_count(); ++i) known.insert(engine.input_name(i));
  auto check = [&](const std::string& name) {
    if (!known.count(name)) context.set_input(name, Value::none());
  };
  for (const auto& f : files) check(f.first);
  for (const auto& s : shapes) check(s.first);
}

}  // namespace

void set_inputs(Context& context, const Engine& engine, const std::vector<std::string>& file_flags,
                const std::vector<std::string>& shape_flags) {
  std::map<std::string, std::string> files;
  std::map<std::string, Dims> shapes;
  for (const auto& flag : file_flags)
    if (const auto given = parse_assignment("--input", flag); !files.insert(given).second)
      throw UsageError("--input " + given.first + " is given twice");
  for (const auto& flag : shape_flags) {
    const auto [name, text] = parse_assignment("--shape", flag);
    if (files.count(name)) throw UsageError("input '" + name + "' has both --input and --shape");
    shapes[name] = parse_shape(text);
  }
  check_names(context, engine, files, shapes);
  std::set<std::string> states;
  for (size_t i = 0; i < engine.state_count(); ++i) states.insert(engine.state_input(i));
  for (size_t i = 0; i < engine.input_count(); ++i) {
    const std::string name = engine.input_name(i);
    if (states.count(name) && !files.count(name) && !shapes.count(name)) continue;
    vitrify_kind kind = VITRIFY_NONE;
    vitrify_dtype dtype = VITRIFY_UNDEFINED;
    detail::check(
        vitrify_engine_input_info(engine.handle(), i, &kind, &dtype, nullptr, nullptr, 0));
    const auto file = files.find(name);
    if (kind == VITRIFY_OPTIONAL && file == files.end()) {
      context.set_input(name, Value::none());
      continue;
    }
    if (kind != VITRIFY_TENSOR)
      throw UsageError("input '" + name + "' has type " + engine.input_type(i) +
                       ", which the command line cannot give: use the API");
    if (!files.empty() && file == files.end() && !shapes.count(name))
      throw UsageError("input '" + name + "' is not given: --input " + name + "=FILE.npy, or " +
                       "--shape " + name + "=… for random values");
    if (file != files.end()) {
      context.set_input(name, read_value(file->second, dtype));
      continue;
    }
    const Dims shape = input_shape(engine, i, shapes);
    try {
      context.set_input(name, random_value(dtype, shape, i + 1));
    } catch (const Failure& e) {
      throw UsageError("input '" + name + "': " + e.what());
    }
  }
}

Progress::Progress() : on_(isatty(STDERR_FILENO)) {}
Progress::~Progress() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

void Progress::show(const char* stage, double fraction) {
  if (!on_) return;
  constexpr int kWidth = 30;
  const int filled = int(fraction * kWidth);
  std::string bar(size_t(kWidth), ' ');
  std::fill_n(bar.begin(), std::clamp(filled, 0, kWidth), '=');
  std::fprintf(stderr, "\r[%s] %3.0f%% %-40.40s", bar.c_str(), fraction * 100, stage);
  std::fflush(stderr);
  drawn_ = true;
}

void write_file(const std::string& path, std::string_view content) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(content.data(), std::streamsize(content.size()));
  out.close();
  if (!out) throw UsageError("cannot write '" + path + "': " + std::strerror(errno));
}

void replace_file(const std::string& path, std::string_view content) {
  std::string temporary = path + ".XXXXXX";  // never a name that is there
  struct stat old {};
  const mode_t mask = umask(0);
  umask(mask);
  const mode_t mode = stat(path.c_str(), &old) == 0 ? old.st_mode & 0777 : 0666 & ~mask;
  const int descriptor = mkstemp(temporary.data());
  if (descriptor < 0) throw UsageError("cannot write '" + path + "': " + std::strerror(errno));
  const bool allowed = fchmod(descriptor, mode) == 0;
  close(descriptor);
  try {
    write_file(temporary, content);
    if (allowed && std::rename(temporary.c_str(), path.c_str()) == 0) return;
    throw UsageError("cannot write '" + path + "': " + std::strerror(errno));
  } catch (...) {
    std::remove(temporary.c_str());
    throw;
  }
}

namespace {
/// Bytes of the UTF-8 character, or of the stray byte, at the front of a text that is not empty.
size_t character_bytes(std::string_view text) {
  size_t bytes = 1;
  if (static_cast<unsigned char>(text[0]) >= 0xC0)
    while (bytes < std::min<size_t>(4, text.size()) &&
           (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80)
      ++bytes;
  return bytes;
}

/// C0, DEL, and C1 as UTF-8 writes it.
bool is_control(std::string_view character) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(character[i]); };
  if (character.size() == 2) return byte(0) == 0xC2 && byte(1) < 0xA0;
  return character.size() == 1 && (byte(0) < 0x20 || byte(0) >= 0x7F);
}

std::string escape(std::string_view text, bool keeps_lines) {
  constexpr size_t kMost = 2000;
  std::string out;
  size_t column = 0;
  while (!text.empty()) {
    const std::string_view character = text.substr(0, character_bytes(text));
    text.remove_prefix(character.size());
    const bool ends = character == "\n" && keeps_lines;
    const size_t before = std::exchange(column, ends ? 0 : column + character.size());
    if (before < kMost && column >= kMost) out += "...";
    if (column >= kMost) continue;
    if (ends || !is_control(character)) {
      out += character;
      continue;
    }
    for (const char c : character) {
      char code[8];
      std::snprintf(code, sizeof code, "\\x%02x", static_cast<unsigned char>(c));
      out += code;
    }
  }
  return out;
}
}  // namespace

std::string visible(std::string_view text) { return escape(text, true); }
std::string visible_name(std::string_view text) { return escape(text, false); }

void print_json(const Json& json) {
  std::cout << json.dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl;
}

}  // namespace vitrify::cli
