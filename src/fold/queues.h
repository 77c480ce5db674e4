// SPDX-License-Identifier: Apache-2.0
// Depths of the queues behind every node.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "src/ir/graph.h"
#include "src/ir/hardware.h"
#include "src/sim/first_frame.h"

namespace foldstream {

// One queue, or those behind a node with several results, which are all as long.
struct QueueDepth {
  std::string node;
  int64_t beats = 1;
  // Why not one less. `asked`: more beats were asked for than are needed. `one`: a queue has at
  // least one place. `slower`: the blocks `among` alone, whatever the others do, would then take
  // at least `cycles` for a frame, or stop (0 cycles). `later`: the first frame would take
  // `cycles`, more than the most asked for. `spare`: no reason, less would do. `untried`: not
  // tried, or not decided.
  enum class Reason { asked, one, slower, later, spare, untried };
  Reason reason = Reason::untried;
  std::vector<std::string> among;
  double cycles = 0;
};

// "one beat less: 'a', 'b' alone take at least 70 cycles a frame"
std::string why(const QueueDepth& depth);

struct QueueResult {
  int64_t interval_cycles = 0;  // that of the slowest node: nothing waits for a queue
  int64_t latency_cycles = 0;   // of the first frame
  std::vector<QueueDepth> depths;
  double price = 0;       // of all queues, in LUTs
  bool cheapest = false;  // no other depths keep the rate and cost less; false: not searched for

  bool least() const;  // none can be a beat shorter
};

// Sets the attribute `queue` of every hardware node of a core graph with its stream nodes, so that
// the network runs at the rate of its slowest node. That it does follows from a schedule
// (schedule.h) whose queues are these. Where a result goes several ways of which one needs more
// room than the others, a FIFO of its own is put there. Queues are cheap together, priced as the
// memory they are built of, and then as short as the model allows. A `queue` that is set already is
// the least allowed for its node, as are those in `least`, by names of nodes, of which some come
// only now; where all have one and that is enough, it is taken as it is. Where queues can see to
// it, the first frame takes at most `latency` cycles. `effort`: in large networks not every queue
// is made the least that it can be, but those whose trials pay; or each is, and has its reason,
// however long that takes.
enum class QueueEffort { what_pays, each_the_least };
QueueResult set_queues(Graph& core, Family family, int64_t latency = kAnyLatency,
                       QueueEffort effort = QueueEffort::what_pays,
                       std::map<std::string, int64_t> least = {});

// Why each queue of a core graph, which has its queues, is as long as it is: the cycle model is
// asked anew. Throws Error when the graph isn't as fast as its slowest node, or its first frame
// takes more than `latency` cycles. Changes nothing.
QueueResult judge_queues(Graph& core, Family family, int64_t latency = kAnyLatency);

}  // namespace foldstream
