// SPDX-License-Identifier: Apache-2.0
// Whether a network keeps a rate, from empty queues on.
#pragma once

#include <cstdint>

#include "src/sim/cycle_model.h"

namespace foldstream {

// Frames after which times repeat, mostly. The rate of a network whose times don't is judged by the
// second half of them.
inline constexpr int64_t kRateFrames = 64;

// What the cycle model says of a stream graph at the rate of one frame every `interval` cycles.
struct Rate {
  bool is_known = false;  // the times repeat, or everything stops
  bool is_full = false;
  double cycles = 0;  // of a frame; 0 when everything stops
  SimResult result;
};
Rate rate_of(const StreamGraph& graph, int64_t interval, int64_t frames);

}  // namespace foldstream
