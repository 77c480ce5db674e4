// SPDX-License-Identifier: Apache-2.0
// Choosing how much hardware each node gets: the least for a given rate, or the highest rate that a
// part holds. Width converters between neighbours and forks are priced in. The result is the
// optimum under the operators' own costs, found by eliminating one node after the other; graphs so
// entangled that this would take too much memory are solved with some nodes fixed first, and the
// result says so.
#pragma once

#include <string>
#include <vector>

#include "src/boards/boards.h"
#include "src/cost/cost.h"
#include "src/ir/graph.h"

namespace foldstream {

struct FoldResult {
  int64_t cycles = 0;      // the initiation interval reached: that of the slowest node
  std::string bottleneck;  // the first node that needs so many
  Cost cost;               // with the converters and forks to come, without deeper queues
  bool optimal = true;     // false: some nodes were fixed to make the search feasible
};

// Cycles between frames for a rate; throws Error when it is not positive or above one frame a
// clock.
int64_t cycles_for_rate(double frames_per_second, double clock_mhz);

// Each works on a core graph without stream nodes and sets every folding attribute of its nodes.
//
// The cheapest folding in which no node needs more than `cycles`. Throws Error with the nearest
// that can be reached.
FoldResult fold_for_cycles(Graph& core, int64_t cycles, const Part& part);
// The fewest cycles whose folding takes no more than `share` of any resource of the part. Throws
// Error, naming the resource, when even the smallest hardware does not fit.
FoldResult fold_max(Graph& core, const Part& part, double share);

// The slowest node as folded now: {node, cycles}.
std::pair<const Node*, int64_t> slowest_node(const Graph& core, Family family);

}  // namespace foldstream
