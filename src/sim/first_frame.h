// SPDX-License-Identifier: Apache-2.0
// The first frame of a single block in a design that was idle, with room for every beat it gives:
// when the beats of its outputs are visible, what each of them waited for, and how long a beat
// takes through the block at least. No queue makes a first frame any sooner, so blocks put together
// by these give the least latency that a folding can have.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "src/ir/hardware.h"

namespace foldstream {

// No bound on the cycles of a first frame.
inline constexpr int64_t kAnyLatency = std::numeric_limits<int64_t>::max();

// By beat of a stream, the cycle from which it is visible.
using Arrivals = std::vector<int64_t>;

// By input of a block, when its beats arrive; null where all are there before cycle 0.
using Inputs = std::vector<const Arrivals*>;

// The same of its outputs, each of so many beats.
std::vector<Arrivals> first_frame(const Rhythm& rhythm, const Inputs& in,
                                  const std::vector<int64_t>& beats_out);

// Where a way through a block begins: at a beat of an input, or, with no port, at cycle 0.
struct WayIn {
  std::optional<size_t> port;
  int64_t beat = 0;
};

// What the visibility of an output's beat waited for in first_frame, directly or by way of the
// block's own steps, and how many cycles before that was.
struct Cause {
  WayIn from;
  int64_t cycles = 0;
};
Cause cause_of(const Rhythm& rhythm, const Inputs& in, const std::vector<int64_t>& beats_out,
               size_t output, int64_t beat);

// A bound from below for the cycles from there to the visibility of an output's beat, whenever
// other beats arrive. None where that beat doesn't wait for it.
std::optional<int64_t> least_delay(const Rhythm& rhythm, const WayIn& from, size_t output,
                                   int64_t beat);

// The cycle in which the first beat of an input is taken, where only that input is waited for and
// its beats are there before cycle 0.
int64_t first_take(const Rhythm& rhythm, size_t input);

}  // namespace foldstream
