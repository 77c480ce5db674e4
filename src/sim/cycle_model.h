// SPDX-License-Identifier: Apache-2.0
// Exact time of a stream graph, without data: the cycle of every beat on every stream, by the stall
// policy of decision record 1. Because no step depends on data, the cycle in which a step issues is
//
//   T(k) = max( T(k-1) + 1,  V of every beat it takes,  P(m - Q) + 1 of every beat m it gives )
//
// with V the cycle from which a beat is visible (issue + depth) and P the cycle in which it was
// taken. The model computes these times token by token and never visits a cycle in which nothing
// happens; once all times repeat from frame to frame it stops and extrapolates, which is exact too.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "src/sim/stream_graph.h"

namespace foldstream {

struct SimOptions {
  int64_t frames = 2;
  // Stalls from outside. A source that offers no beat starts to offer its next one in a cycle where
  // offer(source, cycle) holds, and keeps offering until it is taken; a sink is ready in the cycles
  // where accept(sink, cycle) holds. Absent: always. Indices count sources and sinks.
  std::function<bool(size_t source, int64_t cycle)> offer;
  std::function<bool(size_t sink, int64_t cycle)> accept;
  bool record = false;  // keep the cycle of every beat on every stream
  // How many beats wait in each queue at so many times of the last frame, the interval from frame
  // to frame divided evenly (SimResult::fill); 0: not wanted. `interval` must be that interval.
  int fill_times = 0;
  int64_t interval = 0;
};

// Cycles of one block from its first chance to issue to its last issue.
struct Activity {
  int64_t busy = 0;     // steps issued
  int64_t starved = 0;  // a beat to take was missing
  int64_t blocked = 0;  // every beat to take was there, room in a queue was missing
};

// Nothing can issue any more, though frames are unfinished.
struct Deadlock {
  struct Wait {
    std::string block;
    std::string waits_for;  // "a beat from 'fc1'", "room in its queue to 'add'"
    int64_t since = 0;      // cycle from which it waits
  };
  std::vector<Wait> circle;  // each waits for the next, the last for the first
  std::vector<size_t> full;  // links of the circle whose queue is full: one of them must grow
  std::string message() const;
};

struct SimResult {
  int64_t frames = 0;           // completed
  int64_t cycles = 0;           // from cycle 0 to the last beat out, both included
  int64_t latency_cycles = 0;   // of frame 0, from its first beat in to its last beat out
  int64_t interval_cycles = 0;  // between the last beats of the last two frames; 0 for one frame
  // Steady state, where it was reached: every `period_frames` frames take `period_cycles`.
  int64_t period_frames = 0, period_cycles = 0;
  // As StreamGraph::blocks; none for sources that always offer.
  std::vector<Activity> blocks;
  std::vector<int64_t> frame_in, frame_out;  // first beat in, last beat out, by frame
  // By link: the cycle in which its first beat was taken (-1: none was), and that from which the
  // last one that was given for the first frame is visible.
  std::vector<int64_t> first_taken, last_visible;
  int64_t work = 0;  // steps that were looked at, one by one
  // By link, when wanted: beats between issue and taking, at each of the times, as averages over
  // the cycles from one to the next.
  std::vector<std::vector<double>> fill;
  // When recorded, by link and beat: first cycle visible, and cycle taken.
  std::vector<std::vector<int64_t>> visible, taken;
  std::optional<Deadlock> deadlock;
};

SimResult simulate(const StreamGraph& graph, const SimOptions& options);

// Whether the frames of a graph can follow each other every `interval` cycles, asked of one block:
// its frames begin at these times, and only they make anything else late, which could have come to
// its first step any time before. Where a frame of the block isn't done when the next is to begin,
// a circle of waits goes through it that takes more than the interval for each of its frames, so
// that no queues elsewhere and no lead can make that rate. No time is lost on the way to a steady
// state.
struct Pace {
  enum class Outcome {
    late,    // by `cycles`
    stops,   // nothing can issue any more, though frames are unfinished
    keeps,   // all times repeat: frames can follow each other so
    unknown  // none of this within so many frames and so much work
  };
  Outcome outcome = Outcome::unknown;
  int64_t cycles = 0;
  int64_t frames = 0;  // begun
  int64_t work = 0;    // as SimResult::work
};

Pace pace(const StreamGraph& graph, size_t block, int64_t interval, int64_t frames,
          int64_t most_work);

}  // namespace foldstream
