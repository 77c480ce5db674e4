// SPDX-License-Identifier: Apache-2.0
// Why a stream graph is slower than its blocks. Every step issues when the last of what it waits
// for is there: the step before it, a beat, or room in a queue. Followed backwards, these waits end
// in a circle, which takes so many cycles in so many frames whatever else happens; only longer
// queues on it can change that (the critical cycle of a marked graph: Commoner et al. 1971).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "src/sim/stream_graph.h"

namespace foldstream {

struct CriticalCycle {
  int64_t frames = 0, cycles = 0;  // that one turn takes: more than `interval` cycles a frame
  std::vector<size_t> full;        // links in whose queues some step waits for room, ascending
  std::vector<size_t> blocks;      // it goes through, ascending
};

// A circle that takes more than `interval` cycles a frame, if the first `frames` frames show one.
// The graph must not stop. Keeps every beat of them: for small graphs.
std::optional<CriticalCycle> critical_cycle(const StreamGraph& graph, int64_t interval,
                                            int64_t frames);

}  // namespace foldstream
