// What a run says of its outputs, and the files that it writes of them.
#pragma once

#include "common.h"

namespace vitrify::cli {

/// The files of an output: NAME.npy, or of a sequence NAME.0.npy, NAME.1.npy …
std::vector<std::string> output_files(const std::string& folder, const std::string& name,
                                      const ValueView& value);
/// Writes them. Files that are there are overwritten, never removed: one that an earlier, longer
/// sequence has left is told.
void write_output(const std::string& folder, const std::string& name, const ValueView& value);

/// {"name", "kind", of tensors "dtype", "shape" and of numbers "min", "mean", "max" (without NaN);
/// of sequences "size"}, and "files" unless null.
Json describe_output(const std::string& name, const ValueView& value,
                     const std::vector<std::string>* files);

struct OutputRow {
  std::string name;
  ValueView value;
  std::vector<std::string> files;
};
/// A table on stderr.
void print_outputs(const std::vector<OutputRow>& rows);

}  // namespace vitrify::cli
