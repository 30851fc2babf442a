#include "base/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "base/error.h"

namespace vitrify {

namespace {
constexpr int kBarWidth = 24;
constexpr double kInterval = 0.1;

void put(int output, std::string_view text) {
  // A bar that cannot be drawn is no reason to fail.
  [[maybe_unused]] ssize_t n = ::write(output, text.data(), text.size());
}

int columns(int output) {
  winsize size{};
  return ::ioctl(output, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}
}  // namespace

std::string progress_line(std::string_view label, int64_t done, int64_t total,
                          std::string_view what, int width) {
  double part = total > 0 ? std::clamp(double(done) / double(total), 0.0, 1.0) : 1.0;
  size_t filled = size_t(part * kBarWidth);
  std::string line = cat(label, " [", std::string(filled, '#'),
                         std::string(kBarWidth - filled, ' '), "] ", int(part * 100), "% ", what);
  if (line.size() > size_t(std::max(width, 0))) line.resize(size_t(std::max(width, 0)));
  return line;
}

Progress::Progress(std::string label, int64_t total, int output)
    : label_(std::move(label)), total_(total), output_(output), shown_(::isatty(output)) {}

Progress::~Progress() {
  if (drawn_) put(output_, "\r\x1b[K");
}

void Progress::step(std::string_view what) {
  ++done_;
  if (!shown_ || seconds_now() - last_ < kInterval) return;
  last_ = seconds_now();
  draw(what);
}

void Progress::draw(std::string_view what) {
  drawn_ = true;
  // One column less than there are: a full line would wrap.
  put(output_, "\r\x1b[K" + progress_line(label_, done_, total_, what, columns(output_) - 1));
}

}  // namespace vitrify
