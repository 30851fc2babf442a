// What has no family: determinants.
#include "onnx/families.h"
#include "onnx/importer.h"
#include "ops/classic.h"

namespace vitrify::onnx {

namespace {

void import_det(NodeContext& c) { c.outputs({c.add(make_classic("det"), {c.in(0)})}); }

constexpr ImportRow kRows[] = {
    {"", "Det", 11, import_det},
};

}  // namespace

std::span<const ImportRow> misc_imports() { return kRows; }

}  // namespace vitrify::onnx
