// SPDX-License-Identifier: Apache-2.0
// Choosing how much hardware each node gets: the least for a given rate or latency, or the highest
// rate or least latency that fits. Width converters between neighbours and forks are priced in, and
// budgets of all resources hold at once. The result is the optimum under the operators' own costs,
// and says so where that is proved; else it says how far from it the result can be.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "src/boards/boards.h"
#include "src/cost/cost.h"
#include "src/fold/fold_space.h"
#include "src/ir/graph.h"

namespace foldstream {

struct FoldResult {
  int64_t cycles = 0;      // the initiation interval reached: that of the slowest node
  std::string bottleneck;  // the first node that needs so many
  Cost cost;               // with the converters and forks to come, without deeper queues
  // The share of the part that the cost takes, all resources added up, and what no folding can stay
  // below. Equal where the folding is proved to be the cheapest.
  double price = 0, price_bound = 0;
  // No folding of fewer cycles fits; equal to `cycles` where that is proved.
  int64_t cycles_bound = 0;
  // Where latency was asked for: cycles from the first beat of a frame in to its last beat out, at
  // an idle design with queues that are long enough, and what no folding that fits can stay below.
  int64_t latency = 0, latency_bound = 0;
  bool fits = true;  // the budget
  // "proved optimal", or how far it can be from that.
  std::string proof() const;
};

// Cycles between frames for a rate; throws Error when it is not positive or above one frame a
// clock.
int64_t cycles_for_rate(double frames_per_second, double clock_mhz);
// Whole cycles in so many nanoseconds; throws Error when there is none.
int64_t cycles_for_time(double nanoseconds, double clock_mhz);

// Each works on a core graph without stream nodes and sets every folding attribute of its nodes.
// Weights are where the first of `levels` allows with which a folding is found, so that none has to
// be loaded or streamed where that can be avoided.
//
// The cheapest folding in which no node needs more than `cycles`, and the first frame no more than
// `latency`; within the part if one is. Throws Error with the nearest that can be reached.
using WeightLevels = std::vector<WeightPlaces>;
FoldResult fold_for_cycles(Graph& core, int64_t cycles, const Part& part,
                           const WeightLevels& levels = {{}}, int64_t latency = kAnyLatency);
// The same within a budget. Throws Error, with what exceeds it and the nearest rate and amount that
// don't, when no folding keeps it.
FoldResult fold_within(Graph& core, int64_t cycles, const Part& part, const Cost& budget,
                       const WeightLevels& levels = {{}}, int64_t latency = kAnyLatency);
// The fewest cycles that any folding within the budget has, and the cheapest of those. Throws
// Error, naming the resource, when even the smallest hardware does not fit.
FoldResult fold_max(Graph& core, const Part& part, const Cost& budget,
                    const WeightLevels& levels = {{}}, int64_t latency = kAnyLatency);
// The same asked again and again with less of the budget or of the latency each time: foldings and
// their prices are kept from one time to the next, and nothing faster is looked for than was found.
class FoldMax {
 public:
  FoldMax(Graph core, const Part& part, WeightLevels levels);
  // Sets the folding attributes of `core`, which has the same nodes.
  FoldResult fold(Graph& core, const Cost& budget, int64_t latency = kAnyLatency);

 private:
  std::unique_ptr<Graph> core_;
  const Part& part_;
  WeightLevels levels_;
  FoldSpace space_;
  size_t level_ = 0;
  int64_t cycles_ = 0, cycles_bound_ = 0;  // found last
};
// The least latency that any folding within the budget has in which no node needs more than
// `cycles`, and the cheapest of those. Throws Error when no folding keeps the budget.
FoldResult fold_quickest(Graph& core, int64_t cycles, const Part& part, const Cost& budget,
                         const WeightLevels& levels = {{}});

// A folding that no other beats: none of as few cycles takes as little of every resource.
struct FrontPoint {
  int64_t cycles = 0;
  int64_t latency = 0;  // cycles of the first frame, with queues that are long enough
  Cost cost;
  std::vector<std::pair<std::string, std::vector<std::pair<std::string, Attr>>>>
      folding;  // attributes, by node: of the folding, and of where weights are
};
// For every interval that fits the budget, or about `most` of them evenly spread over their
// logarithm, the cheapest folding, and those with the fewest LUT, BRAM and DSP; of these the ones
// that no other beats, the fastest first. Throws Error, naming the resource, when nothing fits.
std::vector<FrontPoint> fold_front(Graph& core, const Part& part, const Cost& budget,
                                   const WeightLevels& levels, size_t most);

// The slowest node as folded now: {node, cycles}.
std::pair<const Node*, int64_t> slowest_node(const Graph& core, Family family);

}  // namespace foldstream
