// Text ops: each is a Classic op of the same meaning.
#include "base/error.h"
#include "onnx/families.h"
#include "onnx/importer.h"
#include "ops/classic.h"

namespace vitrify::onnx {

namespace {

using Attributes = std::vector<std::pair<std::string, ClassicValue>>;

void import_string_concat(NodeContext& c) {
  c.outputs({c.add(make_classic("string_concat"), {c.in(0), c.in(1)})});
}

void import_string_split(NodeContext& c) {
  Attributes attributes{{"delimiter", c.string_attribute("delimiter", "")}};
  if (c.has_attribute("maxsplit"))
    attributes.emplace_back("maxsplit", c.int_attribute("maxsplit", 0));
  ValueId y = c.add(make_classic("string_split", attributes), {c.in(0)}, 2);
  c.outputs({y, {y.node, 1}});
}

void import_string_normalizer(NodeContext& c) {
  std::string change = c.string_attribute("case_change_action", "NONE");
  require(change == "NONE" || change == "LOWER" || change == "UPPER",
          "unknown case_change_action '", change, "'");
  Attributes attributes{{"case_change_action", change},
                        {"is_case_sensitive", c.int_attribute("is_case_sensitive", 0)},
                        {"stopwords", c.strings_attribute("stopwords")}};
  c.outputs({c.add(make_classic("string_normalizer", attributes), {c.in(0)})});
}

void import_regex_full_match(NodeContext& c) {
  Attributes attributes{{"pattern", c.string_attribute("pattern", "")}};
  c.outputs({c.add(make_classic("regex_full_match", attributes), {c.in(0)})});
}

void import_tf_idf_vectorizer(NodeContext& c) {
  Attributes attributes{{"mode", c.string_attribute("mode", "TF")}};
  for (const char* name : {"min_gram_length", "max_gram_length", "max_skip_count"}) {
    require(c.has_attribute(name), "attribute '", name, "' is missing");
    attributes.emplace_back(name, c.int_attribute(name, 0));
  }
  for (const char* name : {"ngram_counts", "ngram_indexes", "pool_int64s"})
    attributes.emplace_back(name, c.ints_attribute(name));
  attributes.emplace_back("pool_strings", c.strings_attribute("pool_strings"));
  attributes.emplace_back("weights", c.floats_attribute("weights"));
  c.outputs({c.add(make_classic("tf_idf_vectorizer", attributes), {c.in(0)})});
}

constexpr ImportRow kRows[] = {
    {"", "StringConcat", 20, import_string_concat},
    {"", "StringSplit", 20, import_string_split},
    {"", "StringNormalizer", 10, import_string_normalizer},
    {"", "RegexFullMatch", 20, import_regex_full_match},
    {"", "TfIdfVectorizer", 9, import_tf_idf_vectorizer},
};

}  // namespace

std::span<const ImportRow> text_imports() { return kRows; }

}  // namespace vitrify::onnx
