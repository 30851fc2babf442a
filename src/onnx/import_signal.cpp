// Signal processing: all of it are Classic ops.
#include "onnx/families.h"
#include "onnx/importer.h"
#include "ops/classic.h"

namespace vitrify::onnx {

namespace {

/// Version 17 has the axis as an attribute, 1 by default; later ones as an input.
void import_dft(NodeContext& c, int64_t default_axis) {
  Classic op = make_classic("dft", {{"axis", c.int_attribute("axis", default_axis)},
                                    {"inverse", c.int_attribute("inverse", 0)},
                                    {"onesided", c.int_attribute("onesided", 0)}});
  c.outputs({c.add(op, {c.in(0), c.optional_in(1), c.optional_in(2)})});
}
void import_dft_17(NodeContext& c) { import_dft(c, 1); }
void import_dft_20(NodeContext& c) { import_dft(c, -2); }

void import_stft(NodeContext& c) {
  Classic op = make_classic("stft", {{"onesided", c.int_attribute("onesided", 1)}});
  c.outputs({c.add(op, {c.in(0), c.in(1), c.optional_in(2), c.optional_in(3)})});
}

void import_window(NodeContext& c, std::vector<double> coefficients) {
  DType dtype = c.dtype_attribute("output_datatype", DType::kFloat32);
  Classic op = make_classic("window", {{"coefficients", std::move(coefficients)},
                                       {"periodic", c.int_attribute("periodic", 1)},
                                       {"dtype", int64_t(dtype)}});
  c.outputs({c.add(op, {c.in(0)})});
}
void import_hann(NodeContext& c) { import_window(c, {0.5, 0.5, 0}); }
void import_hamming(NodeContext& c) { import_window(c, {25.0 / 46, 21.0 / 46, 0}); }
void import_blackman(NodeContext& c) { import_window(c, {0.42, 0.5, 0.08}); }

void import_mel(NodeContext& c) {
  DType dtype = c.dtype_attribute("output_datatype", DType::kFloat32);
  c.outputs({c.add(make_classic("mel_weights", {{"dtype", int64_t(dtype)}}), c.inputs())});
}

const ImportRow kRows[] = {
    {"", "DFT", 17, import_dft_17},
    {"", "DFT", 20, import_dft_20},
    {"", "STFT", 17, import_stft},
    {"", "HannWindow", 17, import_hann},
    {"", "HammingWindow", 17, import_hamming},
    {"", "BlackmanWindow", 17, import_blackman},
    {"", "MelWeightMatrix", 17, import_mel},
};

}  // namespace

std::span<const ImportRow> signal_imports() { return kRows; }

}  // namespace vitrify::onnx
