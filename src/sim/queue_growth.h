// SPDX-License-Identifier: Apache-2.0
// What makes a stream graph that stops go on: which queues must grow, and by how many beats.
// Whether a graph stops depends on the order of its steps alone, never on their cycles, and more
// room never stops anything; so the least growth of one queue is found by halving.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/sim/stream_graph.h"

namespace foldstream {

struct QueueGrowth {
  struct Queue {
    size_t link = 0;
    int64_t beats = 0;  // it must hold, more than it does
  };
  // With these the frames end, and with a beat less in any one of them they don't; ascending by
  // link. Empty: no queues help.
  std::vector<Queue> queues;
  int64_t added = 0;  // beats in all
  int64_t least = 0;  // no growth of fewer beats in all lets the frames end, whatever the queues
};

// For so many frames to end; nothing grows in a graph that doesn't stop.
QueueGrowth queue_growth(const StreamGraph& graph, int64_t frames);

// "the queue from 'fork' to 'join' must hold 8 beats, 6 more; no growth of fewer beats is enough"
std::string remedy(const StreamGraph& graph, int64_t frames);

}  // namespace foldstream
