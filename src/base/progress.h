// A progress bar for work of some seconds: on stderr, only when that is a terminal, gone at the
// end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vitrify {

/// Not for several threads. Draws at most ten times a second.
class Progress {
 public:
  /// `total` steps; `output` is a file descriptor, given another only in tests.
  Progress(std::string label, int64_t total, int output = 2);
  Progress(const Progress&) = delete;
  ~Progress();
  /// One step is done; `what` names the next one, as far as there is room.
  void step(std::string_view what);

 private:
  void draw(std::string_view what);
  std::string label_;
  int64_t total_, done_ = 0;
  int output_;
  bool shown_, drawn_ = false;
  double last_ = 0;
};

/// "label [####      ] 40% what" in at most `width` columns.
std::string progress_line(std::string_view label, int64_t done, int64_t total,
                          std::string_view what, int width);

}  // namespace vitrify
