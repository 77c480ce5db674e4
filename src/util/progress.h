// SPDX-License-Identifier: Apache-2.0
// A progress line on standard error: only on a terminal, only when the work takes over a second.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace foldstream {

class Progress {
 public:
  // `total` 0: no known end; the line shows text and elapsed seconds.
  explicit Progress(std::string what, int64_t total = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Thread-safe and cheap.
  void advance(int64_t done);
  void note(const std::string& text);

 private:
  void draw();

  using Clock = std::chrono::steady_clock;
  std::string what_, note_;
  int64_t total_, done_ = 0;
  bool terminal_, drawn_ = false;
  Clock::time_point start_, last_;
  std::mutex mutex_;
};

}  // namespace foldstream
