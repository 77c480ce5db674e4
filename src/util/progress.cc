// SPDX-License-Identifier: Apache-2.0
#include "src/util/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace foldstream {
namespace {

using std::chrono::duration;
using std::chrono::milliseconds;

constexpr int kBarWidth = 24;

}  // namespace

Progress::Progress(std::string what, int64_t total)
    : what_(std::move(what)),
      total_(total),
      terminal_(::isatty(STDERR_FILENO) == 1),
      start_(Clock::now()),
      last_(start_) {}

Progress::~Progress() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

void Progress::advance(int64_t done) {
  if (!terminal_) return;
  const std::lock_guard lock(mutex_);
  done_ += done;
  draw();
}

void Progress::note(const std::string& text) {
  if (!terminal_) return;
  const std::lock_guard lock(mutex_);
  note_ = text.substr(0, 48);
  draw();
}

void Progress::draw() {
  const Clock::time_point now = Clock::now();
  if (now - start_ < std::chrono::seconds(1) || now - last_ < milliseconds(100)) return;
  last_ = now;
  drawn_ = true;
  const double seconds = duration<double>(now - start_).count();
  std::string line = fmt::format("\r\033[K{} ", what_);
  if (total_ > 0) {
    const int filled = static_cast<int>(std::min(done_, total_) * kBarWidth / total_);
    line += fmt::format("[{}{}] {}/{} ", std::string(filled, '#'),
                        std::string(kBarWidth - filled, ' '), done_, total_);
  }
  line += fmt::format("{:.0f} s {}", seconds, note_);
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
}

}  // namespace foldstream
