// SPDX-License-Identifier: Apache-2.0
// Depths of the queues behind every node.
#pragma once

#include "src/ir/graph.h"
#include "src/ir/hardware.h"

namespace foldstream {

struct QueueResult {
  int64_t interval_cycles = 0;  // that of the slowest node: nothing waits for a queue
  int64_t latency_cycles = 0;
  bool least = true;  // no queue can be a beat smaller; false: not all were tried
};

// Sets the attribute `queue` of every hardware node of a core graph with its stream nodes, so that
// the network runs at the rate of its slowest node and no frame takes longer than with queues
// without end. Where a result goes several ways of which one needs more room than the others, it
// puts a FIFO there. In the end each single queue, made smaller by a beat, would cost rate or
// latency, as long as trying that takes no more than seconds. A `queue` that is set already is the
// least allowed for its node. Exact, by the cycle model.
QueueResult set_queues(Graph& core, Family family);

}  // namespace foldstream
