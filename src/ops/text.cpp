// Text ops: StringConcat, StringSplit, StringNormalizer, RegexFullMatch and TfIdfVectorizer, as
// ONNX defines them.
#include <algorithm>
#include <map>
#include <set>

#include "ops/broadcast.h"
#include "ops/classic.h"
#include "ops/dispatch.h"
#include "ops/regex.h"
#include "ops/utf8.h"

namespace vitrify {

namespace {

void expect_strings(const InferContext& context, int count) {
  require(context.input_count() == count, "expected ", count, " inputs");
  for (int i = 0; i < count; ++i) {
    context.expect_tensor(i);
    require(context.dtype(i) == DType::kString, "expected strings, got ", name(context.dtype(i)));
  }
}

Type with_dtype(Type type, DType dtype) {
  type.dtype = dtype;
  return type;
}

// ---- StringConcat ----

void infer_string_concat(InferContext& context) {
  expect_strings(context, 2);
  const Shape *a = context.shape(0), *b = context.shape(1);
  context.output(a && b ? Type::tensor(DType::kString, broadcast_shapes(*a, *b))
                        : Type::unranked(DType::kString));
}

void reference_string_concat(ReferenceCall& call) {
  const Tensor &a = call.in(0), &b = call.in(1);
  Dims dims = broadcast_dims(a.dims(), b.dims());
  std::vector<Dims> shapes{a.dims(), b.dims()};
  Tensor y(DType::kString, dims);
  for_each_row(make_broadcast_loop(dims, shapes),
               [&](int64_t first, int64_t count, const int64_t* at, const int64_t* step) {
                 for (int64_t i = 0; i < count; ++i)
                   y.data<std::string>()[first + i] = a.data<std::string>()[at[0] + i * step[0]] +
                                                      b.data<std::string>()[at[1] + i * step[1]];
               });
  call.set(0, y);
}

// ---- StringSplit ----

void infer_string_split(InferContext& context) {
  expect_strings(context, 1);
  Type pieces = context.type(0);
  if (pieces.shape) pieces.shape->push_back(context.fresh(0, int(pieces.shape->size())));
  context.output(pieces);
  context.output(with_dtype(context.type(0), DType::kInt64));
}

std::vector<std::string> split_at(const std::string& text, const std::string& delimiter,
                                  int64_t limit) {
  std::vector<std::string> pieces;
  size_t from = 0;
  for (size_t at;
       int64_t(pieces.size()) != limit && (at = text.find(delimiter, from)) != std::string::npos;
       from = at + delimiter.size())
    pieces.push_back(text.substr(from, at - from));
  pieces.push_back(text.substr(from));
  return pieces;
}

/// Runs of white space separate; none at the ends. What remains after `limit` splits stays whole.
std::vector<std::string> split_words(const std::string& text, int64_t limit) {
  constexpr std::string_view kSpace = " \t\n\r\f\v";
  std::vector<std::string> pieces;
  for (size_t from = text.find_first_not_of(kSpace); from != std::string::npos;) {
    if (int64_t(pieces.size()) == limit) {
      pieces.push_back(text.substr(from, text.find_last_not_of(kSpace) + 1 - from));
      break;
    }
    size_t end = std::min(text.find_first_of(kSpace, from), text.size());
    pieces.push_back(text.substr(from, end - from));
    from = text.find_first_not_of(kSpace, end);
  }
  return pieces;
}

void reference_string_split(ReferenceCall& call) {
  ClassicAttributes attributes(call.op());
  std::string delimiter = attributes.text("delimiter", "");
  int64_t limit = attributes.has("maxsplit") ? attributes.integer("maxsplit", 0) : -1;
  const Tensor& x = call.in(0);
  std::vector<std::vector<std::string>> all;
  size_t widest = 0;
  for (const std::string& text : x.span<std::string>()) {
    all.push_back(delimiter.empty() ? split_words(text, limit) : split_at(text, delimiter, limit));
    widest = std::max(widest, all.back().size());
  }
  Dims dims = x.dims();
  dims.push_back(int64_t(widest));
  Tensor pieces(DType::kString, dims), counts(DType::kInt64, x.dims());
  for (size_t i = 0; i < all.size(); ++i) {
    std::copy(all[i].begin(), all[i].end(), pieces.data<std::string>() + i * widest);
    counts.data<int64_t>()[i] = int64_t(all[i].size());
  }
  call.set(0, pieces);
  if (call.wants(1)) call.set(1, counts);
}

// ---- StringNormalizer ----

void infer_string_normalizer(InferContext& context) {
  expect_strings(context, 1);
  Type type = context.type(0);
  if (type.shape) {
    require(type.shape->size() == 1 || type.shape->size() == 2, "expected [C] or [1, C], got ",
            type.str());
    type.shape->back() = context.fresh(0, int(type.shape->size()) - 1);
  }
  context.output(type);
}

void reference_string_normalizer(ReferenceCall& call) {
  ClassicAttributes attributes(call.op());
  bool exact = attributes.integer("is_case_sensitive", 0) != 0;
  std::string change = attributes.text("case_change_action", "NONE");
  auto folded = [&](const std::string& word) { return exact ? word : to_lower(word); };
  std::set<std::string> stopwords;
  for (const std::string& word : attributes.texts("stopwords")) stopwords.insert(folded(word));
  const Tensor& x = call.in(0);
  require(x.rank() == 1 || (x.rank() == 2 && x.dims()[0] == 1), "expected [C] or [1, C], got ",
          str(x.dims()));
  std::vector<std::string> words;
  for (const std::string& word : x.span<std::string>())
    if (!stopwords.count(folded(word)))
      words.push_back(change == "LOWER"   ? to_lower(word)
                      : change == "UPPER" ? to_upper(word)
                                          : word);
  if (words.empty()) words.emplace_back();
  Dims dims = x.dims();
  dims.back() = int64_t(words.size());
  call.set(0, Tensor::strings(dims, std::move(words)));
}

// ---- RegexFullMatch ----

void infer_regex_full_match(InferContext& context) {
  expect_strings(context, 1);
  Regex(ClassicAttributes(context.op()).text("pattern", ""));
  context.output(with_dtype(context.type(0), DType::kBool));
}

void reference_regex_full_match(ReferenceCall& call) {
  Regex regex(ClassicAttributes(call.op()).text("pattern", ""));
  const Tensor& x = call.in(0);
  auto* y = call.out(0, DType::kBool, x.dims()).data<uint8_t>();
  for (const std::string& text : x.span<std::string>()) *y++ = regex.full_match(text);
}

// ---- TfIdfVectorizer ----

/// The pool's n-grams, and where in the result each one counts.
template <class T>
using Pool = std::map<std::vector<T>, size_t>;

/// `items` holds all 1-grams, then all 2-grams …; `starts` says where each length begins.
template <class T>
Pool<T> make_pool(const std::vector<T>& items, const Ints& starts) {
  Pool<T> pool;
  size_t number = 0;
  for (size_t n = 1; n <= starts.size(); ++n) {
    int64_t begin = starts[n - 1], end = n < starts.size() ? starts[n] : int64_t(items.size());
    require(begin >= 0 && begin <= end && end <= int64_t(items.size()) &&
                (end - begin) % int64_t(n) == 0,
            "ngram_counts does not fit the pool");
    for (int64_t i = begin; i < end; i += int64_t(n))
      pool.emplace(std::vector<T>(items.begin() + i, items.begin() + i + int64_t(n)), number++);
  }
  return pool;
}

struct Grams {
  int64_t shortest, longest, max_skip;
  Ints starts, columns;
  std::vector<double> weights;
  std::string mode;
  int64_t width = 0;
};

Grams read_grams(const Op& op) {
  ClassicAttributes a(op);
  Grams g{a.integer("min_gram_length", 1),
          a.integer("max_gram_length", 1),
          a.integer("max_skip_count", 0),
          a.integers("ngram_counts"),
          a.integers("ngram_indexes"),
          a.numbers("weights"),
          a.text("mode", "TF")};
  require(g.shortest > 0 && g.longest >= g.shortest && g.max_skip >= 0, "bad n-gram lengths");
  require(g.mode == "TF" || g.mode == "IDF" || g.mode == "TFIDF", "unknown mode '", g.mode, "'");
  require(!g.columns.empty(), "ngram_indexes is empty");
  for (int64_t c : g.columns) {
    require(c >= 0, "a negative index in ngram_indexes");
    g.width = std::max(g.width, checked_add(c, 1));
  }
  require(g.weights.empty() || g.weights.size() == g.columns.size(),
          "weights and ngram_indexes differ in length");
  return g;
}

template <class T>
void count_grams(std::span<const T> row, const Grams& g, const Pool<T>& pool, float* y) {
  auto length = int64_t(row.size());
  std::vector<T> gram;
  for (int64_t skip = 0; skip <= std::min(g.max_skip, length); ++skip)
    for (int64_t n = g.shortest; n <= std::min(g.longest, length); ++n) {
      if (n == 1 && skip > 0) continue;
      for (int64_t i = 0; i + (n - 1) * (skip + 1) < length; ++i) {
        gram.clear();
        for (int64_t k = 0; k < n; ++k) gram.push_back(row[size_t(i + k * (skip + 1))]);
        auto at = pool.find(gram);
        if (at != pool.end() && at->second < g.columns.size()) y[g.columns[at->second]] += 1;
      }
    }
}

template <class T>
void vectorize(const Tensor& x, const Grams& g, const Pool<T>& pool, Tensor& y) {
  int64_t columns = x.rank() == 0 ? 1 : x.dims().back(), rows = columns ? x.size() / columns : 0;
  for (int64_t r = 0; r < rows; ++r)
    count_grams(x.span<T>().subspan(size_t(r * columns), size_t(columns)), g, pool,
                y.data<float>() + r * g.width);
  if (g.mode == "TF") return;
  for (size_t k = 0; k < g.columns.size(); ++k)
    for (int64_t r = 0; r < y.size() / g.width; ++r) {
      float& v = y.data<float>()[r * g.width + g.columns[k]];
      float weight = g.weights.empty() ? 1 : float(g.weights[k]);
      v = g.mode == "IDF" ? (v > 0 ? weight : 0) : v * weight;
    }
}

void infer_tf_idf(InferContext& context) {
  context.expect_tensor(0);
  DType dtype = context.dtype(0);
  require(dtype == DType::kString || dtype == DType::kInt32 || dtype == DType::kInt64,
          "expected strings or integers, got ", name(dtype));
  Grams g = read_grams(context.op());
  Type type = with_dtype(context.type(0), DType::kFloat32);
  if (type.shape) {
    require(type.shape->size() <= 2, "expected [C] or [N, C], got ", type.str());
    if (type.shape->empty()) type.shape->emplace_back();
    type.shape->back() = Dim(g.width);
  }
  context.output(type);
}

void reference_tf_idf(ReferenceCall& call) {
  ClassicAttributes attributes(call.op());
  Grams g = read_grams(call.op());
  const Tensor& x = call.in(0);
  require(x.rank() <= 2, "expected [C] or [N, C]");
  Dims dims = x.dims();
  if (dims.empty()) dims.push_back(0);
  dims.back() = g.width;
  Tensor y(DType::kFloat32, dims);
  if (x.dtype() == DType::kString)
    vectorize(x, g, make_pool(attributes.texts("pool_strings"), g.starts), y);
  else
    vectorize(widen(x), g, make_pool(attributes.integers("pool_int64s"), g.starts), y);
  call.set(0, y);
}

constexpr ClassicRow kRows[] = {
    {"string_concat", infer_string_concat, reference_string_concat},
    {"string_split", infer_string_split, reference_string_split},
    {"string_normalizer", infer_string_normalizer, reference_string_normalizer},
    {"regex_full_match", infer_regex_full_match, reference_regex_full_match},
    {"tf_idf_vectorizer", infer_tf_idf, reference_tf_idf},
};

}  // namespace

std::span<const ClassicRow> text_classics() { return kRows; }

}  // namespace vitrify
