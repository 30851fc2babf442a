// The import table: one row an op and version, family by family.
#include <algorithm>
#include <unordered_map>

#include "onnx/families.h"
#include "onnx/importer.h"

namespace vitrify::onnx {

namespace {

constexpr std::span<const ImportRow> (*kFamilies[])() = {
    pointwise_imports, reduce_imports,   contraction_imports, spatial_imports,
    movement_imports,  quantize_imports, recurrent_imports,   attention_imports,
    control_imports,   sequence_imports, text_imports,        signal_imports,
    ml_imports,        random_imports,   loss_imports,        misc_imports,
};

using RowsByOp = std::unordered_map<std::string, std::vector<ImportRow>>;

std::string key(std::string_view domain, std::string_view op) {
  return std::string(domain == "ai.onnx" ? "" : domain) + ":" + std::string(op);
}

RowsByOp rows_by_op() {
  RowsByOp rows;
  for (const ImportRow& row : import_table()) rows[key(row.domain, row.op)].push_back(row);
  for (auto& [op, versions] : rows)
    std::stable_sort(versions.begin(), versions.end(),
                     [](const ImportRow& a, const ImportRow& b) { return a.since < b.since; });
  return rows;
}

}  // namespace

std::vector<ImportRow> import_table() {
  std::vector<ImportRow> rows;
  for (auto family : kFamilies) rows.insert(rows.end(), family().begin(), family().end());
  return rows;
}

const ImportRow* find_import(std::string_view domain, std::string_view op, int64_t opset) {
  static const RowsByOp rows = rows_by_op();
  auto at = rows.find(key(domain, op));
  if (at == rows.end()) return nullptr;
  const ImportRow* found = nullptr;
  for (const ImportRow& row : at->second)
    if (row.since <= opset) found = &row;
  return found;
}

}  // namespace vitrify::onnx
