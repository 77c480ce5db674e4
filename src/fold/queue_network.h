// SPDX-License-Identifier: Apache-2.0
// A core graph whose queues are being chosen: its blocks and streams as they are with the queues of
// the moment, and what queues are worth.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "src/fold/schedule.h"
#include "src/ir/graph.h"
#include "src/ir/hardware.h"
#include "src/sim/stream_graph.h"

namespace foldstream {

class QueueNetwork {
 public:
  // `least`: beats that are asked for behind nodes, by name; 1 behind others. `core` must outlive
  // it, and keep its nodes.
  QueueNetwork(Graph& core, Family family, std::map<std::string, int64_t> least);

  const std::vector<Node*>& nodes() const { return nodes_; }
  const StreamGraph& streams() const { return streams_; }
  int64_t interval() const { return interval_; }  // of the slowest node, in cycles
  int64_t steps() const { return steps_; }        // of all blocks, in a frame
  int64_t least(const Node& node) const;
  size_t block_index(const Node* node) const { return block_of_.at(node); }
  const StreamBlock& block(const Node* node) const { return streams_.blocks[block_index(node)]; }

  void set(Node& node, int64_t queue);

  // Some of the blocks alone, with queues of so many beats behind one node.
  StreamGraph part(const std::vector<bool>& kept, const Node& node, int64_t queue) const;

  // Of one link's queue, of all queues behind a node, if they are so long, in LUTs; and of these
  // without what bits count.
  double price(size_t link, int64_t beats) const;
  double price(const Node& node, int64_t beats) const;
  double luts(const Node& node, int64_t beats) const;
  // Of all.
  double price() const;

  Schedule schedule() const { return {streams_, interval_}; }
  // What a schedule is to be cheap by. All queues behind a node are as long as the longest of them.
  double worth(size_t link, int64_t beats) const;

 private:
  // Cycles from a node's issue of a beat until that is visible behind such a queue.
  int64_t depth(const Node& node, int64_t queue) const;
  int64_t depth(size_t link, int64_t queue) const;

  Family family_;
  std::map<std::string, int64_t> least_;
  std::vector<Node*> nodes_;
  StreamGraph streams_;
  std::map<const Node*, size_t> block_of_;
  std::map<const Node*, std::array<int64_t, 2>> depths_;  // with a queue of registers, of memory
  int64_t interval_ = 0, steps_ = 0;
};

// What one queue of so many beats of so many bits is worth, in LUTs, where a beat is visible
// `depth` cycles after it was issued.
double queue_price(int64_t width, int64_t beats, int64_t depth);

// Cycles of the first frame; none when it never ends.
std::optional<int64_t> first_latency(const StreamGraph& graph);

}  // namespace foldstream
