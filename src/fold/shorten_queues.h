// SPDX-License-Identifier: Apache-2.0
// Makes the queues of a network that has its full rate shorter, and says why they are as long as
// they are.
#pragma once

#include <cstdint>
#include <vector>

#include "src/fold/queue_network.h"
#include "src/fold/queues.h"
#include "src/fold/schedule.h"

namespace foldstream {

// Each queue, the dearest first, as short as the others let it be, and why not a beat shorter, in
// the order of the nodes. `schedule` fits the queues as they are, or longer ones were set for the
// latency. `latency`: most cycles of the first frame.
std::vector<QueueDepth> shorten_queues(QueueNetwork& network, int64_t latency, Schedule schedule,
                                       QueueEffort effort);

// Why each queue isn't a beat shorter, in the order of the nodes; changes nothing.
std::vector<QueueDepth> queue_reasons(QueueNetwork& network, int64_t latency);

}  // namespace foldstream
