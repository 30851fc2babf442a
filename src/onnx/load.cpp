// Files: models and stored values. Every failure ends in one message that names the file.
#include <algorithm>
#include <new>

#include "base/mapped_file.h"
#include "onnx/wire.h"

namespace vitrify::onnx {

namespace {

struct Signature {
  std::string_view head, meaning;
};
/// What files that are given by mistake begin with.
constexpr Signature kSignatures[] = {
    {"version https://git-lfs",
     "it is a Git LFS pointer; fetch the file itself with 'git lfs pull'"},
    {"PK\x03\x04", "it is a zip archive (a PyTorch checkpoint?); export the model to ONNX first"},
    {"\x89HDF", "it is an HDF5 file (a Keras model?); convert the model to ONNX first"},
    {"\x80\x02", "it is a Python pickle; export the model to ONNX first"},
    {"\x80\x04", "it is a Python pickle; export the model to ONNX first"},
    {"\x1f\x8b", "it is compressed with gzip; unpack it first"},
    {"GGUF", "it is a GGUF file, which holds weights without a graph; export the model to ONNX"},
    {"\x89VITRENG", "it is an engine that was built already: run it"},
    {"<", "it is an HTML or XML page; was the download refused?"},
    {"{", "it is JSON text"},
};

/// What a file that is no model seems to be, for the message; empty when that is unclear.
std::string_view guess_content(std::string_view head) {
  if (head.empty()) return "the file is empty";
  for (const Signature& s : kSignatures)
    if (head.starts_with(s.head)) return s.meaning;
  if (head.size() > 8 && head.substr(4, 4) == "TFL3")
    return "it is a TensorFlow Lite model; convert it to ONNX first";
  if (head.size() > 9 && head.substr(3, 7) == std::string_view("\0\0\0\0\0{\"", 7))
    return "it is a safetensors file, which holds weights without a graph; export the model to "
           "ONNX";
  auto is_text = [](char c) { return (c >= ' ' && c <= '~') || (c >= '\t' && c <= '\r'); };
  if (std::all_of(head.begin(), head.end(), is_text)) return "it is a text file";
  return {};
}

/// Runs `read` with every failure turned into one message about the file: what it seems to be where
/// that is known, else what is wrong in it. What reads well and is refused all the same is still
/// called a model.
template <class F>
auto guarded(std::span<const std::byte> bytes, const std::string& path, const char* what, F read) {
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::string name = path.empty() ? cat("the ", what) : "'" + path + "'";
  std::string reason;
  bool refused = false;  // for its size, not for what it says
  int64_t messages_left = kMaxMessages;
  try {
    return read(Reader(text, &messages_left));
  } catch (const protozero::exception& e) {
    reason = cat("it is cut off or damaged (", e.what(), ")");
  } catch (const LimitError& e) {
    reason = e.message(), refused = true;
  } catch (const Error& e) {
    reason = e.message();
  } catch (const std::bad_alloc&) {
    reason = "it needs more memory than there is", refused = true;
  }
  std::string_view guess = guess_content(text.substr(0, 64));
  if (refused && guess.empty()) fail(name, " is refused: ", reason);
  fail(name, " is not an ONNX ", what, ": ", guess.empty() ? std::string_view(reason) : guess);
}

}  // namespace

Model parse_model(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                  std::string path) {
  Model m = guarded(bytes, path, "model", read_model);
  m.owner = std::move(owner);
  m.path = std::move(path);
  m.bytes = int64_t(bytes.size());
  return m;
}

Model load_model(const std::string& path) {
  auto file = MappedFile::open(path);
  return parse_model(file->bytes(), file, path);
}

namespace {

/// Fit to be computed with, as values are; initializers stay where they lie in the file.
Tensor read_whole(Reader r, const Model& model) {
  return to_tensor(read_tensor(r), model).aligned();
}

Value read_sequence(Reader r, const Model& model, int depth);

Value read_optional(Reader r, const Model& model, int depth) {
  require_within(depth < kMaxTypeDepth, "it is nested deeper than Vitrify's limit of ",
                 kMaxTypeDepth);
  Value v;
  while (r.next()) switch (r.tag()) {
      case 3:
        v = read_whole(r.message(), model);
        break;
      case 5:
        v = read_sequence(r.message(), model, depth + 1);
        break;
      case 7:
        v = read_optional(r.message(), model, depth + 1);
        break;
      default:
        r.skip();
    }
  return v;
}

Value read_sequence(Reader r, const Model& model, int depth) {
  require_within(depth < kMaxTypeDepth, "it is nested deeper than Vitrify's limit of ",
                 kMaxTypeDepth);
  std::vector<Value> items;
  while (r.next()) switch (r.tag()) {
      case 3:
        items.emplace_back(read_whole(r.message(), model));
        break;
      case 5:
        items.push_back(read_sequence(r.message(), model, depth + 1));
        break;
      case 7:
        items.push_back(read_optional(r.message(), model, depth + 1));
        break;
      default:
        r.skip();
    }
  return Value::of_sequence(std::move(items));
}

}  // namespace

Value load_value(const std::string& path, ValueFile kind) {
  auto file = MappedFile::open(path);
  Model model;
  model.owner = file;
  model.path = path;
  std::span<const std::byte> bytes = file->bytes();
  if (bytes.empty() && kind != ValueFile::kTensor)
    return kind == ValueFile::kSequence ? Value::of_sequence({}) : Value();
  return guarded(bytes, path, "value", [&](Reader r) -> Value {
    if (kind == ValueFile::kTensor) return read_whole(r, model);
    return kind == ValueFile::kSequence ? read_sequence(r, model, 0) : read_optional(r, model, 0);
  });
}

}  // namespace vitrify::onnx
